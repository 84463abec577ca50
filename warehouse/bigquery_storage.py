"""The Storage API client for reads: Google's with the job's credentials, or a plain channel to an emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warehouse.bigquery_client import BigQuery

if TYPE_CHECKING:
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient


def storage_client(bigquery: BigQuery) -> BigQueryReadClient | None:
    """A read client, or None to read over REST (configured so, or an emulator without gRPC address).

    An emulator gets a fresh channel every time: one that outlives the emulator's restart would never connect again.
    """
    settings = bigquery.settings.bigquery
    if not settings.use_storage_api or (settings.emulator_host and not settings.storage_emulator_host):
        return None
    from google.cloud.bigquery_storage_v1 import BigQueryReadClient
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

    if not settings.storage_emulator_host:
        if bigquery.storage is None:
            bigquery.storage = BigQueryReadClient(credentials=bigquery.credentials)
        return bigquery.storage
    import grpc  # type: ignore[import-untyped]

    channel = grpc.insecure_channel(settings.storage_emulator_host)
    return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))
