"""The main job: bars, features, walk-forward training, published records, predictions, monitoring, and a summary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Run:
    """What the main job found; `summary` is what it keeps as JSON."""

    summary: Summary
    training: list[TrainReport]
    inference: PredictReport
    monitoring: MonitorReport


def run(
    context: Context, *, source: str | None = None, paths: Sequence[Path] = (), asset_type: AssetType | None = None
) -> Run:
    """Ingest as `flows.ingest.ingest`, build features, train all classes, publish, predict, monitor, summarise."""
    started = time.monotonic()
    ingest(context, source=source, paths=paths, asset_type=asset_type)
    features(context)
    reports = train(context)
    predictions = predict(context, features_are_new=True)
    monitoring = monitor(context)
    summary = summarise(context.settings, reports, predictions, monitoring, seconds=time.monotonic() - started)
    write_summary(context.settings, summary)
    return Run(summary, reports, predictions, monitoring)
