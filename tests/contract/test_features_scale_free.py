"""Adjusted prices carry the future in their level: the inputs of service `default` must not see the level."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from market.indicators import add_indicators
from tests.contract.table_rows import insert, scratch_warehouse, select, utc
from tests.contract.test_features_against_twin import CLEAN, WRITTEN_AT, parameters
from warehouse.features import feature_query

DEFAULT_INPUTS = (
    "rsi",
    "rsi_slope",
    "rsi_overbought",
    "rsi_oversold",
    "macd_histogram_pct",
    "macd_rising",
    "macd_cross_up",
    "pivot_high_flag",
    "pivot_low_flag",
    "adx",
    "plus_di",
    "minus_di",
    "in_rise_cycle",
    "rise_cycle_start",
    "golden_cross",
    "death_cross",
    "momentum_5d",
    "momentum_10d",
    "momentum_20d",
    "atr_pct",
    "volume_ratio",
    "mfi",
    "cci",
    "stoch_k",
    "stoch_d",
    "roc",
    "growth_score",
)
UTC_STAMP = pl.Datetime("us", "UTC")
PRICES = ("open", "high", "low", "close")
POWERS = {"S0": 1.0, "S1": 0.125, "S2": 4.0}
FACTORS = {"S3": 3.7, "S4": 0.0091}


def market(bars: int) -> pl.DataFrame:
    rng = np.random.default_rng(11)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, bars)))
    opened = close * (1 + rng.normal(0, 0.002, bars))
    return pl.DataFrame(
        {
            "asset_type": "stocks",
            "symbol": "S0",
            "datetime": pl.Series([utc("2015-01-01") + timedelta(days=i) for i in range(bars)]).cast(UTC_STAMP),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + rng.uniform(0.001, 0.02, bars)),
            "low": np.minimum(opened, close) * (1 - rng.uniform(0.001, 0.02, bars)),
            "close": close,
            "volume": rng.uniform(1e5, 1e6, bars),
        }
    )


@pytest.fixture(scope="module")
def features() -> dict[str, list[dict[str, Any]]]:
    """Features of one history at several price levels, by symbol."""
    history = market(900)
    scaled = [
        history.with_columns(pl.lit(symbol).alias("symbol"), *(pl.col(name) * factor for name in PRICES))
        for symbol, factor in (POWERS | FACTORS).items()
    ]
    rows = add_indicators(pl.concat(scaled), "wilder").drop("asset_type").to_dicts()
    warehouse = scratch_warehouse()
    insert(warehouse, CLEAN, [row | {"bar_known_at": row["datetime"], "ingested_at": WRITTEN_AT} for row in rows])
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(select(warehouse, feature_query(), parameters()), key=lambda row: row["datetime"]):
        found.setdefault(row["symbol"], []).append(row)
    return found


def values(rows: list[dict[str, Any]], column: str) -> np.ndarray:
    """One column; NULL is NaN."""
    return np.array([np.nan if row[column] is None else row[column] for row in rows], dtype=float)


@pytest.mark.parametrize("column", DEFAULT_INPUTS)
def test_an_input_is_the_same_at_every_price_level(features: dict[str, list[dict[str, Any]]], column: str) -> None:
    original = values(features["S0"], column)
    assert len(set(original[~np.isnan(original)])) > 1, "a constant proves nothing"
    for symbol in POWERS:
        np.testing.assert_allclose(values(features[symbol], column), original, rtol=1e-12, atol=1e-13, err_msg=symbol)
    for symbol in FACTORS:
        np.testing.assert_allclose(values(features[symbol], column), original, rtol=1e-6, atol=1e-8, err_msg=symbol)


@pytest.mark.parametrize("column", ["macd_histogram", "atr", "vwap_daily"])
def test_a_level_is_told_apart(features: dict[str, list[dict[str, Any]]], column: str) -> None:
    assert features["S2"][-1][column] == pytest.approx(4 * features["S0"][-1][column])
