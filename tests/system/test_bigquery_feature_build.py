"""Bars to features on the emulator beside the embedded engine."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from configs.settings import load_settings
from tests.contract.table_rows import scratch_warehouse, select
from tests.contract.warehouse_engines import bigquery_settings
from tests.integration import incremental_market as market
from tests.system.emulator import Emulator
from warehouse.bigquery import BigQueryWarehouse
from warehouse.features import build_features

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


def test_the_feature_build_gives_the_same_rows_in_full_and_day_by_day(emulator: Emulator, tmp_path: Path) -> None:
    """Bars, corrections and a late bar through ingest, indicators, versions and features on both engines."""
    configured = bigquery_settings(emulator, "feature-build")
    settings = load_settings("test").model_copy(update={"warehouse": configured})
    production = BigQueryWarehouse(configured, staging=tmp_path)
    embedded = scratch_warehouse()
    every_day = market.bars({"AAA/USD": 262, "BBB/USD": 230}, end_day=262, seed=1)
    is_new = pl.col("datetime") > pl.lit(market.FIRST_DAY + timedelta(days=259))
    late = is_new | (pl.col("datetime") == pl.lit(market.FIRST_DAY + timedelta(days=200)))
    corrected = every_day.filter(~late).tail(2).with_columns(pl.col("volume") * 1.5)
    batches = [every_day.filter(~late), pl.concat([every_day.filter(late), corrected])]
    for engine in (production, embedded):
        engine.ensure_schema()
        for batch in batches:
            market.ingest(engine, settings, batch)
            build_features(engine, settings, ["crypto"])
    builds = "SELECT build_number, is_full, table_rows FROM `tradehits.feature_builds` ORDER BY build_number"
    assert select(production, builds) == select(embedded, builds)
    assert {row["is_full"] for row in select(production, builds)} == {True, False}
    for name in (market.CLEAN, market.FEATURES):
        wanted = market.rows(embedded, name)
        assert wanted.height > 480
        assert market.differences(market.rows(production, name), wanted) == []
