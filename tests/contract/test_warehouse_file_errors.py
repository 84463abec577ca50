"""Damaged, forbidden and full: each has a name and a remedy, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from market.errors import WarehouseFileError
from tests.contract.warehouse_engines import bars, file_engine, stored
from warehouse.duckdb_errors import file_error
from warehouse.warehouse import Write

REPOSITORY = Path(__file__).resolve().parents[2]
PRELUDE = """
import os, random, resource, sys
from pathlib import Path
from market.errors import WarehouseFileError
from tests.contract.warehouse_engines import bars, file_engine, stored
from warehouse.warehouse import Write
folder = Path(sys.argv[1])
def rows(name, count):
    many = bars(*(("stocks", name, day, 0.0) for day in range(count)))
    return many.set_column(3, "close", [[random.random() for _ in range(count)]])
def count(engine):
    return engine.query("SELECT COUNT(*) AS n FROM ml_models.bars").column(0)[0].as_py()
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
"""
FULL = "the disk is full"
DENIED = "access is denied"
DAMAGED = "the warehouse file is damaged"


def child(folder: Path, body: str) -> list[str]:
    ended = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(body), str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout.splitlines()


def file_of(folder: Path) -> Path:
    return folder / "state" / "warehouse.duckdb"


# --- damage ----------------------------------------------------------------------------------------------------------


def _garbage(file: Path) -> None:
    file.write_bytes(b"symbol,close\nA,1\n" * 1000)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _flipped(file: Path) -> None:
    """Every byte after the headers inverted."""
    content = bytearray(file.read_bytes())
    content[12_288:] = bytes(255 - byte for byte in content[12_288:])
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [_garbage, _empty, _truncated, _flipped])
def test_a_damaged_file_is_named_by_readers_and_writers_and_left_alone(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    file_engine(tmp_path).write([Write("ml_models.bars", rows=bars(*(("stocks", "A", d, d / 3) for d in range(5000))))])
    damage(file_of(tmp_path))
    content = file_of(tmp_path).read_bytes()
    for action in (
        lambda: stored(file_engine(tmp_path)),
        lambda: file_engine(tmp_path).write([Write("ml_models.bars", rows=bars(("stocks", "B", 1, 1.0)))]),
        lambda: file_engine(tmp_path).compact(),
    ):
        with pytest.raises(WarehouseFileError, match=DAMAGED) as refusal:
            action()
        assert "restore the file from its backup" in refusal.value.remedy
    assert file_of(tmp_path).read_bytes() == content


def test_a_folder_in_the_files_place_is_named(tmp_path: Path) -> None:
    file_of(tmp_path).mkdir(parents=True)
    with pytest.raises(WarehouseFileError, match=DAMAGED):
        file_engine(tmp_path).ensure_schema()


def test_errors_that_are_about_no_file_keep_their_own_name() -> None:
    assert file_error(duckdb.BinderException("column 'checksum' is corrupt")) is None
    assert file_error(ValueError("no space left on device")) is None
    assert file_error(FileNotFoundError(2, "gone")) is None


# --- a full disk -----------------------------------------------------------------------------------------------------


def test_rows_that_find_no_room_on_their_way_in_change_nothing(tmp_path: Path) -> None:
    file_engine(tmp_path).write([Write("ml_models.bars", rows=bars(("stocks", "A", 1, 1.0)))])
    told = child(
        tmp_path,
        """
        engine = file_engine(folder)
        many = rows("B", 200_000)
        limit(300_000)
        try:
            engine.write([Write("ml_models.bars", rows=many)])
        except WarehouseFileError as error:
            print(error.message[:16]); print("free space" in error.remedy)
        """,
    )
    assert told == [FULL, "True"]
    assert stored(file_engine(tmp_path)) == [("stocks", "A", 1, 1.0)]
    assert [path for path in (tmp_path / "staging").iterdir() if path.name.startswith("write@")] == []


def test_a_commit_that_finds_no_room_is_undone_and_the_same_process_goes_on_once_there_is(tmp_path: Path) -> None:
    told = child(
        tmp_path,
        """
        engine = file_engine(folder)
        engine.ensure_schema()
        limit(1_800_000)
        done = 0
        while done < 500:
            try:
                engine.write([Write("ml_models.bars", rows=rows(f"S{done}", 4000))])
            except WarehouseFileError as error:
                print(error.message[:16])
                break
            done += 1
        print(done > 3, count(engine) == 4000 * done)
        limit(resource.RLIM_INFINITY)
        engine.write([Write("ml_models.bars", rows=rows("after", 10))])
        print(count(engine) == count(file_engine(folder)) == 4000 * done + 10)
        """,
    )
    assert told == [FULL, "True True", "True"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_fills_up_loses_nothing_that_was_acknowledged(small_disk: Path) -> None:
    told = child(
        small_disk,
        """
        done = 0
        engine = file_engine(folder)
        while done < 500:
            try:
                engine.write([Write("ml_models.bars", rows=rows(f"S{done}", 4000))])
            except WarehouseFileError as error:
                print(error.message[:16])
                break
            done += 1
        print(done > 3, count(file_engine(folder)) == 4000 * done)
        try:
            engine.compact()
        except WarehouseFileError as error:
            print(error.message[:16])
        print(count(engine) == 4000 * done, (folder / "state" / "warehouse.duckdb.compacted").exists())
        """,
    )
    assert told == [FULL, "True True", FULL, "True False"]


# --- permissions -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")
@pytest.mark.parametrize("forbidden", ["state", "state/warehouse.duckdb", "staging"])
def test_missing_rights_are_named_and_nothing_is_written(tmp_path: Path, forbidden: str) -> None:
    told = child(
        tmp_path,
        f"""
        from market.errors import WarehouseError
        engine = file_engine(folder)
        engine.write([Write("ml_models.bars", rows=rows("A", 3))])  # as root: everything is imported
        for path in [*folder.parents, folder, *folder.rglob("*")]:
            path.chmod(path.stat().st_mode | (0o777 if folder in [path, *path.parents] else 0o001))
        (folder / {forbidden!r}).chmod(0o500)
        os.setegid(65534)
        os.seteuid(65534)
        try:
            file_engine(folder).write([Write("ml_models.bars", rows=rows("B", 3))])
        except WarehouseError as error:
            print("denied" in str(error).lower(), "access" in error.remedy)
        os.seteuid(0)
        (folder / {forbidden!r}).chmod(0o700)
        print(count(file_engine(folder)))
        """,
    )
    assert told == ["True True", "3"]
