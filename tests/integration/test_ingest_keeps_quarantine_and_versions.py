"""What an ingestion leaves behind (quarantine, versions in one scale, hourly bars, events), and what doctor says."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from configs.settings import load_settings
from flows.doctor import run_doctor
from market.bars import BAR_SCHEMA
from market.errors import BadBarsError, RejectedShareError
from market.inspection import RawBars
from warehouse.duckdb import DuckDBWarehouse
from warehouse.examination import effect_of_copies, examine, with_sessions
from warehouse.ingest import ingest_asset_type, store_batch, stored_sources
from warehouse.reading import read_batches
from warehouse.symbol_events import under_new_names
from warehouse.warehouse import Write

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
DAY = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass
class Files:
    """A source of given frames."""

    frames: list[pl.DataFrame]
    name: str = "files"
    is_simulated: bool = False
    asked: list[str | None] = field(default_factory=list)

    def raw(self, asset_type=None):
        self.asked.append(asset_type)
        return [RawBars(f"file_{number}.csv", frame) for number, frame in enumerate(self.frames, start=1)]

    def read(self, asset_type=None):
        raise AssertionError("the ingestion reads raw bars where there are any")


def bars(days, *, symbol="BTC/USDT", price=1.0, asset_type="crypto", step=timedelta(days=1), start=DAY):
    rows = []
    for day in days:
        close = (100 + day * 7 % 11) * price
        rows.append(
            {"asset_type": asset_type, "symbol": symbol, "datetime": start + day * step, "open": close - price / 2,
             "high": close + price, "low": close - price, "close": close, "volume": 10.0 + day % 5}
        )  # fmt: skip
    return pl.DataFrame(rows, schema=BAR_SCHEMA)


def damaged(frame, row, **values):
    return frame.with_columns(
        pl.when(pl.int_range(1, pl.len() + 1) == row).then(pl.lit(value)).otherwise(name).alias(name)
        for name, value in values.items()
    )


@pytest.fixture
def settings():
    return load_settings("test")


@pytest.fixture
def warehouse(settings):
    warehouse = DuckDBWarehouse.scratch(settings.warehouse)
    warehouse.ensure_schema()
    return warehouse


@pytest.fixture
def ingest(warehouse, settings):
    def run(*frames, with_settings=settings):
        batches = read_batches(Files(list(frames)), None, warehouse=warehouse, settings=with_settings, now=NOW)
        return [store_batch(warehouse, with_settings, batch) for batch in batches]

    return run


@pytest.fixture
def ask(warehouse):
    return lambda sql: warehouse.query(sql).to_pylist()


def test_a_rejected_row_stands_in_quarantine_with_its_line_and_reading_again_adds_nothing(ingest, ask):
    frame = damaged(damaged(bars(range(150)), 150, close=math.nan), 20, volume=0.0)
    (first,) = ingest(frame)
    assert (first.read, first.new, first.quarantined, first.unchanged, first.flagged) == (150, 149, 1, 0, 1)
    rows = ask(
        "SELECT source, file, source_row, symbol, `interval`, close, volume, rule, severity, action, detail "
        "FROM tradehits.bar_quarantine ORDER BY rule"
    )
    common = {"source": "files", "file": "file_1.csv", "symbol": "BTC/USDT", "interval": "1d"}
    assert rows == [
        {**common, "source_row": 150, "close": None, "volume": 14.0, "rule": "price_not_finite", "severity": "error",
         "action": "rejected", "detail": "close is NaN"},
        {**common, "source_row": 20, "close": 101.0, "volume": 0.0, "rule": "zero_volume", "severity": "info",
         "action": "kept", "detail": "no volume"},
    ]  # fmt: skip
    before = ask("SELECT * FROM tradehits.bar_quarantine ORDER BY quarantine_id")
    (again,) = ingest(frame)
    assert (again.new, again.changed, again.quarantined, again.unchanged) == (0, 0, 1, 149)
    assert ask("SELECT * FROM tradehits.bar_quarantine ORDER BY quarantine_id") == before


def test_a_file_that_grew_at_its_top_quarantines_its_old_rows_once(ingest, ask):
    frame = damaged(bars(range(1, 120)), 100, close=math.nan)
    ingest(frame)
    ingest(pl.concat([bars([0]), frame]))
    assert ask("SELECT rule, COUNT(*) AS n FROM tradehits.bar_quarantine GROUP BY rule ORDER BY rule") == [
        {"rule": "calendar_gap", "n": 1},
        {"rule": "price_not_finite", "n": 1},
    ]


def test_each_copy_of_a_row_is_quarantined(ingest, ask):
    (report,) = ingest(*[bars(range(30))] * 4)
    assert (report.read, report.new, report.quarantined) == (120, 30, 90)
    assert ask("SELECT COUNT(*) AS n, COUNT(DISTINCT quarantine_id) AS ids FROM tradehits.bar_quarantine") == [
        {"n": 90, "ids": 90}
    ]


def test_too_many_rejected_rows_leave_no_trace(ingest, ask):
    with pytest.raises(RejectedShareError, match=r"file_2.csv, row 3, column 'close'"):
        ingest(bars(range(30)), damaged(bars(range(30, 60)), 3, close=math.nan))
    for table in ("bar_versions", "bar_quarantine", "sessions"):
        assert ask(f"SELECT COUNT(*) AS n FROM tradehits.{table}") == [{"n": 0}]


def test_a_file_of_nothing_but_a_provisional_bar_is_no_error(ingest, ask):
    (report,) = ingest(bars([0], start=datetime(2024, 6, 1, tzinfo=UTC)))
    assert (report.read, report.new, report.quarantined, report.first) == (1, 0, 1, None)
    assert ask("SELECT rule FROM tradehits.bar_quarantine") == [{"rule": "not_closed"}]


def test_a_dividend_found_in_the_overlap_brings_all_stored_bars_into_its_scale(ingest, ask, warehouse):
    ingest(bars(range(60)))
    (report,) = ingest(bars(range(55, 62), price=0.98))
    assert (report.new, report.changed, report.rescaled, report.stored) == (2, 5, 55, 62)
    clean = ask("SELECT close FROM crypto_trading_data.crypto_daily_clean ORDER BY datetime")
    assert [row["close"] for row in clean] == pytest.approx(bars(range(62), price=0.98)["close"].to_list())
    assert ask("SELECT source, COUNT(*) AS n FROM tradehits.bar_versions GROUP BY source ORDER BY n") == [
        {"source": "files:rescaled", "n": 55},
        {"source": "files", "n": 67},
    ]
    (event,) = ask("SELECT symbol, event, price_factor, volume_factor, rescaled_until FROM tradehits.symbol_events")
    assert event.pop("price_factor") == pytest.approx(0.98)
    assert event == {
        "symbol": "BTC/USDT", "event": "READJUSTED", "volume_factor": 1.0, "rescaled_until": DAY + timedelta(days=59),
    }  # fmt: skip
    assert stored_sources(warehouse) == {"crypto": ("files",)}
    (again,) = ingest(bars(range(55, 62), price=0.98))
    assert (again.new, again.changed, again.rescaled) == (0, 0, 0)


def test_a_single_bar_of_another_scale_is_kept_and_flagged(ingest, ask):
    ingest(bars(range(30)))
    (report,) = ingest(bars([29, 30], price=0.98))
    assert (report.new, report.changed, report.rescaled, report.flagged) == (1, 1, 0, 1)
    assert [row["rule"] for row in ask("SELECT rule FROM tradehits.bar_quarantine")] == ["readjustment_unproven"]


def test_hourly_bars_are_stored_as_versions_and_never_reach_the_daily_tables(ingest, ask):
    hourly = bars(range(48), step=timedelta(hours=1)).with_columns(interval=pl.lit("1h"))
    daily = bars(range(10)).with_columns(interval=pl.lit("1d"))
    reports = ingest(pl.concat([hourly, daily]))
    assert [(report.interval, report.new, report.stored) for report in reports] == [("1d", 10, 10), ("1h", 48, 48)]
    assert ask("SELECT `interval`, COUNT(*) AS n FROM tradehits.bar_versions GROUP BY 1 ORDER BY n") == [
        {"interval": "1d", "n": 10},
        {"interval": "1h", "n": 48},
    ]
    assert ask("SELECT COUNT(*) AS n FROM crypto_trading_data.crypto_daily_clean") == [{"n": 10}]
    known = ask("SELECT MIN(bar_known_at) AS first FROM tradehits.bar_versions WHERE `interval` = '1h'")
    assert known == [{"first": DAY + timedelta(hours=1)}]
    assert [report.new for report in ingest(pl.concat([hourly, daily]))] == [0, 0]


def test_an_unknown_interval_is_refused_with_its_row(ingest):
    frame = bars(range(3)).with_columns(interval=pl.Series(["1d", "5m", "5m"]))
    with pytest.raises(BadBarsError, match=r"interval '5m' is not known \(2 rows") as caught:
        ingest(frame)
    assert (caught.value.file, caught.value.row, caught.value.column) == ("file_1.csv", 2, "interval")


def with_symbols(settings, **symbols):
    return settings.model_copy(update={"symbols": type(settings.symbols).model_validate(symbols)})


def test_a_renamed_symbol_goes_on_under_its_new_name_and_both_facts_are_recorded(ingest, ask, settings):
    renamed = {"asset_type": "crypto", "old": "MATIC/USDT", "new": "POL/USDT", "first_session": "2024-01-11"}
    told = with_symbols(settings, renamed=[renamed])
    ingest(bars(range(12), symbol="MATICUSDT"), bars(range(8, 20), symbol="POL/USDT"), with_settings=told)
    counts = ask("SELECT symbol, COUNT(*) AS n FROM crypto_trading_data.crypto_daily_clean GROUP BY symbol ORDER BY n")
    assert counts == [{"symbol": "MATIC/USDT", "n": 2}, {"symbol": "POL/USDT", "n": 20}]
    assert ask("SELECT symbol, event, effective_at, other_symbol FROM tradehits.symbol_events") == [
        {"symbol": "MATIC/USDT", "event": "RENAMED", "effective_at": datetime(2024, 1, 11, tzinfo=UTC),
         "other_symbol": "POL/USDT"}
    ]  # fmt: skip


def test_bars_without_renamed_symbols_are_left_as_they_are(settings):
    frame = bars(range(3))
    assert under_new_names(frame, settings) is frame


def checks_of(findings):
    return [(finding.severity, finding.check, finding.subject) for finding in findings]


def test_doctor_has_nothing_to_say_about_sound_tables(ingest, warehouse, settings):
    ingest(bars(range(30)))
    with warehouse.read() as read:
        assert examine(read, settings) == []


def test_doctor_names_late_symbols_but_for_known_delistings(ingest, warehouse, settings):
    ingest(bars(range(60)), bars(range(40), symbol="ETH/USDT"), bars(range(30), symbol="LUNA/USDT"))
    told = with_symbols(settings, delisted=[{"asset_type": "crypto", "symbol": "LUNA/USDT", "session": "2024-01-30"}])
    with warehouse.read() as read:
        (finding,) = examine(read, settings)
    assert "ETH/USDT 2024-02-09" in finding.message
    assert "LUNA/USDT 2024-01-30" in finding.message
    ingest(bars([60]), with_settings=told)
    with warehouse.read() as read:
        (finding,) = examine(read, told)
    assert (finding.severity, finding.check) == ("warning", "late_symbols")
    assert finding.message.startswith("1 symbols end more than 5 days before")
    assert "LUNA" not in finding.message


def test_doctor_counts_missing_sessions_and_quarantine(ingest, warehouse, settings):
    ingest(bars([day for day in range(60) if day not in (20, 21, 30)]))
    with warehouse.read() as read:
        gaps, noted = examine(read, settings)
    assert gaps.message == "1 symbols lack 3 sessions between their first and last bar: BTC/USDT 3"
    assert (noted.check, noted.subject) == ("calendar_gap", "crypto")
    assert noted.message.startswith("2 findings, rows kept")


def test_sessions_are_counted_by_the_calendar(settings):
    spans = pl.DataFrame(
        {
            "symbol": ["A", "B"],
            "first": [date(2024, 3, 27)] * 2,
            "last": [date(2024, 4, 2), date(2024, 3, 28)],
            "bars": [3, 2],
        }
    )
    counted = with_sessions(spans, "stocks", settings)
    assert counted["missing"].to_list() == [1, 0], "27, 28 March, 1, 2 April; Good Friday is no session"
    assert counted["late"].to_list() == [0, 2]


def test_doctor_says_what_seven_copies_do(ingest, warehouse, settings, monkeypatch):
    ingest(bars(range(30)))
    copies = [
        Write(
            "crypto_trading_data.crypto_daily_clean",
            sql="SELECT * REPLACE (TIMESTAMP_ADD(datetime, INTERVAL 1 HOUR) AS datetime) "
            "FROM crypto_trading_data.crypto_daily_clean",
            mode="append",
        )
    ]
    warehouse.write(copies)
    with warehouse.read() as read:
        findings = examine(read, settings)
    assert ("error", "several_bars_a_day", "crypto_trading_data.crypto_daily_clean") in checks_of(findings)
    assert "2.0 copies of each row: about 1 - 1/2.0 = 50% of labels would become DOWN" in findings[0].message
    assert effect_of_copies(700, 100).startswith("7.0 copies of each row: about 1 - 1/7.0 = 86% of labels")


class Copied:
    """A connection to a warehouse in which every row of one table stands seven times."""

    def __init__(self, read, table):
        self.read, self.table = read, table

    def query(self, sql, parameters=None):
        if "SUM(copies)" in sql and f"`{self.table}`" in sql:
            return pl.DataFrame({"n_keys": [100], "n_rows": [700]}).to_arrow()
        return self.read.query(sql, parameters)


def test_doctor_says_what_rows_beyond_one_a_key_do(warehouse, settings):
    with warehouse.read() as read:
        labelled = examine(Copied(read, "ml_models.walk_forward_features_v2"), settings)
        (other,) = examine(Copied(read, "tradehits.sessions"), settings)
    assert checks_of(labelled) == [("error", "duplicates", "ml_models.walk_forward_features_v2")]
    assert labelled[0].message == (
        "600 of 700 rows repeat a key (asset_type, symbol, datetime); 7.0 copies of each row: about 1 - 1/7.0 = 86% of "
        "labels would become DOWN, and always guessing DOWN would look about 93% accurate"
    )
    assert other.message == "600 of 700 rows repeat a key (calendar, session)"


def test_doctor_finds_mixed_indicator_variants(ingest, warehouse, settings):
    ingest(bars(range(30)))
    table = "crypto_trading_data.crypto_daily_clean"
    vendor = f"SELECT * REPLACE ('vendor' AS indicator_variant) FROM {table} WHERE datetime > '2024-01-20'"
    warehouse.write([Write(table, sql=vendor, mode="merge")])
    with warehouse.read() as read:
        (finding,) = examine(read, settings)
    assert (finding.severity, finding.check) == ("error", "mixed_variants")
    assert finding.message == "holds indicators of vendor and wilder"


def test_the_doctor_command_prints_and_fails_on_errors_only(settings, monkeypatch, ingest, warehouse):
    monkeypatch.setattr("flows.doctor.open_warehouse", lambda settings: warehouse)
    assert run_doctor(settings, "table") == (
        "No finding: every table has one row a key, no session is missing, and nothing is in quarantine.", True,
    )  # fmt: skip
    ingest(bars([day for day in range(60) if day != 20]))
    text, healthy = run_doctor(settings, "json")
    assert healthy
    assert [finding["check"] for finding in json.loads(text)] == ["sessions_missing", "calendar_gap"]
    assert "sessions_missing: 1 symbols lack 1 sessions" in run_doctor(settings, "table")[0]


def test_bars_that_were_checked_strictly_can_be_stored_as_they_are(warehouse, settings):
    report = ingest_asset_type(warehouse, settings, bars(range(10)), source="memory")
    assert (report.read, report.new, report.quarantined, report.interval) == (10, 10, 0, "1d")
