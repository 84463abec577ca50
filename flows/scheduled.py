"""What the scheduled flows do: the commands' own bodies, one after the other, and an outcome that tells the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from flows.catch_up import catch_up_backtests, catch_up_monitoring, catch_up_predictions
from flows.context import Context
from flows.scheduled_ingest import CONFIGURED, Given, ingest_configured
from flows.scheduled_outcome import Outcome
from flows.scheduled_rows import (
    decisions,
    inferred,
    links,
    monitored,
    report_url,
    run_url,
    signals,
    tested,
    trained,
)
from market.assets import ASSET_TYPES, AssetType
from market.errors import ConfigError, IntegrityError, TradeHitsError
from market.signals import Confidence
from warehouse.features import stored_asset_types

if TYPE_CHECKING:
    from flows.inference_report import PredictReport

TOLD_ROWS: Final = 50

_STRONG = """
SELECT symbol, signal, ensemble_confidence, ensemble_up_probability AS p
FROM `ml_models.realtime_predictions`
WHERE asset_type = @asset_type AND datetime = @stamp
  AND GREATEST(ensemble_up_probability, 1 - ensemble_up_probability) >= @threshold
ORDER BY signal_strength DESC, symbol
"""


def infer(
    context: Context,
    asset_types: Sequence[AssetType],
    confidence_threshold: float,
    *,
    catch_up: bool = True,
    given: Given = CONFIGURED,
) -> Outcome:
    """Ingest, score what was missed in order and then the newest bars, fill outcomes, publish the snapshot."""
    from flows.features import features
    from flows.inference import predict

    read = ingest_configured(context, asset_types, given)
    chosen, absent = _with_bars(context, asset_types)
    features(context, only_new=True)
    caught = catch_up_predictions(context, chosen) if catch_up else []
    report = predict(context, chosen, features_are_new=True)
    predicted = sum(one.predicted for one in report.classes)
    return Outcome(
        headline=signals(report),
        table=[inferred(one) for one in report.classes],
        lines=(*caught, *absent, *_strong(context, report, confidence_threshold), *_notes(report)),
        problems=(*read.problems, *unwell(report, context.settings.up.stale_share)),
        failures=() if predicted else ("no symbol of any class could be scored",),
        links=links(context),
    )


def unwell(report: PredictReport, stale_share: float) -> list[str]:
    """Classes that were not scored as they should be, with the reason.

    Args:
        report: Of the newest bars.
        stale_share: From this share of symbols without a prediction on; delisted ones do not count.
    """
    said = []
    for one in report.classes:
        missing = [symbol for symbol in one.unscored if symbol.reason != "delisted"]
        if one.bar is None:
            said.append(f"{one.asset_type}: {one.note}")
            continue
        if one.late:
            said.append(f"{one.asset_type}: {one.late}")
        if one.symbols and len(missing) / one.symbols >= stale_share:
            named = ", ".join(symbol.symbol for symbol in missing[:5]) + (", ..." if len(missing) > 5 else "")
            said.append(f"{one.asset_type}: {len(missing):,} of {one.symbols:,} symbols have no prediction ({named})")
    return said


def monitor_models(context: Context, check_drift: bool, alert_threshold: float, *, catch_up: bool = True) -> Outcome:
    """Bring daily performance up to date, judge every class, keep alerts, write and deliver reports."""
    from flows.monitor import monitor

    caught: list[str] = []
    if catch_up and check_drift:
        caught = catch_up_monitoring(context, stored_asset_types(context.warehouse), alert_threshold=alert_threshold)
    report = monitor(context, check_drift=check_drift, alert_threshold=alert_threshold)
    raised = [one for found in report.classes for one in found.conditions if one.severity is not None]
    notes = [f"{one.asset_type}: {note}" for one in report.classes for note in one.notes]
    failed = [f"{one.asset_type}: {text}" for one in report.classes for text in one.failed]
    pages = {f"report {one.asset_type}": report_url(context, one.page) for one in report.classes if one.page}
    return Outcome(
        headline=f"{report.performance_rows:,} rows of daily performance, {len(raised):,} conditions raised",
        table=[monitored(one) for one in report.classes],
        lines=(*caught, *(f"{one.severity} {one.alert_type} {one.message}" for one in raised), *notes, *report.notes),
        problems=(f"{report.undelivered:,} messages could not be delivered yet",) if report.undelivered else (),
        failures=(*report.failed, *failed),
        links={**pages, **links(context)},
    )


def retrain(context: Context, models: Sequence[AssetType], validation_window_days: int) -> Outcome:
    """Ingest, features, walk-forward, audit, challenger, gate, champion, published record, and its backtest.

    A class whose checks fail keeps its champion, and the others are trained all the same.
    """
    from flows.backtest import BacktestQuestion, backtest
    from flows.features import features
    from flows.retrain import train

    read = ingest_configured(context, models)
    chosen, absent = _with_bars(context, models)
    if not chosen:
        raise ConfigError("none of the models' classes has bars", remedy="ingest bars first, or ask for other models")
    features(context)
    refused: dict[AssetType, IntegrityError] = {}
    reports = train(context, chosen, refused=refused)
    if not reports:
        raise next(iter(refused.values()))
    problems = [*read.problems, *(f"{name}: not registered, {error.message}" for name, error in refused.items())]
    try:
        tested = backtest(context, BacktestQuestion(asset_types=tuple(one.asset_type for one in reports)))
    except TradeHitsError as error:  # the models are trained and judged; that is not lost for the want of a backtest
        tested, problems = [], [*problems, f"no backtest: {error.message}"]
    pages = {f"run of {one.asset_type}": run_url(context, one) for one in reports}
    promoted = [one.model_version for one in reports if one.status == "champion"]
    return Outcome(
        headline=f"{len(reports)} models trained, new champions: {', '.join(promoted) or 'none, the champions stand'}",
        table=[trained(context, one, validation_window_days) for one in reports],
        lines=(*absent, *decisions(reports), *(f"{len(tested):,} backtests stored" for _ in tested[:1])),
        problems=tuple(problems),
        links={**pages, **links(context)},
    )


def backtest_recent(
    context: Context, lookback_days: int, confidence_levels: Sequence[Confidence], *, catch_up: bool = True
) -> Outcome:
    """Backtest every strategy on VALIDATE to the newest bar, and tell apart what the last days added."""
    from flows.backtest import BacktestQuestion, backtest
    from flows.scheduled_backtest import recent_trades, with_levels

    settings, added = with_levels(context.settings, tuple(confidence_levels))
    changed = Context(settings, context.warehouse, context.reporter, context.tasks)
    caught = catch_up_backtests(changed, BacktestQuestion()) if catch_up else []
    finished = backtest(changed, BacktestQuestion())
    told = [recent_trades(one, lookback_days, added) for one in finished if one.report.strategy_name == added]
    return Outcome(
        headline=f"{len(finished):,} backtests stored; trades of the last {lookback_days} days by {added} told apart",
        table=[tested(one) for one in finished],
        lines=(*caught, *told),
        links=links(context),
    )


def _with_bars(context: Context, asset_types: Sequence[AssetType]) -> tuple[list[AssetType], list[str]]:
    stored = stored_asset_types(context.warehouse)
    chosen = [name for name in asset_types or ASSET_TYPES if name in stored]
    absent = [f"{name}: no bars are stored" for name in asset_types or () if name not in stored]
    return chosen, absent


def _strong(context: Context, report: PredictReport, threshold: float) -> list[str]:
    """Predictions at least so far from one half as asked for."""
    said = []
    for one in report.classes:
        if one.bar is None:
            continue
        asked = {"asset_type": one.asset_type, "stamp": one.bar, "threshold": threshold}
        rows = context.warehouse.query(_STRONG, asked).to_pylist()
        named = [f"{row['symbol']} {row['signal']} {row['p']:.3f}" for row in rows[:TOLD_ROWS]]
        more = f" and {len(rows) - TOLD_ROWS:,} more" if len(rows) > TOLD_ROWS else ""
        count = f"{len(rows):,} with {threshold:.2f} or more on one side"
        said.append(f"{one.asset_type}: {count}{': ' if named else ''}{', '.join(named)}{more}")
    return said


def _notes(report: PredictReport) -> list[str]:
    return [f"{one.asset_type}: {one.note}" for one in report.classes if one.note and one.bar is not None]
