"""Source `bigquery`: tables of theirs, read where they are, with their own indicators or with recomputed ones."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from google.cloud import bigquery

from configs.settings import Settings, load_settings
from configs.sources import BigQueryOptions
from flows.context import Context
from flows.ingest import ingest
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from market.errors import BadBarsError, ConfigError, SchemaError, SourceError
from tests.system.emulator import Emulator, run, running_emulator
from tests.system.their_tables import CONFLICTS, COPIES, contents, make_their_tables, market
from training.truncation import truncation_check
from warehouse.bigquery import BigQueryWarehouse
from warehouse.features import build_features
from warehouse.ingest import stored_sources
from warehouse.reading import Batch, read_batches
from warehouse.sources.base import open_source

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

NOW = datetime(2024, 7, 1, tzinfo=UTC)
CLEAN = "crypto_trading_data.crypto_daily_clean"


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return market()


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory, bars: pl.DataFrame) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        make_their_tables(running.client(), bars)
        yield running


@pytest.fixture
def settings(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator.host)
    monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", emulator.storage_host)
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))
    return load_settings("bigquery")


class NothingStored:
    """A warehouse before the first bar."""

    def query(self, sql: str, parameters: Any = None) -> Any:
        return pl.DataFrame(
            schema={"asset_type": pl.String, "symbol": pl.String, "datetime": pl.Datetime("us", "UTC")}
            | dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64)
        ).to_arrow()


def read(settings: Settings, asset_type: str, **options: Any) -> Batch:
    source = open_source(
        "bigquery", options=BigQueryOptions(**options), asset_type=asset_type, settings=settings, now=NOW  # type: ignore[arg-type]
    )  # fmt: skip
    [batch] = read_batches(source, asset_type, warehouse=NothingStored(), settings=settings, now=NOW)  # type: ignore[arg-type]
    return batch


def test_every_bar_comes_once_and_the_newest_of_conflicting_copies_stays(
    settings: Settings, bars: pl.DataFrame
) -> None:
    batch = read(settings, "stocks")
    wanted = bars.filter(pl.col("asset_type") == "stocks").sort("symbol", "datetime")
    assert batch.bars.select(wanted.columns).equals(wanted)
    identical = wanted.height * (COPIES["stocks"] - 1)
    assert batch.quarantined == identical + CONFLICTS["stocks"]
    assert batch.read == batch.bars.height + batch.quarantined
    rules = dict(batch.findings.group_by("rule").len().rows())
    assert rules["duplicate_conflicting"] == CONFLICTS["stocks"]
    assert rules["duplicate_identical"] == 1, "one finding says how many there are"


def test_symbols_become_canonical_and_dates_sessions(settings: Settings) -> None:
    assert read(settings, "crypto").bars["symbol"].unique().str.contains("/").all()
    etf = read(settings, "etf", columns={"datetime": "trade_day", "close": "last_price"})
    assert (etf.bars["datetime"].dt.hour() == 0).all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"table": "no_such_table"},
            SourceError,
            "there is no table aialgotradehits.crypto_trading_data.no_such_table",
        ),
        ({"dataset": "no_such_dataset"}, SourceError, "there is no table aialgotradehits.no_such_dataset.stocks_daily"),
        ({"columns": {"close": "last_price"}}, SchemaError, "columns says close is 'last_price'"),
        ({"columns": {"close": "trend_regime"}}, SchemaError, "'trend_regime' is STRING, and close must be"),
        (
            {"table": "etfs_daily_clean"},
            SchemaError,
            "the column 'datetime' is missing; the table has symbol, trade_day",
        ),
    ],
)
def test_what_is_missing_or_of_another_type_is_named(
    settings: Settings, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        read(settings, "stocks", **options)


def test_copies_stop_the_run_where_the_configuration_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEHITS__CHECKS__DUPLICATE_IDENTICAL__POLICY", "fail")
    with pytest.raises(BadBarsError, match="is there 3 times"):
        read(load_settings("bigquery"), "stocks")


def test_all_copies_go_where_the_configuration_says_so(settings: Settings, emulator: Emulator) -> None:
    client = emulator.client()
    run(
        client,
        "CREATE OR REPLACE TABLE `crypto_trading_data.twice` AS SELECT 'BTC/USDT' AS symbol, day AS datetime, 1.0 AS "
        "open, 2.0 AS high, 1.0 AS low, 1.5 AS close, 1.0 AS volume "
        "FROM UNNEST([DATE '2024-01-02', DATE '2024-01-02', DATE '2024-01-03']) AS day",
    )
    rule = settings.checks.duplicate_identical.model_copy(update={"policy": "reject"})
    checks = settings.checks.model_copy(update={"duplicate_identical": rule})
    batch = read(settings.model_copy(update={"checks": checks}), "crypto", table="twice")
    assert batch.bars["datetime"].dt.day().to_list() == [3]
    assert (batch.read, batch.quarantined) == (3, 2)
    run(client, "DROP TABLE `crypto_trading_data.twice`")


def test_a_conflict_that_nothing_can_decide_is_an_error(settings: Settings, emulator: Emulator) -> None:
    client = emulator.client()
    run(
        client,
        "CREATE OR REPLACE TABLE `crypto_trading_data.undated` AS SELECT 'A' AS symbol, TIMESTAMP '2024-01-02' AS "
        "datetime, 1.0 AS open, 2.0 AS high, 1.0 AS low, x AS close, 1.0 AS volume FROM UNNEST([1.0, 2.0]) AS x",
    )
    with pytest.raises(BadBarsError, match="no column says which row is newer") as error:
        read(settings, "stocks", table="undated")
    assert "arrived_at" in error.value.remedy
    run(client, "DROP TABLE `crypto_trading_data.undated`")


@pytest.fixture
def attached(settings: Settings, monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> Context:
    """A warehouse of its own whose crypto bars are the table's own, indicators included."""
    for name in ("crypto_trading_data", "ml_models", "tradehits"):
        monkeypatch.setenv(f"TRADEHITS__WAREHOUSE__DATASETS__{name.upper()}", f"attached_{name}")
    monkeypatch.setenv("TRADEHITS__INDICATORS__VARIANT", "vendor")
    monkeypatch.setenv("TRADEHITS__CLOCK__CRYPTO", "end_of_data")
    monkeypatch.setenv("TRADEHITS__SOURCES__CRYPTO", '{"source": "bigquery", "recompute_indicators": false}')
    own = load_settings("bigquery")
    warehouse = BigQueryWarehouse(own.warehouse, staging=own.paths.cache / "staging")
    warehouse.ensure_schema()
    return Context(own, warehouse, LogReporter(), PlainTasks())


def test_their_own_indicators_reach_the_features_without_a_copy_of_a_bar(
    attached: Context, emulator: Emulator, bars: pl.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    client: bigquery.Client = emulator.client()
    before = contents(client)
    with caplog.at_level(logging.WARNING):
        [report] = ingest(attached, asset_type="crypto")
        ingest(attached, asset_type="crypto")
    own = bars.filter(pl.col("asset_type") == "crypto")
    assert (report.stored, report.read) == (own.height, own.height + CONFLICTS["crypto"])
    assert client.get_table(f"attached_{CLEAN}").table_type == "VIEW"
    assert attached.warehouse.query("SELECT COUNT(*) AS n FROM tradehits.bar_versions").to_pylist() == [{"n": 0}]
    assert stored_sources(attached.warehouse) == {"crypto": ("bigquery",)}

    clean = pl.DataFrame(attached.warehouse.query(f"SELECT * FROM `{CLEAN}` ORDER BY symbol, datetime"))
    theirs = pl.DataFrame(
        run(client, "SELECT pair, date, rsi, awesome_oscillator FROM `crypto_trading_data.crypto_daily_clean` "
                    "WHERE created_at = TIMESTAMP '2024-07-01' ORDER BY pair, date")
    )  # fmt: skip
    assert clean["symbol"].to_list() == own.sort("symbol", "datetime")["symbol"].to_list()
    assert clean["rsi"].to_list() == theirs["rsi"].to_list()
    assert clean["awesome_osc"].to_list() == theirs["awesome_oscillator"].to_list()
    assert (clean["bar_known_at"] - clean["datetime"]).dt.total_hours().unique().to_list() == [24]
    assert clean["indicator_variant"].unique().to_list() == ["vendor"]

    [built] = build_features(attached.warehouse, attached.settings, ["crypto"])
    assert built.rows == own.height
    flags = "SELECT COUNTIF(pivot_high_flag = 1) AS pivots, COUNT(*) AS n FROM ml_models.walk_forward_features_v2"
    [found] = attached.warehouse.query(flags).to_pylist()
    assert 0 < found["pivots"] < found["n"] / 3, "theirs say 1 on every bar and are never read"
    [told] = truncation_check(attached.warehouse, attached.settings, "crypto")
    assert "no past value changed; the indicators are your table's own" in told.detail
    assert contents(client) == before


def test_a_clean_table_with_bars_of_the_platform_is_not_replaced_by_a_view(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, bars: pl.DataFrame
) -> None:
    for name in ("crypto_trading_data", "ml_models", "tradehits"):
        monkeypatch.setenv(f"TRADEHITS__WAREHOUSE__DATASETS__{name.upper()}", f"stored_{name}")
    monkeypatch.setenv("TRADEHITS__SOURCES__CRYPTO", '{"source": "bigquery"}')
    stored = load_settings("bigquery")
    warehouse = BigQueryWarehouse(stored.warehouse, staging=stored.paths.cache / "staging")
    warehouse.ensure_schema()
    context = Context(stored, warehouse, LogReporter(), PlainTasks())
    [report] = ingest(context, asset_type="crypto")
    assert report.new == bars.filter(pl.col("asset_type") == "crypto").height
    monkeypatch.setenv("TRADEHITS__SOURCES__CRYPTO", '{"source": "bigquery", "recompute_indicators": false}')
    with pytest.raises(ConfigError, match="holds bars that the platform stored"):
        ingest(Context(load_settings("bigquery"), warehouse, LogReporter(), PlainTasks()), asset_type="crypto")
