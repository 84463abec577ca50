"""Probes of what the embedded engine refuses by name although BigQuery answers: never silently different."""

# ruff: noqa: E501  a statement stays in one piece, so that it can be pasted into a console
from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

from warehouse.dialect.probe import Probe, utc


def _named(construct: str, source: str, columns: str, *values: Any) -> Probe:
    """A probe of one row; without values BigQuery's answer is not a constant."""
    return Probe(
        f"{construct} is refused by name",
        source,
        f"SELECT {columns}",
        (values,) if values else (),
        unsupported=construct,
    )


REFUSED: list[Probe] = [
    _named("FARM_FINGERPRINT", "Hash functions: FARM_FINGERPRINT", "FARM_FINGERPRINT('foo') = FARM_FINGERPRINT('foo')", True),
    _named("SHA2", "Hash functions: SHA256", "TO_HEX(SHA256('a'))", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    _named("JSON", "JSON functions: TO_JSON_STRING", "TO_JSON_STRING(STRUCT(1 AS a))", '{"a":1}'),
    _named("INITCAP", "String functions: INITCAP", "INITCAP('hello world')", "Hello World"),
    _named("BYTELENGTH", "String functions: BYTE_LENGTH", "BYTE_LENGTH('é')", 2),
    _named("CONTAINS", "String functions: CONTAINS_SUBSTR", "CONTAINS_SUBSTR('the blue house', 'BLUE')", True),
    _named("REGEXPINSTR", "String functions: REGEXP_INSTR", "REGEXP_INSTR('ab@cd', '@')", 3),
    _named("occurrence", "String functions: INSTR", "INSTR('banana', 'an', 1, 2)", 4),
    _named("%t", "String functions: FORMAT", "FORMAT('%t', 1)", "1"),
    _named("%'", "String functions: FORMAT", "FORMAT(\"%'d\", 1234567)", "1,234,567"),
    _named("BYTESTRING", "Lexical structure: String and bytes literals", "LENGTH(b'abc')", 3),
    _named("%Q", "Format elements for date and time parts", "FORMAT_DATE('%Q', DATE '2024-05-01')", "2"),
    _named("%E*S", "Format elements for date and time parts", "FORMAT_TIMESTAMP('%E*S', TIMESTAMP '2024-01-01 00:00:07.5+00')", "07.5"),
    _named("time format", "Format elements for date and time parts", "FORMAT_DATE(f, DATE '2024-01-01') FROM (SELECT '%Y' AS f)", "2024"),
    _named("BITWISEXOR", "Operators: Bitwise operators", "5 ^ 1", 4),
    _named("BITWISEAND", "Operators: Bitwise operators", "5 & 1", 1),
    _named("BITWISECOUNT", "Bit functions: BIT_COUNT", "BIT_COUNT(5)", 2),
    _named("subscript", "Operators: Array subscript operator", "[1][0]", 1),
    _named("FORMAT", "Format clause for CAST", "CAST('2024' AS DATE FORMAT 'YYYY')", ),
    _named("TIME", "Data types: Time type", "TIME '10:00:00' < TIME '11:00:00'", True),
    _named("BIGNUMERIC", "Data types: Decimal types", "CAST(BIGNUMERIC '1.5' AS FLOAT64)", 1.5),
    _named("GEOGRAPHY", "Data types: Geography type", "CAST(NULL AS GEOGRAPHY) IS NULL", True),
    _named("SESSION_USER", "Security functions: SESSION_USER", "SESSION_USER()"),
    _named("@@", "System variables", "@@time_zone"),
    _named("ISOYEAR", "Timestamp functions: TIMESTAMP_TRUNC", "TIMESTAMP_TRUNC(TIMESTAMP '2024-06-01 00:00:00+00', ISOYEAR)", utc(2024, 1, 1)),
    _named("WEEK(MONDAY)", "Date functions: EXTRACT", "EXTRACT(WEEK(MONDAY) FROM DATE '2024-01-08')", 2),
    _named("YEAR", "Date functions: LAST_DAY", "LAST_DAY(DATE '2024-02-03', YEAR)", date(2024, 12, 31)),
    _named("DATETIMEDIFF", "Datetime functions: DATETIME_DIFF", "DATETIME_DIFF(DATETIME '2024-01-02', DATETIME '2024-01-01', DAY)", 1),
    _named("GENERATETIMESTAMPARRAY", "Array functions: GENERATE_TIMESTAMP_ARRAY", "ARRAY_LENGTH(GENERATE_TIMESTAMP_ARRAY(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-02', INTERVAL 12 HOUR))", 3),
    _named("APPROXTOPK", "Approximate aggregate functions: APPROX_TOP_COUNT", "APPROX_TOP_COUNT(x, 1) FROM UNNEST([1, 1, 2]) AS x", [{"value": 1, "count": 2}]),
    _named("ARRAYCONCATAGG", "Aggregate functions: ARRAY_CONCAT_AGG", "ARRAY_CONCAT_AGG(x) FROM UNNEST([STRUCT([1] AS x)])", [1]),
    _named("PERCENTILE_DISC", "Navigation functions: PERCENTILE_DISC", "DISTINCT PERCENTILE_DISC(x, 0.5 RESPECT NULLS) OVER () FROM UNNEST([1.0, NULL, 3.0]) AS x", 1.0),
    _named("PIVOT", "Query syntax: PIVOT operator", "* FROM (SELECT 'a' AS k, 1 AS v) PIVOT (SUM(v) AS s, COUNT(*) AS n FOR k IN ('a'))", 1, 1),
    _named("UNPIVOT", "Query syntax: UNPIVOT operator", "* FROM (SELECT 1 AS a) UNPIVOT (v FOR k IN (a))", 1, "a"),
    _named("TABLESAMPLE", "Query syntax: TABLESAMPLE operator", "COUNT(*) FROM UNNEST([1]) TABLESAMPLE SYSTEM (10 PERCENT)"),
    _named("RANGEBUCKET", "Mathematical functions: RANGE_BUCKET", "RANGE_BUCKET(20, [0, 10, 20, 30, 40])", 3),
]  # fmt: skip

EVERYWHERE: list[Probe] = [
    Probe("a difference of dates is no number", "Operators: Date arithmetics operators", "SELECT DATE '2024-01-02' - DATE '2024-01-01' AS i", unsupported="INTERVAL"),
    Probe("MERGE is no read", "DML syntax: MERGE statement", "MERGE ml_models.t USING ml_models.s ON TRUE WHEN MATCHED THEN DELETE", unsupported="MERGE"),
    Probe("DELETE is no read", "DML syntax: DELETE statement", "DELETE FROM ml_models.deployment_log WHERE TRUE", unsupported="DELETE"),
    Probe("CREATE TABLE is no read", "DDL: CREATE TABLE statement", "CREATE TABLE ml_models.t AS SELECT 1 AS a", unsupported="CREATE"),
    Probe("two statements are no read", "Procedural language", "SELECT 1; SELECT 2", unsupported="several statements"),
]  # fmt: skip
EVERYWHERE = [replace(probe, refused_everywhere=True) for probe in EVERYWHERE]
"""Refused by the read path before any engine sees it: tables are written by the platform's commands only."""
