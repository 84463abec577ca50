"""The feature store of a profile, opened from settings."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from feast import FeatureStore, RepoConfig
from feast.errors import FeatureViewNotFoundException
from sqlalchemy.exc import OperationalError

from configs.settings import REPO_DIR, Settings
from feature_repo.publication import feast_files
from feature_repo.services import FEATURE_VIEW
from feature_repo.views import batch_source
from market.errors import FeatureError

PROJECT = "tradehits"
SQLITE_TIMEOUT_SECONDS = 60


def open_store(settings: Settings) -> FeatureStore:
    """Open a profile's feature store for reading; keep it, opening costs a few hundredths of a second.

    Raises:
        FeatureError: Nothing was applied yet, or what was applied reads from another place.
    """
    registry = feast_files(settings).registry
    remedy = "run `tradehits features`, it registers the definitions"
    if settings.warehouse.engine == "duckdb" and not registry.exists():
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
        online_store={"type": "sqlite", "path": str(files.online)},
        offline_store=_offline_store(settings),
        # Without it a load reads every bar of its time range, not the newest of each symbol.
        materialization={"pull_latest_features": True},
        entity_key_serialization_version=3,
    )


def _offline_store(settings: Settings) -> dict[str, Any]:
    warehouse = settings.warehouse
    if warehouse.engine == "bigquery":
        return {"type": "bigquery", "project_id": warehouse.project, "dataset": warehouse.datasets.tradehits}
    return {"type": "duckdb"}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence two warnings that no caller can act on: on-demand views are experimental, ibis lags behind DuckDB."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="On demand feature view is an experimental", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message=r"fetch_arrow_table\(\) is deprecated", category=DeprecationWarning)
        yield
