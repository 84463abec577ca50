"""Metrics against scikit-learn on random predictions, and by hand where it has no answer."""

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from market.metrics import METRICS, Confusion, confusion


def calibration_error(actual, probability):
    """scikit-learn's quantile bins, weighted by their rows."""
    share, mean = calibration_curve(actual, probability, n_bins=10, strategy="quantile")
    edges = np.percentile(probability, np.linspace(0, 100, 11))[1:-1]
    rows = np.bincount(np.searchsorted(edges, probability))
    return np.average(np.abs(share - mean), weights=rows[rows > 0])


ORACLES = {
    "accuracy_pct": lambda y, p: 100 * reference.accuracy_score(y, p >= 0.5),
    "base_rate_pct": lambda y, p: 100 * max(y.mean(), 1 - y.mean()),
    "up_share_pct": lambda y, p: 100 * y.mean(),
    "balanced_accuracy_pct": lambda y, p: 100 * reference.balanced_accuracy_score(y, p >= 0.5),
    "auc": reference.roc_auc_score,
    "brier_score": reference.brier_score_loss,
    "log_loss": reference.log_loss,
    "expected_calibration_error": calibration_error,
    "precision_score": lambda y, p: reference.precision_score(y, p >= 0.5),
    "recall_score": lambda y, p: reference.recall_score(y, p >= 0.5),
    "f1_score": lambda y, p: reference.f1_score(y, p >= 0.5),
    "true_positives": lambda y, p: reference.confusion_matrix(y, p >= 0.5)[1, 1],
    "false_positives": lambda y, p: reference.confusion_matrix(y, p >= 0.5)[0, 1],
    "true_negatives": lambda y, p: reference.confusion_matrix(y, p >= 0.5)[0, 0],
    "false_negatives": lambda y, p: reference.confusion_matrix(y, p >= 0.5)[1, 0],
    "avg_up_probability": lambda y, p: np.mean(p),
    "min_up_probability": lambda y, p: np.sort(p)[0],
    "max_up_probability": lambda y, p: np.sort(p)[-1],
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", METRICS)
def test_metric_equals_the_reference(name, seed):
    generator = np.random.default_rng(seed)
    probability = generator.beta(2, 2, 400).round(1 + seed)  # few decimals: many ties
    actual = (generator.random(400) < 0.2 + 0.5 * probability).astype(int)

    assert METRICS[name](actual, probability) == pytest.approx(ORACLES[name](actual, probability), rel=1e-12)


def test_one_half_predicts_up():
    assert confusion(np.array([1, 0, 1, 0]), np.array([0.5, 0.5, 0.4999, 0.4999])) == Confusion(1, 1, 1, 1)


def test_what_the_rows_leave_undefined_is_none():
    one_class = np.ones(4), np.array([0.1, 0.6, 0.7, 0.8])
    nothing_up = np.zeros(3), np.array([0.1, 0.2, 0.3])

    assert METRICS["auc"](*one_class) is None and METRICS["balanced_accuracy_pct"](*one_class) is None
    assert METRICS["precision_score"](*nothing_up) is None
    assert METRICS["recall_score"](*nothing_up) is None
    assert METRICS["f1_score"](*nothing_up) is None
    assert METRICS["base_rate_pct"](*nothing_up) == 100 and METRICS["accuracy_pct"](*nothing_up) == 100


def test_certainty_that_was_wrong_costs_much_but_not_infinitely_much():
    loss = METRICS["log_loss"](np.array([0, 1]), np.array([1.0, 0.0]))

    assert loss == pytest.approx(-np.log(np.finfo(float).eps))
    assert METRICS["log_loss"](np.array([0, 1]), np.array([0.0, 1.0])) == pytest.approx(0, abs=1e-15)


def test_every_metric_has_an_oracle():
    assert set(ORACLES) == set(METRICS)
