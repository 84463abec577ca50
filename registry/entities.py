"""What is logged, in MLflow's terms: a described dataset, and values cut to MLflow's limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from registry.mlflow_api import MAX_DATASET_DIGEST_SIZE, ColSpec, Dataset, DataType, Schema

CUT = " … (cut)"


@dataclass(frozen=True)
class DatasetSnapshot:
    """What a run trained or was tested on, described instead of copied.

    Attributes:
        name: For example `stocks/default`.
        source: Where the rows came from (table, source, feature service).
        columns: Names and types.
        profile: Facts people compare: rows, symbols, first and last date, split sizes.
        digest: Content hash of the rows; MLflow shows its first 36 characters, the profile keeps it whole.
    """

    name: str
    source: Mapping[str, Any]
    columns: Mapping[str, pl.DataType]
    profile: Mapping[str, Any]
    digest: str

    def to_mlflow(self) -> Dataset:
        """The snapshot as MLflow keeps it; no row is copied."""
        schema = Schema([ColSpec(_mlflow_type(dtype), name) for name, dtype in self.columns.items()])
        return Dataset(
            name=self.name,
            digest=self.digest[:MAX_DATASET_DIGEST_SIZE],
            source_type="warehouse",
            source=json.dumps(dict(self.source), default=str),
            schema=json.dumps({"mlflow_colspec": schema.to_dict()}),
            profile=json.dumps({**self.profile, "content_hash": self.digest}, default=str),
        )


def as_text(value: Any) -> str:
    """A parameter as MLflow shows it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def cut(text: str, limit: int) -> str:
    """The text, or what fits of it with a mark at the end."""
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def _mlflow_type(dtype: pl.DataType) -> DataType:
    if dtype.is_temporal():
        return DataType.datetime
    if dtype.is_integer():
        return DataType.long
    if dtype.is_numeric():
        return DataType.double
    return DataType.boolean if dtype == pl.Boolean else DataType.string
