"""Options of sources are checked when settings are read, and fit their source."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from configs.settings import load_settings
from configs.sources import CcxtOptions, CsvOptions, YFinanceOptions
from market.errors import ConfigError


def test_a_profile_s_options_reach_the_source(monkeypatch):
    monkeypatch.setenv("TRADEHITS__SOURCES__STOCKS", '{"source": "csv", "paths": ["/data"], "delimiter": ";"}')
    monkeypatch.setenv("TRADEHITS__SOURCES__CRYPTO__SOURCE", "ccxt")
    monkeypatch.setenv("TRADEHITS__SOURCES__CRYPTO__EXCHANGE", "binance")
    monkeypatch.setenv("TRADEHITS__SOURCES__CRYPTO__SYMBOLS", '["btcusdt"]')
    sources = load_settings("local").sources
    assert sources.stocks == CsvOptions(paths=(Path("/data"),), delimiter=";")
    assert sources.crypto == CcxtOptions(exchange="binance", symbols=("btcusdt",))
    assert sources.etf is None


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ('{"source": "yahoo"}', "'yahoo'"),
        ('{"source": "sample", "paths": ["/data"]}', r"sources\.stocks\.sample\.paths"),
        ('{"source": "parquet", "delimiter": ";"}', r"sources\.stocks\.parquet\.delimiter"),
        ('{"source": "csv", "symbols": ["AAPL"]}', r"sources\.stocks\.csv\.symbols"),
        ('{"source": "csv", "delimiter": "~"}', r"sources\.stocks\.csv\.delimiter"),
        ('{"source": "csv", "columns": {"when": "Date"}}', r"sources\.stocks\.csv\.columns\.when"),
        ('{"source": "csv", "time_zone": "New York"}', "unknown time zone 'New York'"),
        ('{"source": "csv", "encoding": "utf-7000"}', "unknown encoding 'utf-7000'"),
        ('{"source": "csv", "delimiter": ",", "decimal_comma": true}', "exclude each other"),
        ('{"source": "csv", "epoch_unit": "s", "time_zone": "UTC"}', "epoch_unit excludes"),
        ('{"source": "csv", "columns": {"open": "Price", "close": "Price"}}', "cannot be two of ours"),
        ('{"source": "yfinance"}', r"sources\.stocks\.yfinance\.symbols"),
        ('{"source": "yfinance", "symbols": []}', r"sources\.stocks\.yfinance\.symbols"),
        ('{"source": "yfinance", "symbols": ["AAPL"], "exchange": "binance"}', r"sources\.stocks\.yfinance\.exchange"),
        ('{"source": "yfinance", "symbols": ["AAPL"], "base_url": "ftp://x"}', r"sources\.stocks\.yfinance\.base_url"),
        ('{"source": "ccxt", "symbols": ["BTC/USDT"]}', r"sources\.stocks\.ccxt\.exchange"),
        ('{"source": "ccxt", "symbols": ["BTC/USDT"], "exchange": "../x"}', r"sources\.stocks\.ccxt\.exchange"),
        ('{"source": "ccxt", "symbols": ["B/U"], "exchange": "x", "attempts": 0}', r"sources\.stocks\.ccxt\.attempts"),
    ],
)
def test_an_option_that_does_not_fit_is_named(monkeypatch, source, word):
    monkeypatch.setenv("TRADEHITS__SOURCES__STOCKS", source)
    with pytest.raises(ConfigError, match=word):
        load_settings("local")


def test_a_misspelt_variable_is_named_with_the_near_one(monkeypatch):
    monkeypatch.setenv("TRADEHITS__SOURCES__STOCKS__DELIMITR", ";")
    with pytest.raises(ConfigError) as caught:
        load_settings("local")
    assert "delimiter" in caught.value.remedy


def test_symbols_become_canonical_once_each():
    options = CcxtOptions(exchange="binance", symbols=("btcusdt", "BTC/USDT", "eth-usd"))
    assert options.canonical_symbols("crypto") == ("BTC/USDT", "ETH/USD")
    assert YFinanceOptions(symbols=("brk-b", "AAPL")).canonical_symbols("stocks") == ("BRK-B", "AAPL")


def test_options_cannot_be_changed():
    with pytest.raises(ValidationError):
        CsvOptions().delimiter = ";"
