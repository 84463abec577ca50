"""Probes of arithmetic, casts, rounding and NaN."""

# ruff: noqa: E501  a statement stays in one piece, so that it can be pasted into a console
from __future__ import annotations

import math
from decimal import Decimal

from warehouse.dialect.probe import INFINITY, NAN, Probe, many, one, refused

NUMBERS: list[Probe] = [
    one("SAFE_DIVIDE gives NULL for a zero denominator", "Mathematical functions: SAFE_DIVIDE", "SAFE_DIVIDE(1, 0), SAFE_DIVIDE(0.0, 0.0)", None, None),
    one("SAFE_DIVIDE of integers is FLOAT64", "Mathematical functions: SAFE_DIVIDE", "SAFE_DIVIDE(5, 2), SAFE_DIVIDE(NULL, 2)", 2.5, None),
    one("SAFE_ADD, SAFE_SUBTRACT, SAFE_MULTIPLY and SAFE_NEGATE give NULL for an overflow", "Mathematical functions: SAFE_ADD",
        "SAFE_ADD(9223372036854775807, 1), SAFE_ADD(2147483647, 1), SAFE_SUBTRACT(1, 2), SAFE_MULTIPLY(2.5, 2), SAFE_MULTIPLY(9223372036854775807, 2), SAFE_NEGATE(1)",
        None, 2_147_483_648, -1, 5.0, None, -1),
    one("integers divide to FLOAT64", "Operators: Arithmetic operators", "5 / 2, 4 / 2", 2.5, 2.0),
    one("DIV and MOD truncate toward zero", "Mathematical functions: DIV, MOD", "DIV(7, 2), DIV(-7, 2), MOD(-7, 3), MOD(5, -3), MOD(NULL, 3)", 3, -3, -1, 2, None),
    one("DIV and MOD take sums as operands", "Mathematical functions: DIV, MOD", "DIV(3 + 4, 1 + 1), MOD(3 + 4, 1 + 2)", 3, 1),
    refused("DIV takes no FLOAT64", "Mathematical functions: DIV", "DIV(7.0, 2)", "No matching signature for function DIV"),
    refused("MOD takes no FLOAT64", "Mathematical functions: MOD", "MOD(5.5, 2)", "No matching signature for function MOD"),
    refused("an integer divided by zero is an error", "Operators: Arithmetic operators", "1 / (SELECT 0)", "(?i)division by zero"),
    refused("a float divided by zero is an error", "Operators: Arithmetic operators", "1.5 / CAST(0 AS FLOAT64)", "(?i)division by zero"),
    refused("DIV by zero is an error", "Mathematical functions: DIV", "DIV(1, 0)", "(?i)division by zero"),
    refused("MOD by zero is an error", "Mathematical functions: MOD", "MOD(1, 0)", "(?i)division by zero"),
    one("NULL divided by zero is NULL", "Operators: Arithmetic operators", "NULL / 0", None),
    one("IEEE_DIVIDE follows IEEE 754", "Mathematical functions: IEEE_DIVIDE", "IEEE_DIVIDE(1, 0), IEEE_DIVIDE(-1, 0), IEEE_DIVIDE(0, 0)", INFINITY, -INFINITY, NAN),
    one("decimal literals are FLOAT64", "Lexical structure: Floating point literals", "0.1 + 0.2, 1.10, 1e3, .5", 0.30000000000000004, 1.1, 1000.0, 0.5),
    one("integer literals are INT64", "Lexical structure: Integer literals", "100000 * 100000, 2147483647 + 1, 0x1F", 10_000_000_000, 2_147_483_648, 31),
    one("INT64 and FLOAT64 meet in FLOAT64", "Conversion rules: Supertypes", "2.0 * 3, -5 * 2, 7 - 2 * 3, IF(TRUE, 1, 2.5), COALESCE(NULL, 1, 2.5)", 6.0, -10, 1, 1.0, 1.0),
    many("a union of INT64 and FLOAT64 is FLOAT64", "Conversion rules: Supertypes", "SELECT x FROM (SELECT 1 AS x UNION ALL SELECT 2.5) ORDER BY x", (1.0,), (2.5,)),
    refused("an INT64 sum beyond 64 bits is an error", "Operators: Arithmetic operators", "(SELECT 9223372036854775807) + 1", "(?i)overflow"),
    refused("a FLOAT64 product beyond the largest number is an error", "Operators: Arithmetic operators", "(SELECT 1e308) * 10", "(?i)overflow"),
    one("CAST to INT64 rounds half away from zero", "Conversion functions: CAST AS INT64", "CAST(2.5 AS INT64), CAST(3.5 AS INT64), CAST(-2.5 AS INT64), CAST(1.49 AS INT64)", 3, 4, -3, 1),
    refused("CAST of a decimal text to INT64 is an error", "Conversion functions: CAST AS INT64", "CAST('1.5' AS INT64)", r"1\.5"),
    refused("CAST of a FLOAT64 beyond INT64 is an error", "Conversion functions: CAST AS INT64", "CAST(1e20 AS INT64)", r"(?i)out of range|1e\+?20"),
    one("CAST of text to INT64 trims, and knows hexadecimal", "Conversion functions: CAST AS INT64", "CAST(' 7 ' AS INT64), CAST('0x1F' AS INT64), CAST('-12' AS INT64)", 7, 31, -12),
    one("SAFE_CAST gives NULL", "Conversion functions: SAFE_CAST", "SAFE_CAST('1.5' AS INT64), SAFE_CAST('x' AS FLOAT64), SAFE_CAST('7' AS INT64), SAFE_CAST('maybe' AS BOOL), SAFE_CAST('2024-02-30' AS DATE), SAFE_CAST('x' AS TIMESTAMP), SAFE_CAST(1e20 AS INT64)",
        None, None, 7, None, None, None, None),
    one("BOOL casts to INT64 and STRING", "Conversion functions: CAST", "CAST(TRUE AS INT64), CAST(0 AS BOOL), CAST(TRUE AS STRING), CAST('TRUE' AS BOOL)", 1, False, "true", True),
    refused("only true and false are BOOL texts", "Conversion functions: CAST AS BOOL", "CAST('yes' AS BOOL)", "(?i)bool"),
    refused("a condition must be BOOL", "Conditional expressions: IF", "IF(1, 2, 3)", "No matching signature for function IF"),
    refused("NOT takes a BOOL", "Operators: Logical operators", "NOT 1", "No matching signature for operator NOT"),
    one("NUMERIC keeps nine decimals", "Data types: Decimal types", "CAST(1.25 AS NUMERIC), CAST(NUMERIC '1.10' AS STRING)", Decimal("1.25"), "1.1"),
    one("ROUND goes half away from zero", "Mathematical functions: ROUND", "ROUND(2.5), ROUND(-2.5), ROUND(1234.5, -2), ROUND(NULL)", 3.0, -3.0, 1200.0, None),
    one("ROUND, FLOOR, CEIL and TRUNC give FLOAT64", "Mathematical functions: ROUND, FLOOR, CEIL, TRUNC", "ROUND(5), FLOOR(-1.5), CEIL(1.2), TRUNC(-1.7), TRUNC(1.77, 1)", 5.0, -2.0, 2.0, -1.0, 1.7),
    one("logarithms", "Mathematical functions: LN, LOG, LOG10", "LN(1.0), LOG(8, 2), LOG10(1000), LOG(1.0)", 0.0, 3.0, 3.0, 0.0),
    refused("LN(0) is an error", "Mathematical functions: LN", "LN((SELECT 0))", r"(?i)log|LN\("),
    refused("SQRT of a negative number is an error", "Mathematical functions: SQRT", "SQRT((SELECT -1.0))", "(?i)square root|negative|sqrt"),
    refused("POW of a negative base with a fraction is an error", "Mathematical functions: POW", "POW((SELECT -1.0), 0.5)", "(?i)floating point|pow"),
    refused("EXP beyond the largest number is an error", "Mathematical functions: EXP", "EXP((SELECT 1000))", "(?i)floating point|overflow|exp"),
    one("SAFE. turns an error into NULL", "Function calls: SAFE. prefix", "SAFE.LN(-1), SAFE.SQRT(-1), SAFE.LN(1), SAFE.POW(-1, 0.5), SAFE.PARSE_DATE('%F', 'x')", None, None, 0.0, None, None),
    one("POW and SQRT are FLOAT64, ABS and SIGN keep the type", "Mathematical functions: POW, SQRT, ABS, SIGN", "POW(2, 3), SQRT(16), ABS(-3), SIGN(-7), SIGN(-2.5), SIGN(0)", 8.0, 4.0, 3, -1, -1.0, 0),
    one("GREATEST and LEAST are NULL with a NULL", "Mathematical functions: GREATEST, LEAST", "GREATEST(1, NULL, 3), LEAST(1, NULL), GREATEST(1, 3), LEAST(1, 3), GREATEST('a', 'b')", None, None, 3, 1, "b"),
    one("three-valued logic", "Operators: Logical operators", "NULL = NULL, NULL IS NULL, NOT NULL, NULL AND FALSE, NULL OR TRUE, 1 IN (NULL, 2), 1 NOT IN (NULL, 2), 1 IN (NULL, 1)", None, True, None, False, True, None, None, True),
    one("IS DISTINCT FROM compares NULL", "Operators: IS DISTINCT FROM operator", "1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM NULL, 1 IS DISTINCT FROM 1", True, True, False),
    one("IF, IFNULL, NULLIF, COALESCE and CASE with NULL", "Conditional expressions", "IF(NULL, 1, 2), IFNULL(NULL, 1), NULLIF(1, 1), COALESCE(NULL, NULL, 3), CASE WHEN NULL THEN 1 ELSE 2 END, CASE WHEN FALSE THEN 1 END", 2, 1, None, 3, 2, None),
    one("CASE of a value compares it, and NULL equals nothing", "Conditional expressions: CASE expr", "CASE 'b' WHEN 'a' THEN 1 WHEN 'b' THEN 2 ELSE 3 END, CASE 2 WHEN 1.5 THEN 1 WHEN 2.0 THEN 2 END, CASE NULL WHEN NULL THEN 1 ELSE 2 END", 2, 2, 2),
    refused("CASE of a number takes no text", "Conditional expressions: CASE expr", "CASE 1 WHEN 'a' THEN 1 END", "(?i)no matching signature"),
]  # fmt: skip

NAN_PROBES: list[Probe] = [
    one("IS_NAN and IS_INF", "Mathematical functions: IS_NAN, IS_INF", "IS_NAN(CAST('nan' AS FLOAT64)), IS_INF(CAST('-inf' AS FLOAT64)), IS_NAN(NULL)", True, True, None),
    many("MAX, MIN, AVG and SUM of a set with NaN are NaN", "Aggregate functions: MAX, MIN, AVG, SUM",
         "SELECT MAX(x), MIN(x), AVG(x), SUM(x) FROM UNNEST([1.0, CAST('nan' AS FLOAT64), 3.0]) AS x", (NAN, NAN, NAN, NAN)),
    many("NaN sorts between NULL and the smallest number", "Data types: Ordering of NaN and NULL",
         "SELECT x FROM UNNEST([1.0, CAST('nan' AS FLOAT64), NULL, -3.0]) AS x ORDER BY x", (None,), (NAN,), (-3.0,), (1.0,)),
    many("descending, NaN comes after the numbers and before NULL", "Data types: Ordering of NaN and NULL",
         "SELECT x FROM UNNEST([1.0, CAST('nan' AS FLOAT64), NULL, -3.0]) AS x ORDER BY 1 DESC", (1.0,), (-3.0,), (NAN,), (None,)),
    many("MIN OVER, LEAST and BETWEEN with NaN", "Data types: Floating point semantics",
         "SELECT DISTINCT MIN(x) OVER (), LEAST(2.0, CAST('nan' AS FLOAT64)), LEAST(2.0, 1.0, x * 0 + 3), "
         "CAST('nan' AS FLOAT64) BETWEEN 0 AND 9, 1.0 BETWEEN 0 AND CAST('nan' AS FLOAT64) "
         "FROM UNNEST([1.0, CAST('nan' AS FLOAT64)]) AS x WHERE NOT IS_NAN(x)", (1.0, NAN, 1.0, False, False)),
    many("a union of casts sorts by name", "Data types: Ordering of NaN and NULL",
         "SELECT CAST(x AS FLOAT64) AS y FROM UNNEST(['2', 'nan']) AS x UNION ALL SELECT 1.0 ORDER BY y", (NAN,), (1.0,), (2.0,)),
    one("every comparison with NaN is false but <>", "Operators: Comparison operators",
        "CAST('nan' AS FLOAT64) = CAST('nan' AS FLOAT64), CAST('nan' AS FLOAT64) > 1, CAST('nan' AS FLOAT64) < 1, "
        "CAST('nan' AS FLOAT64) <> CAST('nan' AS FLOAT64), 1 >= CAST('nan' AS FLOAT64)", False, False, False, True, False),
    many("NaN groups with NaN", "Data types: Groupable floating point types",
         "SELECT COUNT(DISTINCT x), COUNT(*) FROM UNNEST([CAST('nan' AS FLOAT64), CAST('nan' AS FLOAT64)]) AS x", (1, 2)),
    refused("CAST of NaN to INT64 is an error", "Conversion functions: CAST AS INT64", "CAST(CAST('nan' AS FLOAT64) AS INT64)", "(?i)nan"),
]  # fmt: skip

STATISTICS: list[Probe] = [
    many("STDDEV is of the sample", "Statistical aggregate functions: STDDEV", "SELECT STDDEV(x), STDDEV_POP(x), VAR_SAMP(x), STDDEV(y) "
         "FROM UNNEST([STRUCT(1.0 AS x, 1.0 AS y), STRUCT(3.0, NULL)])", (math.sqrt(2), 1.0, 2.0, None)),
    many("one value has no sample deviation, and a deviation of 0", "Statistical aggregate functions: STDDEV_SAMP, STDDEV_POP",
         "SELECT STDDEV_SAMP(x), VARIANCE(x), STDDEV_POP(x), VAR_POP(x) FROM UNNEST([1.0]) AS x", (None, None, 0.0, 0.0)),
    many("CORR needs two pairs", "Statistical aggregate functions: CORR", "SELECT CORR(x, x), CORR(x, IF(x > 1, x, NULL)) FROM UNNEST([1.0, 2.0]) AS x", (1.0, None)),
    many("COVAR_SAMP and COVAR_POP", "Statistical aggregate functions: COVAR_SAMP, COVAR_POP",
         "SELECT COVAR_SAMP(x, y), COVAR_POP(x, y) FROM UNNEST([STRUCT(1.0 AS x, 2.0 AS y), STRUCT(3.0, 6.0)])", (4.0, 2.0)),
    many("APPROX_QUANTILES: minimum, quantiles, maximum", "Approximate aggregate functions: APPROX_QUANTILES",
         "SELECT APPROX_QUANTILES(x, 2) FROM UNNEST([1, 1, 1, 4, 5, 6, 7, 8, 9, 10]) AS x", ([1, 5, 10],)),
    many("APPROX_QUANTILES by OFFSET", "Approximate aggregate functions: APPROX_QUANTILES", "SELECT APPROX_QUANTILES(x, 100)[OFFSET(50)], "
         "APPROX_QUANTILES(x, 2)[OFFSET(2)] FROM UNNEST(GENERATE_ARRAY(1, 101)) AS x", (51, 101)),
    many("APPROX_QUANTILES ignores NULLs", "Approximate aggregate functions: APPROX_QUANTILES",
         "SELECT APPROX_QUANTILES(x, 2) FROM UNNEST([NULL, NULL, 1, 1, 1, 4, 5, 6, 7, 8, 9, 10]) AS x", ([1, 5, 10],)),
    many("APPROX_COUNT_DISTINCT of few values is exact", "Approximate aggregate functions: APPROX_COUNT_DISTINCT",
         "SELECT APPROX_COUNT_DISTINCT(x) FROM UNNEST([0, 1, 1, 2, 3, 5]) AS x", (5,)),
    many("PERCENTILE_CONT interpolates, PERCENTILE_DISC does not", "Navigation functions: PERCENTILE_CONT, PERCENTILE_DISC",
         "SELECT DISTINCT PERCENTILE_CONT(x, 0.25) OVER (), PERCENTILE_DISC(x, 0.5) OVER () FROM UNNEST([1.0, 2.0, 3.0, 4.0]) AS x", (1.75, 2.0)),
    many("PERCENTILE_CONT skips NULLs", "Navigation functions: PERCENTILE_CONT",
         "SELECT DISTINCT PERCENTILE_CONT(x, 0.5) OVER () FROM UNNEST([1.0, NULL, 3.0]) AS x", (2.0,)),
]  # fmt: skip
