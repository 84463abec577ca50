"""Where the BigQuery emulator of the system tests is known to answer otherwise than BigQuery documents.

It translates GoogleSQL to DuckDB, as the embedded engine does, with fewer rules. Such a probe says nothing about the
project's SQL: it is listed by name with the reason, and holds on a real project.
"""

from __future__ import annotations

_REASONS: dict[str, tuple[str, ...]] = {
    "the emulator computes INT64 and FLOAT64 with DuckDB's narrower integers, and overflows to infinity": (
        "SAFE_ADD, SAFE_SUBTRACT, SAFE_MULTIPLY and SAFE_NEGATE give NULL for an overflow",
        "a FLOAT64 product beyond the largest number is an error",
        "POW of a negative base with a fraction is an error",
        "EXP beyond the largest number is an error",
        "SAFE. turns an error into NULL",
        "CORR needs two pairs",
    ),
    "the emulator writes DIV without parentheses around its operands": ("DIV and MOD take sums as operands",),
    "the emulator casts text by DuckDB's laxer rules": (
        "CAST of a decimal text to INT64 is an error",
        "SAFE_CAST gives NULL",
        "only true and false are BOOL texts",
    ),
    "the emulator keeps DuckDB's text of decimals and of fractions of a second": (
        "NUMERIC keeps nine decimals",
        "fractions of a second as text have 3 or 6 digits",
    ),
    "the emulator keeps INT64 where GoogleSQL gives FLOAT64": ("ROUND, FLOOR, CEIL and TRUNC give FLOAT64",),
    "to the emulator NaN is the largest number and equals itself, as to DuckDB": (
        "MAX, MIN, AVG and SUM of a set with NaN are NaN",
        "descending, NaN comes after the numbers and before NULL",
        "MIN OVER, LEAST and BETWEEN with NaN",
        "a union of casts sorts by name",
        "every comparison with NaN is false but <>",
    ),
    "the emulator's text functions count and trim as DuckDB's": (
        "SUBSTR counts from 1, from the end, and takes 0 as 1",
        "SUBSTR of a negative length is an error",
        "LEFT of a negative length is an error",
        "REPEAT of a negative number is an error",
        "TRIM, LTRIM and RTRIM take all white space",
        "REGEXP_EXTRACT takes one group",
        "%' is refused by name",
        "%E*S is refused by name",
        "time format is refused by name",
    ),
    "the emulator's times are DuckDB's: a month after a month's end, parts with their seconds, nearest milliseconds": (
        "GENERATE_DATE_ARRAY by months counts from the start",
        "EXTRACT of a timestamp",
        "UNIX_SECONDS and UNIX_MILLIS round down",
        "DATE_ADD takes no TIMESTAMP of months",
        "TIMESTAMP_DIFF of fractions",
    ),
    "the emulator gives an empty array where BigQuery gives NULL, and forgets IGNORE NULLS before ORDER BY": (
        "an empty set",
        "ARRAY_AGG ordered by another column gives the newest",
    ),
    "the emulator knows set operations and comparisons that BigQuery does not": (
        "EXCEPT has no ALL",
        "a subquery is not compared with ANY",
    ),
    "the emulator counts rows that a MERGE replaced": ("__TABLES__",),
}

DEVIATIONS: dict[str, str] = {name: reason for reason, names in _REASONS.items() for name in names}
"""Name of a probe → why."""
