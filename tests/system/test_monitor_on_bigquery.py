"""Daily performance with BigQuery's client: one statement, the same rows as on the embedded engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from configs.settings import Settings, load_settings
from monitoring.performance import performance, refresh, source_at
from monitoring.rules import judged
from tests.contract.performance_world import (
    PERFORMANCE,
    Prediction,
    ago,
    moment_at,
    store,
    twin,
    with_rule,
    writes,
)
from tests.contract.table_rows import insert, scratch_warehouse
from tests.contract.test_performance_daily import agrees
from tests.contract.warehouse_engines import bigquery_settings
from tests.system.emulator import Emulator
from warehouse.engines import open_warehouse
from warehouse.warehouse import Warehouse

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


def drawn(days: range, symbols: int = 12) -> list[Prediction]:
    """Predictions of both sources, some of them open, some back-fills, with a weekend's holes."""
    random = np.random.default_rng(3)
    calls = [("BUY", "HIGH"), ("SELL", "MEDIUM"), ("HOLD", "LOW")]
    return [
        Prediction(
            source,
            ago(back),
            f"S{i}",
            float(round(random.uniform(), 3)),
            [True, False, True, False, None][random.integers(5)],
            made_days=float(random.choice([1.0, 2.0])),
            has_bar=bool(random.integers(4)),
            called=calls[random.integers(3)],
        )
        for source in ("live", "walk_forward")
        for back in days
        if ago(back).weekday() < 5
        for i in range(symbols)
    ]


@pytest.fixture(scope="module")
def engines(emulator: Emulator) -> Iterator[tuple[Warehouse, Warehouse, Settings]]:
    settings = with_rule(load_settings("test"), warning=40, critical=20, days=2)
    configured = settings.model_copy(update={"warehouse": bigquery_settings(emulator, "performance")})
    production = open_warehouse(configured)
    production.ensure_schema()
    embedded = scratch_warehouse()
    now = {"asset_type": "stocks", "clock": "x", "now_at": moment_at().now, "min_live_predictions": 50}
    for engine in (production, embedded):
        insert(engine, "tradehits.asset_settings", [now])
    yield production, embedded, settings


def test_both_engines_give_every_column_alike_at_any_moment(
    engines: tuple[Warehouse, Warehouse, Settings],
) -> None:
    production, embedded, settings = engines
    predictions = drawn(range(-1, 60))
    for engine in (production, embedded):
        store(engine, predictions)
    for back in (0, 9):
        answers = []
        for engine in (production, embedded):
            with engine.read() as read:
                moment = moment_at(ago(back))
                answers.append(
                    (performance(read, settings, moment), source_at(read, moment), judged(read, settings, moment))
                )
        assert_frame_equal(answers[0][0], answers[1][0], rel_tol=1e-9)
        assert answers[0][1] == answers[1][1]
        assert (answers[0][2].condition is None, answers[0][2].note) == (
            answers[1][2].condition is None,
            answers[1][2].note,
        )
        ours = {(row["prediction_source"], row["date"]): row for row in answers[0][0].to_dicts()}
        agrees(ours, twin(predictions, settings, moment_at(ago(back))))


def test_the_table_is_brought_up_to_date_alike(engines: tuple[Warehouse, Warehouse, Settings]) -> None:
    production, embedded, settings = engines
    predictions = drawn(range(2, 50), symbols=4)
    is_late = (one.up is None and one.source == "walk_forward" and one.day == ago(18) for one in predictions)
    late = list(is_late).index(True)
    filled = [replace(one, up=True) if i == late else one for i, one in enumerate(predictions)]
    shorter = [one for one in filled if one.day > ago(40)]
    told = []
    for engine in (production, embedded):
        store(engine, predictions)
        changed = [refresh(engine, settings, [moment_at()]), refresh(engine, settings, [moment_at()])]
        for history in (filled, shorter):
            engine.write(writes(history))
            changed.append(refresh(engine, settings, [moment_at()]))
        rows = pl.DataFrame(engine.query(f"SELECT * FROM `{PERFORMANCE}` ORDER BY prediction_source, date"))
        told.append((changed, rows))
    assert told[0][0] == told[1][0]
    assert told[0][0][1] == 0
    assert told[0][0][2] > 1
    assert_frame_equal(told[0][1], told[1][1], rel_tol=1e-9)
