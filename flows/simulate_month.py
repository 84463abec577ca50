"""`tradehits simulate-month`: the platform lives through a month of its own market, and every day is checked."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from filelock import FileLock, Timeout

from configs.settings import Paths, PerAsset, Settings
from flows.backtest import BacktestQuestion, backtest
from flows.context import Context, open_context
from flows.features import features
from flows.inference import predict
from flows.ingest import ingest
from flows.monitor import monitor
from flows.month_checks import Violation, violations
from flows.prefecting import PlainTasks
from flows.progress import LogReporter, Reporter
from flows.retrain import train
from market.assets import AssetType
from market.errors import BacktestError, ConfigError, IntegrityError
from registry.models import ModelRegistry
from registry.store import RunStore
from warehouse.champions import published_champions

NEW_YORK: Final = ZoneInfo("America/New_York")
INFERENCE, RETRAIN, MONITOR, BACKTEST = clock_time(1, 30), clock_time(2), clock_time(6), clock_time(7)
"""When the schedules start their flows, New York's time."""

SUNDAY: Final = 6
LOOKBACK_DAYS: Final = 7


@dataclass(frozen=True)
class Day:
    """One day of operation.

    Attributes:
        date: The morning, New York's; the newest bars are of the day before.
        new_bars: Bars that arrived, of all classes.
        predictions: New predictions.
        outcomes: Outcomes filled.
        performance_rows: Rows of `model_performance_daily` written.
        open_alerts: After monitoring.
        trades: Of the backtest of the last seven days, all strategies and classes together.
        champions: Published champion of each class at the day's end.
        retrained: Whether this was the day of the weekly training.
        refused: Classes whose new model did not pass its checks, and why: their champions stay.
        violations: Rules that did not hold at the day's end.
        seconds: How long the day took.
    """

    date: date
    new_bars: int
    predictions: int
    outcomes: int
    performance_rows: int
    open_alerts: int
    trades: int
    champions: dict[AssetType, str]
    retrained: bool
    refused: dict[AssetType, str]
    violations: tuple[Violation, ...]
    seconds: float


@dataclass(frozen=True)
class Month:
    """All days, and where the state lies that they left."""

    days: tuple[Day, ...]
    home: Path
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether every rule held on every day."""
        return not any(day.violations for day in self.days)


def simulate_month(settings: Settings, start: date, days: int, reporter: Reporter) -> Month:
    """Run the four schedules day by day over simulated bars, and count what breaks a rule after each.

    Everything lies in a folder of its own below the profile's cache, made anew each time: the profile's state is not
    touched. Bars come from the simulated market, so none of these results says anything about real ones.

    Args:
        settings: A profile; market, training and thresholds are taken from it, sources and clock are not.
        start: The first morning; everything before it is history that the first champions learn from.
        days: Mornings, at least one.
        reporter: Shows progress.

    Raises:
        ConfigError: No day, or too little history before the first.
    """
    if days < 1:
        raise ConfigError(f"{days} days cannot be simulated", remedy="at least 1")
    if (start - settings.simulation.start).days < 730:
        raise ConfigError(
            f"simulated bars begin on {settings.simulation.start}, too late to train before {start}",
            remedy="give --start two years later, or set simulation.start",
        )
    started = time.monotonic()
    own = _own_settings(settings)
    with _alone(own):
        shutil.rmtree(own.paths.home, ignore_errors=True)
        with reporter.step("history and first champions"):
            _prepare(own, start)
        done = []
        with reporter.step(f"{days} days") as advance:
            for number in range(days):
                done.append(_live(own, start + timedelta(days=number)))
                advance(number + 1, days)
    return Month(tuple(done), own.paths.home, time.monotonic() - started)


@contextmanager
def _alone(own: Settings) -> Iterator[None]:
    """Two months at once would share a folder."""
    own.paths.home.parent.mkdir(parents=True, exist_ok=True)
    lock = own.paths.home.with_suffix(".lock")
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise ConfigError(
            f"another month is being simulated in {own.paths.home}",
            remedy="wait for it, or give another profile or TRADEHITS_HOME",
        ) from error


def _own_settings(settings: Settings) -> Settings:
    """The profile in a folder of its own, on the embedded engine, with simulated bars and nobody to ask or tell."""
    home = settings.paths.cache / "simulated-month"
    paths = Paths(
        home=home,
        state=home / "state",
        cache=home / "cache",
        reports=home / "reports",
        mlruns=home / "state" / "mlruns",
    )
    return settings.model_copy(
        update={
            "paths": paths,
            "mlflow": settings.mlflow.model_copy(update={"tracking_uri": None, "artifact_root": None}),
            "warehouse": settings.warehouse.model_copy(update={"engine": "duckdb"}),
            "gemini": settings.gemini.model_copy(update={"enabled": False}),
            "alerts": settings.alerts.model_copy(update={"channels": {}, "retrain": "propose"}),
        }
    )


def _at(settings: Settings, day: date, at: clock_time) -> Settings:
    """The profile as it is at that time of that morning: no later bar exists, and its clock says so."""
    instant = datetime.combine(day, at, NEW_YORK).astimezone(UTC)
    simulation = settings.simulation.model_copy(update={"end": day - timedelta(days=1)})
    clock = PerAsset(stocks=instant, etf=instant, crypto=instant)
    return settings.model_copy(update={"simulation": simulation, "clock": clock})


def _context(settings: Settings) -> Context:
    return open_context(settings, LogReporter(), PlainTasks())


def _prepare(settings: Settings, start: date) -> None:
    context = _context(_at(settings, start - timedelta(days=1), INFERENCE))
    ingest(context, source="simulated")
    features(context)
    train(context)


def _live(settings: Settings, day: date) -> Day:
    started = time.monotonic()
    context = _context(_at(settings, day, INFERENCE))
    reports = ingest(context, source="simulated")
    made_by = _champions(context)
    inference = predict(context)
    retrained = day.weekday() == SUNDAY
    refused: dict[AssetType, IntegrityError] = {}
    if retrained:
        train(_context(_at(settings, day, RETRAIN)), refused=refused)
    monitored = monitor(_context(_at(settings, day, MONITOR)))
    trades = _trades(_context(_at(settings, day, BACKTEST)))
    registry = ModelRegistry(RunStore(context.settings))
    with context.warehouse.read() as read:
        broken = violations(read, registry, made_by, _instant(day))
        alerts = read.query("SELECT SUM(open_alerts) AS n FROM `tradehits.v_open_alerts`").to_pylist()[0]["n"]
    return Day(
        date=day,
        new_bars=sum(one.new for one in reports),
        predictions=sum(one.written.predictions for one in inference.classes),
        outcomes=sum(one.written.outcomes for one in inference.classes),
        performance_rows=monitored.performance_rows,
        open_alerts=int(alerts),
        trades=trades,
        champions=_champions(context),
        retrained=retrained,
        refused={name: error.message for name, error in refused.items()},
        violations=(*broken, *(Violation(f"monitoring failed: {name}", 1) for name in monitored.failed)),
        seconds=time.monotonic() - started,
    )


def _instant(day: date) -> datetime:
    return datetime.combine(day, INFERENCE, NEW_YORK).astimezone(UTC)


def _champions(context: Context) -> dict[AssetType, str]:
    with context.warehouse.read() as read:
        return {name: one.model_version for name, one in published_champions(read).items()}


def _trades(context: Context) -> int:
    """Of the last seven days; a week without a signal is a valid one."""
    try:
        finished = backtest(context, BacktestQuestion(lookback_days=LOOKBACK_DAYS))
    except BacktestError:
        return 0
    return sum(one.row["total_trades"] for one in finished)
