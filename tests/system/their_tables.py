"""Tables as the users of the older system have them: their own column names, copies of rows, and columns of no use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from google.cloud import bigquery

from configs.settings import load_settings
from market.assets import ASSET_TYPES, AssetType
from market.indicators import add_indicators
from tests.system.emulator import PROJECT, load, run
from warehouse.sources.simulated import SimulatedSource

WRITTEN_AT = datetime(2024, 7, 1, tzinfo=UTC)
DATASET = "crypto_trading_data"
TABLES = {"stocks": "stocks_daily_clean", "etf": "etfs_daily_clean", "crypto": "crypto_daily_clean"}
NAMES: dict[AssetType, dict[str, str]] = {
    "stocks": {"macd_histogram": "macd_hist", "bollinger_upper": "bb_upper", "bollinger_lower": "bb_lower"},
    "etf": {"datetime": "trade_day", "close": "last_price", "plus_di": "di_plus"},
    "crypto": {"symbol": "pair", "datetime": "date", "awesome_osc": "awesome_oscillator"},
}
COPIES = {"stocks": 3, "etf": 2, "crypto": 1}
CONFLICTS = {"stocks": 20, "etf": 0, "crypto": 7}


def market() -> pl.DataFrame:
    """The simulated bars of profile `test`, of three symbols a class."""
    settings = load_settings("test")
    bars = SimulatedSource(settings, now=datetime(2024, 7, 1, tzinfo=UTC)).read()
    return bars.filter(pl.col("symbol").rank("dense").over("asset_type") <= 3)


def make_their_tables(client: bigquery.Client, bars: pl.DataFrame) -> dict[AssetType, int]:
    """Create and fill their tables; returns the number of rows in each."""
    client.create_dataset(DATASET, exists_ok=True)
    return {asset_type: _make(client, asset_type, bars) for asset_type in ASSET_TYPES}


def contents(client: bigquery.Client) -> dict[str, list[tuple[object, ...]]]:
    """Everything that stands in their dataset: names, schemas, labels and a checksum of the rows."""
    found = {}
    for item in client.list_tables(DATASET):
        table = client.get_table(item.reference)
        rows = run(client, f"SELECT COUNT(*) AS n, SUM(open) AS total FROM `{PROJECT}.{DATASET}.{item.table_id}`")
        fields = [(one.name, one.field_type, one.mode) for one in table.schema]
        found[item.table_id] = [tuple(table.labels.items()), tuple(fields), tuple(rows[0].values())]
    return found


def _make(client: bigquery.Client, asset_type: AssetType, bars: pl.DataFrame) -> int:
    own = bars.filter(pl.col("asset_type") == asset_type)
    rows = add_indicators(own, "vendor").drop("asset_type").with_columns(
        pivot_high_flag=pl.lit(1), trend_regime=pl.lit("BULL"), created_at=pl.lit(WRITTEN_AT)
    )  # fmt: skip
    copies = [
        rows.with_columns(created_at=pl.lit(WRITTEN_AT + timedelta(days=day)), rsi=pl.col("rsi") + day)
        for day in range(COPIES[asset_type])
    ]
    older = rows.gather_every(max(rows.height // (CONFLICTS[asset_type] or rows.height + 1), 1))
    older = older.head(CONFLICTS[asset_type]).with_columns(
        created_at=pl.lit(WRITTEN_AT - timedelta(days=1)), volume=pl.col("volume") + 1
    )
    table = pl.concat([*copies, older]).sample(fraction=1.0, shuffle=True, seed=1)
    if asset_type == "etf":
        table = table.with_columns(pl.col("datetime").dt.date())
    if asset_type == "crypto":
        table = table.with_columns(symbol=pl.col("symbol").str.replace("/", ""))
    load(client, f"{DATASET}.{TABLES[asset_type]}", table.rename(NAMES[asset_type]).to_arrow())
    return table.height
