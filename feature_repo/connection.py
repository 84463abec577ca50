"""The feature store of a profile, opened from settings."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from feast import FeatureStore, RepoConfig
from feast.errors import FeatureViewNotFoundException
from sqlalchemy.exc import OperationalError

from configs.settings import REPO_DIR, RedisSettings, Settings
from feature_repo.publication import feast_files
from feature_repo.services import FEATURE_VIEW
from feature_repo.views import batch_source
from market.errors import ConfigError, FeatureError

PROJECT = "tradehits"
OFFLINE_STORE = "feature_repo.offline_store.DuckDBAsofOfflineStore"
EMULATED_STORE = "feature_repo.offline_bigquery.EmulatedBigQueryOfflineStore"
COMPUTE_ENGINE = "feature_repo.materialization.RowsComputeEngine"
ONLINE_STORE = "feature_repo.online_rows.SqliteRowsOnlineStore"
SQLITE_TIMEOUT_SECONDS = 60


def open_store(settings: Settings) -> FeatureStore:
    """Open a profile's feature store for reading; keep it, opening costs a few hundredths of a second.

    Raises:
        FeatureError: Nothing was applied yet, or what was applied reads from another place.
    """
    registry = feast_files(settings).registry
    remedy = "run `tradehits features`, it registers the definitions"
    if not registry.exists():
        raise FeatureError(f"no feature registry at {registry}", remedy=remedy)
    store = FeatureStore(config=repo_config(settings, schema_mode="skip"))
    try:
        registered = store.get_feature_view(FEATURE_VIEW).batch_source
    except (FeatureViewNotFoundException, OperationalError) as error:
        raise FeatureError(f"the feature registry {registry} is incomplete", remedy=remedy) from error
    if registered != batch_source(settings, FEATURE_VIEW):
        # A moved or copied home would otherwise go on reading the old one's features.
        raise FeatureError(f"the feature registry {registry} reads from another place", remedy=remedy)
    return store


def repo_config(settings: Settings, *, schema_mode: str) -> RepoConfig:
    """Feast's configuration; `feature_store.yaml` says the same for the `feast` command.

    Args:
        settings: The profile.
        schema_mode: `auto` creates the registry's tables (two processes that do so at once collide), `skip` does not.
    """
    files = feast_files(settings)
    return RepoConfig(
        project=PROJECT,
        provider="local",
        repo_path=REPO_DIR / "feature_repo",
        registry={
            "registry_type": "sql",
            "path": f"sqlite:///{files.registry}",
            "schema_mode": schema_mode,
            "sqlalchemy_config_kwargs": {"connect_args": {"timeout": SQLITE_TIMEOUT_SECONDS}},
        },
        online_store=_online_store(settings),
        offline_store=_offline_store(settings),
        batch_engine={"type": COMPUTE_ENGINE},
        # Without it a load reads every bar of its time range, not the newest of each symbol.
        materialization={"pull_latest_features": True},
        # A time without zone is an error here, not a guess.
        coerce_tz_aware=False,
        entity_key_serialization_version=3,
    )


def _online_store(settings: Settings) -> dict[str, Any]:
    if settings.feast.online_store == "sqlite":
        return {"type": ONLINE_STORE, "path": str(feast_files(settings).online)}
    if find_spec("redis") is None:
        raise ConfigError("feast.online_store is redis, its client is not installed", remedy="install tradehits[redis]")
    # By default Feast's store leaves out rows that are no newer than the stored one: also a bar's correction.
    return {"type": "redis", "connection_string": _redis_address(settings.feast.redis), "skip_dedup": True}


def _redis_address(redis: RedisSettings) -> str:
    """Feast's connection string; each value in it is JSON."""
    parts = [f"{redis.host}:{redis.port}", f"db={redis.database}", f"ssl={json.dumps(redis.tls)}"]
    if redis.password is not None:
        parts.append(f"password={json.dumps(redis.password.get_secret_value())}")
    return ",".join(parts)


def _offline_store(settings: Settings) -> dict[str, Any]:
    warehouse = settings.warehouse
    if warehouse.engine == "bigquery":
        own = warehouse.bigquery
        store = {"project_id": warehouse.project, "dataset": own.staging_dataset, "location": own.location}
        if own.emulator_host is None:
            return {"type": "bigquery", **store}
        return {"type": EMULATED_STORE, "emulator_host": own.emulator_host, **store}
    return {
        "type": OFFLINE_STORE,
        "memory_limit": warehouse.memory_limit,
        "threads": warehouse.threads,
        "temp_directory": str(feast_files(settings).spill),
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Silence two warnings that no caller can act on: on-demand views are experimental, ibis lags behind DuckDB."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="On demand feature view is an experimental", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message=r"fetch_arrow_table\(\) is deprecated", category=DeprecationWarning)
        yield
