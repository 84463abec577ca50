"""Benchmark `warehouse_20m`: parquet files of bars, through indicators and features, into the warehouse and to Feast.

The peer is the script that people have instead: pandas and TA-Lib symbol by symbol, one `CREATE TABLE AS` with the
same feature query, one `COPY` to parquet. It checks nothing, keeps no versions and holds all bars in memory, so it runs
at a tenth of the rows only.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Comparison, growth_exponent, measured

if TYPE_CHECKING:
    import pandas as pd

NAME = "warehouse_20m"
LENGTH = 20_000
FIRST_DAY = datetime(1971, 1, 1, tzinfo=UTC)
SYMBOLS = {"small": 20, "full": 1000}
_SYMBOLS_A_FILE = 50


def run(size: str) -> Iterator[Comparison]:
    """N / 10 rows by both, N by ours."""
    symbols = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        tenth, whole = Path(root) / "tenth", Path(root) / "whole"
        measured(write_bars, tenth, symbols // 10)
        ours = measured(platform_seconds, tenth, Path(root) / "home-tenth")
        theirs = measured(script_seconds, tenth, Path(root) / "script.duckdb")
        measured(write_bars, whole, symbols)
        grown = measured(platform_seconds, whole, Path(root) / "home-whole")
    growth = growth_exponent(ours, grown, 10)
    yield Comparison(NAME, _label(size, symbols // 10), ours, "pandas, TA-Lib and one CTAS", theirs, growth)
    yield Comparison(NAME, _label(size, symbols), grown, f"itself at {symbols // 10 * LENGTH:,} rows", ours, growth)


def _label(size: str, symbols: int) -> str:
    return f"{size}: {symbols:,} symbols x {LENGTH:,} bars"


def write_bars(folder: Path, symbols: int) -> float:
    """Parquet files of bars, some symbols in each."""
    from bench.bars import random_bars

    folder.mkdir(parents=True)
    start = time.perf_counter()
    for first in range(0, symbols, _SYMBOLS_A_FILE):
        bars = random_bars(min(_SYMBOLS_A_FILE, symbols - first), LENGTH, first_symbol=first, first_day=FIRST_DAY)
        bars.write_parquet(folder / f"bars-{first:05d}.parquet")
    return time.perf_counter() - start


def platform_seconds(bars: Path, home: Path) -> float:
    """`tradehits ingest` and `tradehits features`, as the command line runs them."""
    os.environ["TRADEHITS_HOME"] = str(home)
    from configs.settings import load_settings
    from flows.context import open_context
    from flows.features import features
    from flows.ingest import ingest
    from flows.prefecting import PlainTasks
    from flows.progress import RichReporter

    context = open_context(load_settings("local"), RichReporter(), PlainTasks())
    start = time.perf_counter()
    ingest(context, source="parquet", paths=[bars], asset_type="crypto")
    features(context)
    return time.perf_counter() - start


def script_seconds(bars: Path, file: Path) -> float:
    """The same tables by a script."""
    import duckdb
    import pandas as pd

    from configs.settings import load_settings
    from warehouse.clock import wall_clock
    from warehouse.dialect import TableNames, to_duckdb
    from warehouse.dialect.macros import ENGINE_SCHEMA, MACROS
    from warehouse.features import feature_parameters, feature_query
    from warehouse.schema import load_schema

    settings = load_settings("local")
    names = TableNames.of(settings.warehouse, load_schema())
    start = time.perf_counter()
    frame = pd.concat([pd.read_parquet(path) for path in sorted(bars.glob("*.parquet"))])
    frame = frame.sort_values(["symbol", "datetime"])
    computed = pd.concat([_with_indicators(part) for _, part in frame.groupby("symbol")])
    connection = duckdb.connect(str(file), config={"threads": str(settings.warehouse.threads)})
    connection.execute("SET TimeZone = 'UTC'")
    for dataset in (*dict(names.datasets).values(), ENGINE_SCHEMA):
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')
    for macro in MACROS:
        connection.execute(macro)
    connection.register("computed", computed)
    for table in ("stocks", "etfs", "crypto"):
        some = "" if table == "crypto" else "LIMIT 0"
        connection.execute(f"CREATE TABLE crypto_trading_data.{table}_daily_clean AS SELECT * FROM computed {some}")
    query = to_duckdb(feature_query(), names)
    parameters = feature_parameters(settings, "crypto", wall_clock())
    connection.execute(f"CREATE TABLE ml_models.features AS {query}", parameters)
    connection.execute(f"COPY ml_models.features TO '{file.with_suffix('.parquet')}' (FORMAT parquet)")
    return time.perf_counter() - start


def _with_indicators(part: pd.DataFrame) -> pd.DataFrame:
    from bench.indicators import talib_values
    from market.indicators import OUTPUT_COLUMNS

    columns = talib_values(*(part[name].to_numpy() for name in ("high", "low", "close", "volume")))
    known_at = part["datetime"] + timedelta(days=1)
    return part.drop(columns="asset_type").assign(
        **dict(zip(OUTPUT_COLUMNS, columns, strict=True)),
        bar_known_at=known_at,
        ingested_at=known_at,
        indicator_variant="wilder",
    )
