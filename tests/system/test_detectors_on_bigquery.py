"""Detectors with BigQuery's client: the same conditions as the embedded engine."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from configs.settings import load_settings
from monitoring.detectors import Detected, detect
from monitoring.performance import SOURCES
from tests.contract.table_rows import scratch_warehouse
from tests.contract.warehouse_engines import bigquery_settings
from tests.detector_world import BASELINE, START, after, predictions, store, store_live
from tests.system.emulator import Emulator
from warehouse.bigquery import BigQueryWarehouse
from warehouse.warehouse import Warehouse

pytestmark = pytest.mark.system


def test_both_engines_say_the_same_of_a_model_that_decays(emulator: Emulator, tmp_path: Path) -> None:
    production = BigQueryWarehouse(bigquery_settings(emulator, "detectors"), staging=tmp_path)
    production.ensure_schema()
    theirs, ours = everything_said(production), everything_said(scratch_warehouse())
    assert [one.severity for one in ours[0].conditions] == ["CRITICAL", "CRITICAL", "CRITICAL", None]
    for found, expected in zip(theirs, ours, strict=True):
        assert found.note == expected.note == ""
        for one, other in zip(found.conditions, expected.conditions, strict=True):
            assert (one.metric_name, one.severity, one.message) == (other.metric_name, other.severity, other.message)
            assert one.current_value == pytest.approx(other.current_value, rel=1e-9)


def everything_said(warehouse: Warehouse) -> list[Detected]:
    rows = predictions([0.65] * (BASELINE + 5) + [0.48] * 25, symbols=20)
    store(warehouse, rows)
    store_live(warehouse, rows.filter(pl.col("bar_known_at") >= START))
    settings = load_settings("test")
    with warehouse.read() as read:
        return [detect(read, settings, after(BASELINE + 29), source) for source in SOURCES]
