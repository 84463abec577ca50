"""What is precious and lies outside of a profile's folders, so that no archive of them can hold it."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from configs.mlflow_store import prefect_database
from configs.settings import Settings


def not_covered(settings: Settings) -> Iterator[str]:
    """One line a system: what is kept there, and how it is backed up. No line holds a secret."""
    if settings.warehouse.engine == "bigquery":
        yield "tables in BigQuery: its snapshots and time travel"
    mlflow = settings.mlflow
    if mlflow.kind == "postgresql":
        yield f"MLflow's runs and models in {settings.mlflow_shown}: pg_dump --format=custom"
    elif mlflow.kind == "server":
        yield f"MLflow's runs and models at {settings.mlflow_shown}: back up the server's database"
    artifacts = settings.mlflow_artifacts
    if artifacts != (settings.paths.mlruns / "artifacts").as_uri():
        how = "copy the folder" if urlsplit(artifacts).scheme == "file" else "copy them with the tool of that store"
        yield f"files of runs and models in {artifacts}: {how}"
    if prefect_database():
        yield "Prefect's database, which the environment names (PREFECT_..._DATABASE_...): pg_dump --format=custom"
    if settings.feast.online_store == "redis":
        redis = settings.feast.redis
        yield f"the newest features in Redis {redis.host}:{redis.port}: `tradehits features` loads them again"
