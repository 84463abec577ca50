"""Pages of the record, against the same question put to polars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving import snapshot_columns
from serving.snapshot_columns import RecordColumns
from serving.snapshot_rows import WalkForwardRow

FIRST = datetime(1969, 12, 29, tzinfo=UTC)
"""Days on both sides of the epoch: times before it are negative."""
CLASSES = ("stocks", "etf", "crypto")
SIGNALS = ("BUY", "SELL", "HOLD")
row = st.tuples(
    st.sampled_from(CLASSES),
    st.sampled_from(["A", "B", "C"]),
    st.integers(0, 6),
    st.floats(0, 1),
    st.sampled_from(SIGNALS),
    st.sampled_from(["HIGH", "MEDIUM", "LOW"]),
    st.sampled_from([None, "CONSOLIDATION", "WEAK_UPTREND"]),
    st.none() | st.floats(0, 100),
)


def frame(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    values = [
        {
            **dict.fromkeys(WalkForwardRow.__dataclass_fields__),
            "asset_type": asset_type, "symbol": symbol, "datetime": FIRST + timedelta(days=day),
            "bar_known_at": FIRST + timedelta(days=day, hours=20), "price": 1.0, "up_probability": p, "signal": signal,
            "confidence_level": level, "trend_regime": regime, "rsi": rsi, "growth_score": None,
            "predicted_direction": 1,
            "pivot_low_flag": 0, "rise_cycle_start": 0, "golden_cross": 1,
        }
        for asset_type, symbol, day, p, signal, level, regime, rsi in rows
    ]  # fmt: skip
    stamps = dict.fromkeys(("datetime", "bar_known_at"), pl.Datetime("us", "UTC"))
    types = {"rsi": pl.Float64, "growth_score": pl.Int64, "trend_regime": pl.String}
    made = pl.DataFrame(values, schema_overrides={**stamps, **types})
    return made.sort("datetime", "asset_type", "symbol", descending=[True, False, False], maintain_order=True)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(row, min_size=1, max_size=40),
    classes=st.sets(st.sampled_from(CLASSES), min_size=1),
    symbol=st.none() | st.sampled_from(["A", "Z"]),
    days=st.none() | st.tuples(st.integers(-1, 7), st.integers(-1, 7)),
    just_before_midnight=st.booleans(),
    wanted=st.fixed_dictionaries({}, optional={"signal": st.sampled_from(SIGNALS), "confidence_level": st.just("LOW")}),
    offset=st.integers(0, 5),
    limit=st.integers(1, 10),
)
def test_a_page_is_what_a_filter_over_all_rows_gives(
    rows: list[Any],
    classes: set[Any],
    symbol: str | None,
    days: Any,
    just_before_midnight: bool,
    wanted: Any,
    offset: int,
    limit: int,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_columns, "CHUNK", 3)
        table = frame(rows).with_row_index("position")
        columns = RecordColumns(table)
        span = [None if days is None else FIRST + timedelta(days=day) for day in (days or (0, 0))]
        if span[1] is not None and just_before_midnight:
            span[1] += timedelta(days=1, microseconds=-1)
        parts = [columns.within(name, symbol=symbol, date_from=span[0], date_to=span[1]) for name in sorted(classes)]
        page = columns.page(columns.merged(parts), wanted, offset, limit)
    scope = table.filter(pl.col("asset_type").is_in(list(classes)))
    if symbol is not None:
        scope = scope.filter(pl.col("symbol") == symbol)
    if days is not None:
        scope = scope.filter(pl.col("datetime").is_between(span[0], span[1]))
    expected = scope.filter(*(pl.col(name) == value for name, value in wanted.items())).slice(offset, limit)
    assert page.tolist() == expected["position"].to_list()
    assert columns.texts("symbol", page) == expected["symbol"].to_list()
    assert columns.texts("trend_regime", page) == expected["trend_regime"].to_list()
    assert columns.numbers("rsi", page) == expected["rsi"].to_list()
    assert columns.numbers("growth_score", page) == [None] * len(page)
    assert columns.minutes(page) == expected["datetime"].dt.strftime("%Y-%m-%d %H:%M").to_list()
    assert columns.newest_known_at(page) == expected["bar_known_at"].max()
    for name, part in zip(sorted(classes), parts, strict=True):
        own = scope.filter(pl.col("asset_type") == name)
        found = columns.newest(part)
        assert (found is None) == own.is_empty()
        if found is not None:
            newest = own.filter(pl.col("datetime") == pl.col("datetime").max())
            assert found.positions.tolist() == newest["position"].to_list()
            assert found.stamp == newest["datetime"][0]
            assert columns.counts(found.positions, {"signal": "BUY"}) == newest.filter(pl.col("signal") == "BUY").height
