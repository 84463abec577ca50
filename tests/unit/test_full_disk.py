"""A full disk has one name, whichever library ran into it."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from flows.disk import FullDiskNamed
from market.errors import QuotaExceededError, RegistryError, WarehouseFileError


def fails(error: Exception, because: Exception | None = None) -> None:
    with FullDiskNamed():
        raise error from because


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/state/snapshot.zip"),
        OSError(errno.EFBIG, "File too large"),
        sqlite3.OperationalError("database or disk is full"),
        RuntimeError("IO Error: Could not write all bytes: No space left on device"),
    ],
)
def test_a_full_disk_is_named_with_what_to_do(error: Exception) -> None:
    with pytest.raises(WarehouseFileError, match="the disk is full, or cannot be written: ") as named:
        fails(error)
    assert named.value.remedy.startswith("free space on it")
    assert named.value.__cause__ is error


def test_a_named_error_that_a_full_disk_caused_does_not_send_the_reader_elsewhere() -> None:
    misled = RegistryError("cannot open MLflow's store", remedy="then run: mlflow db upgrade")
    with pytest.raises(WarehouseFileError, match="database or disk is full"):
        fails(misled, sqlite3.OperationalError("database or disk is full"))


def test_the_warehouses_own_error_and_all_others_pass_as_they_are() -> None:
    for error in (
        WarehouseFileError("the disk is full: of the warehouse"),
        QuotaExceededError("quota exceeded: rate limits"),
        RegistryError("no such version"),
        PermissionError(errno.EACCES, "Permission denied"),
        KeyboardInterrupt(),
    ):
        with pytest.raises(type(error)) as passed:
            fails(error)  # type: ignore[arg-type]
        assert passed.value is error


def test_a_block_without_an_error_is_left_alone() -> None:
    with FullDiskNamed():
        pass
