"""Indicators that go on from stored values equal those of the whole history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from market.incremental import HISTORY_BARS, continued_indicators
from market.indicators import INDICATOR_COLUMNS, Variant, add_indicators

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
LENGTH = 2500


def history(seed: int, *, fall: float = 0.0) -> pl.DataFrame:
    """A random walk; with `fall` the price loses that factor of ten over its length."""
    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.normal(-fall * np.log(10.0) / LENGTH, 0.02, LENGTH)))
    opened = np.concatenate((close[:1], close[:-1]))
    return pl.DataFrame(
        {
            "asset_type": "crypto",
            "symbol": "A/USD",
            "datetime": [FIRST + timedelta(days=day) for day in range(LENGTH)],
            "open": opened,
            "high": np.maximum(opened, close) * 1.01,
            "low": np.minimum(opened, close) * 0.99,
            "close": close,
            "volume": random.lognormal(8.0, 1.0, LENGTH),
        }
    )


def gone_on(bars: pl.DataFrame, changed: int, variant: Variant) -> pl.DataFrame:
    """Indicators from bar `changed` on, from the bars and the state that a warehouse would give."""
    whole = add_indicators(bars, variant)
    before = bars.head(changed)
    typical = (before["high"] + before["low"] + before["close"]) / 3
    state = pl.DataFrame(
        {
            "symbol": ["A/USD"],
            "obv": [whole["obv"][changed - 1]],
            "ema_200": [whole["ema_200"][changed - 1]],
            "total_volume": [before["volume"].sum()],
            "total_price_volume": [(typical * before["volume"]).sum()],
        }
    )
    read = bars.slice(changed - HISTORY_BARS).with_columns(changed_from=bars["datetime"][changed])
    return continued_indicators(read, state, variant)


@pytest.mark.parametrize("variant", ["wilder", "vendor"])
@pytest.mark.parametrize("changed", [2049, 2400, LENGTH - 1])
def test_a_bounded_history_and_the_stored_values_give_the_whole_history_s_indicators(
    variant: Variant, changed: int
) -> None:
    bars = history(1)
    found = gone_on(bars, changed, variant).select(INDICATOR_COLUMNS)
    wanted = add_indicators(bars, variant).slice(changed).select(INDICATOR_COLUMNS)
    assert_frame_equal(found, wanted, rel_tol=1e-9, abs_tol=0.0)


def test_a_price_that_lost_seven_digits_still_has_its_long_average() -> None:
    bars = history(2, fall=7.0)
    found = gone_on(bars, 2450, "wilder")["ema_200"]
    wanted = add_indicators(bars, "wilder")["ema_200"].slice(2450)
    assert_frame_equal(found.to_frame(), wanted.to_frame(), rel_tol=1e-12, abs_tol=0.0)
    restarted = add_indicators(bars.slice(2450 - HISTORY_BARS), "wilder")["ema_200"].slice(HISTORY_BARS)
    assert abs(restarted[0] / wanted[0] - 1) > 1e-9, "a bounded history alone would not do"


def test_a_symbol_without_state_is_computed_from_its_first_bar() -> None:
    bars = history(3).head(210)
    no_state = pl.DataFrame(schema=dict.fromkeys(("obv", "ema_200"), pl.Float64) | {"symbol": pl.String})
    found = continued_indicators(bars.with_columns(changed_from=bars["datetime"][195]), no_state, "wilder")
    assert found["ema_200"].is_null().to_list() == [True] * 4 + [False] * 11
    assert found["obv"].to_list() == add_indicators(bars, "wilder")["obv"].to_list()[195:]
