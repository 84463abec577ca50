"""Benchmark `drift_20m`: three classes' newest 7 days against all their training rows, 40 features, from the warehouse.

Ours is the whole step of the monitoring flow with nothing kept from before; then once more with the baseline that the
first one kept. The peer is the script that people have instead, pandas and scipy column by column, at a tenth of the
rows; it measures and judges nothing but each column's Kolmogorov-Smirnov statistic, deciles and moments.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Comparison, growth_exponent, measured
from market.assets import AssetType

if TYPE_CHECKING:
    import pyarrow as pa

    from configs.settings import Settings
    from registry.bundle import BundleInfo
    from warehouse.duckdb import DuckDBWarehouse

NAME = "drift_20m"
SYMBOLS: dict[str, dict[AssetType, int]] = {
    "small": {"stocks": 40, "etf": 40, "crypto": 40},
    "full": {"stocks": 2300, "etf": 680, "crypto": 2090},
}
DAYS = {"small": 1200, "full": 4000}
FIRST_DAY = datetime(2013, 1, 1, tzinfo=UTC)
_SYMBOLS_A_WRITE = 50


def run(size: str) -> Iterator[Comparison]:
    """N / 10 rows by both, N by ours, cold and with the kept baseline."""
    whole, days = SYMBOLS[size], DAYS[size]
    tenth: dict[AssetType, int] = {name: max(2, count // 10) for name, count in whole.items()}
    rows, tenth_rows = (sum(counts.values()) * days for counts in (whole, tenth))
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        smaller, larger = Path(root) / "tenth", Path(root) / "whole"
        measured(fill, smaller, tenth, days)
        ours = measured(drift_seconds, smaller)
        theirs = measured(script_seconds, smaller)
        measured(fill, larger, whole, days)
        grown = measured(drift_seconds, larger)
        kept = measured(drift_seconds, larger)
    growth = growth_exponent(ours, grown, rows / tenth_rows)
    note = f"{len(features())} features, 3 classes"
    yield Comparison(NAME, f"{size}: {tenth_rows:,} rows", ours, "pandas and scipy", theirs, growth, note)
    yield Comparison(NAME, f"{size}: {rows:,} rows", grown, "itself with the kept baseline", kept, growth, note)


def features() -> tuple[str, ...]:
    """40 numeric columns of the feature table."""
    from warehouse.features import FEATURES_TABLE
    from warehouse.schema import load_schema

    columns = [one.name for one in load_schema().table(FEATURES_TABLE).columns if one.type == "FLOAT64"]
    return tuple(name for name in columns if name != "forward_return_pct")[:40]


def fill(folder: Path, symbols: dict[AssetType, int], days: int) -> float:
    """A warehouse whose feature table holds so many symbols of each class."""
    start = time.perf_counter()
    warehouse = _open(folder)[1]
    warehouse.ensure_schema()
    from warehouse.features import FEATURES_TABLE
    from warehouse.warehouse import Write

    for asset_type, count in symbols.items():
        for first in range(0, count, _SYMBOLS_A_WRITE):
            rows = _rows(asset_type, range(first, min(count, first + _SYMBOLS_A_WRITE)), days)
            warehouse.write([Write(FEATURES_TABLE, rows=rows, mode="append")])
    return time.perf_counter() - start


def drift_seconds(folder: Path) -> float:
    """`monitoring.drift.measure` of the three classes."""
    from market.assets import ASSET_TYPES
    from monitoring.conditions import Moment
    from monitoring.drift import measure

    settings, warehouse = _open(folder)
    newest = _newest(warehouse)
    start = time.perf_counter()
    for asset_type in ASSET_TYPES:
        champion = _Champion(_info(asset_type, newest - timedelta(days=7)))
        moment = Moment(asset_type, newest.date(), newest + timedelta(days=1))
        found = measure(warehouse, champion, settings, moment)  # type: ignore[arg-type]
        assert found.rows >= len(features()) and found.features, found.notes
    return time.perf_counter() - start


def script_seconds(folder: Path) -> float:
    """One query a class into pandas, then scipy column by column."""
    import pandas as pd
    from scipy.stats import ks_2samp

    from market.assets import ASSET_TYPES
    from warehouse.features import FEATURES_TABLE

    _, warehouse = _open(folder)
    newest = pd.Timestamp(_newest(warehouse))
    start = time.perf_counter()
    for asset_type in ASSET_TYPES:
        sql = f"SELECT datetime, {', '.join(features())} FROM `{FEATURES_TABLE}` WHERE asset_type = @asset_type"
        frame = warehouse.query(sql, {"asset_type": asset_type}).to_pandas()
        is_new = frame["datetime"] > newest - pd.Timedelta(days=7)
        trained, current = frame[~is_new], frame[is_new]
        for name in features():
            before, now = trained[name].dropna(), current[name].dropna()
            ks_2samp(before, now)
            before.quantile([i / 10 for i in range(11)])
            now.describe(), before.mean(), before.std()
    return time.perf_counter() - start


@dataclass(frozen=True)
class _Champion:
    """What monitoring asks a registry."""

    bundle: BundleInfo

    def resolve(self, asset_type: AssetType) -> str:
        return str(self.bundle.model_version)

    def info(self, asset_type: AssetType, model_version: str) -> BundleInfo:
        return self.bundle


def _open(folder: Path) -> tuple[Settings, DuckDBWarehouse]:
    os.environ["TRADEHITS_HOME"] = str(folder / "home")
    from bench.warehouses import open_at
    from configs.settings import load_settings

    folder.mkdir(parents=True, exist_ok=True)
    return load_settings("local"), open_at(folder)


def _newest(warehouse: DuckDBWarehouse) -> datetime:
    from warehouse.features import FEATURES_TABLE

    newest: datetime = warehouse.query(f"SELECT MAX(datetime) AS newest FROM `{FEATURES_TABLE}`").to_pylist()[0][
        "newest"
    ]
    return newest


def _info(asset_type: AssetType, through: datetime) -> BundleInfo:
    from configs.settings import ThresholdSettings
    from registry.bundle import BundleInfo, FoldParameters

    return BundleInfo(
        asset_type=asset_type,
        feature_service="default",
        features=features(),
        indicator_variant="wilder",
        thresholds=ThresholdSettings(buy=0.6, sell=0.4, high=0.65, medium=0.55),
        trained_through=through,
        trained_rows=1,
        trees=1,
        folds=FoldParameters(
            retrain="quarterly",
            window="expanding",
            rolling_years=5,
            embargo_days=0,
            burn_in_years=1,
            train_end=through.date() - timedelta(days=700),
            test_end=through.date() - timedelta(days=350),
        ),
        seed=1,
        created_at=through,
        run_id="bench",
        data_hash="bench",
        feature_sql_hash="bench",
        git_commit="unknown",
        model_version=f"walk_forward_{asset_type}/1",
    )


def _rows(asset_type: AssetType, symbols: range, days: int) -> pa.Table:
    """Features of random bars: indicators that keep their bounds and follow from each other as they do in truth."""
    import numpy as np
    import polars as pl

    from bench.bars import random_bars
    from market.drift_weeks import TREND_STATES
    from market.indicators import add_indicators
    from warehouse.features import FEATURES_TABLE
    from warehouse.schema import load_schema

    bars = random_bars(len(symbols), days, first_symbol=symbols.start, first_day=FIRST_DAY)
    rows = add_indicators(bars, "wilder")
    close, rsi = pl.col("close"), pl.col("rsi")
    known_at = pl.col("datetime") + pl.duration(days=1)
    follows = close.shift(-1).over("symbol")
    trend = np.random.default_rng(symbols.start).integers(0, len(TREND_STATES), rows.height)
    rows = rows.with_columns(
        asset_type=pl.lit(asset_type),
        rsi_slope=rsi - rsi.shift(1).over("symbol"),
        rsi_zscore=(rsi - rsi.rolling_mean(20).over("symbol")) / rsi.rolling_std(20).over("symbol"),
        macd_histogram_pct=100 * pl.col("macd_histogram") / close,
        atr_pct=100 * pl.col("atr") / close,
        bar_known_at=known_at,
        created_timestamp=known_at,
        is_warm=pl.int_range(pl.len()).over("symbol") >= 200,
        target_direction=(follows > close).cast(pl.Int64),
        label_known_at=pl.when(follows.is_not_null()).then(known_at + pl.duration(days=1)),
        trend_regime=pl.Series(trend).replace_strict(dict(enumerate(TREND_STATES)), return_dtype=pl.String),
    )
    fillers = {
        one.name: pl.lit(_FILLERS[one.type]).alias(one.name)
        for one in load_schema().table(FEATURES_TABLE).columns
        if not one.nullable and one.type in _FILLERS and one.name not in rows.columns
    }
    chosen = dict.fromkeys(("asset_type", "symbol", "datetime", *features(), *fillers, *_OTHERS))
    return rows.with_columns(*fillers.values()).select(list(chosen)).to_arrow()


_FILLERS = {"INT64": 0, "FLOAT64": 0.0, "STRING": "-"}
_OTHERS = (
    "bar_known_at",
    "created_timestamp",
    "is_warm",
    "target_direction",
    "label_known_at",
    "atr_pct",
    "trend_regime",
)
