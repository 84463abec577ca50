"""The one module that imports MLflow: quiet, without telemetry, and never through its global state.

MLflow decides on telemetry while it is being imported, so the variable is set before the import and every other module
takes MLflow's names from here.
"""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow.xgboost as xgboost_flavour
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
    Span,
    SpanType,
    ViewType,
)
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracing.client import TracingClient
from mlflow.tracing.constant import SpanAttributeKey
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.utils.validation import (
    MAX_DATASET_DIGEST_SIZE,
    MAX_METRICS_PER_BATCH,
    MAX_PARAM_VAL_LENGTH,
    MAX_TAG_VAL_LENGTH,
)
from sqlalchemy.exc import SQLAlchemyError

from configs.settings import Settings
from market.errors import RegistryError
from registry.turns import turn

__all__ = [
    "ArtifactRepository",
    "MAX_DATASET_DIGEST_SIZE",
    "MAX_METRICS_PER_BATCH",
    "MAX_PARAM_VAL_LENGTH",
    "MAX_TAG_VAL_LENGTH",
    "ColSpec",
    "DataType",
    "Dataset",
    "DatasetInput",
    "InputTag",
    "LoggedModelOutput",
    "Metric",
    "MlflowClient",
    "MlflowException",
    "Model",
    "ModelSignature",
    "ModelVersion",
    "Param",
    "RegisteredModel",
    "Run",
    "RunTag",
    "Schema",
    "Span",
    "SpanAttributeKey",
    "SpanType",
    "TensorSpec",
    "TracingClient",
    "ViewType",
    "get_artifact_repository",
    "is_missing",
    "open_client",
    "xgboost_flavour",
]

OPEN_TIMEOUT_SECONDS = 180


def open_client(settings: Settings) -> MlflowClient:
    """A client bound to the profile's store, which is created when it is not there yet.

    The first opening runs all of MLflow's migrations (seconds); a lock keeps two processes from running them in one
    database at once.

    Raises:
        RegistryError: The database is damaged or of another version of MLflow, or the store does not answer.
    """
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # "Creating initial tables" is no news
    if settings.mlflow.kind == "server":
        _require_server(settings)
    try:
        with turn(settings, "open", doing="opening MLflow's store", timeout_seconds=OPEN_TIMEOUT_SECONDS):
            client = MlflowClient(tracking_uri=settings.mlflow_uri, registry_uri=settings.mlflow_uri)
            client.search_experiments(max_results=1)
    except MlflowException as error:
        shown = settings.mlflow_shown
        raise RegistryError(
            f"cannot open MLflow's store {shown}: {settings.mlflow.without_secret(error.message)}",
            remedy=f"back {'the file' if settings.mlflow.kind == 'embedded' else 'it'} up, "
            f"then run: mlflow db upgrade {shown}",
        ) from error
    except SQLAlchemyError as error:  # MLflow looks at its tables before it wraps what can go wrong
        told = settings.mlflow.without_secret(str(getattr(error, "orig", None) or error).splitlines()[0])
        raise RegistryError(
            f"MLflow's store {settings.mlflow_shown} cannot be read: {told}",
            remedy="make it readable again, or bring back a backup: `tradehits restore FILE`",
        ) from error
    return client


def _require_server(settings: Settings) -> None:
    """MLflow's client would try for minutes.

    Raises:
        RegistryError: Nobody answers at the server's address.
    """
    url = f"{settings.mlflow_uri}/health"
    try:
        with urllib.request.urlopen(url, timeout=settings.mlflow.connect_seconds):
            return
    except urllib.error.HTTPError as error:
        told = f"status {error.code}"
        if error.code in (401, 403, 404):  # it lives; who may ask, and for what, is MLflow's business
            return
    except OSError as error:
        told = str(error)
    raise RegistryError(
        f"the MLflow server {settings.mlflow_shown} does not answer: {told}",
        remedy="start it, or mend mlflow.tracking_uri",
    )


def is_missing(error: MlflowException) -> bool:
    """Whether MLflow says that something does not exist."""
    return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")
