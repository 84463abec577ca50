"""Probes of dates, times, their parts and their text."""

# ruff: noqa: E501  a statement stays in one piece, so that it can be pasted into a console
from __future__ import annotations

from datetime import date, datetime

from warehouse.dialect.probe import Probe, many, one, refused, utc

DATES: list[Probe] = [
    one("DATE of a timestamp is its UTC date", "Date functions: DATE", "DATE(TIMESTAMP '2024-01-01 23:30:00+00'), DATE(DATETIME '2024-01-02 03:04:05')", date(2024, 1, 1), date(2024, 1, 2)),
    one("DATE in a time zone", "Date functions: DATE", "DATE(TIMESTAMP '2024-01-01 03:30:00+00', 'America/New_York')", date(2023, 12, 31)),
    one("DATE_ADD and DATE_SUB give a DATE", "Date functions: DATE_ADD, DATE_SUB", "DATE_SUB(DATE '2024-03-31', INTERVAL 1 MONTH), DATE_ADD(DATE '2024-01-01', "
        "INTERVAL 2 WEEK), DATE_SUB('2024-01-01', INTERVAL 1 DAY)", date(2024, 2, 29), date(2024, 1, 15), date(2023, 12, 31)),
    one("months and years end with the month's last day", "Date functions: DATE_ADD", "DATE_ADD(DATE '2024-01-31', INTERVAL 1 MONTH), DATE_ADD(DATE '2024-02-29', INTERVAL 1 YEAR), DATE_ADD(DATE '2023-11-30', INTERVAL 1 QUARTER)",
        date(2024, 2, 29), date(2025, 2, 28), date(2024, 2, 29)),
    one("an INTERVAL makes a DATE a DATETIME, a number does not", "Operators: Date arithmetics operators, Interval arithmetics operators", "DATE '2024-01-31' + 1, DATE '2024-01-31' - 1, DATE '2024-01-31' + INTERVAL 1 DAY",
        date(2024, 2, 1), date(2024, 1, 30), datetime(2024, 2, 1)),  # noqa: DTZ001
    one("DATE_TRUNC gives a DATE", "Date functions: DATE_TRUNC", "DATE_TRUNC(DATE '2024-02-14', MONTH), DATE_TRUNC(DATE '2024-05-14', QUARTER), DATE_TRUNC(DATE '2024-02-14', YEAR)",
        date(2024, 2, 1), date(2024, 4, 1), date(2024, 1, 1)),
    one("weeks begin on Sunday, or where they are told to", "Date functions: DATE_TRUNC", "DATE_TRUNC(DATE '2024-01-10', WEEK), DATE_TRUNC(DATE '2024-01-10', WEEK(MONDAY)), "
        "DATE_TRUNC(DATE '2024-01-10', ISOWEEK), DATE_TRUNC(DATE '2024-01-07', WEEK), DATE_TRUNC(DATE '2024-02-14', WEEK(SATURDAY))",
        date(2024, 1, 7), date(2024, 1, 8), date(2024, 1, 8), date(2024, 1, 7), date(2024, 2, 10)),
    one("DATE_DIFF counts boundaries", "Date functions: DATE_DIFF", "DATE_DIFF(DATE '2024-03-01', DATE '2024-02-01', DAY), DATE_DIFF(DATE '2024-03-01', DATE '2024-02-29', MONTH), "
        "DATE_DIFF(DATE '2024-01-01', DATE '2023-12-31', YEAR), DATE_DIFF(DATE '2024-12-31', DATE '2024-01-01', QUARTER), DATE_DIFF(DATE '2023-01-01', DATE '2024-01-31', MONTH)", 29, 1, 1, 3, -12),
    one("DATE_DIFF counts Sundays, or the named day", "Date functions: DATE_DIFF", "DATE_DIFF(DATE '2024-01-07', DATE '2024-01-06', WEEK), DATE_DIFF(DATE '2024-01-08', DATE '2024-01-07', WEEK), "
        "DATE_DIFF(DATE '2024-01-08', DATE '2024-01-07', WEEK(MONDAY)), DATE_DIFF(DATE '2024-01-06', DATE '2024-01-07', WEEK)", 1, 0, 1, -1),
    one("DATE_DIFF by ISO weeks and ISO years", "Date functions: DATE_DIFF", "DATE_DIFF(DATE '2017-12-18', DATE '2017-12-17', ISOWEEK), DATE_DIFF(DATE '2017-12-30', DATE '2014-12-30', ISOYEAR)", 1, 2),
    one("EXTRACT by GoogleSQL's counting", "Date functions: EXTRACT", "EXTRACT(DAYOFWEEK FROM DATE '2024-01-07'), EXTRACT(WEEK FROM DATE '2024-01-10'), EXTRACT(ISOWEEK FROM DATE '2024-01-10'), "
        "EXTRACT(DAYOFYEAR FROM DATE '2024-02-01'), EXTRACT(QUARTER FROM DATE '2024-05-01'), EXTRACT(ISOYEAR FROM DATE '2024-12-30'), EXTRACT(WEEK FROM DATE '2024-01-01')", 1, 1, 2, 32, 2, 2025, 0),
    one("weeks around a year's end", "Date functions: EXTRACT", "EXTRACT(ISOYEAR FROM DATE '2015-12-23'), EXTRACT(ISOWEEK FROM DATE '2016-01-03'), EXTRACT(WEEK FROM DATE '2016-01-03'), EXTRACT(WEEK FROM DATE '2015-12-31'), EXTRACT(DAYOFWEEK FROM DATE '2024-01-06')",
        2015, 53, 1, 52, 7),
    one("dates from parts and numbers", "Date functions: DATE, DATE_FROM_UNIX_DATE, UNIX_DATE, LAST_DAY", "DATE(2024, 2, 3), DATE_FROM_UNIX_DATE(2), UNIX_DATE(DATE '1969-12-31'), LAST_DAY(DATE '2024-02-03')",
        date(2024, 2, 3), date(1970, 1, 3), -1, date(2024, 2, 29)),
    many("GENERATE_DATE_ARRAY holds both ends", "Array functions: GENERATE_DATE_ARRAY", "SELECT d FROM UNNEST(GENERATE_DATE_ARRAY('2024-01-30', '2024-02-01')) AS d ORDER BY d",
         (date(2024, 1, 30),), (date(2024, 1, 31),), (date(2024, 2, 1),)),
    one("GENERATE_DATE_ARRAY by steps, backwards, and empty", "Array functions: GENERATE_DATE_ARRAY", "GENERATE_DATE_ARRAY('2024-01-01', '2024-01-31', INTERVAL 2 WEEK), "
        "GENERATE_DATE_ARRAY('2016-10-05', '2016-10-01', INTERVAL -3 DAY), GENERATE_DATE_ARRAY('2016-10-05', '2016-10-01', INTERVAL 1 DAY)",
        [date(2024, 1, 1), date(2024, 1, 15), date(2024, 1, 29)], [date(2016, 10, 5), date(2016, 10, 2)], []),
    one("GENERATE_DATE_ARRAY by months counts from the start", "Array functions: GENERATE_DATE_ARRAY", "GENERATE_DATE_ARRAY('2024-01-31', '2024-03-31', INTERVAL 1 MONTH)",
        [date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)]),
    refused("a day that is no day is an error", "Conversion functions: CAST AS DATE", "CAST('2024-02-30' AS DATE)", "(?i)date"),
    one("CURRENT_DATE is the UTC date of CURRENT_TIMESTAMP", "Date functions: CURRENT_DATE", "CURRENT_DATE() = DATE(CURRENT_TIMESTAMP())", True),
]  # fmt: skip

TIMES: list[Probe] = [
    one("a TIMESTAMP without zone is UTC, with one an instant", "Data types: Timestamp type", "TIMESTAMP '2024-01-01' = TIMESTAMP '2024-01-01 00:00:00 UTC', TIMESTAMP '2024-01-01 00:00:00 America/New_York', "
        "TIMESTAMP('2024-01-01 12:00:00', 'America/New_York'), CAST('2024-01-01' AS TIMESTAMP)", True, utc(2024, 1, 1, 5), utc(2024, 1, 1, 17), utc(2024, 1, 1)),
    one("TIMESTAMP_TRUNC", "Timestamp functions: TIMESTAMP_TRUNC", "TIMESTAMP_TRUNC(TIMESTAMP '2024-01-10 05:30:00+00', DAY), TIMESTAMP_TRUNC(TIMESTAMP '2024-01-10 05:30:00+00', WEEK), "
        "TIMESTAMP_TRUNC(TIMESTAMP '2024-01-10 05:30:00+00', HOUR)", utc(2024, 1, 10), utc(2024, 1, 7), utc(2024, 1, 10, 5)),
    one("TIMESTAMP_TRUNC to weeks, months and quarters", "Timestamp functions: TIMESTAMP_TRUNC", "TIMESTAMP_TRUNC(TIMESTAMP '2024-05-15 10:00:00+00', WEEK(MONDAY)), TIMESTAMP_TRUNC(TIMESTAMP '2024-05-15 10:00:00+00', ISOWEEK), "
        "TIMESTAMP_TRUNC(TIMESTAMP '2024-05-15 10:00:00+00', MONTH), TIMESTAMP_TRUNC(TIMESTAMP '2024-05-15 10:00:00+00', QUARTER)", utc(2024, 5, 13), utc(2024, 5, 13), utc(2024, 5, 1), utc(2024, 4, 1)),
    one("TIMESTAMP_TRUNC in a time zone", "Timestamp functions: TIMESTAMP_TRUNC", "TIMESTAMP_TRUNC(TIMESTAMP '2024-01-10 03:00:00+00', DAY, 'America/New_York')", utc(2024, 1, 9, 5)),
    one("TIMESTAMP_DIFF counts whole units toward zero", "Timestamp functions: TIMESTAMP_DIFF", "TIMESTAMP_DIFF(TIMESTAMP '2024-01-02 00:30:00+00', TIMESTAMP '2024-01-01 23:59:00+00', HOUR), "
        "TIMESTAMP_DIFF(TIMESTAMP '2024-01-02 00:30:00+00', TIMESTAMP '2024-01-01 23:59:00+00', DAY), TIMESTAMP_DIFF(TIMESTAMP '2024-01-01 00:00:00+00', TIMESTAMP '2024-01-01 01:30:00+00', HOUR), "
        "TIMESTAMP_DIFF(TIMESTAMP '2024-01-02 00:30:00+00', TIMESTAMP '2024-01-01 23:59:00+00', MINUTE)", 0, 0, -1, 31),
    one("TIMESTAMP_DIFF of fractions", "Timestamp functions: TIMESTAMP_DIFF", "TIMESTAMP_DIFF(TIMESTAMP '2024-01-01 00:00:01.5+00', TIMESTAMP '2024-01-01 00:00:00+00', MILLISECOND), "
        "TIMESTAMP_DIFF('2001-02-01 01:00:00', '2001-02-01 00:00:01', HOUR)", 1500, 0),
    one("TIMESTAMP_ADD and TIMESTAMP_SUB", "Timestamp functions: TIMESTAMP_ADD, TIMESTAMP_SUB", "TIMESTAMP_ADD(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 36 HOUR), TIMESTAMP_SUB(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 1 DAY), "
        "TIMESTAMP '2024-01-01 00:00:00+00' + INTERVAL 1 DAY", utc(2024, 1, 2, 12), utc(2023, 12, 31), utc(2024, 1, 2)),
    refused("TIMESTAMP_ADD takes no months", "Timestamp functions: TIMESTAMP_ADD", "TIMESTAMP_ADD(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 1 MONTH)", "MONTH"),
    refused("DATE_ADD takes no TIMESTAMP of months", "Date functions: DATE_ADD", "DATE_ADD(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL 1 MONTH)", "(?i)timestamp|MONTH"),
    one("EXTRACT of a timestamp", "Timestamp functions: EXTRACT", "EXTRACT(HOUR FROM TIMESTAMP '2024-01-01 05:06:07.123456+00'), EXTRACT(MILLISECOND FROM TIMESTAMP '2024-01-01 05:06:07.123456+00'), "
        "EXTRACT(MICROSECOND FROM TIMESTAMP '2024-01-01 05:06:07.123456+00'), EXTRACT(SECOND FROM TIMESTAMP '2024-01-01 05:06:07.9+00'), EXTRACT(DATE FROM TIMESTAMP '2024-01-01 05:06:07+00')", 5, 123, 123456, 7, date(2024, 1, 1)),
    one("EXTRACT in a time zone", "Timestamp functions: EXTRACT", "EXTRACT(HOUR FROM TIMESTAMP '2024-01-01 05:06:07+00' AT TIME ZONE 'America/New_York'), EXTRACT(DAYOFWEEK FROM TIMESTAMP '2024-01-07 23:00:00+00' AT TIME ZONE 'Asia/Tokyo'), "
        "EXTRACT(DATE FROM TIMESTAMP '2024-01-07 23:00:00+00' AT TIME ZONE 'Asia/Tokyo')", 0, 2, date(2024, 1, 8)),
    one("FORMAT_TIMESTAMP and FORMAT_DATE", "Format elements for date and time parts", "FORMAT_TIMESTAMP('%Y-%m-%d %H', TIMESTAMP '2024-01-01 05:00:00+00'), FORMAT_DATE('%Y%m', DATE '2024-01-01'), "
        "FORMAT_TIMESTAMP('%F %T', TIMESTAMP '2024-01-01 05:00:00+00', 'America/New_York'), FORMAT_TIMESTAMP('%R', TIMESTAMP '2024-01-01 15:30:00+00')", "2024-01-01 05", "202401", "2024-01-01 00:00:00", "15:30"),
    one("names of days and months, days of the year, hours of twelve", "Format elements for date and time parts", "FORMAT_DATE('%A %a %B %b %d %j %y', DATE '2024-01-05'), FORMAT_TIMESTAMP('%I %p', TIMESTAMP '2024-01-01 15:00:00+00')",
        "Friday Fri January Jan 05 005 24", "03 PM"),
    one("PARSE_DATE and PARSE_TIMESTAMP", "Date functions: PARSE_DATE; Timestamp functions: PARSE_TIMESTAMP", "PARSE_DATE('%Y-%m-%d', '2024-02-03'), PARSE_DATE('%Y%m%d', '20240203'), PARSE_DATE('%b %d, %Y', 'Jan 05, 2024'), "
        "PARSE_TIMESTAMP('%F %T', '2024-01-01 05:00:00')", date(2024, 2, 3), date(2024, 2, 3), date(2024, 1, 5), utc(2024, 1, 1, 5)),
    one("parts that a format lacks are those of 1970-01-01", "Date functions: PARSE_DATE", "PARSE_DATE('%m/%d', '02/03'), PARSE_DATE('%Y', '2024')", date(1970, 2, 3), date(2024, 1, 1)),
    refused("a text that does not fit its format is an error", "Date functions: PARSE_DATE", "PARSE_DATE('%F', '2024-13-05')", "(?i)parse|invalid"),
    one("UNIX time", "Timestamp functions: UNIX_SECONDS, TIMESTAMP_SECONDS", "UNIX_SECONDS(TIMESTAMP '2024-01-01 00:00:00+00'), UNIX_MILLIS(TIMESTAMP '2024-01-01 00:00:00+00'), UNIX_MICROS(TIMESTAMP '2024-01-01 00:00:00+00'), "
        "TIMESTAMP_SECONDS(1704067200), TIMESTAMP_MILLIS(1704067200000), TIMESTAMP_MICROS(1704067200000000)", 1704067200, 1704067200000, 1704067200000000, utc(2024, 1, 1), utc(2024, 1, 1), utc(2024, 1, 1)),
    one("UNIX_SECONDS and UNIX_MILLIS round down", "Timestamp functions: UNIX_SECONDS", "UNIX_SECONDS(TIMESTAMP '1969-12-31 23:59:59.5+00'), UNIX_MILLIS(TIMESTAMP '1969-12-31 23:59:59.9999+00')", -1, -1),
    one("DATETIME is a wall clock, TIMESTAMP(DATE) is midnight UTC", "Datetime functions: DATETIME; Timestamp functions: TIMESTAMP",
        "DATETIME(TIMESTAMP '2024-01-10 05:30:00+00'), TIMESTAMP(DATE '2024-01-01'), CAST(DATE '2024-01-01' AS TIMESTAMP), DATETIME(DATE '2024-01-02')",
        datetime(2024, 1, 10, 5, 30), utc(2024, 1, 1), utc(2024, 1, 1), datetime(2024, 1, 2)),  # noqa: DTZ001
    one("DATETIME_ADD, DATETIME_SUB and DATETIME_TRUNC", "Datetime functions: DATETIME_ADD, DATETIME_SUB, DATETIME_TRUNC",
        "DATETIME_ADD(DATETIME '2024-01-31 10:00:00', INTERVAL 1 MONTH), DATETIME_SUB(DATETIME '2024-03-31 10:00:00', INTERVAL 1 MONTH), DATETIME_TRUNC(DATETIME '2024-05-15 10:11:12', HOUR)",
        datetime(2024, 2, 29, 10), datetime(2024, 2, 29, 10), datetime(2024, 5, 15, 10)),  # noqa: DTZ001
    one("a date text compares with a DATE", "Conversion rules: Literal coercion", "DATE '2024-01-02' > '2024-01-01', TIMESTAMP '2024-01-02 00:00:00+00' > '2024-01-01'", True, True),
    refused("TIMESTAMP and DATE do not compare", "Operators: Comparison operators", "TIMESTAMP '2024-01-10 00:00:00+00' >= DATE_SUB(DATE '2024-01-10', INTERVAL 5 DAY)", "No matching signature for operator >="),
]  # fmt: skip
