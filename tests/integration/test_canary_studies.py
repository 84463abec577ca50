"""What the canary catches, how often it cries without cause, and what the whole audit says of clean markets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from configs.settings import Settings, load_settings
from market.assets import AssetType
from market.simulate import simulate_market
from tests.planted_faults.road import audited, built, settings_with
from tests.planted_faults.seams import feature_query
from training.canary import coin_markets, rows_of, skill_of, through_pipeline
from training.canary_bars import noise_bars
from training.canary_settings import canary_settings
from training.canary_skill import SkillTest
from training.dataset import Dataset, as_dataset, stored_training_set
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.ingest import ingest_asset_type

FIRST, LAST = datetime(2021, 1, 4, tzinfo=UTC), datetime(2024, 12, 27, tzinfo=UTC)
FAMILY = 9
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The size and level of every profile, on the market of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("home")))
        return load_settings("local")


def hindsight() -> AbstractContextManager[None]:
    """Two flags tell the next direction on 4% of the bars: whoever trusts them is right 2 points more often."""
    told = "MOD(CAST(volume AS INT64), 25) = 0"
    return feature_query(
        ("IF(rsi > 70, 1, 0) AS rsi_overbought", f"IF({told} AND next_close > close, 1, 0) AS rsi_overbought"),
        ("IF(rsi < 30, 1, 0) AS rsi_oversold", f"IF({told} AND next_close <= close, 1, 0) AS rsi_oversold"),
    )


def in_batches(seeds: range, size: int) -> Iterator[list[int]]:
    left = iter(seeds)
    while batch := list(islice(left, size)):
        yield batch


def noise_skills(settings: Settings, seeds: range, asset_type: AssetType) -> pl.DataFrame:
    """The noise canary of each seed; several markets share a build, in which they know nothing of each other."""
    canary = settings.audit.canary
    rows = []
    for batch in in_batches(seeds, max(1, 100_000 // canary.test_rows)):
        markets = []
        for seed in batch:
            bars = noise_bars(settings, asset_type, first=FIRST, last=LAST, rows=2 * canary.test_rows, seed=seed)
            markets.append(bars.with_columns(pl.format("{}~{}", "symbol", pl.lit(seed)).alias("symbol")))
        bars = pl.concat(markets).sort("asset_type", "symbol", "datetime")
        adapted = canary_settings(settings, asset_type, bars["datetime"])
        together = through_pipeline(adapted, asset_type, bars)
        for seed in batch:
            own = together.keys["symbol"].str.ends_with(f"~{seed}").to_numpy()
            skill = skill_of(rows_of(together, own), settings, by_symbol=False)
            rows.append((seed, skill.excess, skill.standard_error, skill.p_value))
    return pl.DataFrame(rows, schema=["seed", "excess", "standard_error", "p_value"], orient="row")


def stored_class(settings: Settings) -> tuple[DuckDBWarehouse, Dataset]:
    """A class of eight symbols, to which the random walks are matched."""
    market = simulate_market("stocks", seed=3, start=FIRST.date(), end=LAST.date(), planted_symbols=5, noise_symbols=3)
    warehouse = DuckDBWarehouse.scratch(settings.warehouse)
    ingest_asset_type(warehouse, settings, market.bars, source="simulated")
    build_features(warehouse, settings, ["stocks"])
    return warehouse, as_dataset(settings, "stocks", stored_training_set(warehouse, settings, "stocks"))


def market_skills(settings: Settings, seeds: range) -> Iterator[tuple[int, SkillTest, SkillTest]]:
    """Both canaries that pass through the whole pipeline, as the audit runs them: seed, random walk, noise symbols."""
    warehouse, dataset = stored_class(settings)
    with hindsight():
        for seed in seeds:
            walk, noise = coin_markets(warehouse, settings, dataset, seed, 10_000 + seed)
            yield seed, skill_of(walk, settings, by_symbol=False), skill_of(noise, settings, by_symbol=False)


@pytest.mark.timeout(3600)
def test_hindsight_of_two_points_is_caught_in_95_of_100_seeds(settings: Settings) -> None:
    found = list(market_skills(settings, range(1, 101)))
    excess = [skill.excess for _, *skills in found for skill in skills]
    assert 1.7 < np.mean(excess) < 2.3, "the planted hindsight is worth 2 points"
    level = settings.audit.canary.level / FAMILY
    assert sum(min(walk.p_value, noise.p_value) <= level for _, walk, noise in found) >= 95


@pytest.mark.timeout(3600)
def test_without_a_fault_canaries_fail_no_more_often_than_their_level(settings: Settings) -> None:
    small = settings.model_copy(
        update={
            "audit": settings.audit.model_copy(
                update={"canary": settings.audit.canary.model_copy(update={"test_rows": 2500, "max_trees": 20})}
            )
        }
    )
    skills = noise_skills(small, range(1, 401), "crypto")
    for level in (0.05, 0.01, 0.01 / FAMILY):
        assert (skills["p_value"] <= level).sum() <= binom.ppf(0.999, skills.height, level)
    assert abs(skills["excess"].mean()) < 4 * skills["excess"].std() / np.sqrt(skills.height)


@pytest.mark.timeout(3600)
def test_on_twenty_clean_seeds_at_most_one_canary_fails_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    canary = {"AUDIT__CANARY__TEST_ROWS": "20000", "CALIBRATION__METHOD": "platt", "CALIBRATION__MIN_ROWS": "200"}
    clean = settings_with(tmp_path_factory.mktemp("home"), canary)
    failed = [
        (seed, result.check, result.subject, result.detail)
        for seed in range(1, 21)
        for result in audited(clean, built(clean, seed=seed))
        if result.status == "failed"
    ]
    assert [found for found in failed if found[1] != "canary"] == []
    assert len(failed) <= 1
