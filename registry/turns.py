"""Turns at MLflow's store: one process at a time makes its tables, or moves a champion.

A file lock keeps the processes of one machine apart. Where the store is a PostgreSQL database, which several machines
and containers may share, an advisory lock in that database keeps all of them apart. An MLflow server offers no lock:
there, writing flows of one profile belong on one machine, or behind Prefect's limit of one run a deployment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from configs.settings import Settings
from market.errors import RegistryError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812


@contextmanager
def turn(settings: Settings, name: str, *, doing: str, timeout_seconds: float) -> Iterator[None]:
    """Hold a turn until the block ends; the system gives it back when the process dies.

    Args:
        settings: Whose store.
        name: Of the turn; the embedded store's lock file is `.<name>.lock`.
        doing: What its holder does, for the message.
        timeout_seconds: Patience with another holder.

    Raises:
        RegistryError: Another process held it for so long, or the database does not answer.
    """
    folder = settings.paths.mlruns
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f".{name}.lock")
    try:
        lock.acquire(timeout=timeout_seconds)
    except Timeout as error:
        raise RegistryError(
            f"another process has been {doing} for {timeout_seconds:.0f} s",
            remedy=f"look for a process that hangs and holds {lock.lock_file}",
        ) from error
    try:
        if settings.mlflow.kind == "postgresql":
            with _in_database(settings, name, doing, timeout_seconds):
                yield
        else:
            yield
    finally:
        lock.release()


@contextmanager
def _in_database(settings: Settings, name: str, doing: str, timeout_seconds: float) -> Iterator[None]:
    """The same turn for everybody who uses the database, held by a transaction so that poolers keep it too."""
    import psycopg2.errors

    connection = connect(settings)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{timeout_seconds:.0f}s",))
            try:
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext('tradehits'), hashtext(%s))", (name,))
            except psycopg2.errors.LockNotAvailable as error:
                raise RegistryError(
                    f"another process has been {doing} for {timeout_seconds:.0f} s",
                    remedy=f"SELECT * FROM pg_locks WHERE locktype = 'advisory' on {settings.mlflow_shown} names it",
                ) from error
            yield
    finally:
        connection.close()


def connect(settings: Settings) -> Connection:
    """A connection to the PostgreSQL database behind MLflow, at once or not at all.

    MLflow itself tries ten times within nearly two minutes, and hides what was wrong in its log.

    Raises:
        RegistryError: The driver is not installed, or the database does not answer, or refuses.
    """
    try:
        import psycopg2
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"MLflow's store {settings.mlflow_shown} needs PostgreSQL's driver",
            remedy="install the extra: pip install -c constraints.txt 'tradehits[postgres]'",
        ) from error
    address = settings.mlflow_uri.replace("postgresql+psycopg2://", "postgresql://", 1)
    try:
        return psycopg2.connect(address, connect_timeout=max(2, round(settings.mlflow.connect_seconds)))
    except psycopg2.OperationalError as error:
        told = settings.mlflow.without_secret(" ".join(str(error).split()))
        raise RegistryError(
            f"MLflow's store {settings.mlflow_shown} does not answer: {told}",
            remedy="start PostgreSQL, and give TRADEHITS_MLFLOW_PASSWORD (or libpq's own PGPASSWORD or ~/.pgpass)",
        ) from None
