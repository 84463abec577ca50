"""Rules about the bars of one symbol in a row: gaps, splits and unit changes, stale runs, days without trade.

They look at a bar and the one before it, and are heuristics: what they find is recorded and kept unless the
configuration says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

import polars as pl

from market.assets import AssetType
from market.bar_checks import PRICES, Check
from market.sessions import AROUND_THE_CLOCK, session_numbers

SPLIT_RATIOS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
"""Shares for one, or one for so many; smaller ratios cannot be told from a bad night."""

UNIT_RATIOS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
"""Cents for dollars, pence for pounds, a redenominated coin."""

RATIO_TOLERANCE = 0.03
"""Of a jump from close to open against a ratio of the lists, relative: a night's own move hides in it."""

EXACT_TOLERANCE = 0.01
"""The same where volume does not answer to the jump, which alone would be weak evidence."""

WHOLE_RATIOS = tuple(ratio for ratio in SPLIT_RATIOS if ratio >= 2 and ratio not in UNIT_RATIOS)
"""Ratios that such a jump may have: a fall by a third happens in markets too, and ten is rather a unit."""

CLOSE_TOLERANCE = 0.25
"""Of the jump from close to close, so that a single bad open is not taken for a split."""

VOLUME_FACTOR = 2.5
"""A split multiplies the shares traded by its ratio: volume moves the other way by at least half the jump (in logs),
and volume x price ratio stays within this factor of the bar before. A crash comes with far more volume than that."""

_SMALLEST_JUMP = min(SPLIT_RATIOS) * (1 - RATIO_TOLERANCE)


def series_checks() -> tuple[Check, ...]:
    """Tests of the rows that `suspects` returns."""
    adjust = "read the symbol's whole history adjusted, or in one unit; an honest move of this size needs nothing"
    jump = "open {open} is {jump_ratio} times the close before, {previous_close}"
    return (
        Check(
            "calendar_gap",
            "calendar_gap",
            "datetime",
            pl.col("missed") > 0,
            "sessions missing since {previous_at}: {missed}",
            "read the missing bars from their origin; a halted symbol has none",
        ),
        Check("split_suspected", "split_suspected", "open", pl.col("jump") == "split", jump, adjust),
        Check("unit_change_suspected", "unit_change_suspected", "open", pl.col("jump") == "unit", jump, adjust),
        Check(
            "stale_run",
            "stale_run",
            "close",
            pl.col("run_bars").is_not_null(),
            "one of {run_bars} bars in a row with the same open, high, low and close {close}",
            "look whether the symbol traded; a feed that repeats its last price makes such runs",
            once_per="run",
        ),
        Check(
            "zero_volume",
            "zero_volume",
            "volume",
            pl.col("volume") == 0,
            "no volume",
            "nothing, when nothing traded; else read the volume from its origin",
            once_per="series",
        ),
    )


def suspects(rows: pl.DataFrame, *, calendars: Mapping[AssetType, str], stale_run_bars: int) -> pl.DataFrame:
    """The few rows that a check of `series_checks` may find, with what the checks look at.

    Args:
        rows: Sound bars sorted by `series` and `datetime`; extra columns are kept.
        calendars: Calendar of each class that trades in sessions.
        stale_run_bars: Bars with equal prices that make a run.

    Returns:
        Rows with `previous_at`, `previous_close`, `missed` (sessions or days without a bar since the one before),
        `jump` (`split`, `unit` or NULL) and its `jump_ratio`, `run` and `run_bars` (rows of a stale run but the first).
    """
    inside = pl.col("series") == pl.col("series").shift()
    ratio = pl.col("open") / pl.col("close").shift()
    return_ratio = ratio.shift()
    equal = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in PRICES)
    numbered = rows.lazy().with_columns(session=_session_number(rows, calendars)).with_row_index("position")
    found = (
        numbered.with_columns(
            pl.when(inside).then(pl.col("datetime").shift()).alias("previous_at"),
            pl.when(inside).then(pl.col("close").shift()).alias("previous_close"),
            pl.when(inside).then(pl.col("volume").shift()).alias("previous_volume"),
            pl.when(inside & inside.shift()).then(return_ratio).alias("previous_ratio"),
            pl.when(inside).then(pl.col("session") - pl.col("session").shift() - 1).alias("missed"),
            pl.when(inside).then(ratio).alias("ratio"),
            pl.when(inside).then(equal).alias("is_equal"),
        )
        .filter(
            (pl.col("missed") > 0)
            | ~pl.col("ratio").is_between(1 / _SMALLEST_JUMP, _SMALLEST_JUMP)
            | pl.col("is_equal")
            | (pl.col("volume") == 0)
        )
        .collect()
    )
    return _with_runs(_with_jumps(found), stale_run_bars)


def _session_number(rows: pl.DataFrame, calendars: Mapping[AssetType, str]) -> pl.Expr:
    """Sessions up to each bar's day; days for classes that trade around the clock."""
    day = pl.col("datetime").dt.date().to_physical()
    number = day
    spans = rows.group_by("asset_type").agg(
        first=pl.col("datetime").min().dt.date(), last=pl.col("datetime").max().dt.date()
    )
    for asset_type, first, last in spans.rows():
        if asset_type not in AROUND_THE_CLOCK:
            table = session_numbers(calendars[asset_type], first, last)
            row = (day - (first - date(1970, 1, 1)).days).clip(0, table.len() - 1)
            number = pl.when(pl.col("asset_type") == asset_type).then(pl.lit(table).gather(row)).otherwise(number)
    return number


def _with_jumps(rows: pl.DataFrame) -> pl.DataFrame:
    """`jump` and `jump_ratio`; the way back from a single bad bar is no second jump."""
    log_ratio = pl.col("ratio").log()
    closes = pl.col("close") / pl.col("previous_close")
    with_close = (closes.log() - log_ratio).abs() <= math.log(1 + CLOSE_TOLERANCE)
    volume = (pl.col("volume") / pl.col("previous_volume")).log()
    other_way = -volume * log_ratio.sign() >= log_ratio.abs() / 2
    volume_answers = other_way & ((volume + log_ratio).abs() <= math.log(VOLUME_FACTOR))
    comes_back = (pl.col("previous_ratio").log() + log_ratio).abs() <= math.log(1 + CLOSE_TOLERANCE)
    # Some vendors adjust volume but not prices: then volume stays, and only a ratio near to the letter tells.
    volume_stays = volume.abs() <= math.log(VOLUME_FACTOR)
    is_split = (_near(log_ratio, SPLIT_RATIOS) & volume_answers) | (
        _near(log_ratio, WHOLE_RATIOS, EXACT_TOLERANCE) & volume_stays
    )
    is_unit = _near(log_ratio, UNIT_RATIOS)
    jump = pl.when(is_split).then(pl.lit("split")).when(is_unit).then(pl.lit("unit"))
    return rows.with_columns(
        jump=pl.when(with_close & ~comes_back.fill_null(value=False)).then(jump), jump_ratio=pl.col("ratio").round(4)
    )


def _near(log_ratio: pl.Expr, ratios: tuple[float, ...], tolerance: float = RATIO_TOLERANCE) -> pl.Expr:
    """Whether a ratio or its inverse stands in a list."""
    return pl.any_horizontal((log_ratio.abs() - math.log(ratio)).abs() <= tolerance for ratio in ratios)


def _with_runs(rows: pl.DataFrame, stale_run_bars: int) -> pl.DataFrame:
    """`run` numbers the stretches of bars equal to the one before; `run_bars` counts the first bar too."""
    equal = rows.filter("is_equal").select("position", run=pl.col("position").cast(pl.Int64) - pl.int_range(pl.len()))
    equal = equal.with_columns(run_bars=pl.len().over("run") + 1).filter(pl.col("run_bars") >= stale_run_bars)
    return rows.join(equal, on="position", how="left", maintain_order="left")
