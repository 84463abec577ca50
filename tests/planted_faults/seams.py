"""Where faults are planted: functions, in every module that holds them, and the text of the feature query."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

import training.dataset as datasets
import warehouse.features

PACKAGES = ("market", "warehouse", "feature_repo", "registry", "training", "flows")

Rows = Callable[[pl.DataFrame, tuple[str, ...]], pl.DataFrame]
"""Joined features and labels, and the names of the features, to what a faulty step makes of them."""


@contextmanager
def replaced(original: Any, replacement: Any) -> Iterator[None]:
    """Put a function in another's place wherever the project holds it, under whatever name it was imported."""
    planted = _holders(original)
    assert planted, f"nothing holds {original}: the seam has moved"
    for module, name in planted:
        setattr(module, name, replacement)
    try:
        yield
    finally:
        # searched anew: a module imported meanwhile holds the replacement
        for module, name in _holders(replacement):
            setattr(module, name, original)


@contextmanager
def feature_query(*changes: tuple[str, str]) -> Iterator[None]:
    """Replace parts of the feature query; each part must be there."""
    text = warehouse.features.feature_query()
    for honest, faulty in changes:
        assert honest in text, f"the feature query has no {honest!r} any more"
        text = text.replace(honest, faulty)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "features.sql"
        file.write_text(text, encoding="utf-8")
        kept = warehouse.features.FEATURES_SQL
        warehouse.features.FEATURES_SQL = file
        try:
            yield
        finally:
            warehouse.features.FEATURES_SQL = kept


@contextmanager
def training_rows(step: Rows) -> Iterator[None]:
    """Put a step between the join of features and labels and the arrays that models are given."""
    original = datasets.as_dataset

    def with_step(settings: Any, asset_type: Any, joined: pl.DataFrame, *rest: Any, **named: Any) -> Any:
        names = datasets.feature_names(settings.training.feature_service)
        return original(settings, asset_type, step(joined, tuple(names)).sort("datetime", "symbol"), *rest, **named)

    with replaced(original, with_step):
        yield


def _holders(value: Any) -> list[tuple[Any, str]]:
    modules = [module for name, module in list(sys.modules.items()) if name.split(".")[0] in PACKAGES]
    return [(module, name) for module in modules for name, held in list(vars(module).items()) if held is value]
