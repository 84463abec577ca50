"""Missed days, caught up in order: each is done as it would have been on its day, and one that fails stops the rest.

What a flow has done stands in the tables it writes, so a day is never done twice, and a run that was killed goes on
where it was. Bars need no catching up: every ingestion reads all that its source has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from flows.context import Context
from flows.missed import missed_backtests, missed_days, missed_moments
from market.assets import AssetType
from market.errors import CatchUpError, TradeHitsError

if TYPE_CHECKING:
    from flows.backtest import BacktestQuestion

T = TypeVar("T")


def catch_up_predictions(context: Context, asset_types: Sequence[AssetType]) -> list[str]:
    """Score missed days in order, each by the model of its day; the caller scores the newest one.

    The features must be built and published.

    Returns:
        What was done, a line a day.

    Raises:
        CatchUpError: A day could not be scored; those before it are stored, those after it wait.
    """
    from flows.inference import predict

    missed = sorted((day, name) for name in asset_types for day in missed_days(context, name))

    def score(one: tuple[date, AssetType]) -> str:
        day, name = one
        (report,) = predict(context, [name], day, features_are_new=True).classes
        what = f"{report.written.predictions:,} predictions, as it was known then" if report.predicted else report.note
        return f"{name}: {day} was missed: {what}"

    return in_order("predict", missed, score)


def catch_up_monitoring(context: Context, asset_types: Sequence[AssetType], **options: Any) -> list[str]:
    """Judge missed days in order, each by what was known then; the caller judges today.

    Args:
        context: Settings, warehouse, progress.
        asset_types: Classes.
        options: Of `flows.monitor.monitor`.

    Returns:
        What was done, a line a day.

    Raises:
        CatchUpError: A day could not be judged; those before it are stored, those after it wait.
    """
    from flows.monitor import monitor

    moments = [one for name in asset_types for one in missed_moments(context, name)]
    days = sorted({one.date for one in moments})

    def judge(day: date) -> str:
        of_day = [one for one in moments if one.date == day]
        report = monitor(context, [one.asset_type for one in of_day], at=of_day, **options)
        if not report.succeeded:
            failed = [*report.failed, *(f"{one.asset_type}: {text}" for one in report.classes for text in one.failed)]
            raise TradeHitsError("; ".join(failed))
        raised = sum(found.severity is not None for one in report.classes for found in one.conditions)
        return f"{', '.join(one.asset_type for one in of_day)}: {day} was missed: {raised:,} conditions raised"

    return in_order("monitor", days, judge)


def catch_up_backtests(context: Context, question: BacktestQuestion) -> list[str]:
    """Backtest to the end of each missed day, in order; the caller backtests to the newest bar.

    Returns:
        What was done, a line a day.

    Raises:
        CatchUpError: A day could not be backtested; those before it are stored, those after it wait.
    """
    from flows.backtest import backtest

    def test(day: date) -> str:
        return f"{day} was missed: {len(backtest(context, replace(question, end=day))):,} backtests"

    return in_order("backtest", missed_backtests(context, question), test)


def in_order(command: str, days: Sequence[T], one: Callable[[T], str]) -> list[str]:
    """Do days one after the other; the first that fails stops the rest.

    Raises:
        CatchUpError: Names the day, why it failed, and the days that wait for it.
    """
    done: list[str] = []
    for number, day in enumerate(days):
        try:
            done.append(one(day))
        except TradeHitsError as error:
            waiting = [_named(later) for later in days[number + 1 :]]
            stored = f"{number} earlier days are done" if number else "no day is done"
            rest = f"; {len(waiting)} wait: {', '.join(waiting)}" if waiting else ""
            raise CatchUpError(
                f"{command} of the missed {_named(day)} failed, so no later day was done ({stored}{rest}): "
                f"{error.message}",
                remedy=f"{error.remedy + '; then' if error.remedy else 'mend that and'} run it again, it goes on with "
                "this day; or leave the missed days out (no --catch-up, or the flow's catch_up=false)",
            ) from error
    return done


def _named(day: Any) -> str:
    return " ".join(str(part) for part in day) if isinstance(day, tuple) else str(day)
