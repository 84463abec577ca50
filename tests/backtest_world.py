"""A small warehouse with simulated bars and a published record whose probabilities are the simulator's own truth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from configs.settings import Settings, load_settings
from flows.context import Context
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from market.assets import CLEAN_TABLES, AssetType
from market.simulate import simulate_market
from tests.contract.table_rows import insert
from warehouse.engines import open_warehouse

RECORD = "ml_models.walk_forward_predictions_v2"
LIVE = "ml_models.realtime_predictions"
SPANS: dict[AssetType, tuple[date, date]] = {
    "stocks": (date(2023, 10, 2), date(2024, 5, 31)),
    "crypto": (date(2023, 12, 1), date(2024, 6, 15)),
}
INFERENCE_FROM = date(2024, 3, 15)
"""Before it the record comes from a fold's model, from it on from daily inference."""

CLASSES: tuple[AssetType, ...] = ("stocks", "crypto")
SYMBOLS = 5


@dataclass(frozen=True)
class BacktestWorld:
    """Settings and an open context of one home, and what was written into it."""

    settings: Settings
    context: Context
    record: pl.DataFrame


def settings_at(home: Path) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        return load_settings("test")


def make_world(home: Path) -> BacktestWorld:
    """Bars of two classes and predictions on all of them; stocks carry the truth, crypto does too."""
    settings = settings_at(home)
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    records = []
    for name in CLASSES:
        bars, record = class_rows(name)
        insert(warehouse, CLEAN_TABLES[name], bars.iter_rows(named=True))
        insert(warehouse, RECORD, record.iter_rows(named=True))
        versions = bars.head(1).select("symbol", "datetime", "open", "high", "low", "close", "volume")
        made = {"asset_type": name, "interval": "1d", "source": "simulated"}
        insert(warehouse, "tradehits.bar_versions", [{**row, **made} for row in versions.iter_rows(named=True)])
        records.append(record)
    context = Context(settings, warehouse, LogReporter(), PlainTasks())
    return BacktestWorld(settings, context, pl.concat(records))


def class_rows(name: AssetType, *, seed: int = 5) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bars with an ATR, and the record: the simulator's probability, the real outcome, the split of the date."""
    start, end = SPANS[name]
    market = simulate_market(name, seed=seed, start=start, end=end, planted_symbols=SYMBOLS - 1, noise_symbols=1)
    key = ["asset_type", "symbol", "datetime"]
    bars = market.bars.with_columns(
        atr=(pl.col("high") - pl.col("low")).rolling_mean(14).over("symbol"),
        following=pl.col("close").shift(-1).over("symbol"),
    )
    record = bars.join(market.oracle, on=key).select(
        *key,
        "close",
        "atr",
        growth_score=pl.lit(50, dtype=pl.Int64),
        trend_regime=pl.lit("CONSOLIDATION"),
        up_probability="up_probability",
        predicted_direction=(pl.col("up_probability") >= 0.5).cast(pl.Int64),
        actual_direction=(pl.col("following") > pl.col("close")).cast(pl.Int64),
        forward_return_pct=100 * (pl.col("following") / pl.col("close") - 1),
        data_split=pl.when(pl.col("datetime").dt.year() <= 2023).then(pl.lit("TEST")).otherwise(pl.lit("VALIDATE")),
        model_version=pl.lit(f"walk_forward_{name}/1"),
        fold=pl.when(pl.col("datetime").dt.date() < INFERENCE_FROM).then(3).otherwise(-1).cast(pl.Int64),
    )
    return bars.drop("asset_type", "following").sort("symbol", "datetime"), record.sort(key)
