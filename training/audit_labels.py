"""The label proof: labels made anew from the stored bars; models, folds and rows held to the times they were known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

import training.model as models
from configs.settings import Settings
from market.assets import CLEAN_TABLES
from market.errors import NotEnoughDataError
from market.labels import LABEL_COLUMNS, add_labels
from training.audit_record import FoldRecord, Record
from training.checks import CheckResult
from training.dataset import KEY, Dataset
from warehouse.warehouse import Warehouse

_TOLERANCE = 1e-9
_SAW_ITS_OWN = "a model saw labels from its own test window: check purge and embargo"
_REBUILD = "labels must come from the next stored bar only: rebuild with `tradehits features`"


def label_check(warehouse: Warehouse, dataset: Dataset) -> list[CheckResult]:
    """Labels recomputed from the stored bars equal the labels that training used; the newest bar has none."""
    joined = _beside_recomputed(warehouse, dataset)
    results = []
    for name in ("target_direction", "label_known_at", "forward_return_pct"):
        wrong = joined.filter(~_equal(name).fill_null(value=False))
        results.append(_labels(name, wrong.select(*KEY, name, f"re_{name}"), joined.height))
    if len(dataset.label):
        handed = pl.Series("handed", dataset.label).fill_nan(None).cast(pl.Int64)
        wrong = joined.with_columns(handed).filter(~pl.col("handed").eq_missing(pl.col("re_target_direction")))
        results.append(_labels("label array", wrong.select(*KEY, "handed", "re_target_direction"), joined.height))
    return results


def _beside_recomputed(warehouse: Warehouse, dataset: Dataset) -> pl.DataFrame:
    """The training set's keys and labels with those made from the stored bars, as `re_<label>`."""
    sql = f"SELECT symbol, datetime, close, bar_known_at FROM `{CLEAN_TABLES[dataset.asset_type]}`"
    bars = pl.DataFrame(warehouse.query(sql)).with_columns(asset_type=pl.lit(dataset.asset_type))
    labels = add_labels(bars.sort("datetime", "symbol"))
    renamed = [pl.col(name).alias(f"re_{name}") for name in LABEL_COLUMNS]
    # The same rows in the same order, as always but after a fault: no join of millions of texts.
    if labels.select("datetime", "symbol").equals(dataset.keys.select("datetime", "symbol")):
        return dataset.keys.hstack(labels.select(renamed))
    unique = add_labels(bars.unique(KEY, keep="first"))
    return dataset.keys.join(unique.select(*KEY, *renamed), on=KEY, how="left", maintain_order="left")


def time_check(record: Record) -> list[CheckResult]:
    """`trained_through` <= the fold's start <= the row's `bar_known_at`, and each row lies in its own fold."""
    instant = pl.Datetime("us", "UTC")
    folds = pl.DataFrame(
        [(fold.index, fold.test_start, fold.test_end, fold.train_end, fold.trained_through) for fold in record.folds],
        schema={
            "fold": pl.Int64, "test_start": instant, "test_end": instant, "train_end": instant, "model_through": instant
        },
        orient="row",
    )  # fmt: skip
    joined = record.predictions.join(folds, on="fold", how="left")
    rules = {
        "trained_through <= fold_start": pl.col("trained_through") <= pl.col("fold_start"),
        "fold_start <= bar_known_at": pl.col("fold_start") <= pl.col("bar_known_at"),
        "datetime in [test_start, test_end)": (pl.col("datetime") >= pl.col("test_start"))
        & (pl.col("datetime") < pl.col("test_end")),
        "label_known_at > bar_known_at": (pl.col("label_known_at") > pl.col("bar_known_at")).fill_null(value=True),
        "label known exactly where there is one": pl.col("label_known_at").is_null()
        == pl.col("target_direction").is_null(),
        "labels the model saw < train_end": pl.col("model_through") < pl.col("train_end"),
        "labels the calibration saw < train_end": (pl.col("trained_through") < pl.col("train_end"))
        | (pl.col("trained_through") == pl.col("model_through")),
        "trained_through counts the model": pl.col("trained_through") >= pl.col("model_through"),
    }
    results = []
    for rule, expression in rules.items():
        broken = joined.filter(~expression.fill_null(value=False))
        first = broken.head(1).select(*KEY, "fold").rows()
        results.append(
            CheckResult(
                "time",
                "failed" if broken.height else "passed",
                rule,
                f"{broken.height} of {joined.height} rows break it" + (f", first {first[0]}" if first else ""),
                _SAW_ITS_OWN if broken.height else "",
            )
        )
    return results


def purge_check(dataset: Dataset, record: Record) -> list[CheckResult]:
    """No fold was fitted on more rows than had a known label before its `train_end`."""
    if record.data_hash != dataset.content_hash:
        return [CheckResult("purge", "warning", "training rows of the folds", "the bars changed since this run",
                            "train again on the bars as they are now")]  # fmt: skip
    broken = []
    for fold in record.folds:
        allowed = int(_allowed(dataset, fold).sum())
        if fold.train_rows > allowed or (record.mode == "exact" and fold.train_rows != allowed):
            broken.append((fold.index, fold.train_rows, allowed))
    detail = f"{len(record.folds)} folds train on the rows whose label was known before their train_end, no others"
    if broken:
        index, rows, allowed = broken[0]
        detail = (
            f"{len(broken)} of {len(record.folds)} folds train on other rows: fold {index} on {rows}, while {allowed} "
            "labels were known before its train_end"
        )
    return [CheckResult("purge", "failed" if broken else "passed", "training rows of the folds", detail,
                        _SAW_ITS_OWN if broken else "")]  # fmt: skip


def refit_check(dataset: Dataset, settings: Settings, record: Record) -> list[CheckResult]:
    """The cheapest fold, fitted again on a training set that holds nothing later, predicts the same bits.

    Whatever reached its model in another way than by the rows of the plan (bins, early stopping, a shuffled split) is
    not there this time, so it shows.
    """
    folds = [fold for fold in record.folds if fold.tested]
    why_not = record.settings_differ or _not_repeatable(settings, record)
    if record.data_hash != dataset.content_hash:
        why_not = "the bars changed since this run"
    if not folds or why_not:
        return [CheckResult("refit", "passed", "one fold", f"not fitted again: {why_not or 'there is no fold'}")]
    return [_fitted_again(dataset, settings, record, min(folds, key=lambda one: one.train_rows))]


def _fitted_again(dataset: Dataset, settings: Settings, record: Record, fold: FoldRecord) -> CheckResult:
    """Compare a fold's own probabilities with those of a model that could read nothing later."""
    subject = f"fold {fold.index}"
    known = only_rows(dataset, np.flatnonzero(_allowed(dataset, fold)))
    try:
        model = models.fit(known, np.arange(known.rows), settings.training)
    except NotEnoughDataError as error:
        return CheckResult("refit", "failed", subject, f"cannot be fitted on what was known: {error.message}", _REFIT)
    stamps = dataset.keys["datetime"]
    tested = np.flatnonzero(((stamps >= fold.test_start) & (stamps < fold.test_end)).to_numpy())
    own = record.predictions.filter(pl.col("fold") == fold.index).sort("datetime", "symbol")
    found = own[record.probability_column].to_numpy()
    again = models.predict(model.booster, dataset.matrix[tested])
    if len(found) != len(again):
        detail = f"{len(found)} predictions for {len(again)} bars of its window"
        return CheckResult("refit", "failed", subject, detail, _REFIT)
    differ = int((found != again).sum())
    if not differ:
        told = f"{len(again)} predictions are the same bits when the fold is fitted on the {known.rows} rows known then"
        return CheckResult("refit", "passed", subject, told)
    told = (
        f"{differ} of {len(again)} predictions differ, by up to {np.abs(found - again).max():.2g}, when the fold is "
        f"fitted on nothing but the {known.rows} rows known at its start: {model.trees} trees instead of "
        f"{fold.booster().num_boosted_rounds()}"
    )
    return CheckResult("refit", "failed", subject, told, _REFIT)


_REFIT = (
    "something later than the fold's start reaches its model: bins, early stopping, calibration or the split may use "
    "rows of its training window only"
)


def _not_repeatable(settings: Settings, record: Record) -> str:
    training = settings.training
    if record.mode != "exact":
        return "a warm-started fold is no fit of its own; the run compares it with exact folds"
    if training.makes_choices and record.run_id is not None:
        return "parameters or features were searched for in this run"
    return "the engine is not local" if training.engine != "local" else ""


def _allowed(dataset: Dataset, fold: FoldRecord) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Rows whose label was known before `train_end`, reckoned from the fold's times and not by the splitter."""
    known = dataset.keys["label_known_at"] < fold.train_end
    if fold.train_start is not None:
        known &= dataset.keys["datetime"] >= fold.train_start
    return known.fill_null(value=False).to_numpy()


def only_rows(dataset: Dataset, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Dataset:
    """A training set that holds these rows and no others; its content hash stays that of the whole."""
    return replace(
        dataset,
        matrix=np.ascontiguousarray(dataset.matrix[rows]),
        label=dataset.label[rows],
        datetime=dataset.datetime[rows],
        known_at=dataset.known_at[rows],
        label_known_at=dataset.label_known_at[rows],
        keys=dataset.keys[rows],
    )


def _equal(name: str) -> pl.Expr:
    own, recomputed = pl.col(name), pl.col(f"re_{name}")
    if name == "forward_return_pct":
        close = (own - recomputed).abs() <= _TOLERANCE * (1 + recomputed.abs())
        return close | (own.is_null() & recomputed.is_null())
    return own.eq_missing(recomputed)


def _labels(subject: str, wrong: pl.DataFrame, rows: int) -> CheckResult:
    first = wrong.head(1).rows()
    return CheckResult(
        "labels",
        "failed" if wrong.height else "passed",
        subject,
        f"{wrong.height} of {rows} labels differ from the recomputed ones" + (f", first {first[0]}" if first else ""),
        _REBUILD if wrong.height else "",
    )
