"""Dates and times.

DuckDB's DATE ± INTERVAL and DATE_TRUNC give TIMESTAMP, its differences count boundaries, its weeks are ISO weeks.
"""

from __future__ import annotations

import re

from sqlglot import exp

from warehouse.dialect.registry import Node, rule, shown, sql, unsupported

_DATE_UNITS = ("DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
_MICROSECONDS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
}
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
_WEEKDAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_EXTRACTS = {
    "YEAR": "datepart('year', :x)",
    "QUARTER": "datepart('quarter', :x)",
    "MONTH": "datepart('month', :x)",
    "DAY": "datepart('day', :x)",
    "HOUR": "datepart('hour', :x)",
    "MINUTE": "datepart('minute', :x)",
    "SECOND": "datepart('second', :x)",
    "MILLISECOND": "datepart('millisecond', :x) % 1000",
    "MICROSECOND": "datepart('microsecond', :x) % 1000000",
    "DAYOFWEEK": "datepart('dow', :x) + 1",
    "DAYOFYEAR": "datepart('doy', :x)",
    "WEEK": "g.week_of_year(:x)",
    "ISOWEEK": "datepart('week', :x)",
    "ISOYEAR": "datepart('isoyear', :x)",
    "DATE": "CAST(:x AS DATE)",
}


def unit_of(node: Node | None) -> str:
    """`MONTH`, `WEEK(MONDAY)`, … of a date part in any of sqlglot's forms."""
    if isinstance(node, exp.WeekStart):
        day = str(node.this.name).upper()
        return "WEEK" if day == "SUNDAY" else f"WEEK({day})"
    return str(node.name).upper() if node is not None else "DAY"


def _week_begin(unit: str) -> int | None:
    if unit in ("WEEK", "ISOWEEK"):
        return 0 if unit == "WEEK" else 1
    day = re.fullmatch(r"WEEK\((\w+)\)", unit)
    return _WEEKDAYS.index(day[1]) if day and day[1] in _WEEKDAYS else None


@rule(exp.DateAdd, exp.DateSub)
def date_add(node: exp.DateAdd | exp.DateSub) -> Node:
    """DATE in, DATE out."""
    unit, sign = unit_of(node.args.get("unit")), "-" if isinstance(node, exp.DateSub) else "+"
    if unit not in _DATE_UNITS:
        raise unsupported(f"{shown(node)} with part {unit}")
    return sql(f"CAST(g.date_arg(:d) {sign} INTERVAL (:n) {unit} AS DATE)", d=node.this, n=_count(node.expression))


@rule(exp.TimestampAdd, exp.TimestampSub, exp.DatetimeAdd, exp.DatetimeSub)
def time_add(node: exp.Func) -> Node:
    """TIMESTAMP takes parts up to DAY, DATETIME any."""
    unit = unit_of(node.args.get("unit"))
    sign = "-" if isinstance(node, exp.TimestampSub | exp.DatetimeSub) else "+"
    is_datetime = isinstance(node, exp.DatetimeAdd | exp.DatetimeSub)
    if unit not in _MICROSECONDS and not (is_datetime and unit in _DATE_UNITS):
        raise unsupported(f"{shown(node)} with part {unit}")
    kind = "datetime" if is_datetime else "timestamp"
    return sql(f"g.{kind}_arg(:t) {sign} INTERVAL (:n) {unit}", t=node.this, n=_count(node.expression))


def _count(node: Node) -> Node:
    """The number, which sqlglot keeps as text in INTERVAL 1 DAY."""
    if isinstance(node, exp.Literal) and node.is_string:
        return sql(f"CAST('{int(node.this)}' AS BIGINT)")
    return node


@rule(exp.Interval)
def interval(node: exp.Interval) -> Node:
    """A bare INTERVAL (in `x + INTERVAL 1 DAY`) in one unit."""
    unit = unit_of(node.args.get("unit"))
    if unit not in (*_DATE_UNITS, *_MICROSECONDS) or node.this is None:
        raise unsupported(shown(node))
    return sql(f"INTERVAL (:n) {unit}", n=_count(node.this))


@rule(exp.TimestampDiff)
def timestamp_diff(node: exp.TimestampDiff) -> Node:
    """Whole units between two instants, truncated toward zero: not boundaries crossed."""
    unit = unit_of(node.args.get("unit"))
    if unit not in _MICROSECONDS:
        raise unsupported(f"{shown(node)} with part {unit}")
    return sql(
        f"(epoch_us(g.timestamp_arg(:a)) - epoch_us(g.timestamp_arg(:b))) // {_MICROSECONDS[unit]}",
        a=node.this,
        b=node.expression,
    )


@rule(exp.DateDiff)
def date_diff(node: exp.DateDiff) -> Node:
    """Boundaries crossed: days, weeks from their first day, calendar months, quarters, years."""
    unit = unit_of(node.args.get("unit"))
    begin = _week_begin(unit)
    a, b = node.this, node.expression
    if begin is not None:
        return sql(
            f"date_diff('day', g.week_start(g.date_arg(:b), {begin}), g.week_start(g.date_arg(:a), {begin})) // 7",
            a=a,
            b=b,
        )
    if unit == "ISOYEAR":
        return sql("datepart('isoyear', g.date_arg(:a)) - datepart('isoyear', g.date_arg(:b))", a=a, b=b)
    if unit not in _DATE_UNITS:
        raise unsupported(f"{shown(node)} with part {unit}")
    return sql(f"date_diff('{unit.lower()}', g.date_arg(:b), g.date_arg(:a))", a=a, b=b)


@rule(exp.DateTrunc)
def date_trunc(node: exp.DateTrunc) -> Node:
    """DATE in, DATE out."""
    unit = unit_of(node.args["unit"])
    begin = _week_begin(unit)
    if begin is not None:
        return sql(f"g.week_start(g.date_arg(:d), {begin})", d=node.this)
    if unit not in _DATE_UNITS or node.args.get("zone"):
        raise unsupported(shown(node))
    return sql(f"CAST(date_trunc('{unit.lower()}', g.date_arg(:d)) AS DATE)", d=node.this)


@rule(exp.TimestampTrunc, exp.DatetimeTrunc)
def time_trunc(node: exp.TimestampTrunc | exp.DatetimeTrunc) -> Node:
    """TIMESTAMP in, TIMESTAMP out, in UTC or the named zone; DATETIME likewise."""
    unit, zone = unit_of(node.args["unit"]), node.args.get("zone")
    time = sql(f"g.{'timestamp' if isinstance(node, exp.TimestampTrunc) else 'datetime'}_arg(:t)", t=node.this)
    if zone is not None and not is_utc(zone):
        return sql("timezone(:z, :t)", z=zone, t=_truncated(sql("timezone(:z, :t)", z=zone, t=time), unit, node))
    return _truncated(time, unit, node)


def _truncated(time: Node, unit: str, node: Node) -> Node:
    begin = _week_begin(unit)
    if begin is not None:
        days = (8 - begin) % 7  # DuckDB's week begins on Monday
        return sql(f"date_trunc('week', :t + INTERVAL {days} DAY) - INTERVAL {days} DAY", t=time)
    if unit not in (*_MICROSECONDS, *_DATE_UNITS):
        raise unsupported(f"{shown(node)} with part {unit}")
    return sql(f"date_trunc('{unit.lower()}', :t)", t=time)


def is_utc(zone: Node) -> bool:
    """Whether a time zone argument names UTC."""
    return isinstance(zone, exp.Literal) and str(zone.this).upper() in ("UTC", "ETC/UTC", "+00", "+00:00")


@rule(exp.Extract)
def extract(node: exp.Extract) -> Node:
    """Parts by GoogleSQL's counting; AT TIME ZONE was turned into a DATETIME below it."""
    unit = unit_of(node.this)
    if unit not in _EXTRACTS:
        raise unsupported(f"EXTRACT({unit} …)")
    return sql(_EXTRACTS[unit], x=node.expression)


@rule(exp.AtTimeZone)
def at_time_zone(node: exp.AtTimeZone) -> Node:
    """EXTRACT(part FROM t AT TIME ZONE zone)."""
    return sql("timezone(:z, g.timestamp_arg(:t))", z=node.args["zone"], t=node.this)


@rule(exp.Date)
def date_of(node: exp.Date) -> Node:
    """DATE(x) and DATE(timestamp, zone)."""
    zone = node.args.get("zone")
    if node.expressions:
        raise unsupported(shown(node))
    if zone is not None and not is_utc(zone):
        return sql("CAST(timezone(:z, g.timestamp_arg(:t)) AS DATE)", z=zone, t=node.this)
    return sql("CAST(:t AS DATE)", t=node.this)


@rule(exp.Timestamp)
def timestamp_of(node: exp.Timestamp) -> Node:
    """TIMESTAMP(x) and TIMESTAMP(x, zone)."""
    zone = node.args.get("zone")
    if zone is not None and not is_utc(zone):
        return sql("timezone(:z, CAST(:t AS TIMESTAMP))", z=zone, t=node.this)
    return sql("CAST(:t AS TIMESTAMPTZ)", t=node.this)


@rule(exp.TsOrDsToDatetime)
def datetime_of(node: exp.TsOrDsToDatetime) -> Node:
    """DATETIME(x): the UTC wall clock of a TIMESTAMP."""
    return sql("CAST(:t AS TIMESTAMP)", t=node.this)


@rule(exp.TsOrDsToTimestamp)
def timestamp_argument(node: exp.TsOrDsToTimestamp) -> Node:
    """The TIMESTAMP of FORMAT_TIMESTAMP."""
    return sql("g.timestamp_arg(:t)", t=node.this)


@rule(exp.TsOrDsToDate)
def date_argument(node: exp.TsOrDsToDate) -> Node:
    """The DATE of FORMAT_DATE."""
    return sql("g.date_arg(:d)", d=node.this)


@rule(exp.CurrentDate)
def current_date(node: exp.CurrentDate) -> Node:
    """Today in UTC, or in the named zone."""
    if node.this is not None:
        return sql("CAST(timezone(:z, now()) AS DATE)", z=node.this)
    return sql("CAST(timezone('UTC', now()) AS DATE)")


@rule(exp.CurrentTimestamp)
def current_timestamp(node: exp.CurrentTimestamp) -> Node:
    """The statement's time."""
    return sql("now()")


@rule(exp.CurrentDatetime)
def current_datetime(node: exp.CurrentDatetime) -> Node:
    """The statement's time as a wall clock."""
    return sql("timezone(:z, now())", z=node.this or exp.Literal.string("UTC"))


@rule(exp.LastDay)
def last_day(node: exp.LastDay) -> Node:
    """LAST_DAY of the month."""
    if node.args.get("unit") is not None and unit_of(node.args["unit"]) != "MONTH":
        raise unsupported(shown(node))
    return sql("last_day(g.date_arg(:d))", d=node.this)


@rule(exp.GenerateDateArray)
def generate_date_array(node: exp.GenerateDateArray) -> Node:
    """Both ends included; months, quarters and years are counted from the start."""
    step = node.args.get("step")
    months = _MONTHS.get(unit_of(step.args.get("unit"))) if isinstance(step, exp.Interval) else None
    if months is not None:
        template = f"g.month_dates(g.date_arg(:a), g.date_arg(:b), (:n) * {months})"
        return sql(template, a=node.args["start"], b=node.args["end"], n=step.this)
    return sql(
        "CAST(generate_series(g.date_arg(:a), g.date_arg(:b), :s) AS DATE[])",
        a=node.args["start"],
        b=node.args["end"],
        s=node.args.get("step") or sql("INTERVAL 1 DAY"),
    )
