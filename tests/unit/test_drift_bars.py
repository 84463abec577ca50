"""What bars say beside features: against one row computed by hand, and where there is nothing to say."""

from __future__ import annotations

import numpy as np
import pytest

from market import drift_weeks
from market.drift_bars import BARS, COMPANIONS, LOOKBACK_DAYS, PRICES, companions
from market.drift_basis import basis_of
from market.drift_grid import MISSING, ruler
from market.drift_weeks import CodedRows, measure_weeks, score_tables


def prices(bars: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, bars)))
    high, low = close * (1 + random.uniform(0, 0.02, bars)), close * (1 - random.uniform(0, 0.02, bars))
    return np.column_stack([close, high, low, random.uniform(0, 9, bars)])


def two_symbols() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.concatenate([prices(60), prices(47, seed=2)]), np.repeat([3, 8], [60, 47]), np.r_[:60, :47] + 18_000


def by_hand(bars: np.ndarray) -> dict[str, float]:
    """Of the last row, in loops."""
    close, high, low, volume = bars.T
    last = len(bars) - 1
    ranges, rises, falls, flows, amounts = [], [], [], [], []
    for i in range(1, len(bars)):
        ranges.append((max(high[i], close[i - 1]) - min(low[i], close[i - 1])) / close[i])
        rise, fall = high[i] - high[i - 1], low[i - 1] - low[i]
        rises.append(rise / close[i] if rise > fall and rise > 0 else 0.0)
        falls.append(fall / close[i] if fall > rise and fall > 0 else 0.0)
        now, before = (high[i] + low[i] + close[i]) / 3, (high[i - 1] + low[i - 1] + close[i - 1]) / 3
        amounts.append(now * volume[i])
        flows.append(amounts[-1] * np.sign(now - before))
    typical = (high + low + close)[-20:] / 3
    spread = np.mean([abs(one - typical.mean()) for one in typical])
    lowest, highest = min(low[-14:]), max(high[-14:])
    return {
        **{f"return_{bars}": np.log(close[last] / close[last - bars]) for bars in (1, 5, 10, 12, 20)},
        **{f"range_{bars}": np.log(sum(ranges[-bars:])) for bars in (5, 14, 28)},
        "spread_20": np.log(spread / close[last]),
        "step_1": np.log(close[last] / close[last - 1]) / sum(ranges[-14:]),
        "above_20": (typical[-1] - typical.mean()) / spread,
        "volume_20": np.log(volume[last] / sum(volume[-20:])),
        "flow_14": sum(flows[-14:]) / sum(amounts[-14:]),
        "up_14": sum(rises[-14:]) / sum(ranges[-14:]),
        "down_14": sum(falls[-14:]) / sum(ranges[-14:]),
        "place_14": (close[last] - lowest) / (highest - lowest),
        "strength_41": strength(close[-42:]),
        "turn_41": strength(close[-42:]) - strength(close[-43:-1]),
        "bend_41": bend(close[-42:]),
    }


def strength(close: np.ndarray) -> float:
    """Wilder's smoothed gains among smoothed moves, as if nothing had moved before."""
    gains = losses = 0.0
    for move in np.diff(np.log(close)):
        gains, losses = gains * 13 / 14 + max(move, 0), losses * 13 / 14 + max(-move, 0)
    return gains / (gains + losses)


def bend(close: np.ndarray) -> float:
    """The histogram of MACD 12, 26, 9 on logarithms of prices, as if nothing had moved before."""
    fast = slow = np.log(close[0])
    signal = 0.0
    for price in np.log(close[1:]):
        fast, slow = fast + (price - fast) * 2 / 13, slow + (price - slow) * 2 / 27
        signal += (fast - slow - signal) * 2 / 10
    return float(fast - slow - signal)


def test_each_figure_is_that_of_the_symbols_own_bars() -> None:
    given, symbol, day = two_symbols()
    found = companions(given, symbol, day)
    for row, first in ((59, 0), (42, 0), (106, 60), (102, 60)):
        assert dict(zip(COMPANIONS, found[row], strict=True)) == pytest.approx(by_hand(given[first : row + 1]))


def test_a_row_without_a_past_says_nothing() -> None:
    given, symbol, day = two_symbols()
    known = ~np.isnan(companions(given, symbol, day)).any(axis=1)
    assert np.flatnonzero(known).tolist() == [*range(42, 60), *range(102, 107)]
    gap = day.copy()
    gap[50:60] += LOOKBACK_DAYS - BARS + 1
    assert np.flatnonzero(~np.isnan(companions(given, symbol, gap)[:60, 0])).tolist() == [*range(42, 50)]


@pytest.mark.parametrize("column", range(4))
def test_a_missing_price_silences_the_bars_after_it_only(column: int) -> None:
    given, symbol, day = two_symbols()
    given[2, column] = np.nan
    known = ~np.isnan(companions(given, symbol, day)).any(axis=1)
    assert known[45:60].all() and known[102:].all()
    assert known[42] == (PRICES[column] != "close"), "the window of 41 moves reaches it, the others do not"


def test_flat_prices_without_volume_are_finite() -> None:
    given = np.column_stack([np.full((60, 3), 7.0), np.zeros(60)])
    found = companions(given, np.zeros(60, np.int64), np.arange(60))
    assert np.isfinite(found[BARS:]).all()


def test_columns_are_scores_squares_and_products_of_features_and_bars() -> None:
    values = np.sort(np.random.default_rng(1).standard_normal(5000))
    rulers = [ruler(values), ruler(np.array([0.0, 1.0])), ruler(values)]
    beside = np.random.default_rng(2).standard_normal((5000, len(COMPANIONS)))
    basis = basis_of(np.array([0, 2]), beside)
    given = np.array([[0.5, 1.0, -0.4], [np.nan, 0.0, 9.0]])
    codes = np.column_stack([one.codes(given[:, i]) for i, one in enumerate(rulers)])
    found = basis.values(codes, np.full_like(codes, MISSING), beside[:2], score_tables(rulers))
    assert found.shape == (2, basis.width) == (2, 4 * 2 + 3 * 19)
    assert found[0, :2] == pytest.approx([0.5, -0.4], abs=0.05)
    assert found[1, :2].tolist() == [0.0, 3.0], "missing is usual, and nothing is beyond three"
    assert found[:, 2:4] == pytest.approx((found[:, :2] ** 2 - 1) / np.sqrt(2))
    wild = found[:, 8 + COMPANIONS.index("range_14")]
    assert found[:, 4:6] == pytest.approx(found[:, :2] * wild[:, None])
    assert (found[:, 6:8] == 0).all(), "no bar before the week"
    active = np.array([False, True])
    assert basis.columns(active, with_before=False).tolist() == [1, 3, 5, *range(8, 65)]
    assert basis.columns(active, with_before=True).tolist() == [1, 3, 5, 7, *range(8, 65)]
    assert np.flatnonzero(basis.own(active, with_before=True)).tolist() == [1, 2]


def test_a_week_counts_rows_with_a_past_and_a_bar_the_week_before(monkeypatch: pytest.MonkeyPatch) -> None:
    given, symbol, day = two_symbols()
    values = np.random.default_rng(3).standard_normal(107)
    one = ruler(np.sort(values))
    rows = CodedRows(
        codes=one.codes(values)[:, None],
        day=day,
        symbol=symbol,
        direction=np.full(107, np.nan),
        volatility_pct=np.full(107, 2.0),
        trend=np.zeros(107, np.int8),
        prices=given,
    )
    basis = basis_of(np.array([0]), companions(given, symbol, day))
    week = measure_weeks(rows, [one], np.array([18_045]), 7, basis)
    assert (week.rows.tolist(), week.related.tolist()) == ([9], [9])
    absent = rows.take(np.flatnonzero((symbol == 8) | (day < 18_038) | (day >= 18_045)))
    assert measure_weeks(absent, [one], np.array([18_045]), 7, basis).related.tolist() == [2]
    assert measure_weeks(rows, [one], np.array([18_045]), 7).mean.shape == (1, 0)
    monkeypatch.setattr(drift_weeks, "RELATED_ROWS", 5)
    some = measure_weeks(rows, [one], np.array([18_045]), 7, basis)
    assert (some.rows.tolist(), some.related.tolist()) == ([9], [7]), "all bars of every second symbol"
