"""The table of rules that single bars must keep, and how it is evaluated.

Adding a rule is adding one `Check` to `key_checks` or `bar_checks`, and its name to `market.check_rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from market.assets import ASSET_TYPES
from market.errors import BadBarsError
from market.sessions import AROUND_THE_CLOCK, NOT_A_SESSION_REMEDY, Interval

BAR_KEY = ("asset_type", "symbol", "datetime")
PRICES = ("open", "high", "low", "close")

SOURCE_ROW = "source_row"
"""Column with a row's number in the file it came from."""

ROUNDING = 1e-9
"""Relative slack of high and low against each other, open and close. Scaling prices by an adjustment factor moves them
by an ulp (2e-16); the smallest tick of a real market is above 1e-7 of its price, so nothing real hides in between."""

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Check:
    """One test of rows.

    Attributes:
        name: Stable identifier; several checks may belong to one rule, such as one a column.
        rule: Name in `market.check_rules.RULES`.
        column: The column to look at when it fails.
        broken: True where a row breaks the rule; NULL counts as unbroken.
        message: What is wrong, a `str.format` template over the row's columns.
        remedy: What to do about it.
        once_per: When rows are kept, only the first of each value of this column is recorded, with their number; empty
            records every row.
    """

    name: str
    rule: str
    column: str
    broken: pl.Expr
    message: str
    remedy: str
    once_per: str = ""

    @property
    def detail(self) -> pl.Expr:
        """The message of each row, as an expression."""
        columns = re.findall(r"\{(\w+)\}", self.message)
        return pl.format(re.sub(r"\{\w+\}", "{}", self.message), *columns) if columns else pl.lit(self.message)


@dataclass(frozen=True)
class Fault:
    """A failed check: its first row (as numbered in the file), that row's message, and how many rows fail."""

    check: Check
    row: int
    message: str
    rows: int


def key_checks() -> tuple[Check, ...]:
    """Rules about keys, checked before symbols are made canonical."""
    fill = "every row needs asset_type, symbol and datetime"
    classes = f"one of {', '.join(ASSET_TYPES)}"
    return (
        *(
            Check(f"{column}_missing", "key_missing", column, pl.col(column).is_null(), f"{column} is NULL", fill)
            for column in BAR_KEY
        ),
        Check(
            "asset_type_unknown",
            "asset_type_unknown",
            "asset_type",
            ~pl.col("asset_type").is_in(ASSET_TYPES),
            "unknown asset class '{asset_type}'",
            classes,
        ),
        Check(
            "stamp_implausible",
            "stamp_implausible",
            "datetime",
            pl.col("datetime") < EARLIEST,
            "stamp {datetime} lies before 1900",
            "the unit may be wrong: seconds or milliseconds written as microseconds",
        ),
    )


def bar_checks(now: datetime, interval: Interval = "1d") -> tuple[Check, ...]:
    """Rules about single bars; they also see `known_at`."""
    return (*_time_checks(now, interval), *_price_checks(), *_volume_checks())


def _time_checks(now: datetime, interval: Interval) -> tuple[Check, ...]:
    stamp, at = pl.col("datetime"), f"{now:%Y-%m-%d %H:%M} UTC"
    unfinished = "bar {datetime} was not closed and published by " + at
    drop = "drop unfinished and future bars; if it is finished, look at the machine's clock and the stamp's time zone"
    return (
        _grid_check(interval),
        Check("stamp_in_future", "stamp_in_future", "datetime", stamp > now, unfinished, drop),
        Check("not_closed", "not_closed", "datetime", (pl.col("known_at") > now) & (stamp <= now), unfinished, drop),
        Check(
            "not_a_session",
            "not_a_session",
            "datetime",
            pl.col("known_at").is_null() & (stamp <= now) & ~_around_the_clock(),
            "{datetime} is no session of its exchange" if interval == "1d" else "{datetime} lies in no session",
            NOT_A_SESSION_REMEDY,
        ),
    )


def _grid_check(interval: Interval) -> Check:
    stamp = pl.col("datetime")
    if interval == "1d":
        return Check(
            "stamp_not_midnight",
            "stamp_off_grid",
            "datetime",
            stamp.dt.time() != pl.time(0, 0),
            "daily stamp {datetime} is not 00:00 UTC",
            "stamp a daily bar with its session date at 00:00 UTC, whatever the exchange's own time zone",
        )
    # Sessions open on the half hour, so both 14:30 and 15:00 are starts of hourly bars of New York.
    off = pl.when(_around_the_clock()).then(stamp.dt.truncate("1h")).otherwise(stamp.dt.truncate("30m")) != stamp
    return Check(
        "stamp_not_on_the_hour",
        "stamp_off_grid",
        "datetime",
        off,
        "hourly stamp {datetime} is no full hour (nor, on an exchange, a half one)",
        "stamp an hourly bar with its start in UTC",
    )


def _around_the_clock() -> pl.Expr:
    return pl.col("asset_type").is_in(list(AROUND_THE_CLOCK))


def _price_checks() -> Iterable[Check]:
    drop = "drop the row or read it again from its origin; a price is a positive finite number"
    for name in PRICES:
        price = pl.col(name)
        yield Check(f"{name}_missing", "price_missing", name, price.is_null(), f"{name} is NULL", drop)
        yield Check(f"{name}_not_finite", "price_not_finite", name, ~price.is_finite(), f"{name} is {{{name}}}", drop)
        yield Check(
            f"{name}_not_positive", "price_not_positive", name, price <= 0, f"{name} is {{{name}}}, not positive", drop
        )
    swapped = "the columns may be swapped or adjusted by different factors; scale all four prices by one factor"
    # NaN sorts above every number, and a row that has one is broken already.
    finite = pl.col("high").is_finite() & pl.col("low").is_finite()
    yield Check(
        "high_below_low",
        "high_below_low",
        "high",
        finite & (pl.col("high") < pl.col("low") * (1 - ROUNDING)),
        "high {high} is below low {low}",
        swapped,
    )
    for name in ("open", "close"):
        above = pl.col(name) > pl.col("high") * (1 + ROUNDING)
        below = pl.col(name) < pl.col("low") * (1 - ROUNDING)
        message = f"{name} {{{name}}} lies outside low {{low}} to high {{high}}"
        broken = finite & pl.col(name).is_finite() & (above | below)
        yield Check(f"{name}_outside_range", "outside_range", name, broken, message, swapped)


def _volume_checks() -> tuple[Check, ...]:
    volume = pl.col("volume")
    remedy = "volume is a finite number, 0 when nothing traded; drop the row or read it again from its origin"
    return (
        Check("volume_missing", "volume_missing", "volume", volume.is_null(), "volume is NULL", remedy),
        Check("volume_not_finite", "volume_not_finite", "volume", ~volume.is_finite(), "volume is {volume}", remedy),
        Check("volume_negative", "volume_negative", "volume", volume < 0, "volume is {volume}, negative", remedy),
    )


def order_checks() -> tuple[Check, ...]:
    """Rules about a bar and its neighbours: they see `previous_at`, `twin_row`, `is_conflict` and `is_last_copy`."""
    return (
        Check(
            "duplicate",
            "duplicate_identical",
            "datetime",
            pl.col("twin_row").is_not_null(),
            "the same symbol and stamp as row {twin_row}",
            "keep one row a symbol and day; two spellings of one symbol (BTCUSDT, BTC/USDT) count as one",
        ),
        Check(
            "unordered",
            "unordered",
            "datetime",
            pl.col("datetime") < pl.col("previous_at"),
            "stamp {datetime} comes after {previous_at} of the same symbol",
            "sort the file by symbol and datetime, oldest first",
            once_per="series",
        ),
    )


def count_broken(rows: pl.DataFrame, checks: Iterable[Check]) -> dict[str, int]:
    """How many rows fail each check, in one pass."""
    counts = [check.broken.fill_null(value=False).sum().alias(check.name) for check in checks]
    return rows.select(counts).row(0, named=True) if counts else {}


def find_faults(rows: pl.DataFrame, checks: Iterable[Check]) -> list[Fault]:
    """Evaluate checks over rows numbered by `source_row`; failed ones in the order given."""
    checks = tuple(checks)
    counts = count_broken(rows, checks)
    return [first_fault(rows, check, counts[check.name]) for check in checks if counts[check.name]]


def first_fault(rows: pl.DataFrame, check: Check, count: int) -> Fault:
    """The fault of a check that some rows fail."""
    broken = rows.filter(check.broken.fill_null(value=False))
    first = broken.bottom_k(1, by=SOURCE_ROW).with_columns(stamps_as_text()).row(0, named=True)
    return Fault(check, first[SOURCE_ROW], check.message.format(**first), count)


def stamps_as_text() -> pl.Expr:
    """Formatted by polars: a damaged stamp can lie outside the years that Python's datetime holds."""
    return pl.selectors.datetime().dt.to_string("%Y-%m-%d %H:%M:%S UTC")


def raise_first(faults: list[Fault], *, file: str) -> None:
    """Turn the first fault into an error that counts its rows and mentions the other faults."""
    if not faults:
        return
    first, *others = faults
    message = first.message if first.rows == 1 else f"{first.message} ({first.rows:,} rows like this)"
    if others:
        message += "; also " + ", ".join(
            f"{fault.check.name} from row {fault.row} ({fault.rows:,})" for fault in others
        )
    raise BadBarsError(message, file=file, row=first.row, column=first.check.column, remedy=first.check.remedy)
