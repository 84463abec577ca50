"""DuckDB macros behind the rules: GoogleSQL functions whose meaning depends on the type of their argument.

DuckDB knows an argument's type only when it binds, so a macro asks `typeof`; the optimizer folds the answer and the
other branches away. Every branch must bind for every type: hence TRY_CAST and CAST … AS VARCHAR in branches for one
type. A wrong argument fails the cast of a text that says so: unlike `error()`, this keeps a macro usable inside TRY
(SAFE.).
"""

from __future__ import annotations

ENGINE_SCHEMA = "googlesql"

_INTEGER_TEXT = r"'\s*[+-]?(\d+|0[xX][0-9a-fA-F]+)\s*'"
_FLOAT_TEXT = r"'(?i)\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)\s*'"
_DATE_TEXT = r"'\s*\d{4}-\d{1,2}-\d{1,2}\s*'"
_TEXT = "CAST(x AS VARCHAR)"
_FLOAT = "TRY_CAST(x AS DOUBLE)"

_BODIES = {
    # Casts. Floats round half away from zero; text must be a whole number.
    "to_int64(x)": f"""CASE typeof(x)
        WHEN 'VARCHAR' THEN CAST(CASE WHEN regexp_full_match({_TEXT}, {_INTEGER_TEXT}) THEN {_TEXT}
            ELSE 'Bad int64 value: ' || {_TEXT} END AS BIGINT)
        WHEN 'DOUBLE' THEN CAST(round({_FLOAT}) AS BIGINT) WHEN 'FLOAT' THEN CAST(round({_FLOAT}) AS BIGINT)
        ELSE CAST(x AS BIGINT) END""",
    "try_int64(x)": f"""CASE typeof(x)
        WHEN 'VARCHAR' THEN CASE WHEN regexp_full_match({_TEXT}, {_INTEGER_TEXT}) THEN TRY_CAST({_TEXT} AS BIGINT) END
        WHEN 'DOUBLE' THEN TRY_CAST(round({_FLOAT}) AS BIGINT) WHEN 'FLOAT' THEN TRY_CAST(round({_FLOAT}) AS BIGINT)
        ELSE TRY_CAST(x AS BIGINT) END""",
    "to_float64(x)": f"""CASE typeof(x)
        WHEN 'VARCHAR' THEN CAST(CASE WHEN regexp_full_match({_TEXT}, {_FLOAT_TEXT}) THEN trim({_TEXT})
            ELSE 'Bad double value: ' || {_TEXT} END AS DOUBLE)
        ELSE CAST(x AS DOUBLE) END""",
    "try_float64(x)": f"""CASE typeof(x)
        WHEN 'VARCHAR' THEN CASE WHEN regexp_full_match({_TEXT}, {_FLOAT_TEXT})
            THEN TRY_CAST(trim({_TEXT}) AS DOUBLE) END
        ELSE TRY_CAST(x AS DOUBLE) END""",
    "to_bool(x)": f"""CASE typeof(x)
        WHEN 'VARCHAR' THEN CAST(CASE WHEN lower({_TEXT}) IN ('true', 'false') THEN {_TEXT}
            ELSE 'Bad bool value: ' || {_TEXT} END AS BOOLEAN)
        ELSE CAST(x AS BOOLEAN) END""",
    "try_bool(x)": f"""CASE typeof(x)
        WHEN 'VARCHAR' THEN CASE WHEN lower({_TEXT}) IN ('true', 'false') THEN TRY_CAST({_TEXT} AS BOOLEAN) END
        ELSE TRY_CAST(x AS BOOLEAN) END""",
    "to_date(x)": f"""CASE typeof(x)
        WHEN 'VARCHAR' THEN CAST(CASE WHEN regexp_full_match({_TEXT}, {_DATE_TEXT}) THEN {_TEXT}
            ELSE 'Invalid date: ' || {_TEXT} END AS DATE)
        ELSE CAST(x AS DATE) END""",
    "try_date(x)": f"""CASE typeof(x)
        WHEN 'VARCHAR' THEN CASE WHEN regexp_full_match({_TEXT}, {_DATE_TEXT}) THEN TRY_CAST({_TEXT} AS DATE) END
        ELSE TRY_CAST(x AS DATE) END""",
    # 15 digits where they read back as the same number, else 17; times with 0, 3 or 6 decimals; NUMERIC without zeros.
    "to_string(x)": rf"""CASE
        WHEN typeof(x) = 'DOUBLE' THEN CASE WHEN CAST(printf('%.15g', {_FLOAT}) AS DOUBLE) = {_FLOAT}
            THEN printf('%.15g', {_FLOAT}) ELSE printf('%.17g', {_FLOAT}) END
        WHEN typeof(x) LIKE 'TIMESTAMP%' AND contains({_TEXT}, '.') THEN left({_TEXT}, 20)
            || rpad(regexp_extract({_TEXT}, '\.(\d+)', 1), CASE WHEN length(regexp_extract({_TEXT}, '\.(\d+)', 1)) <= 3
            THEN 3 ELSE 6 END, '0') || regexp_extract({_TEXT}, '[+-]\d\d$')
        WHEN typeof(x) LIKE 'DECIMAL%' THEN regexp_replace(regexp_replace({_TEXT}, '(\.\d*?)0+$', '\1'), '\.$', '')
        ELSE {_TEXT} END""",
    # Arguments that must be what they are: GoogleSQL has no DATE_ADD of a TIMESTAMP.
    "date_arg(x)": """CASE WHEN typeof(x) IN ('DATE', 'VARCHAR', '"NULL"') THEN CAST(x AS DATE)
        ELSE CAST('a DATE is expected here, this is a ' || typeof(x) AS DATE) END""",
    "timestamp_arg(x)": """CASE WHEN typeof(x) IN ('TIMESTAMP WITH TIME ZONE', 'VARCHAR', '"NULL"')
        THEN CAST(x AS TIMESTAMPTZ)
        ELSE CAST('a TIMESTAMP is expected here, this is a ' || typeof(x) AS TIMESTAMPTZ) END""",
    "datetime_arg(x)": """CASE WHEN typeof(x) IN ('TIMESTAMP', 'DATE', 'VARCHAR', '"NULL"')
        THEN CAST(x AS TIMESTAMP)
        ELSE CAST('a DATETIME is expected here, this is a ' || typeof(x) AS TIMESTAMP) END""",
    "floor_div(a, n)": "(a - ((a % n) + n) % n) // n",
    # Weeks begin on `start` (0 Sunday … 6 Saturday); 1970-01-04 was a Sunday.
    "week_start(d, start)": "d - CAST(((date_diff('day', DATE '1970-01-04', d) - start) % 7 + 7) % 7 AS INTEGER)",
    "week_of_year(d)": "(extract(doy FROM d) + 6 - extract(dow FROM d)) // 7",
    "google_type(x)": """CASE x WHEN 'BIGINT' THEN 'INT64' WHEN 'HUGEINT' THEN 'INT64' WHEN 'INTEGER' THEN 'INT64'
        WHEN 'DOUBLE' THEN 'FLOAT64' WHEN 'VARCHAR' THEN 'STRING' WHEN 'BOOLEAN' THEN 'BOOL'
        WHEN 'TIMESTAMP' THEN 'DATETIME' WHEN 'TIMESTAMP WITH TIME ZONE' THEN 'TIMESTAMP'
        WHEN 'DECIMAL(38,9)' THEN 'NUMERIC' WHEN 'BLOB' THEN 'BYTES' ELSE x END""",
    # Numbers.
    "ieee_divide(a, b)": """CASE WHEN CAST(b AS DOUBLE) <> 0 THEN CAST(a AS DOUBLE) / CAST(b AS DOUBLE)
        WHEN a IS NULL OR b IS NULL THEN NULL
        WHEN CAST(a AS DOUBLE) = 0 OR isnan(CAST(a AS DOUBLE)) THEN CAST('nan' AS DOUBLE)
        WHEN CAST(a AS DOUBLE) > 0 THEN CAST('inf' AS DOUBLE) ELSE CAST('-inf' AS DOUBLE) END""",
    "safe_divide(a, b)": "CASE WHEN b <> 0 THEN a / b END",
    "finite(x)": "CASE WHEN isfinite(x) OR x IS NULL THEN x ELSE CAST('floating point error: ' || CAST(x AS VARCHAR) "
    "|| ' is no result' AS DOUBLE) END",
    "not_negative(n)": "CASE WHEN n < 0 THEN CAST('a length cannot be negative: ' || n AS BIGINT) ELSE n END",
    "sign_of(x)": "CASE WHEN sign(x) = 0 THEN x ELSE sign(x) END",
    "is_nan(x)": f"(typeof(x) = 'DOUBLE' AND isnan({_FLOAT}))",
    "corr2(a, b)": "CASE WHEN regr_count(a, b) > 1 THEN corr(a, b) END",
    # Each date counts from the first one: two months after January 31 is March 31.
    "month_dates(a, b, n)": """list_filter(
        list_transform(generate_series(0, abs(date_diff('month', a, b)) // abs(n)),
            lambda i: CAST(a + to_months(CAST(i * n AS INTEGER)) AS DATE)),
        lambda d: CASE WHEN n > 0 THEN d <= b ELSE d >= b END)""",
    # Arrays and text; offsets from 0.
    "array_at(x, i)": """CASE WHEN i < 0 OR i >= len(x) THEN error('Array index ' || i || ' is out of bounds')
        ELSE x[i + 1] END""",
    "array_at_safe(x, i)": "CASE WHEN i < 0 THEN NULL ELSE x[i + 1] END",
    "substr_from(x, i)": "substring(x, CASE WHEN i = 0 OR i < -length(x) THEN 1 ELSE i END)",
    "substr_part(x, i, n)": "substring(x, CASE WHEN i = 0 OR i < -length(x) THEN 1 ELSE i END, n)",
}

MACROS: tuple[str, ...] = tuple(
    f"CREATE OR REPLACE MACRO {ENGINE_SCHEMA}.{signature} AS {' '.join(body.split())}"
    for signature, body in _BODIES.items()
)
