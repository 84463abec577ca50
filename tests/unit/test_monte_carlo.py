"""Simulated paths: worlds whose answer is known, laws, and a slow twin."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from market.errors import MetricError
from market.monte_carlo import LEVELS, Percentiles, bootstrap_days, permute_trades
from market.monte_carlo_null import null_of, series_starts, shift_shares, shifted_rows

ASKED: dict[str, Any] = {"paths": 400, "block_days": 5, "ruin_loss_pct": 50.0, "seed": 1}


def drawn(seed: int, days: int = 250, mean: float = 0.0005) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, 0.01, days)


def twin(returns: npt.NDArray[np.float64], days: int, paths: int, block: int, seed: int) -> dict[str, list[float]]:
    """The same draws in plain loops."""
    starts = np.random.default_rng(seed).integers(0, returns.size, size=(paths, -(-days // block)), dtype=np.int32)
    found: dict[str, list[float]] = {"total": [], "drawdown": [], "under": []}
    for path in range(paths):
        chosen = [returns[(start + k) % returns.size] for start in starts[path] for k in range(block)][:days]
        equity = [1.0]
        for one in chosen:
            equity.append(equity[-1] * (1 + one))
        peaks = [max(equity[: k + 1]) for k in range(len(equity))]
        longest = run = 0
        for value, peak in zip(equity, peaks, strict=True):
            run = run + 1 if value < peak else 0
            longest = max(longest, run)
        found["total"].append(equity[-1] - 1)
        found["drawdown"].append(min(v / p - 1 for v, p in zip(equity, peaks, strict=True)))
        found["under"].append(longest)
    return found


def test_paths_agree_with_plain_loops() -> None:
    returns = drawn(3, 61)
    ours = bootstrap_days(returns, paths=50, days=97, block_days=7, ruin_loss_pct=5.0, seed=9)
    theirs = twin(returns, 97, 50, 7, 9)
    assert ours is not None
    assert ours.total_return_pct == Percentiles(
        *(pytest.approx(100 * v, abs=1e-9) for v in (*np.percentile(theirs["total"], LEVELS), np.mean(theirs["total"])))
    )
    assert ours.max_drawdown_pct.p05 == pytest.approx(100 * np.percentile(theirs["drawdown"], 5))
    assert ours.days_under_water.p50 == np.percentile(theirs["under"], 50)
    assert ours.loss_probability == pytest.approx(np.mean(np.array(theirs["total"]) < 0))
    assert ours.fan.day[0] == 0
    assert ours.fan.day[-1] == 97
    assert ours.fan.equity[:, 0].tolist() == [1.0] * 7
    assert ours.fan.equity[3, -1] - 1 == pytest.approx(np.median(theirs["total"]))


def test_days_that_always_rise_never_lose_and_days_that_always_fall_are_ruin() -> None:
    up = bootstrap_days(np.full(100, 0.01), **ASKED)
    down = bootstrap_days(np.full(100, -0.01), **ASKED)
    assert up is not None
    assert down is not None
    assert (up.loss_probability, up.ruin_probability, up.days_under_water.p99, up.max_drawdown_pct.p01) == (0, 0, 0, 0)
    assert up.total_return_pct.p50 == pytest.approx(100 * (1.01**100 - 1))
    assert (down.loss_probability, down.ruin_probability, down.days_under_water.p01) == (1, 1, 100)
    assert down.max_drawdown_pct.p50 == pytest.approx(100 * (0.99**100 - 1))


def test_the_chance_of_loss_of_independent_days_is_the_normal_one() -> None:
    mean, deviation, days = 0.0004, 0.01, 250
    returns = np.random.default_rng(8).normal(0, 1, 4000)
    returns = (returns - returns.mean()) / returns.std() * deviation + mean
    found = bootstrap_days(returns, paths=20_000, days=days, block_days=1, ruin_loss_pct=50, seed=2)
    assert found is not None
    log_mean = days * float(np.log1p(returns).mean())
    expected = 0.5 * math.erfc(log_mean / (math.sqrt(days) * float(np.log1p(returns).std())) / math.sqrt(2))
    assert found.loss_probability == pytest.approx(expected, abs=0.015)


def test_the_same_seed_gives_the_same_paths_and_another_one_others() -> None:
    returns = drawn(1)
    assert bootstrap_days(returns, **ASKED).total_return_pct == bootstrap_days(returns, **ASKED).total_return_pct  # type: ignore[union-attr]
    other = bootstrap_days(returns, **{**ASKED, "seed": 2})
    assert bootstrap_days(returns, **ASKED).total_return_pct != other.total_return_pct  # type: ignore[union-attr]


def test_longer_blocks_keep_wild_days_together() -> None:
    """Calm and wild months: single days mix them, months drawn whole end further apart."""
    generator = np.random.default_rng(5)
    returns = np.concatenate([generator.choice([-1, 1]) * 0.004 + generator.normal(0, 0.002, 25) for _ in range(40)])
    days = bootstrap_days(returns, **{**ASKED, "paths": 3000, "block_days": 1})
    months = bootstrap_days(returns, **{**ASKED, "paths": 3000, "block_days": 25})
    assert days is not None
    assert months is not None
    assert months.total_return_pct.p95 - months.total_return_pct.p05 > 2 * (
        days.total_return_pct.p95 - days.total_return_pct.p05
    )


def test_percentiles_rise_and_the_fan_does_not_cross() -> None:
    found = bootstrap_days(drawn(2), **ASKED)
    assert found is not None
    for one in (found.total_return_pct, found.max_drawdown_pct, found.days_under_water):
        assert one.p01 <= one.p05 <= one.p25 <= one.p50 <= one.p75 <= one.p95 <= one.p99
    assert (np.diff(found.fan.equity, axis=0) >= 0).all()


def test_nothing_can_be_drawn_from_one_day_or_one_trade() -> None:
    assert bootstrap_days(np.array([0.01]), **ASKED) is None
    assert permute_trades(np.array([5.0]), 100.0, paths=10, ruin_loss_pct=50, seed=1) is None


def test_every_order_of_trades_ends_alike_and_only_the_way_differs() -> None:
    # +10 and -10 on a capital of 100: falling first is a drawdown of 10%, falling last one of 10 / 110
    found = permute_trades(np.array([10.0, -10.0]), 100.0, paths=4000, ruin_loss_pct=50, seed=3)
    assert found is not None
    assert found.max_drawdown_pct.p01 == pytest.approx(-10)
    assert found.max_drawdown_pct.p99 == pytest.approx(-100 / 11)
    assert found.max_drawdown_pct.mean == pytest.approx(-(10 + 100 / 11) / 2, abs=0.05)
    assert found.drawdown_rank == pytest.approx(0.5, abs=0.05)
    assert (found.trades_under_water.p01, found.trades_under_water.p99) == (1, 1)


def test_ruin_counts_orders_that_passed_through_it() -> None:
    # only the order that loses first touches half of the capital
    found = permute_trades(np.array([60.0, -50.0]), 100.0, paths=4000, ruin_loss_pct=50, seed=3)
    assert found is not None
    assert found.ruin_probability == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("wrong", [{"paths": 0}, {"block_days": 0}, {"ruin_loss_pct": 0.0}, {"ruin_loss_pct": 101.0}])
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MetricError):
        bootstrap_days(drawn(1), **{**ASKED, **wrong})


def test_missing_returns_are_refused() -> None:
    with pytest.raises(MetricError, match="finite"):
        bootstrap_days(np.array([0.1, math.nan]), **ASKED)
    with pytest.raises(MetricError, match="finite"):
        permute_trades(np.array([1.0, math.inf]), 100.0, paths=10, ruin_loss_pct=50, seed=1)


def test_a_shuffle_moves_each_series_round_itself() -> None:
    starts = series_starts(np.array(["a", "a", "a", "b", "c", "c"]))
    assert starts.tolist() == [0, 3, 4, 6]
    assert shifted_rows(starts, 0.0).tolist() == [1, 2, 0, 3, 5, 4]
    assert shifted_rows(starts, 0.9).tolist() == [2, 0, 1, 3, 5, 4]


def test_a_shuffle_is_a_permutation_that_leaves_no_row_in_place() -> None:
    starts = np.array([0, 40, 73])
    for share in shift_shares(50, seed=1):
        rows = shifted_rows(starts, share)
        assert sorted(rows.tolist()) == list(range(73))
        assert (rows != np.arange(73)).all()
        assert (rows[:40] < 40).all()


def test_series_of_one_length_are_moved_alike() -> None:
    rows = shifted_rows(np.array([0, 10, 20]), 0.5)
    assert (rows[10:] - rows[:10] == 10).all()


def test_a_rank_among_shuffles_counts_ties_against_the_real_one() -> None:
    found = null_of(1.0, np.array([0.0, 1.0, 2.0, math.nan]))
    assert found is not None
    assert (found.shuffles, found.real, found.p_value) == (4, 1.0, (1 + 2) / 5)
    assert found.shuffled.mean == 0.75
    assert null_of(None, np.array([1.0])) is None
    assert null_of(1.0, np.array([])) is None


def test_a_real_result_without_timing_has_any_rank_alike() -> None:
    generator = np.random.default_rng(6)
    values = [null_of(generator.normal(), generator.normal(size=19)).p_value for _ in range(2000)]  # type: ignore[union-attr]
    assert np.mean(values) == pytest.approx(0.525, abs=0.02)
    assert np.mean(np.array(values) <= 0.05) == pytest.approx(0.05, abs=0.015)
