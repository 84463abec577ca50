"""The main job: bars, features, walk-forward training, published records, today's predictions, and a summary."""

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
from flows.retrain import TrainReport, train
from flows.summary import Summary, summarise, write_summary
from market.assets import AssetType


@dataclass(frozen=True)
class Run:
    """What the main job found; `summary` is what it keeps as JSON."""

    summary: Summary
    training: list[TrainReport]
    inference: PredictReport


def run(
    context: Context, *, source: str | None = None, paths: Sequence[Path] = (), asset_type: AssetType | None = None
) -> Run:
    """Ingest as `flows.ingest.ingest`, build features, train every class that has bars, publish, predict, summarise."""
    started = time.monotonic()
    ingest(context, source=source, paths=paths, asset_type=asset_type)
    features(context)
    reports = train(context)
    predictions = predict(context, features_are_new=True)
    summary = summarise(context.settings, reports, predictions, seconds=time.monotonic() - started)
    write_summary(context.settings, summary)
    return Run(summary, reports, predictions)
