"""A re-adjusted overlap shows as one ratio; everything else is a correction of single bars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from market.readjustment import find_readjustments, rescaled, unproven_readjustments
from warehouse.ingest_plan import RESCALED, plan_ingest

START = datetime(2024, 1, 1, tzinfo=UTC)
ARRIVAL = datetime(2024, 3, 1, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")


def series(days, *, symbol="BTC/USDT", price=1.0, volume=1.0, decimals=12, seed=3):
    """Bars of the given days out of one fixed random walk, in a scale of their own."""
    rng = np.random.default_rng([seed, *symbol.encode()])
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, 400)))
    opens = close * np.exp(rng.normal(0, 0.01, 400))
    turnover = rng.integers(100, 1000, 400).astype(float)
    days = list(days)
    frame = pl.DataFrame(
        {
            "asset_type": "crypto",
            "symbol": symbol,
            "datetime": [START + timedelta(days=day) for day in days],
            "open": opens[days] * price,
            "high": np.maximum(opens, close)[days] * 1.01 * price,
            "low": np.minimum(opens, close)[days] * 0.99 * price,
            "close": close[days] * price,
            "volume": turnover[days] * volume,
            "bar_known_at": [START + timedelta(days=day + 1) for day in days],
        },
        schema_overrides={"datetime": TIME, "bar_known_at": TIME},
    )
    return frame.with_columns(pl.col("open", "high", "low", "close").round(decimals))


def stored(days, **scale):
    return series(days, **scale).with_columns(ingested_at=pl.lit(START).cast(TIME))


def planned(history, incoming):
    overlap = history.join(incoming, on=["asset_type", "symbol", "datetime"], how="semi")
    found = find_readjustments(overlap, incoming)
    return plan_ingest(overlap, incoming, source="csv", ingested_at=ARRIVAL, history=history, readjustments=found)


@pytest.mark.parametrize(
    ("price", "volume", "what"),
    [
        (0.98, 1.0, "a dividend of two percent"),
        (0.9988, 1.0, "a small dividend"),
        (0.25, 4.0, "a 4:1 split with volume"),
        (0.25, 1.0, "a 4:1 split, volume as traded"),
        (20.0, 0.05, "a 1:20 reverse split"),
    ],
)
def test_a_constant_ratio_rescales_the_whole_stored_history(price, volume, what):
    plan = planned(stored(range(100)), series(range(90, 101), price=price, volume=volume))
    (found,) = plan.readjustments
    assert found.price_factor == pytest.approx(price, rel=1e-9), what
    assert found.volume_factor == pytest.approx(volume, rel=1e-9), what
    assert (plan.new, plan.changed, plan.rescaled) == (1, 10, 90)
    one_scale = series(range(101), price=price, volume=volume)
    versions = plan.versions.sort("datetime")
    for name in ("open", "high", "low", "close", "volume"):
        assert versions[name].to_numpy() == pytest.approx(one_scale[name].to_numpy(), rel=1e-9)


def test_rescaled_versions_say_where_they_come_from_and_are_known_from_their_arrival():
    plan = planned(stored(range(10)), series(range(5, 11), price=0.98))
    told = plan.versions.sort("datetime").select("source", "knowledge_at", "is_backfill").unique(maintain_order=True)
    assert told.rows() == [
        ("csv" + RESCALED, ARRIVAL, False),
        ("csv", ARRIVAL, False),
        ("csv", START + timedelta(days=11), True),
    ]
    assert plan.versions["bar_known_at"].min() == START + timedelta(days=1)


def test_only_the_readjusted_symbol_of_a_file_is_touched():
    history = pl.concat([stored(range(50)), stored(range(50), symbol="ETH/USDT")])
    incoming = pl.concat([series(range(40, 51), price=0.98), series(range(40, 51), symbol="ETH/USDT")])
    plan = planned(history, incoming)
    assert [found.symbol for found in plan.readjustments] == ["BTC/USDT"]
    assert plan.versions.group_by("symbol").len().sort("symbol").rows() == [("BTC/USDT", 51), ("ETH/USDT", 1)]


def test_a_complete_history_replaces_and_rescales_nothing():
    plan = planned(stored(range(50)), series(range(51), price=0.98))
    assert (plan.new, plan.changed, plan.rescaled) == (1, 50, 0)
    assert plan.versions["source"].unique().to_list() == ["csv"]


def test_stored_bars_inside_the_overlap_that_the_source_lacks_are_rescaled_too():
    days = [day for day in range(40, 51) if day != 45]
    plan = planned(stored(range(50)), series(days, price=0.5, volume=2.0))
    assert plan.rescaled == 41
    hole = plan.versions.filter(pl.col("datetime") == START + timedelta(days=45))
    assert hole["close"].item() == pytest.approx(series([45], price=0.5)["close"].item())


def test_an_overlap_that_reaches_past_the_dividend_keeps_its_newer_part():
    """Stored after the ex-date already in the new scale: only the older bars moved."""
    incoming = pl.concat([series(range(40, 46), price=0.98), series(range(46, 51))])
    plan = planned(stored(range(50)), incoming)
    (found,) = plan.readjustments
    assert (found.until, found.bars) == (START + timedelta(days=45), 6)
    assert (plan.new, plan.changed, plan.rescaled) == (1, 6, 40)


def test_a_split_that_only_the_incoming_bars_show_as_a_jump_is_their_fault():
    incoming = pl.concat([series(range(40, 46), price=10.0), series(range(46, 51))])
    assert planned(stored(range(50)), incoming).readjustments == []


def test_rounded_prices_still_show_their_ratio():
    plan = planned(stored(range(100), decimals=2), series(range(80, 101), price=0.98, decimals=2))
    assert plan.readjustments[0].price_factor == pytest.approx(0.98, abs=1e-4)


@pytest.mark.parametrize(
    "incoming",
    [
        series(range(90, 100)),
        series(range(90, 100)).with_columns(close=pl.col("close") * 0.999),
        series(range(90, 100), decimals=3),
        series(range(90, 100)).with_columns(pl.col("open", "high", "low", "close") * np.linspace(0.97, 0.99, 10)),
        series(range(90, 100), price=0.98, volume=7.0),
        series([95], price=0.98),
        series(range(100, 110), price=0.98),
    ],
    ids=["equal", "only the close", "rounding", "no constant ratio", "volume of its own", "a single bar", "no overlap"],
)  # fmt: skip
def test_other_differences_are_corrections_of_single_bars(incoming):
    plan = planned(stored(range(100)), incoming)
    assert plan.readjustments == []
    assert plan.rescaled == 0


def test_a_single_bar_of_another_scale_is_no_proof_and_is_named():
    history = stored(range(100))
    unproven = unproven_readjustments(history, series([99, 100], price=0.98))
    assert unproven.select("symbol", "datetime").rows() == [("BTC/USDT", START + timedelta(days=99))]
    assert unproven["price_factor"].item() == pytest.approx(0.98)
    corrected = series([99, 100]).with_columns(close=pl.col("close") * 0.98)
    for incoming in (corrected, series([99, 100]), series([98, 99], price=0.98), series([100, 101], price=0.98)):
        assert unproven_readjustments(history, incoming).is_empty()


@hypothesis_settings(max_examples=40, deadline=None)
@given(
    price=st.floats(0.05, 20).filter(lambda ratio: abs(ratio - 1) > 1e-3),
    inverse=st.booleans(),
    overlap=st.integers(2, 30),
)
def test_any_ratio_is_found_and_its_application_closes_the_seam(price, inverse, overlap):
    volume = 1 / price if inverse else 1.0
    history = stored(range(60))
    (found,) = find_readjustments(history, series(range(60 - overlap, 60), price=price, volume=volume))
    assert found.price_factor == pytest.approx(price, rel=1e-9)
    whole = rescaled(history, [found])
    assert whole["close"].to_numpy() == pytest.approx(series(range(60), price=price)["close"].to_numpy(), rel=1e-9)
