"""The platform's way to Feast: publish, apply, materialize, read.

After every feature build: `publish` copies the table, `apply` registers the definitions, `materialize` loads the newest
bar of each symbol into the online store. Training reads `read_features` and `read_labels`, studies of single instants
`read_historical`, inference `read_online`.
"""

from __future__ import annotations

from feast import FeatureStore
from filelock import FileLock, Timeout

from configs.settings import Settings
from feature_repo.connection import open_store, quiet, repo_config
from feature_repo.online import Materialized, OnlineFeatures, materialize, read_online
from feature_repo.publication import Published, feast_files, is_published, publish
from feature_repo.reading import read_features, read_historical, read_labels
from feature_repo.services import feature_names
from feature_repo.views import definitions
from market.errors import FeatureError

__all__ = [
    "Materialized",
    "OnlineFeatures",
    "Published",
    "apply",
    "feature_names",
    "is_published",
    "materialize",
    "open_store",
    "publish",
    "read_features",
    "read_historical",
    "read_labels",
    "read_online",
]


def apply(settings: Settings) -> None:
    """Register the repository's definitions. Idempotent; appliers wait for each other.

    Raises:
        FeatureError: Another applier took longer than the warehouse's lock timeout.
    """
    files = feast_files(settings)
    files.directory.mkdir(parents=True, exist_ok=True)
    timeout = settings.warehouse.lock_timeout_seconds
    try:
        # Feast creates tables and first versions without a lock: two first appliers would collide.
        with FileLock(files.directory / "apply.lock", timeout=timeout), quiet():
            FeatureStore(config=repo_config(settings, schema_mode="auto")).apply(definitions(settings).objects())
    except Timeout as error:
        raise FeatureError(f"another `apply` ran for {timeout:g} s", remedy="look for a process that hangs") from error
