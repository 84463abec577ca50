"""The main job: bars, features, walk-forward training, published records, and a summary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from flows.context import Context
from flows.features import features
from flows.ingest import ingest
from flows.retrain import TrainReport, train
from flows.summary import Summary, summarise, write_summary
from market.assets import AssetType


def run(
    context: Context, *, source: str | None = None, paths: Sequence[Path] = (), asset_type: AssetType | None = None
) -> tuple[Summary, list[TrainReport]]:
    """Ingest as `flows.ingest.ingest`, build features, train every class that has bars, publish, keep the summary."""
    started = time.monotonic()
    ingest(context, source=source, paths=paths, asset_type=asset_type)
    features(context)
    reports = train(context)
    summary = summarise(context.settings, reports, seconds=time.monotonic() - started)
    write_summary(context.settings, summary)
    return summary, reports
