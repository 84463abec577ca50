"""A full disk, by its name: whichever file ran into it, in whichever library's words."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from types import TracebackType
from typing import Final

from market.errors import WarehouseFileError

_ERRNO: Final = frozenset((errno.ENOSPC, errno.EFBIG, errno.EDQUOT))
# SQLite calls a file that may not grow an I/O error
_TOLD: Final = re.compile(
    r"no space left|disk is full|file too large|disk quota exceeded|disk i/o error", re.IGNORECASE
)


class FullDiskNamed:
    """A block in which an error that comes from a full disk leaves as a `WarehouseFileError` that says so.

    The warehouse names its own; MLflow's and Feast's SQLite files, Feast's copies, the snapshot and reports speak in
    their libraries' words, some of them with a remedy for something else.
    """

    def __enter__(self) -> None:
        """Nothing is opened."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Raise the named error in place of an error that a full disk caused; others pass."""
        if not isinstance(error, Exception) or isinstance(error, WarehouseFileError):
            return
        found = next((cause for cause in _chain(error) if _is_full(cause)), None)
        if found is not None:
            raise WarehouseFileError(
                f"the disk is full, or cannot be written: {' '.join(str(found).split())[:300]}",
                remedy="free space on it (the folder `cache` of a profile may be deleted, `tradehits warehouse "
                "compact` shrinks the file) and run the command again: everything stored before is still there",
            ) from error


def _is_full(error: BaseException) -> bool:
    return (isinstance(error, OSError) and error.errno in _ERRNO) or bool(_TOLD.search(str(error)))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and those because of which it was raised."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__
