"""Sources are opened by name, imported only then, and hand on checked bars or nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from configs.settings import REPO_DIR, load_settings
from configs.sources import CcxtOptions
from market.bars import BAR_KEY, BAR_SCHEMA
from market.errors import BadBarsError, ConfigError, SourceError
from warehouse.sources.base import open_source, source_names

NOW = datetime(2024, 7, 1, 0, 30, tzinfo=UTC)


@pytest.fixture
def settings():
    return load_settings("test")


def test_every_source_is_found_and_no_helper():
    assert source_names() == ("bigquery", "ccxt", "csv", "parquet", "sample", "simulated", "yfinance")


def test_a_source_without_its_package_says_what_to_install(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    for module in ("ccxt", "_exchange"):
        monkeypatch.delitem(sys.modules, f"warehouse.sources.{module}", raising=False)
    options = CcxtOptions(exchange="binance", symbols=("BTC/USDT",))
    with pytest.raises(SourceError, match="needs the package ccxt") as caught:
        open_source("ccxt", options=options, settings=settings, now=NOW)
    assert "[sources]" in caught.value.remedy


@pytest.mark.parametrize(("name", "missing"), [("ccxt", "symbols, exchange"), ("yfinance", "symbols")])
def test_a_source_that_cannot_do_without_settings_says_which(settings, name, missing):
    with pytest.raises(ConfigError, match=f"needs settings: {missing}") as caught:
        open_source(name, settings=settings, now=NOW)
    assert "sources.<asset_type>" in caught.value.remedy


def test_an_unknown_source_lists_the_known_ones(settings):
    with pytest.raises(SourceError, match="'yahoo'") as caught:
        open_source("yahoo", settings=settings, now=NOW)
    assert "ccxt, csv, parquet, sample, simulated, yfinance" in caught.value.remedy


def test_a_module_is_imported_only_when_its_source_is_opened():
    code = (
        "import sys, warehouse.sources.base; print([m for m in sys.modules if 'simulat' in m or 'sources.sample' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO_DIR, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["sample", "simulated"])
def test_sources_without_files_refuse_a_path(settings, name):
    with pytest.raises(SourceError, match="takes no path"):
        open_source(name, paths=[Path("bars.parquet")], settings=settings, now=NOW)


@pytest.fixture(scope="module")
def bars():
    return open_source("sample", settings=load_settings("sample"), now=NOW).read()


class TestSample:
    def test_it_holds_four_real_stocks_and_no_facebook(self, bars):
        spans = bars.group_by("symbol").agg(pl.len(), pl.col("datetime").min().dt.date()).sort("symbol").rows()
        assert spans == [
            ("AAPL", 3270, date(2000, 3, 1)),
            ("GOOG", 2148, date(2004, 8, 19)),
            ("IBM", 3270, date(2000, 3, 1)),
            ("MSFT", 3270, date(2000, 3, 1)),
        ]
        assert bars["datetime"].max() == datetime(2013, 3, 1, tzinfo=UTC)
        assert bars["asset_type"].unique().to_list() == ["stocks"]
        assert bars.schema == BAR_SCHEMA

    def test_closes_are_the_adjusted_closes_and_the_rest_is_scaled_alike(self, bars):
        first = bars.filter(pl.col("symbol") == "AAPL").row(0, named=True)
        factor = 4.186662803811 / 130.31
        assert first["close"] == pytest.approx(4.186662803811, rel=1e-12)
        assert first["open"] == pytest.approx(118.56 * factor, rel=1e-12)
        assert first["high"] == pytest.approx(132.06 * factor, rel=1e-12)
        assert first["low"] == pytest.approx(118.5 * factor, rel=1e-12)
        assert first["volume"] == 9_616_100.0

    def test_it_agrees_with_the_packages_own_reader(self, bars):
        from bokeh_sampledata import stocks

        for symbol in ("AAPL", "GOOG", "IBM", "MSFT"):
            raw = getattr(stocks, symbol)
            ours = bars.filter(pl.col("symbol") == symbol)
            assert ours["datetime"].dt.date().cast(pl.String).to_list() == raw["date"]
            assert ours["close"].to_list() == pytest.approx(raw["adj_close"], rel=1e-12)
            assert ours["volume"].to_list() == raw["volume"]

    def test_splits_leave_no_jump(self, bars):
        apple = bars.filter(pl.col("symbol") == "AAPL").with_columns(r=pl.col("close").pct_change())
        on_split = apple.filter(pl.col("datetime").dt.date().is_in([date(2000, 6, 21), date(2005, 2, 28)]))
        assert on_split["r"].abs().max() < 0.11

    def test_scaling_keeps_open_and_close_inside_the_range_exactly(self, bars):
        inside = (pl.max_horizontal("open", "close") <= pl.col("high")) & (
            pl.min_horizontal("open", "close") >= pl.col("low")
        )
        assert bars.select(inside.all()).item()

    def test_it_has_no_etfs_and_says_what_it_has(self):
        sample = open_source("sample", settings=load_settings("sample"), now=NOW)
        assert sample.is_simulated is False
        with pytest.raises(SourceError, match="no etf bars, only stocks"):
            sample.read("etf")


class TestSimulated:
    def test_it_ends_where_the_configuration_says(self, settings):
        bars = open_source("simulated", settings=settings, now=NOW).read()
        ends = bars.group_by("asset_type").agg(pl.col("datetime").max().dt.date()).sort("asset_type").rows()
        assert ends == [(name, date(2024, 6, 28)) for name in ("crypto", "etf", "stocks")]
        assert bars.group_by("asset_type").agg(pl.col("symbol").n_unique())["symbol"].to_list() == [6, 6, 6]
        assert bars.schema == BAR_SCHEMA
        assert_frame_equal(bars, bars.sort(BAR_KEY))

    def test_without_an_end_it_runs_up_to_yesterday(self):
        source = open_source("simulated", settings=load_settings("sample"), now=NOW)
        assert source.read("crypto")["datetime"].max() == datetime(2024, 6, 30, tzinfo=UTC)
        assert source.read("etf")["datetime"].max() == datetime(2024, 6, 28, tzinfo=UTC)

    def test_tomorrow_adds_bars_and_changes_none(self):
        settings = load_settings("sample")
        today = open_source("simulated", settings=settings, now=NOW).read("crypto")
        later = open_source("simulated", settings=settings, now=NOW.replace(day=3)).read("crypto")
        assert_frame_equal(later.filter(pl.col("datetime") <= today["datetime"].max()), today, check_exact=True)
        assert later.height == today.height + 2 * 24

    def test_its_oracle_is_keyed_like_its_bars(self, settings):
        source = open_source("simulated", settings=settings, now=NOW)
        assert source.is_simulated is True
        for asset_type in ("stocks", "etf", "crypto"):
            assert_frame_equal(source.oracle(asset_type).select(BAR_KEY), source.read(asset_type).select(BAR_KEY))

    def test_an_end_in_the_future_is_refused(self, settings):
        with pytest.raises(BadBarsError, match="not closed and published"):
            open_source("simulated", settings=settings, now=datetime(2024, 6, 27, tzinfo=UTC)).read()
