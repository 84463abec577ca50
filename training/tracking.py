"""One asset class's training run in MLflow: what was done, on which data, with what result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from configs.settings import Settings
from market.metrics import accuracy, base_rate, brier_score
from market.signals import Thresholds
from registry.bundle import Bundle, BundleInfo, FoldParameters
from registry.entities import DatasetSnapshot
from registry.models import LoggedBundle, ModelRegistry
from registry.provenance import snapshot_tags
from registry.store import MetricRow, RunStore
from training import plots
from training.audit import CheckResult
from training.dataset import Dataset, as_utc
from training.evaluate import OUT_OF_SAMPLE, OracleReport, SplitReport
from training.walk_forward import FoldResult, WalkForward
from warehouse.features import feature_query_hash

_SPLIT_METRICS = ("rows", "matured", "accuracy", "base_rate", "balanced_accuracy", "auc", "brier", "log_loss")


def run_parameters(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """Parameters of a run: training settings, split dates, variant and service."""
    training = settings.training.model_dump()
    booster = training.pop("xgboost")
    splits = settings.splits.of(dataset.asset_type)
    return {
        "asset_type": dataset.asset_type,
        "indicator_variant": settings.indicators.variant,
        "train_end": splits.train_end.isoformat(),
        "test_end": splits.test_end.isoformat(),
        **training,
        **{f"xgboost.{name}": value for name, value in booster.items()},
    }


def snapshot(settings: Settings, dataset: Dataset, sources: Sequence[str]) -> DatasetSnapshot:
    """The data a run saw: counts, dates, splits and content hash."""
    keys = dataset.keys
    by_split = keys.group_by("data_split").len().sort("data_split").rows()
    return DatasetSnapshot(
        name=f"{dataset.asset_type}/{settings.training.feature_service}",
        source={
            "sources": list(sources),
            "feature_service": settings.training.feature_service,
            "feature_sql": feature_query_hash(),
        },
        columns={**{name: pl.Float32() for name in dataset.features}, "target_direction": pl.Int64()},
        profile={
            "rows": dataset.rows,
            "labelled_rows": int((~np.isnan(dataset.label)).sum()),
            "symbols": keys["symbol"].n_unique(),
            "first": keys["datetime"].min(),
            "last": keys["datetime"].max(),
            **{f"rows_{name}": count for name, count in by_split},
        },
        digest=dataset.content_hash,
    )


def log_training(
    store: RunStore,
    run_id: str,
    settings: Settings,
    dataset: Dataset,
    walk_forward: WalkForward,
    splits: Sequence[SplitReport],
    oracle: OracleReport | None,
    checks: Sequence[CheckResult],
    sources: Sequence[str],
) -> None:
    """Log parameters, data snapshot, metrics by split and fold, fold boosters, predictions, checks and plots."""
    store.log_params(run_id, run_parameters(settings, dataset))
    store.log_dataset(run_id, snapshot(settings, dataset, sources))
    store.set_tags(
        run_id,
        {
            "data_hash": dataset.content_hash,
            "feature_sql_hash": feature_query_hash(),
            "folds": str(len(walk_forward.folds)),
            "folds_skipped": str(len(walk_forward.skipped)),
            "calibrated": "false",
            "audit": "failed" if any(check.status == "failed" for check in checks) else "passed",
        },
    )
    store.log_metrics(run_id, [*split_metrics(splits), *oracle_metrics(oracle), *fold_metrics(walk_forward)])
    store.log_table(run_id, walk_forward.predictions, "predictions/out_of_sample.parquet")
    store.log_json(run_id, [fold_facts(result) for result in walk_forward.folds], "folds/folds.json")
    store.log_json(run_id, [check.to_dict() for check in checks], "audit/checks.json")
    for result in walk_forward.folds:
        booster = bytes(result.model.booster.save_raw("ubj"))
        store.log_bytes(run_id, booster, f"folds/fold_{result.fold.index:03d}.ubj")
    for name, figure in figures(settings, dataset, walk_forward, is_simulated=oracle is not None):
        store.log_figure(run_id, figure, f"plots/{name}.png")


def split_metrics(splits: Sequence[SplitReport]) -> Iterator[MetricRow]:
    """Metrics named `<split>_<metric>`, accuracy always with base rate and interval."""
    for report in splits:
        prefix = report.data_split.lower()
        for name in _SPLIT_METRICS:
            yield f"{prefix}_{name}", getattr(report, name), 0
        if report.accuracy_ci_95:
            yield f"{prefix}_accuracy_ci_low", report.accuracy_ci_95[0], 0
            yield f"{prefix}_accuracy_ci_high", report.accuracy_ci_95[1], 0
        for level, bucket in report.by_confidence.items():
            yield f"{prefix}_rows_{level.lower()}", bucket.rows, 0
            yield f"{prefix}_accuracy_{level.lower()}", bucket.accuracy, 0
            yield f"{prefix}_base_rate_{level.lower()}", bucket.base_rate, 0
        yield f"{prefix}_probability_min", report.probability_range[0], 0
        yield f"{prefix}_probability_max", report.probability_range[1], 0
        for side, count in report.signals.items():
            yield f"{prefix}_signals_{side.lower()}", count, 0


def oracle_metrics(oracle: OracleReport | None) -> Iterator[MetricRow]:
    """Simulated data: the model beside the truth."""
    if oracle is not None:
        for name, value in asdict(oracle).items():
            yield f"oracle_{name}", value, 0


def fold_metrics(walk_forward: WalkForward) -> Iterator[MetricRow]:
    """Metrics with the fold's index as step."""
    for result in walk_forward.folds:
        step = result.fold.index
        rows = walk_forward.predictions.filter(pl.col("fold") == step)
        matured = rows.filter(pl.col("target_direction").is_not_null())
        yield "fold_rows", rows.height, step
        yield "fold_train_rows", result.model.rows, step
        yield "fold_trees", result.model.trees, step
        if matured.height:
            actual, probability = matured["target_direction"].to_numpy(), matured["up_probability"].to_numpy()
            yield "fold_accuracy", accuracy(actual, probability), step
            yield "fold_base_rate", base_rate(actual, probability), step
            yield "fold_brier", brier_score(actual, probability), step


def fold_facts(result: FoldResult) -> dict[str, Any]:
    """One fold as plain fields; times are UTC."""
    return {
        "fold": result.fold.index,
        "train_end": result.fold.train_end.isoformat(),
        "test_start": result.fold.test_start.isoformat(),
        "test_end": result.fold.test_end.isoformat(),
        "trained_through": as_utc(result.model.trained_through).isoformat(),
        "train_rows": result.model.rows,
        "tested_rows": result.tested,
        "trees": result.model.trees,
        "calibrated": False,
    }


def figures(
    settings: Settings, dataset: Dataset, walk_forward: WalkForward, *, is_simulated: bool
) -> Iterator[tuple[str, Any]]:
    """The plots people look at, over TEST and VALIDATE, and the importance in the final model."""
    matured = walk_forward.predictions.filter(
        pl.col("target_direction").is_not_null() & pl.col("data_split").is_in(OUT_OF_SAMPLE)
    )
    title = f"{dataset.asset_type}, {'SIMULATED' if is_simulated else 'real'} bars"
    splits = matured["data_split"].to_numpy()
    actual, probability = matured["target_direction"].to_numpy(), matured["up_probability"].to_numpy()
    thresholds = Thresholds(**settings.thresholds.of(dataset.asset_type).model_dump())
    yield "roc", plots.roc_curve(actual, probability, splits, title)
    yield "calibration", plots.calibration_curve(actual, probability, title)
    yield (
        "accuracy_by_month",
        plots.accuracy_by_month(actual, probability, matured["datetime"].to_numpy(), title, splits),
    )
    yield "probabilities", plots.probability_histogram(probability, thresholds, title)
    yield "importance", plots.feature_importance(walk_forward.final.booster.get_score(importance_type="gain"), title)


def make_bundle(settings: Settings, run_id: str, dataset: Dataset, walk_forward: WalkForward) -> Bundle:
    """The final model with everything scoring must agree with."""
    final = walk_forward.final
    info = BundleInfo(
        asset_type=dataset.asset_type,
        feature_service=settings.training.feature_service,
        features=dataset.features,
        indicator_variant=settings.indicators.variant,
        thresholds=settings.thresholds.of(dataset.asset_type),
        trained_through=as_utc(final.trained_through),
        trained_rows=final.rows,
        trees=final.trees,
        folds=FoldParameters.of(settings, dataset.asset_type),
        seed=settings.training.seed,
        created_at=datetime.now(UTC),
        run_id=run_id,
        data_hash=dataset.content_hash,
        feature_sql_hash=feature_query_hash(),
        git_commit=snapshot_tags()["git_commit"],
    )
    return Bundle(booster=final.booster, info=info, threads=settings.training.threads)


def register(registry: ModelRegistry, run_id: str, bundle: Bundle, example: np.ndarray[Any, Any]) -> str:
    """Log the bundle with its run, register it and point `challenger` at it; returns the model version."""
    logged: LoggedBundle = registry.log_bundle(run_id, bundle, example)
    model_version = registry.register(bundle, logged)
    registry.set_alias(bundle.info.asset_type, "challenger", model_version)
    return model_version
