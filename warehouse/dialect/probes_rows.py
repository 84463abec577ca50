"""Probes of NULL ordering, aggregates, arrays, STRUCTs, windows and set operations."""

# ruff: noqa: E501  a statement stays in one piece, so that it can be pasted into a console
from __future__ import annotations

from warehouse.dialect.probe import Probe, many, one, refused

ARRAYS: list[Probe] = [
    one("array elements by OFFSET and ORDINAL", "Operators: Array subscript operator", "[10, 20, 30][OFFSET(1)], [10, 20, 30][ORDINAL(1)], [10, 20][SAFE_OFFSET(5)], [10][SAFE_ORDINAL(2)], ARRAY_LENGTH([1, 2])", 20, 10, None, None, 2),
    refused("an OFFSET out of bounds is an error", "Operators: Array subscript operator", "[10, 20][OFFSET(2)]", "(?i)out of bounds|array index"),
    refused("an ORDINAL out of bounds is an error", "Operators: Array subscript operator", "[10, 20][ORDINAL(3)]", "(?i)out of bounds|array index"),
    refused("an array cannot leave with a NULL", "Data types: Array type, NULLs and the ARRAY type", "ARRAY_AGG(x) FROM UNNEST([1, NULL]) AS x", "(?i)null element"),
    one("STRUCT fields and comparison", "Data types: Struct type", "STRUCT(1 AS a, STRUCT('x' AS c) AS b).b.c, STRUCT(1, 2) = STRUCT(1, 2), (1, 2) IN ((1, 2), (3, 4)), [STRUCT(1 AS a), STRUCT(2 AS a)][OFFSET(1)].a", "x", True, True, 2),
    many("UNNEST of STRUCTs gives their fields", "Query syntax: UNNEST operator", "SELECT * FROM UNNEST([STRUCT(1 AS a, 'x' AS b), STRUCT(2, 'y')]) ORDER BY a", (1, "x"), (2, "y")),
    many("UNNEST WITH OFFSET counts from 0", "Query syntax: UNNEST operator, WITH OFFSET", "SELECT x, o FROM UNNEST(['a', 'b']) AS x WITH OFFSET AS o ORDER BY o", ("a", 0), ("b", 1)),
    many("a correlated UNNEST", "Query syntax: UNNEST operator", "SELECT t.k, x FROM (SELECT 'a' AS k, [1, 2] AS xs) AS t, UNNEST(t.xs) AS x ORDER BY x", ("a", 1), ("a", 2)),
    many("a NULL array has no rows and no length", "Array functions: ARRAY_LENGTH; Query syntax: UNNEST operator", "SELECT COUNT(*), ARRAY_LENGTH(CAST(NULL AS ARRAY<INT64>)) FROM UNNEST(CAST(NULL AS ARRAY<INT64>))", (0, None)),
    one("IN UNNEST", "Operators: IN operators", "2 IN UNNEST([1, 2]), 3 IN UNNEST([1, 2])", True, False),
    one("ARRAY of a subquery", "Array functions: ARRAY", "ARRAY(SELECT x * 2 FROM UNNEST([1, 2]) AS x ORDER BY x DESC)", [4, 2]),
    one("ARRAY of STRUCTs", "Array functions: ARRAY", "ARRAY(SELECT AS STRUCT x AS a, x + 1 AS b FROM UNNEST([1]) AS x)", [{"a": 1, "b": 2}]),
    one("GENERATE_ARRAY holds both ends", "Array functions: GENERATE_ARRAY", "GENERATE_ARRAY(1, 5), GENERATE_ARRAY(0, 10, 3), GENERATE_ARRAY(10, 0, -3), GENERATE_ARRAY(2, 1)", [1, 2, 3, 4, 5], [0, 3, 6, 9], [10, 7, 4, 1], []),
    one("ARRAY_CONCAT, ARRAY_REVERSE and ARRAY_TO_STRING", "Array functions", "ARRAY_CONCAT([1], [2, 3]), ARRAY_REVERSE([1, 2]), ARRAY_TO_STRING(['a', NULL, 'b'], '-'), ARRAY_TO_STRING(['a', NULL, 'b'], '-', '?')", [1, 2, 3], [2, 1], "a-b", "a-?-b"),
]  # fmt: skip

AGGREGATES: list[Probe] = [
    many("COUNTIF, LOGICAL_OR and SUM(IF)", "Aggregate functions: COUNTIF, LOGICAL_OR, SUM", "SELECT COUNTIF(x > 1), LOGICAL_OR(x > 2), SUM(IF(x > 1, 1, 0)), SUM(x) / 2 FROM UNNEST([1, 2, 3]) AS x", (2, True, 2, 3.0)),
    many("an empty set", "Aggregate functions", "SELECT COUNT(*), SUM(x), COUNTIF(x > 1), ARRAY_AGG(x), MAX(x) FROM UNNEST([1]) AS x WHERE x > 9", (0, None, 0, None, None)),
    many("aggregates skip NULLs", "Aggregate functions", "SELECT COUNT(x), COUNT(DISTINCT x), COUNT(*), SUM(x), AVG(x), MIN(x), COUNTIF(x IS NULL) FROM UNNEST([1, 1, NULL]) AS x", (2, 1, 3, 2, 1.0, 1, 1)),
    many("LOGICAL_AND skips NULLs", "Aggregate functions: LOGICAL_AND, LOGICAL_OR", "SELECT LOGICAL_AND(x), LOGICAL_OR(x) FROM UNNEST([TRUE, NULL]) AS x", (True, True)),
    many("AVG of INT64 is FLOAT64, SUM is INT64", "Aggregate functions: AVG, SUM", "SELECT AVG(x), SUM(x), SUM(DISTINCT x) FROM UNNEST([1, 2, 2]) AS x", (5 / 3, 5, 3)),
    refused("SUM takes no BOOL", "Aggregate functions: SUM", "SUM(TRUE)", "No matching signature for aggregate function SUM"),
    refused("a SUM of INT64 beyond 64 bits is an error", "Aggregate functions: SUM", "SUM(x) FROM UNNEST([9223372036854775807, 1]) AS x", "(?i)overflow|out of range"),
    many("ARRAY_AGG skips NULLs, orders and stops", "Aggregate functions: ARRAY_AGG", "SELECT ARRAY_AGG(x IGNORE NULLS ORDER BY x DESC LIMIT 2) FROM UNNEST([1, NULL, 3, 2]) AS x", ([3, 2],)),
    many("ARRAY_AGG ordered by another column gives the newest", "Aggregate functions: ARRAY_AGG", "SELECT ARRAY_AGG(x IGNORE NULLS ORDER BY y DESC LIMIT 1)[OFFSET(0)], ARRAY_AGG(y ORDER BY y LIMIT 1)[SAFE_OFFSET(3)] "
         "FROM UNNEST([STRUCT(1 AS x, 1 AS y), STRUCT(NULL, 3), STRUCT(2, 2)])", (2, None)),
    many("ARRAY_AGG of STRUCTs", "Aggregate functions: ARRAY_AGG", "SELECT ARRAY_AGG(STRUCT(x AS a, x * 2 AS b) ORDER BY x LIMIT 2) FROM UNNEST([1, 2, 3]) AS x", ([{"a": 1, "b": 2}, {"a": 2, "b": 4}],)),
    many("ARRAY_AGG DISTINCT", "Aggregate functions: ARRAY_AGG", "SELECT ARRAY_AGG(DISTINCT x ORDER BY x) FROM UNNEST([2, 1, 2]) AS x", ([1, 2],)),
    many("STRING_AGG skips NULLs, orders and stops", "Aggregate functions: STRING_AGG", "SELECT STRING_AGG(x, '-' ORDER BY x DESC LIMIT 2), STRING_AGG(x ORDER BY x) FROM UNNEST(['a', NULL, 'c', 'b']) AS x", ("c-b", "a,b,c")),
    many("STRING_AGG DISTINCT", "Aggregate functions: STRING_AGG", "SELECT STRING_AGG(DISTINCT x, ',' ORDER BY x) FROM UNNEST(['b', 'a', 'b']) AS x", ("a,b",)),
    many("ANY_VALUE HAVING MAX", "Aggregate functions: ANY_VALUE", "SELECT ANY_VALUE(x HAVING MAX y), ANY_VALUE(x HAVING MIN y) FROM UNNEST([STRUCT(1 AS x, 5 AS y), STRUCT(2, 9)])", (2, 1)),
    many("MAX and MIN of text are by code point", "Aggregate functions: MAX, MIN", "SELECT MIN(x), MAX(x) FROM UNNEST(['b', 'a', 'B']) AS x", ("B", "b")),
    many("GROUP BY puts NULLs into one group", "Query syntax: GROUP BY clause", "SELECT k, COUNT(*) FROM UNNEST(['a', NULL, 'a', NULL]) AS k GROUP BY k ORDER BY k", (None, 2), ("a", 2)),
    many("GROUP BY ROLLUP", "Query syntax: GROUP BY ROLLUP", "SELECT k, SUM(v) FROM (SELECT 'a' AS k, 1 AS v UNION ALL SELECT 'b', 2) GROUP BY ROLLUP (k) ORDER BY k", (None, 3), ("a", 1), ("b", 2)),
    many("HAVING by alias", "Query syntax: HAVING clause", "SELECT MOD(x, 2) AS k, COUNT(*) AS n FROM UNNEST([1, 2, 3]) AS x GROUP BY k HAVING n > 1", (1, 2)),
]  # fmt: skip

WINDOWS: list[Probe] = [
    many("QUALIFY", "Query syntax: QUALIFY clause", "SELECT x FROM UNNEST([1, 2, 3, 4, 5]) AS x WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY MOD(x, 2) ORDER BY x DESC) = 1 ORDER BY x", (4,), (5,)),
    many("QUALIFY by alias", "Query syntax: QUALIFY clause", "SELECT x, SUM(x) OVER (ORDER BY x) AS s FROM UNNEST([1, 2, 3]) AS x WHERE TRUE QUALIFY s > 1 ORDER BY x", (2, 3), (3, 6)),
    many("window order puts NULL first too", "Window function calls: ORDER BY", "SELECT x, ROW_NUMBER() OVER (ORDER BY x) FROM UNNEST([2, NULL]) AS x ORDER BY x", (None, 1), (2, 2)),
    many("window frames by RANGE", "Window function calls: Window frame clause", "SELECT x, SUM(x) OVER (ORDER BY x RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM UNNEST([1, 2, 4]) AS x ORDER BY x", (1, 1), (2, 3), (4, 4)),
    many("window frames by ROWS", "Window function calls: Window frame clause", "SELECT SUM(x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM UNNEST([1, 2, 4]) AS x ORDER BY x", (1,), (3,), (6,)),
    many("the default frame ends with the current row's peers", "Window function calls: Window frame clause", "SELECT x, COUNT(*) OVER (ORDER BY x), LAST_VALUE(x) OVER (ORDER BY x) FROM UNNEST([1, 1, 2]) AS x ORDER BY x", (1, 2, 1), (1, 2, 1), (2, 3, 2)),
    many("LAST_VALUE IGNORE NULLS", "Navigation functions: LAST_VALUE", "SELECT LAST_VALUE(x IGNORE NULLS) OVER (ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) "
         "FROM UNNEST([1, NULL, 3]) AS x WITH OFFSET AS o ORDER BY o", (1,), (1,), (3,)),
    many("LAG and LEAD with distance and default", "Navigation functions: LAG, LEAD", "SELECT LAG(x) OVER w, LAG(x, 2) OVER w, LEAD(x, 1, 0) OVER w FROM UNNEST([1, 2, 3]) AS x WINDOW w AS (ORDER BY x) ORDER BY x", (None, None, 2), (1, None, 3), (2, 1, 0)),
    many("ranks of ties", "Numbering functions", "SELECT RANK() OVER w, DENSE_RANK() OVER w, NTILE(2) OVER w, PERCENT_RANK() OVER w, CUME_DIST() OVER w FROM UNNEST([1, 1, 2]) AS x WINDOW w AS (ORDER BY x) ORDER BY 1, 3",
         (1, 1, 1, 0.0, 2 / 3), (1, 1, 1, 0.0, 2 / 3), (3, 2, 2, 1.0, 1.0)),
]  # fmt: skip

QUERIES: list[Probe] = [
    many("NULLs come first upward", "Query syntax: ORDER BY clause", "SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x", (None,), (1,), (2,)),
    many("downward NULLs come last", "Query syntax: ORDER BY clause", "SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x DESC", (2,), (1,), (None,)),
    many("NULLS LAST upward", "Query syntax: ORDER BY clause", "SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x NULLS LAST", (1,), (2,), (None,)),
    many("NULLS FIRST downward", "Query syntax: ORDER BY clause", "SELECT x FROM UNNEST([2, NULL, 1]) AS x ORDER BY x DESC NULLS FIRST", (None,), (2,), (1,)),
    many("LIMIT and OFFSET", "Query syntax: LIMIT and OFFSET clause", "SELECT x FROM UNNEST([3, 1, 2]) AS x ORDER BY x LIMIT 1 OFFSET 1", (2,)),
    many("SELECT * EXCEPT and REPLACE", "Query syntax: SELECT list", "SELECT * EXCEPT (a) REPLACE (b + 1 AS b) FROM (SELECT 1 AS a, 2 AS b, 3 AS c)", (3, 3)),
    many("PIVOT", "Query syntax: PIVOT operator", "SELECT * FROM (SELECT 'a' AS k, 1 AS v UNION ALL SELECT 'b', 2) PIVOT (SUM(v) FOR k IN ('a', 'b'))", (1, 2)),
    many("PIVOT by aliases groups by the other columns", "Query syntax: PIVOT operator", "SELECT * FROM (SELECT 'x' AS g, 'a' AS k, 1 AS v UNION ALL SELECT 'x', 'a', 2 UNION ALL SELECT 'y', 'b', 3) "
         "PIVOT (SUM(v) FOR k IN ('a' AS one, 'b' AS two)) ORDER BY g", ("x", 3, None), ("y", None, 3)),
    many("UNION DISTINCT and EXCEPT DISTINCT", "Query syntax: Set operators", "(SELECT 1 AS x UNION DISTINCT SELECT 1) EXCEPT DISTINCT SELECT 2", (1,)),
    many("INTERSECT DISTINCT", "Query syntax: Set operators", "SELECT x FROM UNNEST([1, 2]) AS x INTERSECT DISTINCT SELECT 1", (1,)),
    many("DISTINCT keeps one NULL", "Query syntax: SELECT DISTINCT", "SELECT DISTINCT x FROM UNNEST([1, 1, NULL, NULL]) AS x ORDER BY x", (None,), (1,)),
    many("JOIN USING has the column once", "Query syntax: Join operation", "SELECT * FROM (SELECT 1 AS a, 2 AS b) FULL JOIN (SELECT 1 AS a, 3 AS c) USING (a)", (1, 2, 3)),
    many("WITH RECURSIVE", "Query syntax: Recursive CTE rules", "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT n FROM t ORDER BY n", (1,), (2,), (3,)),
    refused("a WHERE must be BOOL", "Query syntax: WHERE clause", "x FROM UNNEST([1]) AS x WHERE 1", "(?i)WHERE clause should return type BOOL"),
    refused("EXCEPT has no ALL", "Query syntax: Set operators", "x FROM UNNEST([1, 2]) AS x EXCEPT ALL SELECT 1", "EXCEPT ALL"),
    refused("a subquery is not compared with ANY", "Operators: Comparison operators", "x FROM UNNEST([1, 2]) AS x WHERE x > ANY (SELECT 1)", "(?i)ANY|syntax"),
]  # fmt: skip
