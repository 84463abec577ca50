"""Features beside the other features: against least squares, and with one of them broken."""

from __future__ import annotations

import numpy as np
import pytest

from market.drift_relations import RIDGE, Deviations, Moments, cross_fitted, deviations, fit_adjustment

MIX = np.array([[1.0, 0.8, 0.5], [0.0, 0.6, 0.5], [0.0, 0.0, 0.7]])
NONE_OWN = np.zeros((3, 3), bool)


def weeks(count: int, rows: int, seed: int = 1) -> np.ndarray:
    """Three related features that share each week's market, shape (weeks, rows, 3)."""
    random = np.random.default_rng(seed)
    return (random.standard_normal((count, rows, 3)) + random.normal(0, 0.5, (count, 1, 3))) @ MIX


def moments(values: np.ndarray) -> Moments:
    return Moments(
        np.full(len(values), values.shape[1]),
        values.mean(axis=1),
        np.einsum("wni,wnj->wij", values, values) / values.shape[1],
    )


def least_squares(values: np.ndarray, feature: int, columns: list[int]) -> np.ndarray:
    """Ridge regression of a column on others, as least squares with rows that pull to zero."""
    flat = values.reshape(-1, values.shape[-1])
    flat = flat - flat.mean(axis=0)
    penalty = np.sqrt(RIDGE * len(flat)) * np.eye(len(columns))
    design, wanted = np.vstack([flat[:, columns], penalty]), np.append(flat[:, feature], np.zeros(len(columns)))
    return np.linalg.lstsq(design, wanted, rcond=None)[0]


def found(values: np.ndarray, usual: np.ndarray) -> Deviations:
    return deviations(moments(values), fit_adjustment(moments(usual), NONE_OWN))


def test_weights_are_those_of_least_squares() -> None:
    values = weeks(30, 50)
    usual = fit_adjustment(moments(values), NONE_OWN)
    for f in range(3):
        others = [i for i in range(3) if i != f]
        assert -usual.weights[f, others] == pytest.approx(least_squares(values, f, others), abs=1e-9)
        assert usual.weights[f, f] == 1.0


def test_what_is_made_of_a_feature_does_not_predict_it() -> None:
    values = weeks(30, 50)
    squares = np.square(values[:, :, [0]])
    values = np.concatenate([values[:, :, :2], squares, values[:, :, [2]]], axis=2)
    own = np.array([[False, False, True, False], [False, False, False, False]])
    usual = fit_adjustment(moments(values), own)
    assert -usual.weights[0, [1, 3]] == pytest.approx(least_squares(values, 0, [1, 3]), abs=1e-9)
    assert -usual.weights[1, [0, 2, 3]] == pytest.approx(least_squares(values, 1, [0, 2, 3]), abs=1e-9)
    assert usual.weights[0, 2] == 0.0


def test_a_week_differs_by_what_was_done_to_one_feature() -> None:
    usual, newest = weeks(60, 200), weeks(1, 4000, seed=2)
    clean = found(newest, usual)
    broken = newest.copy()
    broken[:, :, 1] += 0.3
    assert (found(broken, usual).shift - clean.shift)[0, 1] == pytest.approx(0.3, abs=1e-9)
    broken = newest.copy()
    broken[:, :, 1] *= 1.3
    # the slope is drawn a little towards 1
    assert (found(broken, usual).log_scale - clean.log_scale)[0, 1] == pytest.approx(np.log(1.3), abs=0.02)
    broken = newest.copy()
    broken[:, :, 1] += np.random.default_rng(5).normal(0, 1.0, broken.shape[:2])
    assert (found(broken, usual).log_spread - clean.log_spread)[0, 1] > 0.3


def test_the_slope_is_that_of_the_feature_on_its_prediction() -> None:
    usual, newest = weeks(60, 200), weeks(1, 4000, seed=2)
    newest[:, :, 0] *= 1.5
    fitted = fit_adjustment(moments(usual), NONE_OWN)
    for f in range(3):
        difference = (newest[0] - fitted.mean) @ fitted.weights[f]
        predicted = newest[0][:, f] - difference
        slope = np.cov(predicted, newest[0][:, f], ddof=0)[0, 1] + 0.05, predicted.var() + 0.05
        assert deviations(moments(newest), fitted).log_scale[0, f] == pytest.approx(np.log(slope[0] / slope[1]))


def test_the_broken_feature_lies_furthest_in_units_of_its_own_spread() -> None:
    usual, newest = weeks(60, 200), weeks(1, 4000, seed=2)
    spread = fit_adjustment(moments(usual), NONE_OWN).spread
    clean = found(newest, usual).shift
    for f in range(3):
        moved = newest.copy()
        moved[:, :, f] += 0.3
        assert np.argmax(np.abs((found(moved, usual).shift - clean)[0] / spread)) == f


def test_the_market_moving_all_features_is_no_deviation() -> None:
    values = weeks(80, 200)
    apart = cross_fitted(moments(values), np.repeat(np.arange(10), 8), NONE_OWN)
    assert values.mean(axis=1)[:, 1].std() > 0.4, "weeks differ"
    assert np.abs(apart.shift[:, 0]).max() < np.abs(values.mean(axis=1)[:, 0]).max()


def test_a_week_is_judged_by_weeks_outside_its_own_block() -> None:
    values = weeks(16, 100)
    apart = cross_fitted(moments(values), np.repeat([0, 1], 8), NONE_OWN)
    first = found(values[:8], values[8:])
    assert apart.shift[:8] == pytest.approx(first.shift)
    assert apart.log_scale[:8] == pytest.approx(first.log_scale)
    assert apart.log_spread[:8] == pytest.approx(first.log_spread)
