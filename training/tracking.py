"""One asset class's training run in MLflow: what was done, on which data, with what result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from configs.calibration import ThresholdSettings
from configs.settings import Settings
from market.metrics import accuracy, base_rate, brier_score
from registry.bundle import Bundle, BundleInfo, FoldParameters
from registry.calibration import bundle_calibration
from registry.entities import DatasetSnapshot
from registry.models import LoggedBundle, ModelRegistry
from registry.provenance import snapshot_tags
from registry.store import MetricRow, RunStore
from training import plots
from training.calibrate import RAW, Calibration, calibration_facts
from training.dataset import Dataset, as_utc
from training.deflate import SHARPE_METRIC, SignalSharpe
from training.evaluate import OUT_OF_SAMPLE, OracleReport, SplitReport, accuracy_interval
from training.evaluate_conformal import ConformalReport
from training.walk_forward import FoldResult, WalkForward
from warehouse.features import feature_query_hash

_SPLIT_METRICS = (
    *("rows", "matured", "accuracy", "base_rate", "balanced_accuracy", "auc", "brier", "log_loss", "ece"),
    "ece_by_chance",
)


def run_parameters(settings: Settings, dataset: Dataset) -> dict[str, Any]:
    """Parameters of a run: training and calibration settings, split dates, variant and service."""
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
        **{f"calibration.{name}": value for name, value in settings.calibration.model_dump().items()},
        "thresholds.mode": settings.thresholds.of(dataset.asset_type).mode,
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
    metrics: Sequence[MetricRow],
    sources: Sequence[str],
    *,
    calibration: Calibration,
    is_simulated: bool,
) -> None:
    """Log parameters, data snapshot, metrics by split and fold, fold boosters, predictions and plots."""
    store.log_params(run_id, run_parameters(settings, dataset))
    store.log_dataset(run_id, snapshot(settings, dataset, sources))
    store.set_tags(
        run_id,
        {
            "data_hash": dataset.content_hash,
            "feature_sql_hash": feature_query_hash(),
            "folds": str(len(walk_forward.folds)),
            "folds_skipped": str(len(walk_forward.skipped)),
            **walk_forward.tags(),
            "calibration": calibration.final.method,
            "calibrated": str(calibration.final.calibrator is not None).lower(),
            "folds_calibrated": str(sum(fit.calibrator is not None for fit in calibration.folds.values())),
        },
    )
    store.log_metrics(run_id, metrics)
    store.log_table(run_id, walk_forward.predictions, "predictions/out_of_sample.parquet")
    facts = [fold_facts(result, calibration) for result in walk_forward.folds]
    store.log_json(run_id, facts, "folds/folds.json")
    store.log_json(run_id, calibration_facts(calibration.final), "folds/calibration.json")
    for result in walk_forward.folds:
        booster = bytes(result.model.booster.save_raw("ubj"))
        store.log_bytes(run_id, booster, f"folds/fold_{result.fold.index:03d}.ubj")
    for name, figure in figures(dataset, walk_forward, calibration, is_simulated=is_simulated):
        store.log_figure(run_id, figure, f"plots/{name}.png")


def training_metrics(
    settings: Settings,
    walk_forward: WalkForward,
    splits: Sequence[SplitReport],
    oracle: OracleReport | None,
    conformal: Sequence[ConformalReport] = (),
    sharpe: SignalSharpe | None = None,
) -> list[MetricRow]:
    """Every metric of a run: by split, against the oracle, by fold, of the conformal sets, of the signal."""
    return [
        *split_metrics(splits),
        *oracle_metrics(oracle),
        *fold_metrics(walk_forward, settings),
        *conformal_metrics(conformal),
        *sharpe_metrics(sharpe),
    ]


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
            if bucket.accuracy_ci_95:
                yield f"{prefix}_accuracy_{level.lower()}_ci_low", bucket.accuracy_ci_95[0], 0
                yield f"{prefix}_accuracy_{level.lower()}_ci_high", bucket.accuracy_ci_95[1], 0
        yield f"{prefix}_probability_min", report.probability_range[0], 0
        yield f"{prefix}_probability_max", report.probability_range[1], 0
        for side, count in report.signals.items():
            yield f"{prefix}_signals_{side.lower()}", count, 0


def conformal_metrics(reports: Sequence[ConformalReport]) -> Iterator[MetricRow]:
    """Coverage of the conformal sets, promised and realised, and how often they decided."""
    for report in reports:
        prefix = f"{report.data_split.lower()}_conformal"
        yield f"{prefix}_rows", report.rows, 0
        yield f"{prefix}_promised", report.promised, 0
        yield f"{prefix}_coverage", report.coverage, 0
        yield f"{prefix}_coverage_ci_low", report.coverage_ci_95[0], 0
        yield f"{prefix}_coverage_ci_high", report.coverage_ci_95[1], 0
        yield f"{prefix}_decided", report.decided, 0


def sharpe_metrics(sharpe: SignalSharpe | None) -> Iterator[MetricRow]:
    """The Sharpe ratio of the predicted directions before costs, beside the number of trials it is deflated for."""
    if sharpe is not None:
        yield "trials", sharpe.trials, 0
        yield SHARPE_METRIC, sharpe.sharpe, 0
        yield "signal_psr_before_costs", sharpe.probabilistic, 0
        yield "signal_dsr_before_costs", sharpe.deflated, 0


def oracle_metrics(oracle: OracleReport | None) -> Iterator[MetricRow]:
    """Simulated data: the model beside the truth; standard errors are those of the accuracies."""
    if oracle is not None:
        for name, value in asdict(oracle).items():
            yield f"oracle_{name}", value, 0
        yield "oracle_oracle_base_rate", oracle.planted_base_rate, 0


def fold_metrics(walk_forward: WalkForward, settings: Settings) -> Iterator[MetricRow]:
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
            low, high = accuracy_interval(matured, settings.evaluation)
            yield "fold_accuracy", accuracy(actual, probability), step
            yield "fold_accuracy_ci_low", low, step
            yield "fold_accuracy_ci_high", high, step
            yield "fold_base_rate", base_rate(actual, probability), step
            yield "fold_brier", brier_score(actual, probability), step


def fold_facts(result: FoldResult, calibration: Calibration) -> dict[str, Any]:
    """One fold as plain fields; times are UTC. `trained_through` is the newest label of model and calibration."""
    fit = calibration.folds[result.fold.index]
    model, through = result.model.trained_through, fit.labels_through
    return {
        "fold": result.fold.index,
        "train_start": None if result.fold.train_start is None else result.fold.train_start.isoformat(),
        "train_end": result.fold.train_end.isoformat(),
        "test_start": result.fold.test_start.isoformat(),
        "test_end": result.fold.test_end.isoformat(),
        "trained_through": as_utc(model if through is None else max(model, through)).isoformat(),
        "model_trained_through": as_utc(model).isoformat(),
        "train_rows": result.model.rows,
        "tested_rows": result.tested,
        "trees": result.model.trees,
        "calibrated": fit.calibrator is not None,
        # with every knot, so that the fold can be asked again (registry.fold_models)
        "calibration": {**calibration_facts(fit), **({} if fit.calibrator is None else vars(fit.calibrator))},
    }


def figures(
    dataset: Dataset, walk_forward: WalkForward, calibration: Calibration, *, is_simulated: bool
) -> Iterator[tuple[str, Any]]:
    """The plots people look at, over TEST and VALIDATE, and the importance in the final model."""
    matured = walk_forward.predictions.filter(
        pl.col("target_direction").is_not_null() & pl.col("data_split").is_in(OUT_OF_SAMPLE)
    )
    title = f"{dataset.asset_type}, {'SIMULATED' if is_simulated else 'real'} bars"
    splits = matured["data_split"].to_numpy()
    actual, probability = matured["target_direction"].to_numpy(), matured["up_probability"].to_numpy()
    raw = matured[RAW].to_numpy() if RAW in matured.columns else None
    yield "roc", plots.roc_curve(actual, probability, splits, title)
    yield "calibration", plots.calibration_curve(actual, probability, title, raw)
    yield (
        "accuracy_by_month",
        plots.accuracy_by_month(actual, probability, matured["datetime"].to_numpy(), title, splits),
    )
    yield "probabilities", plots.probability_histogram(probability, calibration.final.thresholds, title)
    yield "importance", plots.feature_importance(walk_forward.final.booster.get_score(importance_type="gain"), title)


def make_bundle(
    settings: Settings, run_id: str, dataset: Dataset, walk_forward: WalkForward, calibration: Calibration
) -> Bundle:
    """The final model with everything scoring must agree with."""
    final, fit = walk_forward.final, calibration.final
    info = BundleInfo(
        asset_type=dataset.asset_type,
        feature_service=settings.training.feature_service,
        features=dataset.features,
        indicator_variant=settings.indicators.variant,
        thresholds=ThresholdSettings(**vars(fit.thresholds)),
        trained_through=as_utc(calibration.trained_through(final.trained_through)),
        trained_rows=final.rows,
        trees=final.trees,
        calibration=bundle_calibration(
            fit.calibrator,
            rows=fit.rows,
            labels_through=None if fit.labels_through is None else as_utc(fit.labels_through),
        ),
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
