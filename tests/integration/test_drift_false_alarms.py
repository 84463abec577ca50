"""How often drift is found where nothing changed, and where something did: simulated markets of 24 symbols."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from feature_repo.services import INTERACTIONS, feature_names
from market.drift_grid import FEW_VALUES
from tests.drift_world import TODAY, kinds, raised, simulated, with_fault

pytestmark = pytest.mark.slow

SEEDS, WEEKS, SYMBOLS = 20, 8, 24
BEGAN = date(2021, 7, 1)
STATED_RATE = 0.01


@pytest.mark.timeout(1800)
def test_twenty_clean_markets_stay_within_the_stated_rate(tmp_path: Path) -> None:
    features, relations = [], []
    for seed in range(101, 101 + SEEDS):
        asset_type = "stocks" if seed % 2 else "crypto"
        world = simulated(tmp_path / str(seed), asset_type, seed, SYMBOLS, BEGAN)
        for week in range(WEEKS):
            found = world.measure(TODAY - timedelta(days=7 * week))
            assert found.notes == ()
            features += [(seed, week, kinds(found))] if kinds(found) else []
            relations += [(seed, week, list(raised(found, "CONCEPT_DRIFT")))] if raised(found, "CONCEPT_DRIFT") else []
    # 4 of 160 is 1% and two deviations
    assert len(features) <= SEEDS * WEEKS * STATED_RATE + 2.5, features
    assert len({seed for seed, _, _ in relations}) <= 1, relations


@pytest.mark.timeout(1800)
def test_a_small_shift_and_a_small_scale_of_any_measurement_are_seen_and_named(tmp_path: Path) -> None:
    world = simulated(tmp_path, "stocks", 7, SYMBOLS, BEGAN)
    world.measure()
    stored = world.distributions().filter(pl.col("date") == TODAY)
    deviation = dict(zip(stored["feature_name"], stored["baseline_std"], strict=True))
    measured = [
        name
        for name in feature_names("default")
        if name not in INTERACTIONS and world.rows()[name].n_unique() > FEW_VALUES
    ]
    assert len(measured) == 16
    seen, accused, missed = Counter[str](), [], []
    for name in measured:
        moved = 0.3 * deviation[name]
        for kind, found in (
            ("shift", with_fault(world, name, lambda value, by=moved: value + by)),
            ("scale", with_fault(world, name, lambda value: value * 1.3)),
        ):
            seen[kind] += bool(kinds(found).get(name))
            missed += [] if kinds(found).get(name) else [(name, kind)]
            others = set(kinds(found)) - {name, *(one for one, used in INTERACTIONS.items() if name in used)}
            accused += [(name, kind, sorted(others))] if others else []
    assert seen["shift"] == 16, missed
    assert seen["scale"] == 16, missed
    assert len(accused) <= 2, accused
