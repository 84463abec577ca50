"""The translation itself: names on the tree, rules where types matter, and equal text for equal input."""

import pytest

from market.errors import QueryError
from warehouse.dialect import TableNames, to_duckdb

NAMES = TableNames(
    project="p",
    datasets=(("ml_models", "ml_dev"), ("tradehits", "tradehits")),
    tables=frozenset({"ml_models.bars", "ml_models.v_bars", "tradehits.sessions"}),
)


@pytest.mark.parametrize(
    ("google", "local"),
    [
        ("SELECT a FROM `x.ml_models.bars`", 'SELECT a FROM "ml_dev"."bars"'),
        ("SELECT a FROM `x.ml_dev.bars` AS b", 'SELECT a FROM "ml_dev"."bars" AS b'),
        ("SELECT 1.5 AS a", "SELECT 1.5e0 AS a"),
        ("SELECT a FROM ml_models.bars WHERE s = @s", 'SELECT a FROM "ml_dev"."bars" WHERE s = $s'),
        ("SELECT a FROM ml_models.bars ORDER BY a", 'SELECT a FROM "ml_dev"."bars" ORDER BY a NULLS FIRST'),
        ("SELECT CAST(a AS INT64) AS a FROM ml_models.bars", 'SELECT googlesql.to_int64(a) AS a FROM "ml_dev"."bars"'),
        ("SELECT 'a FROM `x.ml_models.bars`' AS t", "SELECT 'a FROM `x.ml_models.bars`' AS t"),
    ],
)
def test_a_statement_becomes_this(google, local):
    assert to_duckdb(google, NAMES) == local


def test_text_that_looks_like_sql_stays_text():
    local = to_duckdb(r"SELECT 'it\'s; DROP TABLE x --' AS a, r'\d' AS b", NAMES)
    assert local == r"SELECT 'it''s; DROP TABLE x --' AS a, '\d' AS b"


def test_what_is_no_googlesql_is_told_with_its_place():
    with pytest.raises(QueryError) as refusal:
        to_duckdb("SELECT a\nFROM WHERE b", NAMES)
    assert "line 2" in refusal.value.message
    assert "\x1b" not in refusal.value.message


def test_a_name_of_another_dataset_is_no_name():
    with pytest.raises(QueryError, match="no table bars in dataset tradehits"):
        to_duckdb("SELECT * FROM tradehits.bars", NAMES)


def test_the_same_statement_is_translated_once():
    sql = "SELECT a, b FROM ml_models.bars WHERE c = 'translated once'"
    before = to_duckdb.cache_info().hits
    assert to_duckdb(sql, NAMES) == to_duckdb(sql, NAMES)
    assert to_duckdb.cache_info().hits == before + 1


def test_only_statements_that_can_make_nan_pay_for_nan():
    plain = to_duckdb("SELECT MIN(a) AS a FROM ml_models.bars WHERE b > 1", NAMES)
    with_nan = to_duckdb("SELECT MIN(a) AS a FROM ml_models.bars WHERE IEEE_DIVIDE(b, c) > 1", NAMES)
    assert "is_nan" not in plain
    assert with_nan.count("is_nan") == 2
