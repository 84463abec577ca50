"""Which files of a profile are its state, and how each is copied while services read and write them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from market.errors import ArchiveError

_SQLITE = b"SQLite format 3\0"
_BESIDES = ("-wal", "-shm", "-journal")
"""Beside a SQLite file: its own log, which a copy through SQLite has taken in."""


def state_files(folder: Path, *, but: Sequence[Path] = ()) -> Iterator[Path]:
    """Every file below a folder that is state, in order: no locks, no logs of databases.

    Args:
        folder: A state folder.
        but: Folders or files below it that are left out.
    """
    for path in sorted(folder.rglob("*")):
        if any(path == other or other in path.parents for other in but):
            continue
        if path.is_symlink() or not path.is_file() or path.name.endswith(".lock"):
            continue
        if path.name.endswith(_BESIDES) or path.name.endswith(".wal"):
            continue
        yield path


def is_sqlite(path: Path) -> bool:
    """Whether a file is a SQLite database."""
    with path.open("rb") as content:
        return content.read(len(_SQLITE)) == _SQLITE


def copy_sqlite(source: Path, target: Path, timeout_seconds: float = 60.0) -> None:
    """Copy a SQLite database as of one moment, also while others write it, and check the copy.

    Raises:
        ArchiveError: It cannot be read, or the copy is damaged.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=timeout_seconds)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            found = new.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        raise ArchiveError(
            f"{source} cannot be copied: {error}", remedy="stop what writes to it, then try again"
        ) from error
    if found != "ok":
        raise ArchiveError(f"{source} is damaged: {found}", remedy="repair it with sqlite3's .recover first")
