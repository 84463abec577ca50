"""Classification and calibration metrics of up-probabilities, as pure functions in one table.

Every metric takes `actual` (0 or 1, shape (n,), n > 0) and `probability` of UP (in [0, 1], shape (n,)). Predicted UP
means probability >= 0.5. Unknown labels are dropped by the caller: NaN is refused. A metric that the rows leave
undefined (one class only, nothing predicted UP) is None.

Adding a metric is adding one function to `METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from market.calibration import expected_calibration_error
from market.outcomes import checked_outcomes

Values = npt.NDArray[Any]
Metric = Callable[[Values, Values], float | None]


@dataclass(frozen=True)
class Confusion:
    """Counts of the four outcomes of predicting UP."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int


def confusion(actual: Values, probability: Values) -> Confusion:
    """Counts of hits and misses of UP and DOWN."""
    truth, p = checked_outcomes(actual, probability)
    up, predicted_up = truth == 1, p >= 0.5
    return Confusion(
        true_positives=int((up & predicted_up).sum()),
        false_positives=int((~up & predicted_up).sum()),
        true_negatives=int((~up & ~predicted_up).sum()),
        false_negatives=int((up & ~predicted_up).sum()),
    )


def accuracy(actual: Values, probability: Values) -> float:
    """Share of correct directions, percent."""
    truth, p = checked_outcomes(actual, probability)
    return 100.0 * float(((p >= 0.5) == (truth == 1)).mean())


def base_rate(actual: Values, probability: Values) -> float:
    """Share of the more frequent class, percent: what always guessing it would score."""
    up = up_share(actual, probability)
    return max(up, 100.0 - up)


def up_share(actual: Values, probability: Values) -> float:
    """Share of UP among the outcomes, percent."""
    truth, _ = checked_outcomes(actual, probability)
    return 100.0 * float(truth.mean())


def balanced_accuracy(actual: Values, probability: Values) -> float | None:
    """Mean of the shares of UP and of DOWN bars that were predicted, percent; None with one class only."""
    counts = confusion(actual, probability)
    ups = counts.true_positives + counts.false_negatives
    downs = counts.true_negatives + counts.false_positives
    return 50.0 * (counts.true_positives / ups + counts.true_negatives / downs) if ups and downs else None


def auc(actual: Values, probability: Values) -> float | None:
    """Chance that an UP bar has a higher probability than a DOWN bar (Mann-Whitney, ties half); None with one class."""
    truth, p = checked_outcomes(actual, probability)
    ups = int(truth.sum())
    downs = truth.size - ups
    if not ups or not downs:
        return None
    return (float(rankdata(p)[truth == 1].sum()) - ups * (ups + 1) / 2) / (ups * downs)


def brier_score(actual: Values, probability: Values) -> float:
    """Mean squared distance between probability and outcome (0 perfect, 0.25 always one half)."""
    truth, p = checked_outcomes(actual, probability)
    return float(np.square(p - truth).mean())


def log_loss(actual: Values, probability: Values) -> float:
    """Mean negative log-likelihood in nats; probabilities 0 and 1 count as one float64 epsilon away."""
    truth, p = checked_outcomes(actual, probability)
    epsilon = np.finfo(np.float64).eps
    clipped = np.clip(p, epsilon, 1 - epsilon)
    return float(-np.where(truth == 1, np.log(clipped), np.log1p(-clipped)).mean())


def precision(actual: Values, probability: Values) -> float | None:
    """Share of predicted UP that went up, 0-1; None when nothing was predicted UP."""
    counts = confusion(actual, probability)
    return _share(counts.true_positives, counts.true_positives + counts.false_positives)


def recall(actual: Values, probability: Values) -> float | None:
    """Share of UP bars that were predicted, 0-1; None when nothing went up."""
    counts = confusion(actual, probability)
    return _share(counts.true_positives, counts.true_positives + counts.false_negatives)


def f1(actual: Values, probability: Values) -> float | None:
    """Harmonic mean of precision and recall, 0-1; None when nothing was predicted UP and nothing went up."""
    counts = confusion(actual, probability)
    hits = 2 * counts.true_positives
    return _share(hits, hits + counts.false_positives + counts.false_negatives)


def mean_probability(actual: Values, probability: Values) -> float:
    """Mean probability of UP."""
    return float(checked_outcomes(actual, probability)[1].mean())


def min_probability(actual: Values, probability: Values) -> float:
    """Smallest probability of UP."""
    return float(checked_outcomes(actual, probability)[1].min())


def max_probability(actual: Values, probability: Values) -> float:
    """Largest probability of UP."""
    return float(checked_outcomes(actual, probability)[1].max())


METRICS: dict[str, Metric] = {
    "accuracy_pct": accuracy,
    "base_rate_pct": base_rate,
    "up_share_pct": up_share,
    "balanced_accuracy_pct": balanced_accuracy,
    "auc": auc,
    "brier_score": brier_score,
    "log_loss": log_loss,
    "expected_calibration_error": expected_calibration_error,
    "precision_score": precision,
    "recall_score": recall,
    "f1_score": f1,
    "true_positives": lambda actual, probability: confusion(actual, probability).true_positives,
    "false_positives": lambda actual, probability: confusion(actual, probability).false_positives,
    "true_negatives": lambda actual, probability: confusion(actual, probability).true_negatives,
    "false_negatives": lambda actual, probability: confusion(actual, probability).false_negatives,
    "avg_up_probability": mean_probability,
    "min_up_probability": min_probability,
    "max_up_probability": max_probability,
}
"""Every metric by the name it has in tables and logs."""


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
