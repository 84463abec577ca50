"""Which days were missed, by what stands in the tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from flows.context import Context
from market.assets import ASSET_TYPES, CLEAN_TABLES, AssetType
from monitoring.conditions import Moment
from warehouse.clock import newest_known_at, now_of

if TYPE_CHECKING:
    from flows.backtest import BacktestQuestion
    from warehouse.warehouse import ReadConnection

MOST_MISSED_DAYS: Final = 31
"""Days that lie further back are left: `--date` of `predict` and `monitor` and `--to` of `backtest` do them."""

MONITORED_AT: Final = (clock_time(6), ZoneInfo("America/New_York"))
"""When the schedule judges a day; what became known later on that day was not known to it."""

_UNSCORED = """
SELECT DISTINCT DATE(f.datetime) AS day
FROM `ml_models.walk_forward_features_v2` AS f
LEFT JOIN (
  SELECT DISTINCT datetime FROM `ml_models.realtime_predictions`
  WHERE asset_type = @asset_type AND datetime >= @since
) AS done ON f.datetime = done.datetime
WHERE f.asset_type = @asset_type
  AND f.datetime >= @since
  AND done.datetime IS NULL
  AND f.datetime > (SELECT MIN(datetime) FROM `ml_models.realtime_predictions` WHERE asset_type = @asset_type)
  AND f.datetime < (
    SELECT MAX(datetime) FROM `ml_models.walk_forward_features_v2`
    WHERE asset_type = @asset_type AND bar_known_at <= @now
  )
ORDER BY day
"""

_UNTESTED = """
SELECT DISTINCT DATE(datetime) AS day
FROM `ml_models.walk_forward_predictions_v2`
WHERE asset_type = @asset_type
  AND datetime >= @since
  AND DATE(datetime) > (
    SELECT MIN(newest) FROM (
      SELECT MAX(end_date) AS newest
      FROM `ml_models.backtest_results`
      WHERE asset_type = @asset_type
        AND strategy_name IN UNNEST(@strategies)
        AND STRPOS(COALESCE(notes, ''), 'legacy_v2') = 0
      GROUP BY strategy_name
    )
  )
  AND datetime < (SELECT MAX(datetime) FROM `ml_models.walk_forward_predictions_v2` WHERE asset_type = @asset_type)
ORDER BY day
"""

_CLOSED = """
SELECT DATE(bar_known_at) AS day, MAX(bar_known_at) AS known_at
FROM `{table}`
WHERE bar_known_at <= @now AND DATE(bar_known_at) > @after
GROUP BY day
ORDER BY day
"""


def missed_days(context: Context, asset_type: AssetType) -> list[date]:
    """Days since a class's first prediction that have closed bars, newer ones after them, and no prediction.

    Args:
        context: Warehouse and clock.
        asset_type: The class.

    Returns:
        Oldest first, of the `MOST_MISSED_DAYS` before the class's today; none before the first prediction.
    """
    with context.warehouse.read() as read:
        now = _now(read, context, asset_type)
        return _days(read, _UNSCORED, {"asset_type": asset_type, "now": now, "since": _since(now)})


def missed_moments(context: Context, asset_type: AssetType) -> list[Moment]:
    """Moments at which a class would have been judged since its newest judgement, today's not included; oldest first.

    Every calendar day has one, at the schedule's time; where bars are replayed (`clock.<class>: end_of_data`) every day
    on which a bar became known has. None before the first judgement.
    """
    from monitoring.alerts import newest_judged

    with context.warehouse.read() as read:
        judged, now = newest_judged(read, asset_type), _now(read, context, asset_type)
        if judged is None:
            return []
        if context.settings.clock.of(asset_type) == "end_of_data":
            sql = _CLOSED.format(table=CLEAN_TABLES[asset_type])
            rows = read.query(sql, {"now": now, "after": judged}).to_pylist()
            found = [Moment(asset_type, row["day"], row["known_at"]) for row in rows]
        else:
            judged = max(judged, _since(now).date() - timedelta(days=1))
            days = (judged + timedelta(days=number) for number in range(1, (now.date() - judged).days))
            found = [Moment(asset_type, day, _scheduled(day)) for day in days]
    return [one for one in found if _since(now).date() <= one.date < now.date()]


def missed_backtests(context: Context, question: BacktestQuestion) -> list[date]:
    """Days of the record after the newest stored backtest of a class and before its newest bar; none before the first.

    Args:
        context: Warehouse and strategies.
        question: Its classes and strategies; all where it names none.
    """
    strategies = list(question.strategies or context.settings.backtest.strategies)
    found: set[date] = set()
    with context.warehouse.read() as read:
        for asset_type in question.asset_types or ASSET_TYPES:
            since = _since(_now(read, context, asset_type))
            found.update(_days(read, _UNTESTED, {"asset_type": asset_type, "strategies": strategies, "since": since}))
    return sorted(found)


def _days(read: ReadConnection, sql: str, parameters: dict[str, Any]) -> list[date]:
    return [row["day"] for row in read.query(sql, parameters).to_pylist()]


def _since(now: datetime) -> datetime:
    """Midnight of the first day that is caught up."""
    return datetime.combine(now.date() - timedelta(days=MOST_MISSED_DAYS), clock_time(), UTC)


def _now(read: ReadConnection, context: Context, asset_type: AssetType) -> datetime:
    return now_of(asset_type, context.settings, newest_known_at(read)[asset_type])


def _scheduled(day: date) -> datetime:
    at, zone = MONITORED_AT
    return datetime.combine(day, at, zone).astimezone(UTC)
