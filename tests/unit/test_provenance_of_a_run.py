"""The same rows give the same hash, any other rows another one; the commit is the project's own."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from registry.provenance import content_hash, git_commit, snapshot_tags


def frame() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "symbol": ["AAPL", "B", None],
            "datetime": [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
            "rsi": [1.5, None, float("nan")],
            "label": [1, 0, None],
            "warm": [True, None, False],
        }
    )


def test_the_hash_of_a_known_frame_never_changes() -> None:
    by_hand = b"a\0Int64\x002\0" + b"\0" + struct.pack("<qq", 1, 2)  # name, type, rows; NULLs; values
    assert content_hash(pl.DataFrame({"a": [1, 2]})) == hashlib.sha256(by_hand).hexdigest()


@pytest.mark.parametrize(
    "changed",
    [
        frame().with_columns(rsi=pl.Series([1.5, None, None], dtype=pl.Float64)),
        frame().with_columns(rsi=pl.Series([1.5, 0.0, float("nan")])),
        frame().with_columns(symbol=pl.Series(["AAP", "LB", None])),
        frame().with_columns(symbol=pl.Series(["AAPL", "B", ""])),
        frame().with_columns(label=pl.Series([1, 0, 0])),
        frame().with_columns(warm=pl.Series([True, False, False])),
        frame().reverse(),
        frame().rename({"rsi": "adx"}),
        frame().with_columns(pl.col("label").cast(pl.Int32)),
        frame().head(2),
        frame().drop("warm"),
    ],
)
def test_another_value_null_order_name_or_type_gives_another_hash(changed: pl.DataFrame) -> None:
    assert content_hash(changed) != content_hash(frame())


def test_chunks_slices_bit_patterns_of_nan_and_the_sign_of_zero_do_not_matter() -> None:
    doubled = pl.concat([frame(), frame()], rechunk=False)
    assert content_hash(doubled.slice(3)) == content_hash(frame())
    zeros = pl.DataFrame({"x": [0.0, float("nan")]})
    assert content_hash(pl.DataFrame({"x": [-0.0, -float("nan")]})) == content_hash(zeros)


def test_an_empty_frame_has_a_hash_of_its_columns() -> None:
    assert content_hash(frame().clear()) != content_hash(frame().clear().drop("warm"))


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_the_head_and_uncommitted_changes_show(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "a.txt").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(tmp_path) == (head, False)
    (tmp_path / "a.txt").write_text("2")
    assert git_commit(tmp_path) == (head, True)


def test_a_folder_without_git_or_inside_another_repository_has_no_commit(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == ("unknown", False)
    git(tmp_path, "init")
    inner = tmp_path / "site-packages"
    inner.mkdir()
    assert git_commit(inner) == ("unknown", False)


def test_every_run_carries_commit_and_versions() -> None:
    tags = snapshot_tags()
    assert {"git_commit", "git_dirty", "python", "xgboost"} <= set(tags)
    assert all(isinstance(value, str) for value in tags.values())
