"""What went wrong with a file, said by name: full disk, forbidden folder, damaged file."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from market.errors import WarehouseFileError

_FULL = re.compile(r"no space left|file too large|disk is full|quota exceeded|max_temp_directory_size", re.IGNORECASE)
_FORBIDDEN = re.compile(r"permission denied|read-only file system|operation not permitted", re.IGNORECASE)
_DAMAGED = re.compile(
    r"corrupt|checksum|not a valid duckdb database|failed to deserialize|not read enough bytes|is a directory"
    r"|database has been invalidated",
    re.IGNORECASE,
)
_NEWER_FORMAT = re.compile(r"newer version of duckdb|database file with version number", re.IGNORECASE)
_ERRNO = {
    **dict.fromkeys((errno.ENOSPC, errno.EFBIG, errno.EDQUOT), "full"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "forbidden"),
}
_REMEDIES = {
    "full": "free space on that disk (the folder `cache` of a profile may be deleted, `tradehits warehouse compact` "
    "shrinks the file) and run the command again: everything stored before is still there",
    "forbidden": "give this user read and write access to the file and its folder (readers lock a file beside it)",
    "damaged": "restore the file from its backup, or move it away and ingest again; what is still readable can be "
    "exported with `tradehits sql --format csv`",
    "newer format": "update TradeHits and its duckdb package, or name another TRADEHITS_HOME",
}
_MESSAGES = {
    "full": "the disk is full",
    "forbidden": "access is denied",
    "damaged": "the warehouse file is damaged",
    "newer format": "the warehouse file was written by a newer DuckDB",
}


def file_error(error: Exception) -> WarehouseFileError | None:
    """The named error behind an engine's or the system's; None when it is about no file."""
    kind = _kind(error)
    if kind is None:
        return None
    return WarehouseFileError(f"{_MESSAGES[kind]}: {str(error).strip()}", remedy=_REMEDIES[kind])


@contextmanager
def file_errors() -> Iterator[None]:
    """Errors about files by their names; every other error passes as it is."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        named = file_error(error)
        if named is None:
            raise
        raise named from error


def _kind(error: Exception) -> str | None:
    if isinstance(error, OSError):
        return _ERRNO.get(error.errno or 0)
    text = str(error)
    # Damage first: a message about it may quote anything.
    if isinstance(error, duckdb.FatalException | duckdb.InternalException | duckdb.SerializationException):
        return "full" if _FULL.search(text) else "damaged"
    about_files = (duckdb.IOException, duckdb.TransactionException, duckdb.OutOfMemoryException)
    if not isinstance(error, about_files) and type(error) is not duckdb.Error:  # the bare class tells of checksums
        return None
    for kind, pattern in (
        ("full", _FULL),
        ("newer format", _NEWER_FORMAT),
        ("damaged", _DAMAGED),
        ("forbidden", _FORBIDDEN),
    ):
        if pattern.search(text):
            return kind
    return None
