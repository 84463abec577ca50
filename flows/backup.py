"""`tradehits backup`: the embedded state of a profile in one file."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from configs.settings import Settings
from flows.archive import ArchiveWriter, writing
from flows.backup_elsewhere import not_covered
from flows.backup_files import copy_sqlite, is_sqlite, state_files
from flows.context import exclusive
from flows.observing import observed_task
from flows.progress import Reporter
from market.errors import ArchiveError
from warehouse.clock import wall_clock
from warehouse.duckdb import DuckDBWarehouse
from warehouse.engines import open_warehouse

STATE, MLRUNS = "state", "mlruns"
"""Folders of the archive: the profile's state, and MLflow's store wherever it lies."""


@dataclass(frozen=True)
class Backup:
    """What a backup holds.

    Attributes:
        file: The archive.
        files: Files in it.
        size_bytes: Of the archive.
        state_bytes: Of what is in it.
        tables: Tables of the warehouse; 0 where the engine keeps them elsewhere.
        rows: Their rows.
        not_covered: What is precious and lies elsewhere, each with how it is backed up there.
    """

    file: Path
    profile: str
    files: int
    size_bytes: int
    state_bytes: int
    tables: int
    rows: int
    not_covered: tuple[str, ...]


@observed_task("backup")
def backup(settings: Settings, file: Path, reporter: Reporter) -> Backup:
    """Write everything precious of a profile into one archive, as of one moment.

    No command of the profile writes meanwhile; services may go on. In it: the embedded warehouse, Feast's registry and
    online store, MLflow's database and artifacts, Gemini's answers, hashes of API keys. Not in it: caches and reports,
    which commands make again, and secrets, which stand in the environment. What lies in other systems is named.

    Args:
        settings: Whose state.
        file: The new archive, usually `….tar.zst`, readable by its owner alone.
        reporter: Shows progress.

    Raises:
        ArchiveError: There is no state, the file exists, or a part cannot be read.
        WarehouseLockedError: A command of the profile has been writing for too long.
    """
    paths = settings.paths
    if not paths.state.is_dir():
        raise ArchiveError(f"profile '{settings.profile}' has no state at {paths.state}", remedy="run a command first")
    about: dict[str, Any] = {
        "profile": settings.profile,
        "created_at": wall_clock().isoformat(),
        "tradehits": version("tradehits"),
        "duckdb": duckdb.__version__,
        "engine": settings.warehouse.engine,
        "tables": [],
        "not_covered": list(not_covered(settings)),
    }
    with (
        exclusive(settings),
        tempfile.TemporaryDirectory(dir=_scratch(settings)) as scratch,
        writing(file, about) as archive,
    ):
        with reporter.step("backup: warehouse"):
            about["tables"] = [asdict(one) for one in _add_warehouse(settings, archive, Path(scratch))]
        with reporter.step("backup: feature store, keys, answers"):
            _add_folder(archive, paths.state, STATE, Path(scratch), but=(paths.mlruns, paths.warehouse_file))
        with reporter.step("backup: MLflow"):
            _add_folder(archive, paths.mlruns, MLRUNS, Path(scratch))
    return Backup(
        file=file,
        profile=settings.profile,
        files=len(archive.files),
        size_bytes=file.stat().st_size,
        state_bytes=sum(one.size for one in archive.files),
        tables=len(about["tables"]),
        rows=sum(one["rows"] for one in about["tables"]),
        not_covered=tuple(about["not_covered"]),
    )


def _scratch(settings: Settings) -> Path:
    folder = settings.paths.cache / "backup"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _add_warehouse(settings: Settings, archive: ArchiveWriter, scratch: Path) -> list[Any]:
    warehouse, file = open_warehouse(settings), settings.paths.warehouse_file
    if not isinstance(warehouse, DuckDBWarehouse) or not file.exists():
        return []
    warehouse.ensure_schema()
    copy = scratch / file.name
    contents = warehouse.copy_to(copy)
    archive.add(copy, f"{STATE}/{file.name}")
    copy.unlink()
    return contents


def _add_folder(archive: ArchiveWriter, folder: Path, name: str, scratch: Path, but: tuple[Path, ...] = ()) -> None:
    for path in state_files(folder, but=but):
        entry = f"{name}/{path.relative_to(folder).as_posix()}"
        if not is_sqlite(path):
            archive.add(path, entry)
            continue
        copy = scratch / "copy.db"
        copy_sqlite(path, copy)
        archive.add(copy, entry)
        copy.unlink()
