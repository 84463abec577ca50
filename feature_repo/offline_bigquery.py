"""Feast's own BigQuery store, pointed at an emulator: same queries, another client.

Feast makes its clients itself and knows neither an address nor anonymous credentials. Google's BigQuery is reached by
the store as it stands (`type: bigquery`); this module is for tests alone.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # about Python's own end of support
    from feast.infra.offline_stores import bigquery as stock
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.repo_config import RepoConfig
from pydantic import StrictStr

_swapping = threading.Lock()


class EmulatedBigQueryOfflineStoreConfig(stock.BigQueryOfflineStoreConfig):  # type: ignore[misc]
    """The stock store's section, and the emulator's address (`http://host:port`)."""

    type: StrictStr = "feature_repo.offline_bigquery.EmulatedBigQueryOfflineStore"
    emulator_host: str


class EmulatedBigQueryOfflineStore(stock.BigQueryOfflineStore):  # type: ignore[misc]
    """The stock store with a client of the emulator; a job keeps the client it was made with."""

    @staticmethod
    def get_historical_features(config: RepoConfig, *given: Any, **named: Any) -> RetrievalJob:
        """As the stock store."""
        with _client_of_emulator(config):
            return stock.BigQueryOfflineStore.get_historical_features(config, *given, **named)

    @staticmethod
    def pull_latest_from_table_or_query(config: RepoConfig, *given: Any, **named: Any) -> RetrievalJob:
        """As the stock store."""
        with _client_of_emulator(config):
            return stock.BigQueryOfflineStore.pull_latest_from_table_or_query(config, *given, **named)

    @staticmethod
    def pull_all_from_table_or_query(config: RepoConfig, *given: Any, **named: Any) -> RetrievalJob:
        """As the stock store."""
        with _client_of_emulator(config):
            return stock.BigQueryOfflineStore.pull_all_from_table_or_query(config, *given, **named)


class _RestClient(bigquery.Client):  # type: ignore[misc]
    """Reads results over REST: the emulator's Storage API wants a channel that Google's client does not make."""

    def _ensure_bqstorage_client(self, *_: Any, **__: Any) -> None:
        return None

    def _get_shared_bqstorage_client(self, *_: Any, **__: Any) -> None:
        return None


@contextmanager
def _client_of_emulator(config: RepoConfig) -> Iterator[None]:
    store = config.offline_store
    client = _RestClient(
        project=store.project_id,
        location=store.location,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": store.emulator_host},
    )
    with _swapping:
        original = stock._get_bigquery_client
        stock._get_bigquery_client = lambda *_, **__: client
        try:
            yield
        finally:
            stock._get_bigquery_client = original
