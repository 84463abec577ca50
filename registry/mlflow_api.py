"""The one module that imports MLflow: quiet, without telemetry, and never through its global state.

MLflow decides on telemetry while it is being imported, so the variable is set before the import and every other module
takes MLflow's names from here.
"""

from __future__ import annotations

import logging
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

import mlflow.xgboost as xgboost_flavour
from filelock import FileLock
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
from mlflow.tracing.client import TracingClient
from mlflow.tracing.constant import SpanAttributeKey
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from mlflow.utils.validation import (
    MAX_DATASET_DIGEST_SIZE,
    MAX_METRICS_PER_BATCH,
    MAX_PARAM_VAL_LENGTH,
    MAX_TAG_VAL_LENGTH,
)

from configs.settings import Paths
from market.errors import RegistryError

__all__ = [
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
    "is_missing",
    "open_client",
    "xgboost_flavour",
]

OPEN_TIMEOUT_SECONDS = 180


def open_client(paths: Paths) -> MlflowClient:
    """A client bound to the profile's store, which is created when it is not there yet.

    The first opening runs all of MLflow's migrations (seconds); a file lock keeps two processes from running them in
    one database at once.

    Raises:
        RegistryError: If the database was written by another version of MLflow.
    """
    paths.mlruns.mkdir(parents=True, exist_ok=True)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # "Creating initial tables" is no news
    try:
        with FileLock(paths.mlruns / ".open.lock", timeout=OPEN_TIMEOUT_SECONDS):
            client = MlflowClient(tracking_uri=paths.mlflow_uri, registry_uri=paths.mlflow_uri)
            client.search_experiments(max_results=1)
    except MlflowException as error:
        raise RegistryError(
            f"cannot open MLflow's store {paths.mlflow_uri}: {error.message}",
            remedy=f"back the file up, then run: mlflow db upgrade {paths.mlflow_uri}",
        ) from error
    return client


def is_missing(error: MlflowException) -> bool:
    """Whether MLflow says that something does not exist."""
    return bool(error.error_code == "RESOURCE_DOES_NOT_EXIST")
