"""GoogleSQL whose answer BigQuery documents, and which DuckDB left alone would answer otherwise or not at all.

Every probe is a SELECT of literals that needs no table, so the same list runs on any engine, a real project included.
`rows` is what BigQuery returns; `refused` marks statements that BigQuery itself refuses (a part of the message).
"""

# ruff: noqa: E501  a statement stays in one piece, so that it can be pasted into a console
from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

NAN = math.nan


@dataclass(frozen=True)
class Probe:
    """One statement and BigQuery's answer: rows of values, or the refusal."""

    name: str
    sql: str
    rows: tuple[tuple[Any, ...], ...] = ()
    refused: str = ""


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def _one(name: str, sql: str, *values: Any) -> Probe:
    return Probe(name, f"SELECT {sql}", (values,))


def _refused(name: str, sql: str, message: str) -> Probe:
    return Probe(name, f"SELECT {sql}", refused=message)


NUMBERS = [
    _one("SAFE_DIVIDE gives NULL for a zero denominator", "SAFE_DIVIDE(1, 0), SAFE_DIVIDE(0.0, 0.0)", None, None),
    _one("SAFE_DIVIDE of integers is FLOAT64", "SAFE_DIVIDE(5, 2), SAFE_DIVIDE(NULL, 2)", 2.5, None),
    _one("integers divide to FLOAT64", "5 / 2, 4 / 2", 2.5, 2.0),
    _one("DIV and MOD truncate toward zero", "DIV(7, 2), DIV(-7, 2), MOD(-7, 3)", 3, -3, -1),
    _one("DIV and MOD take sums as operands", "DIV(3 + 4, 1 + 1), MOD(3 + 4, 1 + 2)", 3, 1),
    _refused("an integer divided by zero is an error", "1 / (SELECT 0)", "(?i)division by zero"),
    _refused("a float divided by zero is an error", "1.5 / CAST(0 AS FLOAT64)", "(?i)division by zero"),
    _refused("DIV by zero is an error", "DIV(1, 0)", "(?i)division by zero"),
    _refused("MOD by zero is an error", "MOD(1, 0)", "(?i)division by zero"),
    _one("NULL divided by zero is NULL", "NULL / 0", None),
    _one(
        "IEEE_DIVIDE follows IEEE 754",
        "IEEE_DIVIDE(1, 0), IEEE_DIVIDE(-1, 0), IEEE_DIVIDE(0, 0)",
        math.inf,
        -math.inf,
        NAN,
    ),
    _one("decimal literals are FLOAT64", "0.1 + 0.2, 1.10", 0.30000000000000004, 1.1),
    _one("integer literals are INT64", "100000 * 100000, 2147483647 + 1", 10_000_000_000, 2_147_483_648),
    _one(
        "CAST to INT64 rounds half away from zero",
        "CAST(2.5 AS INT64), CAST(3.5 AS INT64), CAST(-2.5 AS INT64)",
        3,
        4,
        -3,
    ),
    _refused("CAST of a decimal text to INT64 is an error", "CAST('1.5' AS INT64)", "(?i)1\\.5"),
    _one(
        "SAFE_CAST gives NULL",
        "SAFE_CAST('1.5' AS INT64), SAFE_CAST('x' AS FLOAT64), SAFE_CAST('7' AS INT64)",
        None,
        None,
        7,
    ),
    _one("BOOL casts to INT64", "CAST(TRUE AS INT64), CAST(0 AS BOOL)", 1, False),
    _refused("only true and false are BOOL texts", "CAST('yes' AS BOOL)", "(?i)bool"),
    _one("NUMERIC keeps nine decimals", "CAST(1.25 AS NUMERIC)", Decimal("1.25")),
    _one("ROUND goes half away from zero", "ROUND(2.5), ROUND(-2.5), ROUND(1234.5, -2)", 3.0, -3.0, 1200.0),
    _one(
        "ROUND, FLOOR, CEIL and TRUNC give FLOAT64",
        "ROUND(5), FLOOR(-1.5), CEIL(1.2), TRUNC(-1.7), TRUNC(1.77, 1)",
        5.0,
        -2.0,
        2.0,
        -1.0,
        1.7,
    ),
    _one("logarithms", "LN(1.0), LOG(8, 2), LOG10(1000), LOG(1.0)", 0.0, 3.0, 3.0, 0.0),
    _refused("LN(0) is an error", "LN((SELECT 0))", "(?i)log"),
    _refused("SQRT of a negative number is an error", "SQRT((SELECT -1.0))", "(?i)square root|negative"),
    _refused("POW of a negative base with a fraction is an error", "POW((SELECT -1.0), 0.5)", "(?i)floating point|POW"),
    _one("SAFE. turns an error into NULL", "SAFE.LN(-1), SAFE.SQRT(-1), SAFE.LN(1)", None, None, 0.0),
    _one("POW of integers is FLOAT64", "POW(2, 3), SQRT(16), ABS(-3), SIGN(-7)", 8.0, 4.0, 3, -1),
    _one(
        "GREATEST and LEAST are NULL with a NULL",
        "GREATEST(1, NULL, 3), LEAST(1, NULL), GREATEST(1, 3), LEAST(1, 3)",
        None,
        None,
        3,
        1,
    ),
]

NAN_PROBES = [
    _one("IS_NAN and IS_INF", "IS_NAN(CAST('nan' AS FLOAT64)), IS_INF(CAST('-inf' AS FLOAT64)), IS_NAN(NULL)", True, True, None),
    Probe(
        "MAX, MIN and AVG of a set with NaN are NaN",
        "SELECT MAX(x), MIN(x), AVG(x) FROM UNNEST([1.0, CAST('nan' AS FLOAT64), 3.0]) AS x",
        ((NAN, NAN, NAN),),
    ),
    Probe(
        "NaN sorts between NULL and the smallest number",
        "SELECT x FROM UNNEST([1.0, CAST('nan' AS FLOAT64), NULL, -3.0]) AS x ORDER BY x",
        ((None,), (NAN,), (-3.0,), (1.0,)),
    ),
    Probe(
        "descending, NaN comes after the numbers and before NULL",
        "SELECT x FROM UNNEST([1.0, CAST('nan' AS FLOAT64), NULL, -3.0]) AS x ORDER BY 1 DESC",
        ((1.0,), (-3.0,), (NAN,), (None,)),
    ),
    Probe(
        "MIN OVER, LEAST and BETWEEN with NaN",
        "SELECT DISTINCT MIN(x) OVER (), LEAST(2.0, CAST('nan' AS FLOAT64)), LEAST(2.0, 1.0, x * 0 + 3), "
        "CAST('nan' AS FLOAT64) BETWEEN 0 AND 9, 1.0 BETWEEN 0 AND CAST('nan' AS FLOAT64) "
        "FROM UNNEST([1.0, CAST('nan' AS FLOAT64)]) AS x WHERE NOT IS_NAN(x)",
        ((1.0, NAN, 1.0, False, False),),
    ),
    Probe(
        "a union of casts sorts by name",
        "SELECT CAST(x AS FLOAT64) AS y FROM UNNEST(['2', 'nan']) AS x UNION ALL SELECT 1.0 ORDER BY y",
        ((NAN,), (1.0,), (2.0,)),
    ),
    _one(
        "every comparison with NaN is false but <>",
        "CAST('nan' AS FLOAT64) = CAST('nan' AS FLOAT64), CAST('nan' AS FLOAT64) > 1, CAST('nan' AS FLOAT64) < 1, "
        "CAST('nan' AS FLOAT64) <> CAST('nan' AS FLOAT64), 1 >= CAST('nan' AS FLOAT64)",
        False, False, False, True, False,
    ),
]  # fmt: skip

TEXT = [
    _one("floats as text are short", "CAST(1.0 AS STRING), CAST(1.5 AS STRING), CAST(0.1 + 0.2 AS STRING)",
         "1", "1.5", "0.30000000000000004"),
    _one("large floats as text", "CAST(1e20 AS STRING)", "1e+20"),
    _one("timestamps as text", "CAST(TIMESTAMP '2024-01-01 00:00:00+00' AS STRING)", "2024-01-01 00:00:00+00"),
    _one("fractions of a second as text have 3 or 6 digits", "CAST(TIMESTAMP '2024-01-01 00:00:00.5+00' AS STRING)",
         "2024-01-01 00:00:00.500+00"),
    _one("dates, booleans and integers as text", "CAST(DATE '2024-01-05' AS STRING), CAST(TRUE AS STRING), CAST(7 AS STRING)",
         "2024-01-05", "true", "7"),
    _one("CONCAT and || are NULL with a NULL", "CONCAT('a', NULL, 'b'), 'a' || NULL, CONCAT('a', 'b')", None, None, "ab"),
    _one("SUBSTR counts from 1, from the end, and takes 0 as 1",
         "SUBSTR('abc', 2), SUBSTR('abc', -2, 1), SUBSTR('abc', 0, 2), SUBSTR('abc', -9, 2)", "bc", "b", "ab", "ab"),
    _one("text functions", "UPPER('a'), LENGTH('abc'), REPLACE('abc', 'b', 'x'), STRPOS('abc', 'c'), STARTS_WITH('abc', 'ab'), "
         "ENDS_WITH('abc', 'x'), TRIM(' a '), RTRIM('a,', ','), LPAD('7', 3, '0'), REVERSE('ab'), LEFT('abc', 2), RIGHT('abc', 1)",
         "A", 3, "axc", 3, True, False, "a", "a", "007", "ba", "ab", "c"),
    _one("SPLIT", "SPLIT('a,b')[OFFSET(1)], SPLIT('a-b', '-')[OFFSET(0)]", "b", "a"),
    _one("regular expressions", "REGEXP_CONTAINS('BTC-USD', '^BTC'), REGEXP_EXTRACT('BTC-USD', '([A-Z]+)-'), "
         "REGEXP_EXTRACT('BTC', 'x'), REGEXP_REPLACE('a1b2', r'\\d', '#')", True, "BTC", None, "a#b#"),
    _one("LIKE escapes with a backslash", r"'50%' LIKE '50\\%', '50x' LIKE '50\\%', 'ab' LIKE 'a%'", True, False, True),
    _one("FORMAT", "FORMAT('%d of %s: %.2f%%', 3, 'x', 1.5), FORMAT('%05d', 42), FORMAT('%s', CAST(NULL AS STRING))",
         "3 of x: 1.50%", "00042", None),
    _one("JSON_VALUE is text, and NULL for anything but a scalar",
         """JSON_VALUE('{"a": {"b": 1}}', '$.a.b'), JSON_VALUE('{"a": {"b": 1}}', '$.a'), JSON_VALUE('{"a": "x"}', '$.a')""",
         "1", None, "x"),
    _refused("INT64 and STRING do not compare", "1 = 'UP'", "No matching signature for operator ="),
    _refused("STRING does not add", "'1' + 1", "No matching signature for operator \\+"),
]  # fmt: skip

TIMES = [
    _one("DATE of a timestamp is its UTC date", "DATE(TIMESTAMP '2024-01-01 23:30:00+00')", date(2024, 1, 1)),
    _one("DATE in a time zone", "DATE(TIMESTAMP '2024-01-01 03:30:00+00', 'America/New_York')", date(2023, 12, 31)),
    _one("DATE_ADD and DATE_SUB give a DATE", "DATE_SUB(DATE '2024-03-31', INTERVAL 1 MONTH), DATE_ADD(DATE '2024-01-01', "
         "INTERVAL 2 WEEK), DATE_SUB('2024-01-01', INTERVAL 1 DAY)", date(2024, 2, 29), date(2024, 1, 15), date(2023, 12, 31)),
    _one("DATE_TRUNC gives a DATE", "DATE_TRUNC(DATE '2024-02-14', MONTH), DATE_TRUNC(DATE '2024-02-14', QUARTER), "
         "DATE_TRUNC(DATE '2024-02-14', YEAR)", date(2024, 2, 1), date(2024, 1, 1), date(2024, 1, 1)),
    _one("weeks begin on Sunday, or where they are told to", "DATE_TRUNC(DATE '2024-01-10', WEEK), "
         "DATE_TRUNC(DATE '2024-01-10', WEEK(MONDAY)), DATE_TRUNC(DATE '2024-01-10', ISOWEEK), DATE_TRUNC(DATE '2024-01-07', WEEK)",
         date(2024, 1, 7), date(2024, 1, 8), date(2024, 1, 8), date(2024, 1, 7)),
    _one("TIMESTAMP_TRUNC", "TIMESTAMP_TRUNC(TIMESTAMP '2024-01-10 05:30:00+00', DAY), "
         "TIMESTAMP_TRUNC(TIMESTAMP '2024-01-10 05:30:00+00', WEEK), TIMESTAMP_TRUNC(TIMESTAMP '2024-01-10 05:30:00+00', HOUR)",
         _utc(2024, 1, 10), _utc(2024, 1, 7), _utc(2024, 1, 10, 5)),
    _one("TIMESTAMP_TRUNC in a time zone",
         "TIMESTAMP_TRUNC(TIMESTAMP '2024-01-10 03:00:00+00', DAY, 'America/New_York')", _utc(2024, 1, 9, 5)),
    _one("DATE_DIFF counts boundaries", "DATE_DIFF(DATE '2024-03-01', DATE '2024-02-01', DAY), "
         "DATE_DIFF(DATE '2024-03-01', DATE '2024-02-29', MONTH), DATE_DIFF(DATE '2024-01-01', DATE '2023-12-31', YEAR)", 29, 1, 1),
    _one("DATE_DIFF counts Sundays, or the named day", "DATE_DIFF(DATE '2024-01-07', DATE '2024-01-06', WEEK), "
         "DATE_DIFF(DATE '2024-01-08', DATE '2024-01-07', WEEK), DATE_DIFF(DATE '2024-01-08', DATE '2024-01-07', WEEK(MONDAY)), "
         "DATE_DIFF(DATE '2024-01-06', DATE '2024-01-07', WEEK)", 1, 0, 1, -1),
    _one("TIMESTAMP_DIFF counts whole units toward zero",
         "TIMESTAMP_DIFF(TIMESTAMP '2024-01-02 00:30:00+00', TIMESTAMP '2024-01-01 23:59:00+00', HOUR), "
         "TIMESTAMP_DIFF(TIMESTAMP '2024-01-02 00:30:00+00', TIMESTAMP '2024-01-01 23:59:00+00', DAY), "
         "TIMESTAMP_DIFF(TIMESTAMP '2024-01-01 00:00:00+00', TIMESTAMP '2024-01-01 01:30:00+00', HOUR), "
         "TIMESTAMP_DIFF(TIMESTAMP '2024-01-02 00:30:00+00', TIMESTAMP '2024-01-01 23:59:00+00', MINUTE)", 0, 0, -1, 31),
    _one("TIMESTAMP_ADD and TIMESTAMP_SUB", "TIMESTAMP_ADD(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 36 HOUR), "
         "TIMESTAMP_SUB(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 1 DAY)", _utc(2024, 1, 2, 12), _utc(2023, 12, 31)),
    _one("EXTRACT by GoogleSQL's counting", "EXTRACT(DAYOFWEEK FROM DATE '2024-01-07'), EXTRACT(WEEK FROM DATE '2024-01-10'), "
         "EXTRACT(ISOWEEK FROM DATE '2024-01-10'), EXTRACT(DAYOFYEAR FROM DATE '2024-02-01'), EXTRACT(QUARTER FROM DATE '2024-05-01'), "
         "EXTRACT(ISOYEAR FROM DATE '2024-12-30'), EXTRACT(WEEK FROM DATE '2024-01-01')", 1, 1, 2, 32, 2, 2025, 0),
    _one("EXTRACT of a timestamp", "EXTRACT(HOUR FROM TIMESTAMP '2024-01-01 05:06:07.123456+00'), "
         "EXTRACT(MILLISECOND FROM TIMESTAMP '2024-01-01 05:06:07.123456+00'), "
         "EXTRACT(DATE FROM TIMESTAMP '2024-01-01 05:06:07+00'), "
         "EXTRACT(HOUR FROM TIMESTAMP '2024-01-01 05:06:07+00' AT TIME ZONE 'America/New_York')", 5, 123, date(2024, 1, 1), 0),
    _one("FORMAT_TIMESTAMP and FORMAT_DATE", "FORMAT_TIMESTAMP('%Y-%m-%d %H', TIMESTAMP '2024-01-01 05:00:00+00'), "
         "FORMAT_DATE('%Y%m', DATE '2024-01-01'), FORMAT_TIMESTAMP('%F %T', TIMESTAMP '2024-01-01 05:00:00+00', 'America/New_York')",
         "2024-01-01 05", "202401", "2024-01-01 00:00:00"),
    _one("PARSE_DATE and PARSE_TIMESTAMP", "PARSE_DATE('%Y-%m-%d', '2024-02-03'), PARSE_DATE('%Y%m%d', '20240203'), "
         "PARSE_TIMESTAMP('%F %T', '2024-01-01 05:00:00')", date(2024, 2, 3), date(2024, 2, 3), _utc(2024, 1, 1, 5)),
    _one("UNIX time", "UNIX_SECONDS(TIMESTAMP '2024-01-01 00:00:00+00'), TIMESTAMP_SECONDS(1704067200), "
         "TIMESTAMP_MILLIS(1704067200000), UNIX_DATE(DATE '1970-01-03')", 1704067200, _utc(2024, 1, 1), _utc(2024, 1, 1), 2),
    _one("UNIX_SECONDS rounds down", "UNIX_SECONDS(TIMESTAMP '1969-12-31 23:59:59.5+00')", -1),
    _one("DATETIME is a wall clock, TIMESTAMP(DATE) is midnight UTC",
         "DATETIME(TIMESTAMP '2024-01-10 05:30:00+00'), TIMESTAMP(DATE '2024-01-01'), DATE(2024, 2, 3), LAST_DAY(DATE '2024-02-03')",
         datetime(2024, 1, 10, 5, 30), _utc(2024, 1, 1), date(2024, 2, 3), date(2024, 2, 29)),  # noqa: DTZ001
    _one("a date text compares with a DATE", "DATE '2024-01-02' > '2024-01-01', TIMESTAMP '2024-01-02 00:00:00+00' > '2024-01-01'",
         True, True),
    _refused("TIMESTAMP and DATE do not compare", "TIMESTAMP '2024-01-10 00:00:00+00' >= DATE_SUB(DATE '2024-01-10', INTERVAL 5 DAY)",
             "No matching signature for operator >="),
    Probe("GENERATE_DATE_ARRAY holds both ends",
          "SELECT d FROM UNNEST(GENERATE_DATE_ARRAY('2024-01-30', '2024-02-01')) AS d ORDER BY d",
          ((date(2024, 1, 30),), (date(2024, 1, 31),), (date(2024, 2, 1),))),
]  # fmt: skip

ROWS = [
    Probe("NULLs come first upward and last downward", "SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x", ((None,), (1,), (2,))),
    Probe("downward NULLs come last", "SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x DESC", ((2,), (1,), (None,))),
    Probe("window order puts NULL first too",
          "SELECT x, ROW_NUMBER() OVER (ORDER BY x) FROM UNNEST([2, NULL]) AS x ORDER BY x", ((None, 1), (2, 2))),
    Probe("COUNTIF, LOGICAL_OR and SUM(IF)", "SELECT COUNTIF(x > 1), LOGICAL_OR(x > 2), SUM(IF(x > 1, 1, 0)), SUM(x) / 2 "
          "FROM UNNEST([1, 2, 3]) AS x", ((2, True, 2, 3.0),)),
    Probe("an empty set", "SELECT COUNT(*), SUM(x), COUNTIF(x > 1), ARRAY_AGG(x), MAX(x) FROM UNNEST([1]) AS x WHERE x > 9",
          ((0, None, 0, None, None),)),
    Probe("ARRAY_AGG skips NULLs, orders and stops", "SELECT ARRAY_AGG(x IGNORE NULLS ORDER BY x DESC LIMIT 2) "
          "FROM UNNEST([1, NULL, 3, 2]) AS x", (([3, 2],),)),
    Probe("ARRAY_AGG of STRUCTs", "SELECT ARRAY_AGG(STRUCT(x AS a, x * 2 AS b) ORDER BY x LIMIT 2) FROM UNNEST([1, 2, 3]) AS x",
          (([{"a": 1, "b": 2}, {"a": 2, "b": 4}],),)),
    Probe("ARRAY_AGG DISTINCT", "SELECT ARRAY_AGG(DISTINCT x ORDER BY x) FROM UNNEST([2, 1, 2]) AS x", (([1, 2],),)),
    Probe("an array cannot leave with a NULL", "SELECT ARRAY_AGG(x) FROM UNNEST([1, NULL]) AS x", refused="(?i)null element"),
    Probe("STRING_AGG skips NULLs, orders and stops", "SELECT STRING_AGG(x, '-' ORDER BY x DESC LIMIT 2), STRING_AGG(x ORDER BY x) "
          "FROM UNNEST(['a', NULL, 'c', 'b']) AS x", (("c-b", "a,b,c"),)),
    _one("array elements", "[10, 20, 30][OFFSET(1)], [10, 20, 30][ORDINAL(1)], [10, 20][SAFE_OFFSET(5)], ARRAY_LENGTH([1, 2])",
         20, 10, None, 2),
    _refused("an array element out of bounds is an error", "[10, 20][OFFSET(2)]", "(?i)out of bounds|array index"),
    Probe("UNNEST WITH OFFSET counts from 0", "SELECT x, o FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o ORDER BY o",
          (("a", 0), ("b", 1))),
    Probe("a correlated UNNEST", "SELECT t.k, x FROM (SELECT 'a' AS k, [1, 2] AS xs) AS t, UNNEST(t.xs) AS x ORDER BY x",
          (("a", 1), ("a", 2))),
    _one("IN UNNEST", "2 IN UNNEST([1, 2]), 3 IN UNNEST([1, 2])", True, False),
    _one("ARRAY of a subquery", "ARRAY(SELECT x * 2 FROM UNNEST([1, 2]) AS x ORDER BY x DESC)", [4, 2]),
    _one("ARRAY of STRUCTs", "ARRAY(SELECT AS STRUCT x AS a, x + 1 AS b FROM UNNEST([1]) AS x)", [{"a": 1, "b": 2}]),
    Probe("QUALIFY", "SELECT x FROM UNNEST([1, 2, 3, 4, 5]) AS x WHERE TRUE "
          "QUALIFY ROW_NUMBER() OVER (PARTITION BY MOD(x, 2) ORDER BY x DESC) = 1 ORDER BY x", ((4,), (5,))),
    Probe("APPROX_QUANTILES", "SELECT APPROX_QUANTILES(x, 100)[OFFSET(50)], APPROX_QUANTILES(x, 2)[OFFSET(2)] "
          "FROM UNNEST(GENERATE_ARRAY(1, 101)) AS x", ((51, 101),)),
    Probe("PERCENTILE_CONT interpolates", "SELECT DISTINCT PERCENTILE_CONT(x, 0.25) OVER (), PERCENTILE_DISC(x, 0.5) OVER () "
          "FROM UNNEST([1.0, 2.0, 3.0, 4.0]) AS x", ((1.75, 2.0),)),
    Probe("STDDEV is of the sample", "SELECT STDDEV(x), STDDEV_POP(x), VAR_SAMP(x), STDDEV(y) "
          "FROM UNNEST([STRUCT(1.0 AS x, 1.0 AS y), STRUCT(3.0, NULL)])", ((math.sqrt(2), 1.0, 2.0, None),)),
    Probe("CORR needs two pairs", "SELECT CORR(x, x), CORR(x, IF(x > 1, x, NULL)) FROM UNNEST([1.0, 2.0]) AS x", ((1.0, None),)),
    Probe("ANY_VALUE HAVING MAX", "SELECT ANY_VALUE(x HAVING MAX y), ANY_VALUE(x HAVING MIN y) "
          "FROM UNNEST([STRUCT(1 AS x, 5 AS y), STRUCT(2, 9)])", ((2, 1),)),
    Probe("window frames by RANGE", "SELECT x, SUM(x) OVER (ORDER BY x RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) "
          "FROM UNNEST([1, 2, 4]) AS x ORDER BY x", ((1, 1), (2, 3), (4, 4))),
    Probe("LAST_VALUE IGNORE NULLS", "SELECT LAST_VALUE(x IGNORE NULLS) OVER (ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) "
          "FROM UNNEST([1, NULL, 3]) AS x WITH OFFSET AS o ORDER BY o", ((1,), (1,), (3,))),
    Probe("SELECT * EXCEPT and REPLACE", "SELECT * EXCEPT (a) REPLACE (b + 1 AS b) FROM (SELECT 1 AS a, 2 AS b, 3 AS c)", ((3, 3),)),
    Probe("PIVOT", "SELECT * FROM (SELECT 'a' AS k, 1 AS v UNION ALL SELECT 'b', 2) PIVOT (SUM(v) FOR k IN ('a', 'b'))", ((1, 2),)),
    Probe("HAVING by alias", "SELECT MOD(x, 2) AS k, COUNT(*) AS n FROM UNNEST([1, 2, 3]) AS x GROUP BY k HAVING n > 1", ((1, 2),)),
    Probe("UNION DISTINCT and EXCEPT DISTINCT", "(SELECT 1 AS x UNION DISTINCT SELECT 1) EXCEPT DISTINCT SELECT 2", ((1,),)),
]  # fmt: skip

PROBES: list[Probe] = [*NUMBERS, *NAN_PROBES, *TEXT, *TIMES, *ROWS]
