"""A backup is the state of one moment, and what is restored is equal to it or refused."""

from __future__ import annotations

import io
import json
import sqlite3
import stat
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from flows.archive import unpack, writing
from flows.backup import backup
from flows.backup_files import copy_sqlite
from flows.progress import LogReporter
from flows.restore import restore
from market.errors import ArchiveError
from tests.integration.inference_world import World, settings_at, world_at
from warehouse.duckdb import DuckDBWarehouse


@pytest.fixture(scope="module")
def stored(inference_home: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Champions, one day's predictions, and a snapshot."""
    world = world_at(tmp_path_factory.mktemp("stored") / "home", inference_home)
    world.predict()
    return world


@pytest.fixture(scope="module")
def archive(stored: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("archive") / "friday.tar.zst"
    backup(stored.settings, file, LogReporter())
    return file


def contents(world: World) -> dict[str, tuple[int, int]]:
    assert isinstance(world.warehouse, DuckDBWarehouse)
    return {one.table: (one.rows, one.content_hash) for one in world.warehouse.contents()}


def test_a_state_restored_elsewhere_holds_the_same_tables_and_goes_on(
    stored: World, archive: Path, tmp_path: Path
) -> None:
    settings = settings_at(tmp_path / "elsewhere")
    done = restore(settings, archive, LogReporter())
    again = world_at(tmp_path / "elsewhere")
    assert contents(again) == contents(stored)
    assert sum(rows for rows, _ in contents(again).values()) == done.rows > 1000
    assert done.snapshot == settings.paths.snapshot_file and done.snapshot.exists()
    before = again.rows()
    report = again.predict(check_all=True)  # compares served with stored features, and replays every prediction
    assert again.rows().equals(before)
    assert {one.asset_type: one.written.predictions for one in report.classes if one.written} == {
        "stocks": 0,
        "crypto": 0,
    }


def test_mlflow_looks_for_its_artifacts_where_they_were_restored_to(archive: Path, tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "elsewhere")
    restore(settings, archive, LogReporter())
    with closing(sqlite3.connect(settings.paths.mlruns / "mlflow.db")) as connection:
        places = [row[0] for row in connection.execute("SELECT artifact_uri FROM runs")]
        dump = "\n".join(connection.iterdump())
    assert places and all(place.startswith(settings.mlflow_artifacts) for place in places)
    assert not [line for line in dump.splitlines() if "/state/mlruns/artifacts/" in line and str(tmp_path) not in line]


def test_a_backup_is_readable_by_its_owner_alone_and_by_tar(archive: Path) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    with (
        pa.CompressedInputStream(pa.OSFile(str(archive)), "zstd") as packed,
        tarfile.open(fileobj=io.BytesIO(packed.read())) as tar,
    ):
        names = tar.getnames()
    assert "state/warehouse.duckdb" in names and "mlruns/mlflow.db" in names and names[-1] == "manifest.json"
    assert not [name for name in names if name.endswith((".lock", "-wal", "-shm", ".wal"))]


def test_an_existing_file_is_never_written_over(stored: World, archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(ArchiveError, match=r"friday\.tar\.zst exists already"):
        backup(stored.settings, archive, LogReporter())
    assert archive.read_bytes() == before


def test_a_backup_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "b.tar.zst", {}) as writer:
        writer.add(Path(__file__), "one")
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_a_profile_without_a_state_cannot_be_backed_up(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="profile 'test' has no state"):
        backup(settings_at(tmp_path / "nothing"), tmp_path / "b.tar.zst", LogReporter())


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_an_archive_cut_short_changes_nothing(archive: Path, tmp_path: Path, keep: float) -> None:
    whole = archive.read_bytes()
    cut = tmp_path / "cut.tar.zst"
    cut.write_bytes(whole[: int(len(whole) * keep)])
    settings = settings_at(tmp_path / "home")
    with pytest.raises(ArchiveError, match=r"cut\.tar\.zst"):
        restore(settings, cut, LogReporter())
    assert not settings.paths.warehouse_file.exists()
    assert not (settings.paths.home / ".restoring").exists()


def tampered(target: Path, name: str, content: bytes) -> Path:
    """An archive whose manifest tells of one file `a` that holds "true"."""
    entry = {"path": "a", "size": 4, "sha256": "b5bea41b6c623f7c09f1bf24dcae58ebab3c0cdd90ad966bc43a45b44867e12b"}
    manifest = json.dumps({"format": 1, "files": [entry]}).encode()
    with (
        pa.CompressedOutputStream(pa.OSFile(str(target), "wb"), "zstd") as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for path, data in ((name, content), ("manifest.json", manifest)):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return target


def test_a_file_that_is_not_what_the_manifest_says_is_refused(tmp_path: Path) -> None:
    assert unpack(tampered(tmp_path / "good", "a", b"true"), tmp_path / "1")["format"] == 1
    for number, (name, content) in enumerate((("a", b"fals"), ("b", b"true"))):
        with pytest.raises(ArchiveError, match="is damaged"):
            unpack(tampered(tmp_path / f"bad{number}", name, content), tmp_path / f"x{number}")


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="outside the destination"):
        unpack(tampered(tmp_path / "bad", "../evil", b"true"), tmp_path / "inside" / "deep")
    assert not (tmp_path / "inside" / "evil").exists()


def test_a_state_that_is_there_is_moved_aside_and_only_when_told(stored: World, archive: Path, tmp_path: Path) -> None:
    world = world_at(tmp_path / "own", stored.settings.paths.home.parent)
    with pytest.raises(ArchiveError, match="has a state already") as refused:
        restore(world.settings, archive, LogReporter())
    assert "--replace" in refused.value.remedy
    done = restore(world.settings, archive, LogReporter(), replace=True)
    assert [path.name.split(".before-")[0] for path in done.moved_aside] == ["state"]
    assert (done.moved_aside[0] / "warehouse.duckdb").exists()
    assert contents(world_at(tmp_path / "own")) == contents(stored)


def test_a_backup_of_another_profile_is_refused(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from configs.settings import load_settings

    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))
    with pytest.raises(ArchiveError, match="a backup of profile 'test', not 'local'"):
        restore(load_settings("local"), archive, LogReporter())


def test_sqlite_is_copied_as_of_one_moment_while_it_is_written(tmp_path: Path) -> None:
    source, done = tmp_path / "live.db", threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(source, timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE pairs (half TEXT)")
            while not done.is_set():
                with connection:
                    connection.execute("INSERT INTO pairs VALUES ('left')")
                    connection.execute("INSERT INTO pairs VALUES ('right')")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not source.exists() or source.stat().st_size == 0:
            pass
        for number in range(10):
            copy_sqlite(source, tmp_path / f"{number}.db")
    finally:
        done.set()
        writer.join()
    for number in range(10):
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as connection:
            tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
            counts = dict(connection.execute("SELECT half, COUNT(*) FROM pairs GROUP BY 1")) if tables else {}
        assert counts.get("left", 0) == counts.get("right", 0)
    assert not (tmp_path / "9.db-wal").exists()
