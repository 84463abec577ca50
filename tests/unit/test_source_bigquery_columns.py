"""Columns of tables that the platform did not make: found, mapped, or named in an error."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from google.cloud import bigquery

from configs.settings import load_settings
from configs.sources import BigQueryColumnName, BigQueryOptions
from market.errors import SchemaError, SourceError
from market.indicators import OUTPUT_COLUMNS
from warehouse.sources._bigquery_columns import ARRIVED_AT, BARS, given_columns
from warehouse.sources.base import open_source
from warehouse.sources.bigquery import distinct_bars_query

BAR_FIELDS = {
    "symbol": "STRING",
    "datetime": "TIMESTAMP",
    **dict.fromkeys(("open", "high", "low", "close", "volume"), "FLOAT"),
}


def table(**fields: str | None) -> bigquery.Table:
    """A table of theirs: bars, changed by `fields` (None drops a column)."""
    columns = {name: kind for name, kind in (BAR_FIELDS | fields).items() if kind is not None}
    return bigquery.Table("p.d.t", schema=[bigquery.SchemaField(name, kind) for name, kind in columns.items()])


def test_their_usual_names_are_found() -> None:
    given = given_columns(
        table(symbol=None, pair="STRING", macd_hist="FLOAT", bb_upper="FLOAT", created_at="TIMESTAMP"),
        BigQueryOptions(),
        (ARRIVED_AT, "macd_histogram", "bollinger_upper", "rsi"),
    )
    assert given.found["symbol"] == "pair"
    assert given.found["macd_histogram"] == "macd_hist"
    assert given.found["bollinger_upper"] == "bb_upper"
    assert given.found[ARRIVED_AT] == "created_at"
    assert "rsi" not in given.found
    assert given.select(("macd_histogram", "rsi")) == "`macd_hist` AS `macd_histogram`, CAST(NULL AS FLOAT64) AS `rsi`"


def test_the_configuration_names_a_column_and_our_own_name_comes_before_a_usual_one() -> None:
    given = given_columns(
        table(last="FLOAT", macd_hist="FLOAT", macd_histogram="FLOAT"),
        BigQueryOptions(columns={"close": "LAST"}),
        ("macd_histogram",),
    )
    assert given.found["close"] == "last"
    assert given.found["macd_histogram"] == "macd_histogram"


@pytest.mark.parametrize(
    ("kind", "expression"),
    [("TIMESTAMP", "`datetime`"), ("DATETIME", "TIMESTAMP(`datetime`)"), ("DATE", "TIMESTAMP(`datetime`)")],
)
def test_stamps_become_instants(kind: str, expression: str) -> None:
    assert given_columns(table(datetime=kind), BigQueryOptions(), ()).expressions["datetime"] == expression


def test_numbers_become_float64() -> None:
    given = given_columns(table(volume="INTEGER", close="NUMERIC"), BigQueryOptions(), ())
    assert given.expressions["volume"] == "CAST(`volume` AS FLOAT64)"
    assert given.expressions["close"] == "CAST(`close` AS FLOAT64)"
    assert given.expressions["open"] == "`open`"


@pytest.mark.parametrize(
    ("fields", "options", "words"),
    [
        ({"close": None}, {}, "p.d.t: the column 'close' is missing; the table has symbol, datetime, open"),
        ({"close": "STRING"}, {}, "column 'close' is STRING, and close must be FLOAT64 or INT64"),
        ({"datetime": "STRING"}, {}, "column 'datetime' is STRING, and datetime must be TIMESTAMP or DATETIME or DATE"),
        ({"symbol": "INTEGER"}, {}, "column 'symbol' is INT64, and symbol must be STRING"),
        ({}, {"columns": {"close": "last_price"}}, "columns says close is 'last_price', but the table has no such"),
    ],
)
def test_a_column_that_is_gone_renamed_or_of_another_type_is_named(
    fields: dict[str, str | None], options: dict[str, object], words: str
) -> None:
    with pytest.raises(SchemaError, match=words.replace("(", r"\(")) as error:
        given_columns(table(**fields), BigQueryOptions(**options), ())  # type: ignore[arg-type]
    assert "sources.<asset_type>.columns" in error.value.remedy


def test_copies_are_compared_by_the_bar_alone_and_nothing_else_is_read() -> None:
    theirs = table(rsi="FLOAT", trend_regime="STRING", pivot_high_flag="INTEGER", created_at="TIMESTAMP")
    sql = distinct_bars_query(given_columns(theirs, BigQueryOptions(), (ARRIVED_AT,)))
    assert sql.startswith("SELECT `symbol`, `datetime`, `open`, `high`, `low`, `close`, `volume`, MAX(`arrived_at`)")
    assert sql.endswith("GROUP BY `symbol`, `datetime`, `open`, `high`, `low`, `close`, `volume`")
    assert not {"rsi", "trend_regime", "pivot_high_flag"} & set(sql.replace("`", " ").split())


def test_every_column_of_ours_can_be_mapped() -> None:
    assert set(get_args(BigQueryColumnName)) == {*BARS, ARRIVED_AT, *OUTPUT_COLUMNS}


def test_an_option_that_another_source_has_is_an_error() -> None:
    with pytest.raises(ValueError, match="paths"):
        BigQueryOptions(paths=["x"])  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="one column of the table cannot be two of ours"):
        BigQueryOptions(columns={"open": "price", "close": "PRICE"})


def test_the_source_takes_no_path() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    with pytest.raises(SourceError, match="takes no path"):
        open_source("bigquery", paths=[Path("x")], settings=load_settings("test"), now=now)
