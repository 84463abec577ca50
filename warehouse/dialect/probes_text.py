"""Probes of text, FORMAT, regular expressions and JSON."""

# ruff: noqa: E501  a statement stays in one piece, so that it can be pasted into a console
from __future__ import annotations

from warehouse.dialect.probe import Probe, one, refused

TEXT: list[Probe] = [
    one("floats as text are short", "Conversion functions: CAST AS STRING", "CAST(1.0 AS STRING), CAST(1.5 AS STRING), CAST(0.1 + 0.2 AS STRING), CAST(CAST('nan' AS FLOAT64) AS STRING)",
        "1", "1.5", "0.30000000000000004", "nan"),
    one("large floats as text", "Conversion functions: CAST AS STRING", "CAST(1e20 AS STRING)", "1e+20"),
    one("timestamps as text", "Conversion functions: CAST AS STRING", "CAST(TIMESTAMP '2024-01-01 00:00:00+00' AS STRING)", "2024-01-01 00:00:00+00"),
    one("fractions of a second as text have 3 or 6 digits", "Conversion functions: CAST AS STRING",
        "CAST(TIMESTAMP '2024-01-01 00:00:00.5+00' AS STRING), CAST(TIMESTAMP '2024-01-01 10:11:12.123456+00' AS STRING)",
        "2024-01-01 00:00:00.500+00", "2024-01-01 10:11:12.123456+00"),
    one("dates, booleans and integers as text", "Conversion functions: CAST AS STRING", "CAST(DATE '2024-01-05' AS STRING), CAST(TRUE AS STRING), CAST(7 AS STRING)", "2024-01-05", "true", "7"),
    one("CONCAT and || are NULL with a NULL", "String functions: CONCAT", "CONCAT('a', NULL, 'b'), 'a' || NULL, CONCAT('a', 'b')", None, None, "ab"),
    one("CONCAT turns numbers into text", "String functions: CONCAT", "CONCAT('Summer', ' ', 1923)", "Summer 1923"),
    one("SUBSTR counts from 1, from the end, and takes 0 as 1", "String functions: SUBSTR",
        "SUBSTR('abc', 2), SUBSTR('abc', -2, 1), SUBSTR('abc', 0, 2), SUBSTR('abc', -9, 2), SUBSTR('abc', 5)", "bc", "b", "ab", "ab", ""),
    refused("SUBSTR of a negative length is an error", "String functions: SUBSTR", "SUBSTR('abc', 1, (SELECT -1))", "(?i)negative"),
    refused("LEFT of a negative length is an error", "String functions: LEFT", "LEFT('abc', (SELECT -1))", "(?i)negative"),
    refused("REPEAT of a negative number is an error", "String functions: REPEAT", "REPEAT('abc', (SELECT -1))", "(?i)negative"),
    one("TRIM, LTRIM and RTRIM take all white space", "String functions: TRIM", r"TRIM('\t a\n'), LTRIM('\t a'), RTRIM('a \n'), TRIM('xaxx', 'x'), RTRIM('a,;', ';,')", "a", "a", "a", "a", "a"),
    one("text functions", "String functions", "UPPER('a'), LENGTH('abc'), REPLACE('abc', 'b', 'x'), REPLACE('abc', '', 'x'), STRPOS('abc', 'c'), STRPOS('abc', 'x'), STARTS_WITH('abc', 'ab'), "
        "ENDS_WITH('abc', 'x'), REVERSE('ab'), LEFT('abc', 2), RIGHT('abc', 1), REPEAT('ab', 2)", "A", 3, "axc", "abc", 3, 0, True, False, "ba", "ab", "c", "abab"),
    one("LPAD and RPAD fill and cut", "String functions: LPAD, RPAD", "LPAD('7', 3, '0'), LPAD('abcd', 2), LPAD('a', 3), RPAD('ab', 5, 'xy')", "007", "ab", "  a", "abxyx"),
    one("LENGTH counts characters", "String functions: LENGTH", "LENGTH('é'), CHAR_LENGTH('aé')", 1, 2),
    one("text compares by code point", "Data types: String type", "'a' < 'B', 'a' = 'A', 'a' < 'ab'", False, False, True),
    one("SPLIT", "String functions: SPLIT", "SPLIT('a,b')[OFFSET(1)], SPLIT('a-b', '-')[OFFSET(0)], SPLIT('', ','), SPLIT('abc', '')", "b", "a", [""], ["a", "b", "c"]),
    one("text literals: quotes, escapes and raw", "Lexical structure: String and bytes literals", r"""'a\tb', r'a\tb', "it's", 'a\'b'""", "a\tb", "a\\tb", "it's", "a'b"),
    one("MD5 in hexadecimal", "Hash functions: MD5", "TO_HEX(MD5('a'))", "0cc175b9c0f1b6a831c399e269772661"),
    refused("INT64 and STRING do not compare", "Operators: Comparison operators", "1 = 'UP'", "No matching signature for operator ="),
    refused("STRING does not add", "Operators: Arithmetic operators", "'1' + 1", r"No matching signature for operator \+"),
]  # fmt: skip

PATTERNS: list[Probe] = [
    one("REGEXP_CONTAINS finds a part", "String functions: REGEXP_CONTAINS", "REGEXP_CONTAINS('BTC-USD', '^BTC'), REGEXP_CONTAINS('abc', '(?i)B'), REGEXP_CONTAINS('abc', 'x'), REGEXP_CONTAINS(NULL, 'x')", True, True, False, None),
    one("REGEXP_EXTRACT gives the group, or the match", "String functions: REGEXP_EXTRACT", "REGEXP_EXTRACT('BTC-USD', '([A-Z]+)-'), REGEXP_EXTRACT('ab12', '[0-9]+'), REGEXP_EXTRACT('BTC', 'x')", "BTC", "12", None),
    one("REGEXP_EXTRACT from a position, and of an occurrence", "String functions: REGEXP_EXTRACT", "REGEXP_EXTRACT('a1b2', '[a-z]', 2), REGEXP_EXTRACT('a1b2', '[a-z]', 1, 2), REGEXP_EXTRACT('a1b2', '[a-z]', 1, 3)", "b", "b", None),
    refused("REGEXP_EXTRACT takes one group", "String functions: REGEXP_EXTRACT", "REGEXP_EXTRACT('abab', '(a)(b)')", "(?i)group"),
    one("REGEXP_EXTRACT_ALL", "String functions: REGEXP_EXTRACT_ALL", r"REGEXP_EXTRACT_ALL('a1b22', r'\d+'), REGEXP_EXTRACT_ALL('a1b2', '([a-z])[0-9]'), REGEXP_EXTRACT_ALL('abc', 'x')", ["1", "22"], ["a", "b"], []),
    one("REGEXP_REPLACE replaces every match, and knows groups", "String functions: REGEXP_REPLACE", r"REGEXP_REPLACE('a1b2', r'\d', '#'), REGEXP_REPLACE('abc', '(b)', r'[\1]')", "a#b#", "a[b]c"),
    refused("a broken pattern is an error", "String functions: REGEXP_CONTAINS", "REGEXP_CONTAINS('abc', '[')", "(?i)missing|regular expression|regexp"),
    one("LIKE escapes with a backslash", "Operators: LIKE operator", r"'50%' LIKE '50\\%', '50x' LIKE '50\\%', 'ab' LIKE 'a%', 'ab' LIKE 'A%', 'ab' LIKE '_b'", True, False, True, False, True),
    one("FORMAT", "String functions: FORMAT", "FORMAT('%d of %s: %.2f%%', 3, 'x', 1.5), FORMAT('%05d', 42), FORMAT('%s', CAST(NULL AS STRING))", "3 of x: 1.50%", "00042", None),
    one("FORMAT with flags and widths", "String functions: FORMAT", "FORMAT('%8.2f|%-5d|%+d|%x', 2.5, 3, 4, 255), FORMAT('%10s|%-10s|', 'a', 'b'), FORMAT('%e', 12345.678), FORMAT('%i', 3)", "    2.50|3    |+4|ff", "         a|b         |", "1.234568e+04", "3"),
    one("JSON_VALUE is text, and NULL for anything but a scalar", "JSON functions: JSON_VALUE",
        """JSON_VALUE('{"a": {"b": 1}}', '$.a.b'), JSON_VALUE('{"a": {"b": 1}}', '$.a'), JSON_VALUE('{"a": "x"}', '$.a'), JSON_VALUE('{"a": null}', '$.a'), JSON_VALUE('{"a": [1, 2]}', '$.a[1]'), JSON_VALUE('{"a": true}', '$.a')""",
        "1", None, "x", None, "2", "true"),
    one("JSON_QUERY and JSON_EXTRACT_SCALAR", "JSON functions: JSON_QUERY, JSON_EXTRACT_SCALAR", """JSON_QUERY('{"a":{"b":1}}', '$.a'), JSON_EXTRACT_SCALAR('{"a":"x"}', '$.a')""", '{"b":1}', "x"),
]  # fmt: skip
