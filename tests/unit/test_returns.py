"""Figures of daily returns: literal values, laws, and an independent library."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import quantstats.stats as qs
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from market.errors import MetricError
from market.returns import (
    RETURN_MEASURES,
    ReturnMeasures,
    alpha_beta,
    drawdown_pct,
    equity_returns,
    measure_curves,
    measure_returns,
)
from market.returns_intervals import EXCESS, drawn_days, return_intervals

YEAR = 252
# Steps of a billionth: squares of smaller numbers leave the doubles, and no account has such a day.
RETURNS = arrays(np.int64, st.integers(2, 60), elements=st.integers(-200_000_000, 250_000_000)).map(lambda n: n / 1e9)


def drawn(seed: int, days: int = 500) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).standard_t(4, days) * 0.01 + 0.0004


def measured(values: list[float], periods: int = YEAR) -> ReturnMeasures:
    return measure_returns(np.array(values), periods_per_year=periods)


def test_figures_of_four_days_worked_out_by_hand() -> None:
    found = measured([0.10, -0.05, 0.02, -0.10])
    # 1.1 x 0.95 x 1.02 x 0.9 = 0.959310; the peak of 1.1 falls to 0.95931
    assert found.total_return_pct == pytest.approx(-4.069)
    assert found.annualized_return_pct == pytest.approx(100 * (0.95931**63 - 1))
    assert found.max_drawdown_pct == pytest.approx(100 * (0.95931 / 1.1 - 1))
    # mean -0.0075, squared distances 0.01155625 + 0.00180625 + 0.00075625 + 0.00855625 = 0.022675
    deviation = math.sqrt(0.022675 / 3)
    assert found.volatility_pct == pytest.approx(100 * deviation * math.sqrt(252))
    assert found.sharpe_ratio == pytest.approx(-0.0075 / deviation * math.sqrt(252))
    assert found.sortino_ratio == pytest.approx(-0.0075 / math.sqrt(0.0125 / 4) * math.sqrt(252))
    assert found.calmar_ratio == pytest.approx(found.annualized_return_pct / -found.max_drawdown_pct)
    # sorted -0.10, -0.05: the 5% quantile lies 0.15 of the way; the worst int(0.15) + 1 = 1 day
    assert (found.var_95_pct, found.cvar_95_pct) == (pytest.approx(-9.25), pytest.approx(-10.0))
    assert found.days == 4


def test_a_curve_that_never_moves_has_zeros_and_no_ratios() -> None:
    assert measured([0.0] * 30) == ReturnMeasures(30, 0.0, 0.0, 0.0, None, None, None, 0.0, 0.0, 0.0)


def test_equal_returns_have_no_deviation_whatever_rounding_leaves() -> None:
    found = measured([0.1] * 7)
    assert (found.volatility_pct, found.sharpe_ratio, found.sortino_ratio, found.calmar_ratio) == (
        0.0,
        None,
        None,
        None,
    )


def test_one_day_has_a_return_and_no_volatility() -> None:
    found = measured([0.01])
    assert (found.total_return_pct, found.volatility_pct, found.sharpe_ratio) == (pytest.approx(1.0), None, None)


def test_an_account_that_is_broke_lost_everything() -> None:
    found = measured([0.5, -1.0, 0.0])
    assert (found.total_return_pct, found.annualized_return_pct, found.max_drawdown_pct) == (-100, -100, -100)


@pytest.mark.parametrize(("periods", "seed"), [(252, 1), (365, 2), (252, 3)])
def test_figures_agree_with_quantstats_where_definitions_do(periods: int, seed: int) -> None:
    returns, other = drawn(seed), drawn(seed + 100)
    dates = pd.bdate_range("2020-01-01", periods=returns.size)
    theirs, held = pd.Series(returns, dates), pd.Series(other, dates)
    ours = measure_returns(returns, periods_per_year=periods)
    close: dict[str, Any] = {"rel": 1e-9, "abs": 1e-12}
    assert ours.total_return_pct == pytest.approx(100 * qs.comp(theirs), **close)
    assert ours.annualized_return_pct == pytest.approx(100 * qs.cagr(theirs, periods=periods), **close)
    assert ours.volatility_pct == pytest.approx(100 * qs.volatility(theirs, periods), **close)
    assert ours.sharpe_ratio == pytest.approx(qs.sharpe(theirs, periods=periods), **close)
    assert ours.sortino_ratio == pytest.approx(qs.sortino(theirs, periods=periods), **close)
    assert ours.calmar_ratio == pytest.approx(qs.calmar(theirs, periods=periods), **close)
    assert ours.max_drawdown_pct == pytest.approx(100 * qs.max_drawdown(theirs), **close)
    greeks = qs.greeks(theirs, held, periods)
    alpha, beta = alpha_beta(returns, other, periods_per_year=periods)
    assert beta == pytest.approx(greeks["beta"], **close)
    # theirs is the plain sum over a year, ours compounds the same daily mean
    assert alpha == pytest.approx((1 + greeks["alpha"] / periods) ** periods - 1, **close)


@given(RETURNS)
def test_value_at_risk_and_shortfall_are_order_statistics(returns: npt.NDArray[np.float64]) -> None:
    found = measure_returns(returns, periods_per_year=YEAR)
    worst = np.sort(returns)[: int(0.05 * (returns.size - 1)) + 1]
    assert found.var_95_pct == pytest.approx(100 * np.quantile(returns, 0.05), abs=1e-10)
    assert found.cvar_95_pct == pytest.approx(100 * worst.mean(), abs=1e-10)
    assert found.cvar_95_pct <= found.var_95_pct + 1e-9


@given(RETURNS, st.permutations(range(8)))
def test_only_the_drawdown_knows_the_order_of_days(returns: npt.NDArray[np.float64], order: list[int]) -> None:
    head = np.resize(returns, 8)
    assume(np.ptp(head) > 1e-4)
    first, second = (measure_returns(one, periods_per_year=YEAR) for one in (head, head[order]))
    for name in set(RETURN_MEASURES) - {"max_drawdown_pct", "calmar_ratio"}:
        a, b = getattr(first, name), getattr(second, name)
        assert a is b is None or a == pytest.approx(b, rel=1e-7, abs=1e-7)


@given(RETURNS, st.floats(0.1, 3.0))
def test_ratios_do_not_know_the_scale_of_returns(returns: npt.NDArray[np.float64], scale: float) -> None:
    assume(np.ptp(returns) > 1e-4)
    first, second = (measure_returns(one, periods_per_year=YEAR) for one in (returns, scale * returns))
    for name in ("sharpe_ratio", "sortino_ratio"):
        a, b = getattr(first, name), getattr(second, name)
        assert (a is None) == (b is None)
        assert a is None or a == pytest.approx(b, rel=1e-6, abs=1e-6)


def test_many_curves_at_once_are_each_what_one_is_alone() -> None:
    curves = np.array([drawn(seed, 300) for seed in range(7)] + [np.zeros(300)])
    table = measure_curves(curves, periods_per_year=365)
    for number, curve in enumerate(curves):
        alone = measure_returns(curve, periods_per_year=365)
        assert [table[name][number] for name in RETURN_MEASURES] == [
            pytest.approx(math.nan if value is None else value, nan_ok=True, rel=1e-12)
            for value in (getattr(alone, name) for name in RETURN_MEASURES)
        ]


def test_the_drawdown_curve_reaches_the_largest_drawdown_and_starts_at_the_capital() -> None:
    returns = drawn(5)
    assert drawdown_pct(returns).min() == pytest.approx(
        measure_returns(returns, periods_per_year=YEAR).max_drawdown_pct
    )
    assert drawdown_pct(np.array([-0.1, 0.05]))[0] == pytest.approx(-10)


def test_returns_of_an_equity_curve_begin_at_the_capital() -> None:
    assert equity_returns(np.array([110.0, 99.0]), 100.0) == pytest.approx([0.1, -0.1])
    assert equity_returns(np.array([50.0, -10.0, 30.0]), 100.0) == pytest.approx([-0.5, -1.0, 0.0])


@given(RETURNS)
def test_returns_of_an_equity_curve_compound_to_it(returns: npt.NDArray[np.float64]) -> None:
    assert equity_returns(1000 * np.cumprod(1 + returns), 1000.0) == pytest.approx(returns, abs=1e-12)


def test_a_strategy_that_is_its_benchmark_has_beta_one_and_no_alpha() -> None:
    other = drawn(7)
    assert alpha_beta(other, other, periods_per_year=YEAR) == (pytest.approx(0, abs=1e-9), pytest.approx(1))
    alpha, beta = alpha_beta(0.5 * other + 0.0001, other, periods_per_year=YEAR)
    assert (alpha, beta) == (pytest.approx(1.0001**252 - 1), pytest.approx(0.5))
    assert alpha_beta(other, np.zeros(other.size), periods_per_year=YEAR) == (None, None)


@pytest.mark.parametrize("bad", [[], [0.01, math.nan], [math.inf], [[0.1, 0.2]]])
def test_returns_that_are_none_are_refused_by_name(bad: list[Any]) -> None:
    with pytest.raises(MetricError, match="returns"):
        measure_returns(np.array(bad, dtype=np.float64), periods_per_year=YEAR)


def test_a_year_without_days_is_refused() -> None:
    with pytest.raises(MetricError, match="periods_per_year 0"):
        measured([0.1, 0.2], 0)


def test_intervals_hold_the_figure_are_repeatable_and_know_the_benchmark() -> None:
    returns, other = drawn(11, 800), drawn(12, 800)
    asked: dict[str, Any] = {"periods_per_year": YEAR, "samples": 400, "block_days": 10, "seed": 3}
    found = return_intervals(returns, benchmark=other, **asked)
    own = measure_returns(returns, periods_per_year=YEAR)
    for name in ("total_return_pct", "annualized_return_pct", "volatility_pct", "sharpe_ratio", "var_95_pct"):
        interval = found[name]
        assert interval is not None
        assert interval.low < getattr(own, name) < interval.high
    assert found == return_intervals(returns, benchmark=other, **asked)
    same = return_intervals(returns, benchmark=returns, **asked)[EXCESS]
    assert same is not None
    assert (same.low, same.high) == (0, 0)


def test_an_interval_of_the_mean_covers_the_truth_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(150):
        returns = np.random.default_rng(seed).normal(0.001, 0.01, 250)
        interval = return_intervals(returns, periods_per_year=1, samples=200, block_days=5, seed=1)["sharpe_ratio"]
        assert interval is not None
        hits += interval.low <= 0.1 <= interval.high
    assert hits >= 130


def test_an_undefined_figure_has_no_interval() -> None:
    found = return_intervals(np.zeros(50), periods_per_year=YEAR, samples=100, block_days=5, seed=1)
    assert found["sharpe_ratio"] is None
    assert found["total_return_pct"] is not None
    one_day = return_intervals(np.array([0.1]), periods_per_year=YEAR, samples=100, block_days=5, seed=1)
    assert set(one_day.values()) == {None}


def test_drawn_days_come_in_blocks_that_go_on_at_the_start() -> None:
    days = drawn_days(20, 33, samples=50, block_days=7, seed=1)
    assert days.shape == (50, 33)
    steps = np.diff(days, axis=1) % 20
    inside = np.arange(32) % 7 != 6
    assert (steps[:, inside] == 1).all()
