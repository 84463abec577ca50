"""What every flow needs, wired once at the edge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from configs.settings import Settings
from flows.disk import FullDiskNamed
from flows.prefecting import Tasks
from flows.progress import Reporter
from market.errors import WarehouseLockedError

if TYPE_CHECKING:
    from warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Context:
    """Settings, warehouse, progress and the way steps are run."""

    settings: Settings
    warehouse: Warehouse
    reporter: Reporter
    tasks: Tasks


def open_context(settings: Settings, reporter: Reporter, tasks: Tasks) -> Context:
    """Open the warehouse, with every table and view in place."""
    from warehouse.engines import open_warehouse

    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    return Context(settings, warehouse, reporter, tasks)


@contextmanager
def exclusive(settings: Settings, *, patience_seconds: float | None = None) -> Iterator[None]:
    """Hold the profile's pipeline lock: writing flows of one profile run one after the other.

    The warehouse lock protects single writes; a flow reads, computes and writes, and two of them must not interleave.

    Args:
        settings: Whose lock.
        patience_seconds: Wait so long; None: `warehouse.lock_timeout_seconds`. Scheduled flows wait for hours.

    Raises:
        WarehouseLockedError: Another flow holds it for longer than that.
        WarehouseFileError: The disk was full for one of the files written meanwhile.
    """
    settings.paths.state.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.paths.state / "pipeline.lock")
    patience = settings.warehouse.lock_timeout_seconds if patience_seconds is None else patience_seconds
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        setting = "warehouse.lock_timeout_seconds" if patience_seconds is None else "up.turn_seconds"
        raise WarehouseLockedError(
            f"another command of profile '{settings.profile}' has been writing for {patience:.0f} s ({lock.lock_file})",
            remedy=f"wait for it to end, or raise {setting}",
        ) from error
    try:
        with FullDiskNamed():
            yield
    finally:
        lock.release()
