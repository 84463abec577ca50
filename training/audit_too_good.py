"""Too good to be true: what looks better than next-bar directions are known to be, with the evidence.

These are warnings. A real edge may be there; hindsight looks the same, so a person should look. The small models behind
them are trained on a declared subsample: all rows of symbols drawn with `audit.seed`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import xgboost as xgb
from numpy.typing import NDArray

from configs.settings import Settings
from market.metrics import accuracy, base_rate
from market.statistics import clustered_standard_error
from training.audit_record import Record
from training.checks import CheckResult
from training.dataset import Dataset
from training.evaluate import OUT_OF_SAMPLE, accuracy_interval

BINS = 16
SIGNIFICANT = 3.0
"""Standard errors, clustered by date, that a difference must have before it is called one."""

_NAMED = 3
_MIN_ROWS = 500


def too_good_check(dataset: Dataset, settings: Settings, record: Record | None) -> list[CheckResult]:
    """Accuracy against base rate, single features that carry the result, and models on features of the bar before."""
    results = [] if record is None else [_edge(record, settings)]
    sample = _sample(dataset, settings)
    if sample is None:
        told = "too few rows before or after TRAIN for small models"
        return [*results, CheckResult("too_good", "passed", "single features and lag", told)]
    now, lagged = _single_scores(sample, dataset.features), _single_scores(sample.lagged(), dataset.features)
    return [*results, _single(now, settings), _lag(sample, now, lagged, dataset, settings)]


@dataclass(frozen=True)
class _Sample:
    """Rows of whole symbols in time order, those that small models learn from and those they are tested on.

    Attributes:
        matrix: float32 (rows, features).
        before: The features of each row's previous bar, NaN at a symbol's first bar; same shape.
        label: 0 or 1.
        date: Days, for clustering.
        trains: Mask: label known before the first TEST day.
        tests: Mask: stamp in TEST or VALIDATE.
    """

    matrix: NDArray[np.float32]
    before: NDArray[np.float32]
    label: NDArray[np.float32]
    date: NDArray[np.datetime64]
    trains: NDArray[np.bool_]
    tests: NDArray[np.bool_]

    def lagged(self) -> _Sample:
        """The same rows with features one bar older."""
        return _Sample(self.before, self.before, self.label, self.date, self.trains, self.tests)


@dataclass(frozen=True)
class _Score:
    """Hits of a small model on the tested rows, percent accuracy, and the base rate of these rows."""

    hits: NDArray[np.bool_]
    accuracy: float
    base_rate: float
    standard_error: float

    @property
    def edge(self) -> float:
        return self.accuracy - self.base_rate


def _edge(record: Record, settings: Settings) -> CheckResult:
    rows = record.predictions.filter(
        pl.col("target_direction").is_not_null() & pl.col("data_split").is_in(OUT_OF_SAMPLE)
    )
    subject = "accuracy against base rate"
    if rows.is_empty():
        return CheckResult("too_good", "passed", subject, "no outcome of TEST or VALIDATE is known yet")
    actual, probability = rows["target_direction"].to_numpy(), rows["up_probability"].to_numpy()
    found, base = accuracy(actual, probability), base_rate(actual, probability)
    low, high = accuracy_interval(rows, settings.evaluation)
    remarkable = found - base > settings.audit.too_good.edge_points and low > base
    return CheckResult(
        "too_good",
        "warning" if remarkable else "passed",
        subject,
        f"{found:.1f}% (95%: {low:.1f} to {high:.1f}) against a base rate of {base:.1f}% on {rows.height} rows of TEST "
        "and VALIDATE",
        "honest next-bar models of daily bars seldom gain five points: look at the other warnings, and at the newest "
        "feature, before believing it" if remarkable else "",
    )  # fmt: skip


def _single(scores: dict[str, _Score], settings: Settings) -> CheckResult:
    """Features that alone, as the majority direction of sixteen ranges, do what a model would be admired for."""
    strong = [
        name
        for name, score in sorted(scores.items(), key=lambda item: -item[1].edge)
        if score.edge > settings.audit.too_good.single_feature_points and _is_significant(score)
    ]
    best = max(scores.items(), key=lambda item: item[1].edge)
    shown = strong[:_NAMED] or [best[0]]
    told = ", ".join(f"{name} {scores[name].accuracy:.1f}%" for name in shown)
    told = f"{'' if strong else 'strongest '}{told} against a base rate of {best[1].base_rate:.1f}%"
    return CheckResult(
        "too_good",
        "warning" if strong else "passed",
        f"single feature {', '.join(strong[:_NAMED])}" if strong else "single features",
        f"{told} on {len(best[1].hits)} rows",
        f"see where {strong[0]} gets its knowledge of the next bar from: it carries the result alone" if strong else "",
    )


def _lag(
    sample: _Sample, now: dict[str, _Score], lagged: dict[str, _Score], dataset: Dataset, settings: Settings
) -> CheckResult:
    """The same model on the features of the bar before: real momentum fades, hindsight collapses."""
    limit = settings.audit.too_good.lag_points
    today, yesterday = (_boosted(one, settings) for one in (sample, sample.lagged()))
    rows = sample.date[sample.tests]
    collapsed = [
        name
        for name in dataset.features
        if now[name].edge > limit and _is_significant(now[name]) and _lost(now[name], lagged[name], rows) > limit
    ]
    lost = _lost(today, yesterday, rows)
    suspicious = (lost > limit and _is_significant(today)) or bool(collapsed)
    told = (
        f"accuracy {today.accuracy:.1f}% with today's features, {yesterday.accuracy:.1f}% with the bar before's, "
        f"base rate {today.base_rate:.1f}%, on {len(rows)} rows"
    )
    if collapsed:
        told += "; alone " + ", ".join(
            f"{name} falls from {now[name].accuracy:.1f}% to {lagged[name].accuracy:.1f}%"
            for name in collapsed[:_NAMED]
        )
    return CheckResult(
        "too_good",
        "warning" if suspicious else "passed",
        "features one bar older",
        told,
        "a collapse points at hindsight: what is worth so much today and nothing tomorrow may know the next bar"
        if suspicious
        else "",
    )


def _sample(dataset: Dataset, settings: Settings) -> _Sample | None:
    """All rows of as many drawn symbols as fit, with known labels; None when there is too little on either side."""
    drawn = _drawn_symbols(dataset, settings)
    keys = dataset.keys.with_row_index("row").filter(pl.col("symbol").is_in(drawn)).sort("symbol", "datetime")
    rows = keys["row"].to_numpy()
    matrix = dataset.matrix[rows]
    before = np.roll(matrix, 1, axis=0)
    before[(keys["symbol"] != keys["symbol"].shift()).fill_null(value=True).to_numpy()] = np.nan
    label = dataset.label[rows]
    known = ~np.isnan(label)
    first_test = np.datetime64(settings.splits.of(dataset.asset_type).train_end, "us") + np.timedelta64(1, "D")
    trains = known & (dataset.label_known_at[rows] < first_test)
    tests = known & (dataset.datetime[rows] >= first_test)
    if min(trains.sum(), tests.sum()) < _MIN_ROWS or len(np.unique(label[trains])) < 2:
        return None
    return _Sample(matrix, before, label, dataset.datetime[rows].astype("datetime64[D]"), trains, tests)


def _drawn_symbols(dataset: Dataset, settings: Settings) -> list[str]:
    counts = dataset.keys.group_by("symbol").len().sort("symbol")
    order = np.random.default_rng(settings.audit.seed + 2).permutation(counts.height)
    shuffled = counts[order]
    fits = int((shuffled["len"].cum_sum() <= settings.audit.too_good.sample_rows).sum())
    return shuffled["symbol"][: max(1, fits)].to_list()


def _single_scores(sample: _Sample, names: tuple[str, ...]) -> dict[str, _Score]:
    return {name: _score(sample, _by_ranges(sample, column)) for column, name in enumerate(names)}


def _by_ranges(sample: _Sample, column: int) -> NDArray[np.bool_]:
    """Predict the direction that was more frequent in a value's range; NaN is a range of its own.

    Ranges are quantiles of the training rows: a regression on one feature that any shape of dependence shows in.
    """
    values, label = sample.matrix[:, column], sample.label
    trained = values[sample.trains]
    known = trained[~np.isnan(trained)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else known
    place = np.where(np.isnan(values), BINS, np.searchsorted(edges, values, side="right"))
    ups = np.bincount(place[sample.trains], label[sample.trains], BINS + 1)
    rows = np.bincount(place[sample.trains], minlength=BINS + 1)
    overall = float(label[sample.trains].mean()) >= 0.5
    predicted = np.where(rows > 0, 2 * ups >= rows, overall)
    return predicted[place[sample.tests]]


def _boosted(sample: _Sample, settings: Settings) -> _Score:
    """A small booster with the configured depth and learning rate of its own."""
    training = settings.training
    matrix = xgb.QuantileDMatrix(
        sample.matrix[sample.trains], label=sample.label[sample.trains], nthread=training.threads
    )
    parameters = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "nthread": training.threads,
        "seed": training.seed,
        "max_depth": training.xgboost.max_depth,
        "min_child_weight": training.xgboost.min_child_weight,
        "learning_rate": 0.1,
    }
    booster = xgb.train(parameters, matrix, num_boost_round=settings.audit.too_good.trees, verbose_eval=False)
    return _score(sample, booster.inplace_predict(sample.matrix[sample.tests]) >= 0.5)


def _score(sample: _Sample, up: NDArray[np.bool_]) -> _Score:
    actual = sample.label[sample.tests]
    hits = up == (actual == 1)
    error = 100 * clustered_standard_error(hits, sample.date[sample.tests])
    return _Score(hits, 100 * float(hits.mean()), base_rate(actual, up.astype(float)), error)


def _is_significant(score: _Score) -> bool:
    return score.edge > SIGNIFICANT * score.standard_error


def _lost(now: _Score, lagged: _Score, dates: NDArray[np.datetime64]) -> float:
    """Points lost by the lag; 0 when the paired difference is within its noise."""
    difference = now.hits.astype(float) - lagged.hits.astype(float)
    lost = 100 * float(difference.mean())
    return lost if lost > SIGNIFICANT * 100 * clustered_standard_error(difference, dates) else 0.0
