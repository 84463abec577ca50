"""The snapshot's file: whole or refused, whatever happened to it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from market.errors import SnapshotError
from serving.snapshot_file import read_snapshot, write_snapshot

MEMBERS = {"rows.parquet": bytes(range(256)) * 4, "models/stocks/model.ubj": b"trees"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "serving.snapshot"


def test_what_was_written_is_read_and_its_folder_holds_nothing_else(path: Path) -> None:
    identity = write_snapshot(path, {"profile": "test"}, MEMBERS)
    assert read_snapshot(path) == (identity, {"profile": "test"}, MEMBERS)
    assert [file.name for file in path.parent.iterdir()] == ["serving.snapshot"]


def test_equal_contents_have_equal_ids_and_others_do_not(path: Path) -> None:
    first = write_snapshot(path, {"profile": "test"}, MEMBERS)
    assert write_snapshot(path, {"profile": "test"}, MEMBERS) == first
    assert write_snapshot(path, {"profile": "live"}, MEMBERS) != first
    assert write_snapshot(path, {"profile": "test"}, {**MEMBERS, "rows.parquet": b""}) != first


def test_a_write_that_fails_leaves_the_old_file_and_no_other(path: Path) -> None:
    identity = write_snapshot(path, {}, MEMBERS)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_snapshot(path, {"accuracy": float("nan")}, {})
    with pytest.raises(TypeError):
        write_snapshot(path, {}, {"rows": "no bytes"})  # type: ignore[dict-item]
    assert read_snapshot(path)[0] == identity
    assert [file.name for file in path.parent.iterdir()] == ["serving.snapshot"]


def test_a_missing_file_says_how_one_is_made(path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"there is no snapshot at .*serving.snapshot\n  remedy: publish it again"):
        read_snapshot(path)


def test_a_changed_bit_is_noticed_wherever_it_matters(path: Path) -> None:
    members = {"rows.parquet": b"rows", "models/stocks/model.ubj": b"trees"}
    told = (write_snapshot(path, {"profile": "test"}, members), {"profile": "test"}, members)
    whole, unread = path.read_bytes(), 0
    with zipfile.ZipFile(path) as archive:
        directory = 8 * archive.start_dir
    # every bit of what tells how to read the rest
    places = [*range(0, directory, 9), *range(directory, 8 * len(whole))]
    for place in places:
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        path.write_bytes(content)
        try:
            assert read_snapshot(path) == told  # a bit that nobody reads, such as a time stamp of the archive
            unread += 1
        except SnapshotError:
            continue
    assert 0 < unread < len(places) / 2


@pytest.mark.parametrize("kept", [0, 1, 100, -1, -30])
def test_a_cut_file_is_refused(path: Path, kept: int) -> None:
    write_snapshot(path, {}, MEMBERS)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(SnapshotError, match="damaged"):
        read_snapshot(path)


def test_another_format_is_named(path: Path) -> None:
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": 2, "members": {}, "facts": {}}))
    with pytest.raises(SnapshotError, match="has format 2, this version reads 1"):
        read_snapshot(path)
