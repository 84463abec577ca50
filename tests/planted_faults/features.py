"""Faults in indicators and in the feature query: columns that know what comes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import polars as pl

import market.indicators
from market.indicators import OUTPUT_COLUMNS
from tests.planted_faults.fault import Fault, Naming
from tests.planted_faults.seams import feature_query, replaced

CANARY = Naming("canary", r"\w+ (matched random walk|simulated noise symbols)")
SAMPLE_ROW = "SAFE_DIVIDE(close - close_{n}, close_{n}) * 100 AS momentum_{n}d"


def feature(column: str, reach: str = "") -> Naming:
    """The truncation proof names a stored column, and how far ahead it sees."""
    return Naming("truncation", f"feature {column}", reach)


def lead_pivots() -> AbstractContextManager[None]:
    return feature_query(
        (
            "LAG(high, 4) OVER past AS high_4,",
            "LAG(high, 4) OVER past AS high_4, LEAD(high, 1) OVER past AS high_next_1, "
            "LEAD(high, 2) OVER past AS high_next_2, LEAD(low, 1) OVER past AS low_next_1, "
            "LEAD(low, 2) OVER past AS low_next_2,",
        ),
        (
            "IF(high_2 > high_4 AND high_2 > high_3 AND high_2 > high_1 AND high_2 > high, 1, 0) AS pivot_high_flag",
            "IF(high > GREATEST(high_2, high_1, high_next_1, high_next_2), 1, 0) AS pivot_high_flag",
        ),
        (
            "IF(low_2 < low_4 AND low_2 < low_3 AND low_2 < low_1 AND low_2 < low, 1, 0) AS pivot_low_flag",
            "IF(low < LEAST(low_2, low_1, low_next_1, low_next_2), 1, 0) AS pivot_low_flag",
        ),
    )


def centred_mean() -> AbstractContextManager[None]:
    return feature_query(
        (
            "LAG(close, 10) OVER past AS close_10,",
            "LAG(close, 10) OVER past AS close_10, AVG(close) OVER centred AS close_centred,",
        ),
        (
            "    past AS (PARTITION BY symbol ORDER BY datetime),",
            "    past AS (PARTITION BY symbol ORDER BY datetime), centred AS "
            "(PARTITION BY symbol ORDER BY datetime ROWS BETWEEN 5 PRECEDING AND 5 FOLLOWING),",
        ),
        (SAMPLE_ROW.format(n=10), "SAFE_DIVIDE(close - close_centred, close_centred) * 100 AS momentum_10d"),
    )


def centred_indicator() -> AbstractContextManager[None]:
    original = market.indicators.add_indicators

    def centred(bars: pl.DataFrame, variant: Any, **named: Any) -> pl.DataFrame:
        mean = pl.col("volume").rolling_mean(21, center=True, min_samples=11).over("symbol")
        return original(bars, variant, **named).with_columns(volume_ratio=pl.col("volume") / mean)

    return replaced(original, centred)


def label_renamed() -> AbstractContextManager[None]:
    outcome = "CASE WHEN next_close > close THEN 1.0 WHEN next_close <= close THEN 0.0 END"
    return feature_query((SAMPLE_ROW.format(n=5), f"{outcome} AS momentum_5d"))


def same_day_close() -> AbstractContextManager[None]:
    """The crypto bar of a date closes hours after the exchange."""
    return feature_query(
        (
            "WITH bars AS (",
            "WITH same_day AS (SELECT datetime, AVG(percent_change) AS crypto_change "
            "FROM `crypto_trading_data.crypto_daily_clean` GROUP BY datetime),\n\nbars AS (",
        ),
        ("FROM looked_back", "FROM looked_back LEFT JOIN same_day USING (datetime)"),
        (SAMPLE_ROW.format(n=20), "crypto_change AS momentum_20d"),
    )


def backfilled() -> AbstractContextManager[None]:
    original = market.indicators.add_indicators

    def filled(bars: pl.DataFrame, variant: Any, **named: Any) -> pl.DataFrame:
        return original(bars, variant, **named).with_columns(
            pl.col(*OUTPUT_COLUMNS).fill_null(strategy="backward").over("symbol")
        )

    return replaced(original, filled)


def backfilled_weekly() -> AbstractContextManager[None]:
    """A figure that is published with every fifth bar, filled backwards over the bars before it."""
    published = "IF(MOD(bar_number, 5) = 0, close_20, NULL)"
    filled = (
        f"FIRST_VALUE({published} IGNORE NULLS) OVER (PARTITION BY symbol ORDER BY datetime "
        "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"
    )
    return feature_query((SAMPLE_ROW.format(n=20), f"SAFE_DIVIDE(close - {filled}, {filled}) * 100 AS momentum_20d"))


def future_adjusted() -> AbstractContextManager[None]:
    """A price level among scale-free features: adjusted prices carry later splits and dividends in it."""
    return feature_query(
        ("SAFE_DIVIDE(macd_histogram, close) * 100 AS macd_histogram_pct", "macd_histogram AS macd_histogram_pct")
    )


def label_of_unknown_future() -> AbstractContextManager[None]:
    return feature_query(
        (
            "CASE WHEN next_close > close THEN 1 WHEN next_close <= close THEN 0 END AS target_direction",
            "IF(next_close > close, 1, 0) AS target_direction",
        )
    )


FEATURE_FAULTS = (
    Fault(
        "LEAD pivots",
        "a pivot compares its bar with the next two bars",
        lead_pivots,
        (feature("pivot_(high|low)_flag", "up to 2 bars before the cut"),),
        (CANARY,),
    ),
    Fault(
        "centred rolling mean",
        "a mean of the five bars before and the five after",
        centred_mean,
        (feature("momentum_10d", "up to 5 bars before the cut"),),
        (CANARY,),
    ),
    Fault(
        "centred indicator",
        "volume against a mean centred on its bar",
        centred_indicator,
        (Naming("truncation", "indicator volume_ratio", "up to 10 bars before the cut"),),
        (CANARY, feature("volume_ratio_clean")),
        is_variant=True,
    ),
    Fault(
        "label under another name",
        "the next bar's direction stored as a momentum",
        label_renamed,
        (feature("momentum_5d", "up to 1 bars before the cut"),),
        (CANARY,),
    ),
    Fault(
        "same-day close of another class",
        "the crypto close of a date among the features of stocks, whose session ended hours before",
        same_day_close,
        (feature("momentum_20d"),),
    ),
    Fault(
        "backfilled warm-up",
        "indicators of the first bars filled with the first value that is known",
        backfilled,
        (Naming("truncation", "indicator sma_200"),),
        (Naming("truncation", r"(indicator|feature|matrix column) \w+"), CANARY),
        is_variant=True,
    ),
    Fault(
        "backfilled values",
        "a figure of every fifth bar filled backwards",
        backfilled_weekly,
        (feature("momentum_20d", r"up to \d+ bars before the cut"),),
        (CANARY,),
    ),
    Fault(
        "future-adjusted prices",
        "a feature in the unit of prices, which are adjusted for what came later",
        future_adjusted,
        (Naming("scale", "feature macd_histogram_pct"),),
        (Naming("scale", "feature macd_atr_interaction"),),
    ),
    Fault(
        "NULL label turned to 0",
        "the newest bar, which has no next one, is labelled DOWN",
        label_of_unknown_future,
        (Naming("labels", "target_direction", "of .* labels differ"),),
        (Naming("labels", ".*"), Naming("time", "label known exactly where there is one")),
    ),
)
