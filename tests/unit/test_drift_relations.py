"""Features beside the other features: against least squares, and with one of them broken."""

from __future__ import annotations

import numpy as np
import pytest

from market.drift_relations import RIDGE, Moments, cross_fitted, deviations, fit_adjustment

MIX = np.array([[1.0, 0.8, 0.5], [0.0, 0.6, 0.5], [0.0, 0.0, 0.7]])


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


def test_weights_are_those_of_least_squares() -> None:
    values = weeks(30, 50)
    flat = values.reshape(-1, 3) - values.reshape(-1, 3).mean(axis=0)
    usual = fit_adjustment(moments(values))
    for f in range(3):
        others = np.delete(np.arange(3), f)
        penalty = np.sqrt(RIDGE * len(flat)) * np.eye(2)
        design = np.vstack([flat[:, others], penalty])
        expected = np.linalg.lstsq(design, np.append(flat[:, f], [0, 0]), rcond=None)[0]
        assert -usual.weights[f, others] == pytest.approx(expected, abs=1e-9)
        assert usual.weights[f, f] == 1.0


def test_a_week_differs_by_what_was_done_to_one_feature() -> None:
    usual = fit_adjustment(moments(weeks(60, 200)))
    newest = weeks(1, 4000, seed=2)
    clean = deviations(moments(newest), usual)
    broken = newest.copy()
    broken[:, :, 1] += 0.3
    assert (deviations(moments(broken), usual).shift - clean.shift)[0, 1] == pytest.approx(0.3, abs=1e-9)
    broken = newest.copy()
    broken[:, :, 1] *= 1.3
    assert (deviations(moments(broken), usual).log_scale - clean.log_scale)[0, 1] == pytest.approx(
        np.log(1.3), abs=1e-9
    )
    broken = newest.copy()
    broken[:, :, 1] += np.random.default_rng(5).normal(0, 1.0, broken.shape[:2])
    assert (deviations(moments(broken), usual).log_spread - clean.log_spread)[0, 1] > 0.3


def test_the_broken_feature_lies_furthest_in_units_of_its_own_spread() -> None:
    usual = fit_adjustment(moments(weeks(60, 200)))
    broken = weeks(1, 4000, seed=2)
    clean = deviations(moments(broken), usual).shift
    for f in range(3):
        moved = broken.copy()
        moved[:, :, f] += 0.3
        shift = (deviations(moments(moved), usual).shift - clean)[0] / usual.spread
        assert np.argmax(np.abs(shift)) == f


def test_the_market_moving_all_features_is_no_deviation() -> None:
    values = weeks(80, 200)
    found = cross_fitted(moments(values), np.repeat(np.arange(10), 8))
    assert values.mean(axis=1)[:, 1].std() > 0.4, "weeks differ"
    assert np.abs(found.shift[:, 0]).max() < np.abs(values.mean(axis=1)[:, 0]).max()


def test_a_week_is_judged_by_weeks_outside_its_own_block() -> None:
    values = weeks(16, 100)
    block = np.repeat([0, 1], 8)
    found = cross_fitted(moments(values), block)
    first = deviations(moments(values[:8]), fit_adjustment(moments(values[8:])))
    assert found.shift[:8] == pytest.approx(first.shift)
    assert found.log_scale[:8] == pytest.approx(first.log_scale)
    assert found.log_spread[:8] == pytest.approx(first.log_spread)
