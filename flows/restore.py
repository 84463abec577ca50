"""`tradehits restore`: a profile's state from a backup, proven equal before it takes the place."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb

from configs.settings import Settings
from feature_repo import store as feast
from flows.archive import unpack
from flows.backup import MLRUNS, STATE
from flows.backup_files import is_sqlite, state_files
from flows.context import exclusive
from flows.observing import observed_task
from flows.progress import Reporter
from flows.publish_snapshot import publish_snapshot
from market.errors import ArchiveError, NoChampionError
from warehouse.clock import wall_clock
from warehouse.duckdb import DuckDBWarehouse
from warehouse.duckdb_contents import TableContent


@dataclass(frozen=True)
class Restore:
    """What a restore did.

    Attributes:
        created_at: When the backup was made, ISO.
        tables: Tables of the warehouse, each compared with what the backup counted and hashed.
        rows: Their rows.
        moved_aside: Where the state of before is; empty when there was none.
        snapshot: The service's new snapshot; None without a champion.
        not_covered: What the backup did not hold, because it lay elsewhere.
    """

    file: Path
    profile: str
    created_at: str
    files: int
    tables: int
    rows: int
    moved_aside: tuple[Path, ...]
    snapshot: Path | None
    not_covered: tuple[str, ...]


@observed_task("restore")
def restore(settings: Settings, file: Path, reporter: Reporter, *, replace: bool = False) -> Restore:
    """Unpack a backup beside the state, prove it, and put it in the state's place.

    Every file is compared with its SHA-256, every table with its row count and the hash of its rows, every SQLite file
    is checked. What was there before is moved aside, never deleted. Killed before the last step, nothing has changed;
    killed within it, run it again with `replace`.

    Args:
        settings: Whose state; the backup must be of the same profile.
        file: The archive.
        reporter: Shows progress.
        replace: There may be a state already.

    Raises:
        ArchiveError: The archive is damaged or of another profile, or a state exists and `replace` is not given.
        WarehouseLockedError: A command of the profile has been writing for too long.
    """
    paths = settings.paths
    _refuse_present(settings, replace)
    with exclusive(settings):
        scratch = paths.home / ".restoring"
        shutil.rmtree(scratch, ignore_errors=True)  # of a restore that was killed; the lock says that none is at work
        scratch.mkdir(parents=True)
        try:
            with reporter.step("restore: unpack and compare"):
                manifest = unpack(file, scratch)
                _refuse_other(settings, file, manifest)
            with reporter.step("restore: prove"):
                contents = _prove(settings, scratch, manifest)
                _relocate(scratch / MLRUNS / "mlflow.db", paths.mlruns / "artifacts")
            aside = _put_in_place(settings, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(paths.cache, ignore_errors=True)  # of another state
        with reporter.step("restore: feature definitions and snapshot"):
            if (paths.state / "feast").is_dir():
                feast.apply(settings)  # its registry names files by their place
            snapshot = _publish(settings)
    return Restore(
        file=file,
        profile=settings.profile,
        created_at=manifest["created_at"],
        files=len(manifest["files"]),
        tables=len(contents),
        rows=sum(one.rows for one in contents),
        moved_aside=aside,
        snapshot=snapshot,
        not_covered=tuple(manifest.get("not_covered", ())),  # archives of before say nothing
    )


def _refuse_present(settings: Settings, replace: bool) -> None:
    present = [folder for folder in _folders(settings) if folder.is_dir() and any(state_files(folder))]
    if present and not replace:
        raise ArchiveError(
            f"profile '{settings.profile}' has a state already: {present[0]}",
            remedy="give --replace to move it aside, or restore into another TRADEHITS_HOME",
        )


def _refuse_other(settings: Settings, file: Path, manifest: dict[str, Any]) -> None:
    for name, wanted in (("profile", settings.profile), ("engine", settings.warehouse.engine)):
        if manifest[name] != wanted:
            raise ArchiveError(
                f"{file} is a backup of {name} '{manifest[name]}', not '{wanted}'",
                remedy=f"restore it with {'--profile ' if name == 'profile' else 'warehouse.engine '}{manifest[name]}",
            )


def _prove(settings: Settings, scratch: Path, manifest: dict[str, Any]) -> list[TableContent]:
    for folder in (STATE, MLRUNS):
        for path in state_files(scratch / folder):
            if is_sqlite(path):
                _check_sqlite(path)
    wanted = [TableContent(**one) for one in manifest["tables"]]
    if not wanted:
        return []
    unpacked = scratch / STATE / settings.paths.warehouse_file.name
    found = DuckDBWarehouse(unpacked, settings=settings.warehouse, staging=scratch / "staging").contents()
    comparable = manifest["duckdb"] == duckdb.__version__  # another version may hash rows in another way
    if [(one.table, one.rows, one.content_hash * comparable) for one in found] != [
        (one.table, one.rows, one.content_hash * comparable) for one in wanted
    ]:
        raise ArchiveError("the unpacked warehouse does not hold what the backup counted", remedy="use another backup")
    return found


def _check_sqlite(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise ArchiveError(f"{path.name} of the backup is damaged: {found}", remedy="use another backup")


def _relocate(database: Path, artifacts: Path) -> None:
    """MLflow writes absolute places of artifacts into its tables: they follow the store to its new folder.

    Experiments tell the old places; there are several where the store was moved before.
    """
    if not database.exists():
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        places = [row[0] for row in connection.execute("SELECT DISTINCT artifact_location FROM experiments")]
        uris = {place for place in places if place.startswith("file://") and place.endswith("/artifacts")}
        for uri in uris - {artifacts.as_uri()}:
            for old, new in ((uri, artifacts.as_uri()), (unquote(urlsplit(uri).path), str(artifacts))):
                _replace_prefix(connection, old, new)


def _replace_prefix(connection: sqlite3.Connection, old: str, new: str) -> None:
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for column in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
            name = f'"{column[1]}"'
            if "CHAR" in column[2].upper() or "TEXT" in column[2].upper():
                connection.execute(
                    f'UPDATE "{table}" SET {name} = :new || SUBSTR({name}, :length + 1) '
                    f"WHERE {name} = :old OR SUBSTR({name}, 1, :length + 1) = :old || '/'",
                    {"old": old, "new": new, "length": len(old)},
                )


def _put_in_place(settings: Settings, scratch: Path) -> tuple[Path, ...]:
    stamp = f"{wall_clock():%Y%m%dT%H%M%SZ}"
    moved = []
    for folder in _folders(settings):
        if folder.is_dir():
            aside = folder.with_name(f"{folder.name}.before-{stamp}")
            folder.rename(aside)
            if any(state_files(aside)):
                moved.append(aside)
            else:
                shutil.rmtree(aside)
    # MLflow's store may lie inside the state: the state first
    for name, folder in zip((STATE, MLRUNS), (settings.paths.state, settings.paths.mlruns), strict=True):
        folder.parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).mkdir(exist_ok=True)
        shutil.move(scratch / name, folder)
    return tuple(moved)


def _folders(settings: Settings) -> tuple[Path, ...]:
    """Folders that are replaced, those inside others left out."""
    state, mlruns = settings.paths.state, settings.paths.mlruns
    return (state,) if state in mlruns.parents else (state, mlruns)


def _publish(settings: Settings) -> Path | None:
    try:
        return publish_snapshot(settings)
    except NoChampionError:
        return None
