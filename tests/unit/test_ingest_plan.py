from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from warehouse.ingest_plan import KEY, PRICES, plan_ingest

DAY = datetime(2024, 1, 1, tzinfo=UTC)
ARRIVAL = datetime(2024, 2, 1, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")


def bars(closes: dict[int, float]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "asset_type": ["crypto"] * len(closes),
            "symbol": ["BTC/USDT"] * len(closes),
            "datetime": [DAY + timedelta(days=day) for day in closes],
            **{name: list(closes.values()) for name in PRICES},
            "bar_known_at": [DAY + timedelta(days=day + 1) for day in closes],
        },
        schema_overrides={"datetime": TIME, "bar_known_at": TIME},
    )


def stored(closes: dict[int, float], at: datetime) -> pl.DataFrame:
    return bars(closes).with_columns(ingested_at=pl.lit(at).cast(TIME))


NOTHING = stored({0: 1.0}, ARRIVAL).clear()


def test_a_first_load_is_all_new_and_known_when_its_bars_closed() -> None:
    plan = plan_ingest(NOTHING, bars({0: 10.0, 1: 11.0}), source="parquet", ingested_at=ARRIVAL)
    assert (plan.new, plan.changed) == (2, 0)
    assert plan.versions["knowledge_at"].to_list() == [DAY + timedelta(days=1), DAY + timedelta(days=2)]
    assert plan.versions["is_backfill"].to_list() == [True, True]
    assert plan.versions.select(*KEY, "close").rows() == bars({0: 10.0, 1: 11.0}).select(*KEY, "close").rows()


def test_the_same_bars_again_change_nothing() -> None:
    old = stored({0: 10.0, 1: 11.0}, DAY)
    plan = plan_ingest(old, bars({0: 10.0, 1: 11.0}), source="parquet", ingested_at=ARRIVAL)
    assert (plan.new, plan.changed, plan.versions.height) == (0, 0, 0)


def test_a_correction_is_appended_and_known_from_its_arrival_only() -> None:
    plan = plan_ingest(stored({0: 10.0, 1: 11.0}, DAY), bars({1: 12.0, 2: 13.0}), source="csv", ingested_at=ARRIVAL)
    assert (plan.new, plan.changed) == (1, 1)
    assert plan.versions.select("close", "knowledge_at", "is_backfill", "source").rows() == [
        (12.0, ARRIVAL, False, "csv"),
        (13.0, DAY + timedelta(days=3), True, "csv"),
    ]


def test_bars_that_the_source_no_longer_gives_stay() -> None:
    plan = plan_ingest(stored({0: 10.0, 1: 11.0}, DAY), bars({1: 11.0}), source="csv", ingested_at=ARRIVAL)
    assert (plan.new, plan.changed, plan.versions.height) == (0, 0, 0)
