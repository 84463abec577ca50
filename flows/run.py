"""The main job: bars, features, walk-forward training, published records, predictions, monitoring, and a summary."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.backtest import Backtested, BacktestQuestion, backtest
from flows.context import Context
from flows.features import features
from flows.inference import predict
from flows.inference_report import PredictReport
from flows.ingest import ingest
from flows.monitor import monitor
from flows.monitor_report import MonitorReport
from flows.retrain import TrainReport, train
from flows.summary import Summary, summarise, write_summary
from market.assets import AssetType
from market.errors import BacktestError

log = logging.getLogger("tradehits")


@dataclass(frozen=True)
class Run:
    """What the main job found; `summary` is what it keeps as JSON."""

    summary: Summary
    training: list[TrainReport]
    inference: PredictReport
    monitoring: MonitorReport
    backtests: list[Backtested]


def run(
    context: Context, *, source: str | None = None, paths: Sequence[Path] = (), asset_type: AssetType | None = None
) -> Run:
    """Ingest as `flows.ingest.ingest`, build features, train all classes, publish, predict, backtest, monitor."""
    started = time.monotonic()
    ingest(context, source=source, paths=paths, asset_type=asset_type)
    features(context)
    reports = train(context)
    predictions = predict(context, features_are_new=True)
    backtests = _backtest(context)
    monitoring = monitor(context)
    seconds = time.monotonic() - started
    summary = summarise(context.settings, reports, predictions, monitoring, backtests, seconds=seconds)
    write_summary(context.settings, summary)
    return Run(summary, reports, predictions, monitoring, backtests)


def _backtest(context: Context) -> list[Backtested]:
    """Every strategy on VALIDATE; a record that does not reach into it yet has nothing to be traded."""
    try:
        return context.tasks.run("backtest", backtest, context, BacktestQuestion())
    except BacktestError as error:
        log.info("no backtest: %s", error.message)
        return []
