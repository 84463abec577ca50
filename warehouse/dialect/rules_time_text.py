"""Times as text and as numbers since 1970."""

from __future__ import annotations

import re

from sqlglot import exp

from warehouse.dialect.registry import Node, rule, shown, sql, text_of, unsupported
from warehouse.dialect.rules_dates import is_utc

_FORMAT_CODES = set("YmdHMSyjbBaApI%")


@rule(exp.TimeToStr)
def format_time(node: exp.TimeToStr) -> Node:
    """FORMAT_DATE, FORMAT_TIMESTAMP, FORMAT_DATETIME with the codes both engines read alike."""
    template, time, zone = _format(node), node.this, node.args.get("zone")
    if zone is not None and not is_utc(zone):
        time = sql("timezone(:z, :t)", z=zone, t=time)
    return sql("strftime(:t, :f)", t=time, f=exp.Literal.string(template))


@rule(exp.StrToDate)
def parse_date(node: exp.StrToDate) -> Node:
    """PARSE_DATE; parts that the format lacks are those of 1970-01-01."""
    return sql("CAST(strptime('1970 ' || :s, :f) AS DATE)", s=node.this, f=exp.Literal.string(f"%Y {_format(node)}"))


@rule(exp.StrToTime)
def parse_timestamp(node: exp.StrToTime) -> Node:
    """PARSE_TIMESTAMP in UTC."""
    if node.args.get("zone") is not None and not is_utc(node.args["zone"]):
        raise unsupported(f"time zone in {shown(node)}", "parse as UTC")
    form = exp.Literal.string(f"%Y {_format(node)}")
    return sql("timezone('UTC', strptime('1970 ' || :s, :f))", s=node.this, f=form)


def _format(node: Node) -> str:
    if isinstance(node, exp.StrToDate | exp.StrToTime) and node.args.get("default_year") is None:
        raise unsupported("CAST … FORMAT", "use PARSE_DATE or PARSE_TIMESTAMP")
    template = text_of(node.args.get("format"), "a time format").replace("%R", "%H:%M")
    for code in re.findall(r"%(E\*?.|.)", template):
        if code not in _FORMAT_CODES:
            raise unsupported(
                f"format code %{code}", f"codes: {' '.join(f'%{c}' for c in sorted(_FORMAT_CODES))} %F %T %D %R"
            )
    return template


@rule(exp.UnixSeconds, exp.UnixMillis, exp.UnixMicros)
def unix_time(node: exp.Func) -> Node:
    """Whole units since 1970, rounded down."""
    size = {exp.UnixSeconds: 1_000_000, exp.UnixMillis: 1_000, exp.UnixMicros: 1}[type(node)]
    return sql(f"g.floor_div(epoch_us(g.timestamp_arg(:t)), {size})", t=node.this)


@rule(exp.UnixDate)
def unix_date(node: exp.UnixDate) -> Node:
    """Days since 1970-01-01."""
    return sql("date_diff('day', DATE '1970-01-01', g.date_arg(:d))", d=node.this)


@rule(exp.DateFromUnixDate)
def date_from_unix_date(node: exp.DateFromUnixDate) -> Node:
    """The date so many days after 1970-01-01."""
    return sql("DATE '1970-01-01' + CAST(:n AS INTEGER)", n=node.this)


@rule(exp.UnixToTime)
def timestamp_from_unix(node: exp.UnixToTime) -> Node:
    """TIMESTAMP_SECONDS, TIMESTAMP_MILLIS, TIMESTAMP_MICROS."""
    digits = int(node.args["scale"].name) if node.args.get("scale") else 0
    return sql(f"make_timestamptz(CAST(:n AS BIGINT) * {10 ** (6 - digits)})", n=node.this)
