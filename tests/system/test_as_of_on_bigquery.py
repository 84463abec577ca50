"""Training sets as of an instant, and retention: the same rows and the same hash out of both engines."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

import tests.integration.incremental_market as market
from configs.settings import load_settings
from tests.contract.warehouse_engines import bigquery_settings
from tests.integration.test_training_set_as_of import LAST, arrive, corrected, keeping, scaled, versions
from tests.system.emulator import Emulator
from training.dataset import training_set_as_of, training_set_hash
from warehouse.bigquery import BigQueryWarehouse
from warehouse.retention import drop_superseded

pytestmark = pytest.mark.system


def test_both_engines_know_the_same_at_every_instant(emulator: Emulator, tmp_path: Path) -> None:
    own = load_settings("test")
    configured = bigquery_settings(emulator, "as-of")
    production = BigQueryWarehouse(configured, staging=tmp_path)
    production.ensure_schema()
    embedded = market.scratch(own)
    settings = own.model_copy(update={"warehouse": configured})
    bars = market.bars({"A/USD": 240, "B/USD": 220}, end_day=1500, seed=7)
    early, late = LAST - timedelta(days=10), LAST - timedelta(days=15)
    log = [
        (early + timedelta(days=1), bars.filter(pl.col("datetime") <= early)),
        (LAST + timedelta(days=3), scaled(bars.filter(pl.col("datetime") >= late), 0.5)),
        (LAST + timedelta(days=10), corrected(scaled(bars, 0.5), LAST - timedelta(days=5), "low")),
    ]
    for arrival, batch in log:
        arrive(production, settings, arrival, batch)
        arrive(embedded, own, arrival, batch)

    def hashes(instants: list[timedelta]) -> list[tuple[str, str]]:
        sets = [
            (
                training_set_as_of(production, settings, "crypto", LAST + instant),
                training_set_as_of(embedded, own, "crypto", LAST + instant),
            )
            for instant in instants
        ]
        return [(training_set_hash(own, one), training_set_hash(own, other)) for one, other in sets]

    instants = [timedelta(days=-4), timedelta(days=3), timedelta(days=12)]
    found = hashes(instants)
    assert [one == other for one, other in found] == [True, True, True]
    assert len(set(found)) == 3
    now = LAST + timedelta(days=110)
    dropped = [drop_superseded(one, keeping(own, 100), now) for one in (production, embedded)]
    assert dropped[0] == dropped[1] != []
    assert versions(production) == versions(embedded) == 460
    assert hashes(instants[-1:]) == found[-1:]
