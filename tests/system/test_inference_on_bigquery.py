"""Inference with BigQuery's client: the same predictions, outcomes and record as on the embedded engine."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from configs.settings import load_settings
from flows.features import features
from tests.contract.warehouse_engines import bigquery_settings
from tests.integration.inference_world import END, REALTIME, RECORD, World, bars, days_pass, deliver, train, world_at
from tests.system.emulator import Emulator

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]

OF_EACH_RUN = ["run_id"]


def trained(home: Path, **changes: object) -> World:
    """Crypto's bars through Friday, and a champion."""
    world = world_at(home, **changes)
    deliver(world, bars(world.settings, "crypto", END))
    features(world.context)
    train(world, "crypto")
    return world


def test_both_engines_end_with_the_same_rows(emulator: Emulator, tmp_path: Path) -> None:
    few = load_settings("test").simulation.model_copy(update={"planted_symbols": 2, "noise_symbols": 1})
    configured = bigquery_settings(emulator, "inference")
    production = trained(tmp_path / "production", warehouse=configured, simulation=few)
    embedded = trained(tmp_path / "embedded", simulation=few)
    told = []
    for world in (production, embedded):
        reports = [world.predict()]
        days_pass(world, 2, classes=["crypto"])
        reports.append(world.predict(check_all=True))
        reports.append(world.predict(END - timedelta(days=1)))
        reports.append(world.predict())
        told.append([(one.classes[0].written, one.classes[0].signals, one.classes[0].unscored) for one in reports])
    assert told[0] == told[1]
    assert told[0][-1][0].predictions == told[0][-1][0].outcomes == 0, "nothing is left to do"
    for table in (REALTIME, RECORD):
        ours, theirs = (world.rows(table).drop(OF_EACH_RUN, strict=False) for world in (production, embedded))
        assert_frame_equal(ours, theirs, rel_tol=1e-9)
    views = ("tradehits.v_live_predictions", "ml_models.v_signal_summary", "tradehits.v_performance_source")
    for view in views:
        ours, theirs = (world.ask(f"SELECT * FROM `{view}`") for world in (production, embedded))
        by = [name for name in ours.columns if not isinstance(ours.schema[name], pl.List)]
        assert_frame_equal(ours.sort(by), theirs.sort(by), rel_tol=1e-9)
