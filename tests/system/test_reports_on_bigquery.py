"""Reports with BigQuery's client: the same sample, the same figures of Evidently and the same words as embedded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from monitoring.reports import ReportFiles, write
from monitoring.reports_store import RESULTS_TABLE
from tests.contract.warehouse_engines import bigquery_settings
from tests.drift_world import World, clean_rows, filled, moment, settings_in
from tests.system.emulator import Emulator
from warehouse.engines import open_warehouse

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]


def report(world: World) -> ReportFiles:
    changes = {"mlflow": False, "reference_rows": 2000, "current_rows": 40}
    settings = world.settings.model_copy(update={"reports": world.settings.reports.model_copy(update=changes)})
    now = moment(world.asset_type)
    return write(world.warehouse, world.champions, settings, now, world.measure(), "walk_forward")  # type: ignore[arg-type]


def test_both_engines_draw_and_report_the_same(emulator: Emulator, tmp_path: Path) -> None:
    rows = clean_rows("crypto", seed=3, symbols=8)
    embedded = settings_in(tmp_path / "embedded")
    production = settings_in(tmp_path / "production").model_copy(
        update={"warehouse": bigquery_settings(emulator, "reports")}
    )
    worlds = [filled(settings, open_warehouse(settings), "crypto", rows) for settings in (production, embedded)]
    ours, theirs = (report(world) for world in worlds)
    assert ours.differences == theirs.differences
    assert ours.notes == theirs.notes
    assert len(ours.evidently) > 30
    for one, other in zip(ours.evidently, theirs.evidently, strict=True):
        assert replace(one, value=None, threshold=None) == replace(other, value=None, threshold=None)
        for mine, other_one in ((one.value, other.value), (one.threshold, other.threshold)):
            assert mine == (None if other_one is None else pytest.approx(other_one, rel=1e-9))
    again = report(worlds[0])
    stored = pl.DataFrame(worlds[0].warehouse.query(f"SELECT * FROM `{RESULTS_TABLE}`"))
    assert stored.height == len(again.evidently)
    assert set(stored["date"]) == {moment("crypto").date}
