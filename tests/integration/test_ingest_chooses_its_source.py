"""Which source is read, with which options, for what was said on the command line and in the profile."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from configs.settings import load_settings
from configs.sources import CsvOptions
from flows.context import Context, open_context
from flows.ingest import ingest, read_bars
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from market.errors import BadBarsError, ConfigError, SourceError
from warehouse.engines import open_warehouse

ROWS = "2024-03-11;10,0;11,0;9,0;10,5;1000\n2024-03-12;10,0;11,0;9,0;10,5;1000\n"
GERMAN = "Datum;Open;High;Low;Close;Volume\n" + ROWS
OPTIONS = {"source": "csv", "columns": {"datetime": "Datum"}, "decimal_comma": True}


@pytest.fixture
def read(monkeypatch):
    def read_(source=None, *paths, asset_type=None, **configured):
        for name, options in configured.items():
            monkeypatch.setenv(f"TRADEHITS__SOURCES__{name.upper()}", json.dumps(options))
        settings = load_settings("local")
        warehouse = open_warehouse(settings)
        warehouse.ensure_schema()
        context = Context(settings, warehouse, None, PlainTasks())
        batches = read_bars(context, source=source, paths=paths, asset_type=asset_type)
        return {batch.asset_type: batch.bars["symbol"].unique().sort().to_list() for batch in batches}

    return read_


@pytest.fixture
def german(tmp_path):
    for name in ("stocks/SAP.csv", "etf/EXS1.csv", "SIE.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(GERMAN)
    return tmp_path


def test_the_profile_s_sources_are_read_class_by_class(read, german):
    stocks = OPTIONS | {"paths": [str(german / "stocks")]}
    etf = OPTIONS | {"paths": [str(german / "etf")]}
    assert read(stocks=stocks, etf=etf) == {"stocks": ["SAP"], "etf": ["EXS1"]}
    assert read(asset_type="etf") == {"etf": ["EXS1"]}


def test_a_named_source_without_paths_is_read_as_the_profile_says(read, german):
    parquet = {"source": "parquet", "paths": [str(german / "missing.parquet")]}
    assert read("csv", stocks=OPTIONS | {"paths": [str(german / "stocks")]}, etf=parquet) == {"stocks": ["SAP"]}


def test_paths_of_a_class_are_read_with_the_options_of_that_class(read, german):
    stocks = OPTIONS | {"paths": [str(german / "stocks")]}
    assert read("csv", german / "SIE.csv", asset_type="stocks", stocks=stocks) == {"stocks": ["SIE"]}
    with pytest.raises(SourceError, match="'datetime': the column is missing"):
        read("csv", german / "SIE.csv", asset_type="etf")


def test_a_source_that_the_profile_only_names_gives_all_its_classes(read):
    assert set(read("simulated", etf={"source": "simulated"})) == {"stocks", "etf", "crypto"}
    assert set(read("simulated", asset_type="crypto")) == {"crypto"}


def test_a_cell_that_cannot_be_read_in_the_last_file_stops_before_anything_is_stored(german):
    (german / "stocks" / "ZZZ.csv").write_text(GERMAN.replace("10,5;1000", "n/a;1000"))
    settings = load_settings("local")
    context = open_context(settings, LogReporter(), PlainTasks())
    options = CsvOptions(**OPTIONS, paths=(german,))
    settings = settings.model_copy(update={"sources": settings.sources.model_copy(update={"stocks": options})})
    with pytest.raises(BadBarsError) as caught:
        ingest(replace(context, settings=settings))
    assert (caught.value.file, caught.value.row) == (str(german / "stocks" / "ZZZ.csv"), 2)
    for table in ("bar_versions", "bar_quarantine"):
        count = context.warehouse.query(f"SELECT COUNT(*) AS n FROM `tradehits.{table}`").to_pylist()
        assert count == [{"n": 0}]


def test_a_class_nobody_configured_is_an_error(read):
    with pytest.raises(ConfigError, match="no source of crypto bars"):
        read(asset_type="crypto")


def test_a_class_that_is_not_in_the_files_is_an_error(read, german):
    path = german / "all.parquet"
    pl.DataFrame({"asset_type": ["etf"]}).write_parquet(path)
    with pytest.raises(SourceError):
        read("parquet", path, asset_type="crypto")
