"""Drift with BigQuery's client: the same rows of `feature_distributions` and verdicts as on the embedded engine."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.contract.warehouse_engines import bigquery_settings
from tests.drift_world import TODAY, World, clean_rows, filled, kinds, settings_in, with_fault
from tests.system.emulator import Emulator
from warehouse.engines import open_warehouse

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]


def test_both_engines_say_the_same_of_clean_and_of_broken_bars(emulator: Emulator, tmp_path: Path) -> None:
    rows = clean_rows("crypto", seed=3, symbols=8)
    embedded = settings_in(tmp_path / "embedded")
    production = settings_in(tmp_path / "production").model_copy(
        update={"warehouse": bigquery_settings(emulator, "drift")}
    )
    worlds = [filled(settings, open_warehouse(settings), "crypto", rows) for settings in (production, embedded)]
    found = [world.measure() for world in worlds]
    assert found[0].notes == found[1].notes == ()
    assert [one.severity for one in found[0].conditions] == [one.severity for one in found[1].conditions]
    for ours, theirs in zip(found[0].conditions, found[1].conditions, strict=True):
        assert ours.metric_name == theirs.metric_name
        assert ours.current_value == pytest.approx(theirs.current_value, rel=1e-9, nan_ok=True)
        assert ours.threshold_value == pytest.approx(theirs.threshold_value, rel=1e-9, nan_ok=True)
    stored = [rows_of(world) for world in worlds]
    assert stored[0].height == found[0].rows > 0
    assert_frame_equal(stored[0], stored[1], rel_tol=1e-9)
    broken = [kinds(with_fault(world, "rsi", lambda value: value * 100)) for world in worlds]
    assert broken[0] == broken[1]
    assert broken[0]["rsi"][0] == "unit change"


def rows_of(world: World) -> pl.DataFrame:
    return world.distributions().filter(pl.col("date") == TODAY).drop("created_at")
