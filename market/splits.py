"""Walk-forward folds: which rows a model may learn from, and which rows it is then tested on.

Two clocks meet here. A row is *tested* in the fold whose window holds its stamp (`datetime`). A row may *train* a fold
only if its label was known before the fold's `train_end`, which is never after the window's start, so no model has seen
anything that was unknown when its first test bar began.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from market.errors import ConfigError

Retrain = Literal["weekly", "monthly", "quarterly", "yearly"]
Window = Literal["expanding", "rolling"]
BoolArray = npt.NDArray[np.bool_]
TimeArray = npt.NDArray[np.datetime64]

_MONTHS: dict[Retrain, int] = {"monthly": 1, "quarterly": 3, "yearly": 12}
_WEEK = timedelta(days=7)
_MICROSECONDS = "datetime64[us]"


@dataclass(frozen=True)
class Fold:
    """One walk-forward step; all bounds are UTC.

    Attributes:
        index: Position in time, from 0.
        train_start: First stamp that may train (inclusive); None for all history.
        train_end: A row trains only if its label was known before this (exclusive).
        test_start: First stamp of the test window (inclusive); `train_end` lies at or before it.
        test_end: End of the test window (exclusive), the next fold's `test_start`.
    """

    index: int
    train_start: datetime | None
    train_end: datetime
    test_start: datetime
    test_end: datetime


def walk_forward_folds(
    *,
    train_end: date,
    test_end: date,
    last: datetime,
    retrain: Retrain,
    window: Window,
    rolling_years: int,
    embargo_days: int,
    burn_in_years: int,
) -> list[Fold]:
    """Folds from the burn-in inside TRAIN up to the newest bar: contiguous, disjoint, in time order.

    Fold starts step from the first TEST day by the retraining period, in both directions. Months are counted from that
    day, so that a start on the 31st falls on the last day of shorter months and returns to the 31st after them.

    Args:
        train_end: Last date of TRAIN (inclusive).
        test_end: Last date of TEST (inclusive).
        last: The newest bar's stamp, UTC-aware; the last window holds it.
        retrain: Length of a test window.
        window: `expanding` trains on all history, `rolling` on the last `rolling_years`.
        rolling_years: Length of a rolling training window.
        embargo_days: Distance between `train_end` and `test_start` of each fold.
        burn_in_years: History before the first TEST day that is tested too, rounded down to whole periods.

    Returns:
        The folds; none when no window starts at or before `last`.

    Raises:
        ConfigError: TEST does not follow TRAIN, a length is negative, or `last` has no time zone.
    """
    if test_end <= train_end:
        raise ConfigError(f"test_end {test_end} must lie after train_end {train_end}", remedy="correct the split dates")
    if min(embargo_days, burn_in_years, rolling_years) < 0:
        raise ConfigError("embargo_days, burn_in_years and rolling_years must not be negative")
    if last.tzinfo is None:
        raise ConfigError(f"the newest bar's stamp {last} has no time zone", remedy="pass UTC-aware times")
    first_test_day = train_end + timedelta(days=1)
    starts = [
        start
        for step in range(-_burn_in_periods(first_test_day, retrain, burn_in_years), 0)
        if (start := _midnight(_stepped(first_test_day, retrain, step))) <= last
    ]
    for step in count():
        start = _midnight(_stepped(first_test_day, retrain, step))
        starts.append(start)
        if start > last:
            break
    return [
        _fold(index, start, end, embargo_days, rolling_years if window == "rolling" else None)
        for index, (start, end) in enumerate(pairwise(starts))
    ]


def _fold(index: int, start: datetime, end: datetime, embargo_days: int, rolling_years: int | None) -> Fold:
    train_end = start - timedelta(days=embargo_days)
    train_start = None if rolling_years is None else _midnight(_add_months(train_end.date(), -12 * rolling_years))
    return Fold(index=index, train_start=train_start, train_end=train_end, test_start=start, test_end=end)


def _burn_in_periods(first_test_day: date, retrain: Retrain, years: int) -> int:
    if retrain == "weekly":
        return (first_test_day - _add_months(first_test_day, -12 * years)) // _WEEK
    return 12 * years // _MONTHS[retrain]


def _stepped(anchor: date, retrain: Retrain, steps: int) -> date:
    return anchor + steps * _WEEK if retrain == "weekly" else _add_months(anchor, steps * _MONTHS[retrain])


def _add_months(day: date, months: int) -> date:
    years, month_index = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(years, month_index + 1, min(day.day, calendar.monthrange(years, month_index + 1)[1]))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def train_rows(fold: Fold, datetimes: npt.NDArray[Any], label_known_at: npt.NDArray[Any]) -> BoolArray:
    """Rows the fold may learn from: stamp inside the training window, label known before `train_end`.

    Args:
        fold: The fold.
        datetimes: Stamps, datetime64 in UTC, any length n.
        label_known_at: When each label was known, datetime64 in UTC, NaT while unknown; length n.

    Returns:
        Boolean mask of length n; rows with an unknown label never train.
    """
    known = np.asarray(label_known_at, dtype=_MICROSECONDS) < _instant(fold.train_end)
    if fold.train_start is not None:
        known &= np.asarray(datetimes, dtype=_MICROSECONDS) >= _instant(fold.train_start)
    return known


def test_rows(fold: Fold, datetimes: npt.NDArray[Any]) -> BoolArray:
    """Rows whose stamp lies in [test_start, test_end), labels known or not; datetime64 in UTC."""
    stamps = np.asarray(datetimes, dtype=_MICROSECONDS)
    return (stamps >= _instant(fold.test_start)) & (stamps < _instant(fold.test_end))


test_rows.__test__ = False  # type: ignore[attr-defined]  # the name looks like a test to pytest


def early_stopping_split(
    datetimes: npt.NDArray[Any], label_known_at: npt.NDArray[Any], share: float
) -> tuple[BoolArray, BoolArray]:
    """Training rows in two: older ones to fit on, the newest dates to decide when to stop.

    The stopping set is the newest `share` of the distinct stamps (rounded down, at least one). A fit row's label must
    have been known before the first of them, else the fit would have seen prices of the bars it is judged on; rows in
    between belong to neither.

    Args:
        datetimes: Stamps of the training rows, datetime64 in UTC, length n.
        label_known_at: When each label was known, likewise.
        share: Share of the distinct stamps, in (0, 1).

    Returns:
        (fit mask, stopping mask), disjoint, of length n. With fewer than two distinct stamps nothing can be held back:
        all rows fit and none stops.

    Raises:
        ConfigError: `share` is not in (0, 1).
    """
    if not 0 < share < 1:
        raise ConfigError(f"early-stopping share {share} must lie in (0, 1)")
    stamps = np.asarray(datetimes, dtype=_MICROSECONDS)
    distinct = np.unique(stamps)
    if distinct.size < 2:
        return np.ones(stamps.size, dtype=bool), np.zeros(stamps.size, dtype=bool)
    first_stopping = distinct[-max(1, int(share * distinct.size))]
    return np.asarray(label_known_at, dtype=_MICROSECONDS) < first_stopping, stamps >= first_stopping


def data_split(datetimes: npt.NDArray[Any], train_end: date, test_end: date) -> npt.NDArray[np.str_]:
    """TRAIN up to `train_end`, TEST up to `test_end` (both inclusive, UTC dates of the stamps), VALIDATE after."""
    stamps = np.asarray(datetimes, dtype=_MICROSECONDS)
    first_test, first_validate = (_instant(_midnight(day + timedelta(days=1))) for day in (train_end, test_end))
    return np.where(stamps < first_test, "TRAIN", np.where(stamps < first_validate, "TEST", "VALIDATE"))


def _instant(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
