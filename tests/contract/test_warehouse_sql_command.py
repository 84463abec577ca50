"""`tradehits sql`: one SELECT in, a table, CSV or JSON out."""

import csv
import io
import json

import pytest

from configs.settings import load_settings
from flows.sql_command import run_sql
from market.errors import ConfigError, NotReadOnlyError, QueryError
from warehouse.engines import open_warehouse

ROW = (
    "SELECT 'a, \"b\"' AS t, 1 AS i, 2.5 AS f, NULL AS u, TRUE AS b, DATE '2024-01-05' AS d, "
    "TIMESTAMP '2024-01-05 06:07:08+00' AS ts, [1, 2] AS xs, STRUCT(1 AS k) AS s, CAST(1.5 AS NUMERIC) AS m"
)


@pytest.fixture
def settings():
    configured = load_settings("test")
    open_warehouse(configured).ensure_schema()
    return configured


def test_json_is_a_list_of_objects_and_nothing_else(settings):
    assert json.loads(run_sql(settings, ROW, "json")) == [
        {
            "t": 'a, "b"',
            "i": 1,
            "f": 2.5,
            "u": None,
            "b": True,
            "d": "2024-01-05",
            "ts": "2024-01-05T06:07:08Z",
            "xs": [1, 2],
            "s": {"k": 1},
            "m": "1.500000000",
        }
    ]
    assert run_sql(settings, f"{ROW} LIMIT 0", "json") == "[]"


def test_json_never_holds_nan(settings):
    with pytest.raises(QueryError, match="NaN or infinity"):
        run_sql(settings, "SELECT IEEE_DIVIDE(0, 0) AS x", "json")


def test_csv_quotes_what_needs_quotes(settings):
    header, row = csv.reader(io.StringIO(run_sql(settings, ROW, "csv")))
    assert header == ["t", "i", "f", "u", "b", "d", "ts", "xs", "s", "m"]
    assert row == [
        *('a, "b"', "1", "2.5", "", "true", "2024-01-05", "2024-01-05T06:07:08Z"),
        *("[1, 2]", '{"k": 1}', "1.500000000"),
    ]
    assert run_sql(settings, "SELECT 1 AS a LIMIT 0", "csv") == "a"


def test_a_table_ends_with_its_row_count(settings):
    lines = run_sql(
        settings, "SELECT 'AAPL' AS symbol, 0.5 AS p UNION ALL SELECT NULL, 0.25 ORDER BY symbol"
    ).splitlines()
    assert [line.split() for line in lines if line.strip() and "─" not in line] == [
        ["symbol", "p"],
        ["NULL", "0.25"],
        ["AAPL", "0.5"],
        ["2", "rows"],
    ]
    assert run_sql(settings, "SELECT 1 AS a").splitlines()[-1] == "1 row"
    assert run_sql(settings, "SELECT 1 AS a LIMIT 0").splitlines()[-1] == "0 rows"


def test_rows_wider_than_the_terminal_are_shown_column_by_column(settings, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    columns = ", ".join(f"'{'x' * 20}' AS column_{i}" for i in range(8))
    text = run_sql(settings, f"SELECT {columns}")
    assert max(map(len, text.splitlines())) <= 80
    assert [line.split() for line in text.splitlines()][1:3] == [["column_0", "x" * 20], ["column_1", "x" * 20]]


def test_markup_in_a_value_is_text(settings):
    assert "[bold]x[/bold]" in run_sql(settings, "SELECT '[bold]x[/bold]' AS a")


def test_a_statement_that_writes_and_an_unknown_format_are_refused(settings):
    with pytest.raises(NotReadOnlyError):
        run_sql(settings, "DROP TABLE `ml_models.deployment_log`")
    with pytest.raises(ConfigError, match="xml"):
        run_sql(settings, "SELECT 1", "xml")
