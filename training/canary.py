"""The noise canary: the pipeline itself, trained where nothing can be known, must not beat the base rate.

Three canaries an asset class. Two are markets without anything to know, which pass through indicators, the clean table,
the feature query, the training set and the folds; one is the stored features with labels out of their order. Whatever
one of them predicts is hindsight of the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri

from configs.settings import Settings
from market.assets import ASSET_TYPES, AssetType
from market.errors import DuplicateKeyError, FeatureError, IntegrityError, NotEnoughDataError
from training.canary_bars import (
    matched_random_walk,
    noise_bars,
    sampled_rows,
    sampled_series,
    shuffled_labels,
    stored_bars,
)
from training.canary_folds import fold_check, trained
from training.canary_settings import canary_settings
from training.canary_skill import SkillTest, directional_skill
from training.checks import CheckResult
from training.dataset import Dataset, as_dataset, stored_training_set
from warehouse.clean import clean_writes
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.warehouse import Warehouse

CHECK = "canary"
_THREADS = 2
_POWER_QUANTILE = float(ndtri(0.95))


@dataclass(frozen=True)
class Canary:
    """One kind of data in which nothing can be known.

    Attributes:
        name: As results name it.
        by_symbol: Whether symbols keep mixes of directions of their own, which a model may honestly know.
        remedy: Where to look when it is predicted all the same.
    """

    name: str
    by_symbol: bool
    remedy: str


_SEES_AHEAD = (
    "indicators, features or folds see the future: look at the findings of `truncation` and `time`, then at the newest "
    "feature, join or change of the folds"
)
RANDOM_WALK = Canary("matched random walk", by_symbol=False, remedy=_SEES_AHEAD)
SHUFFLED = Canary(
    "time-shuffled labels",
    by_symbol=True,
    remedy="test labels reach the model: look at the findings of `time` and `labels`, at how folds, early stopping and "
    "calibration choose their rows, and for rows that stand twice",
)
NOISE = Canary("simulated noise symbols", by_symbol=False, remedy=_SEES_AHEAD)
CANARIES = (RANDOM_WALK, SHUFFLED, NOISE)
CANARIES_PER_CLASS = len(CANARIES)


def canary_checks(warehouse: Warehouse, settings: Settings, dataset: Dataset, family: int) -> list[CheckResult]:
    """Train on three markets without anything to know, and test one-sidedly that none is predicted.

    Args:
        warehouse: Gives the bars that the random walk is matched to; it is only read.
        settings: `audit.canary`, and everything that decides the pipeline.
        dataset: The asset class's training set.
        family: Number of canaries, over all asset classes, that share the level `audit.canary.level`.

    Returns:
        One result a canary: failed when it is predicted, a warning when there is too little data to run it; and one of
        the truncation proof of training, which belongs to no family: it leaves nothing to chance.
    """
    walk_seed, shuffle_seed, noise_seed, fold_seed = _seeds(settings, dataset.asset_type)
    with ThreadPoolExecutor(_THREADS) as pool:
        # First in the queue, so that a canary that waits for it never takes the thread it needs.
        markets = pool.submit(coin_markets, warehouse, settings, dataset, walk_seed, noise_seed)
        samples: dict[Canary, Callable[[], Dataset]] = {
            SHUFFLED: lambda: shuffled_sample(settings, dataset, shuffle_seed),
            RANDOM_WALK: lambda: markets.result()[0],
            NOISE: lambda: markets.result()[1],
        }
        folds = pool.submit(fold_check, settings, dataset, fold_seed)
        checked = {
            canary: pool.submit(_checked, canary, make, settings, dataset.asset_type, family)
            for canary, make in samples.items()
        }
        return [*(checked[canary].result() for canary in CANARIES), folds.result()]


def coin_markets(
    warehouse: Warehouse, settings: Settings, dataset: Dataset, walk_seed: int, noise_seed: int
) -> tuple[Dataset, Dataset]:
    """Bars of the asset class with redrawn directions, and the simulated market's noise symbols on the same dates.

    Both pass through the pipeline in one build, under names that no other symbol has.

    Raises:
        NotEnoughDataError: Too few dates, or no symbol with enough bars.
    """
    canary, random = settings.audit.canary, np.random.default_rng(walk_seed)
    asset_type, rows = dataset.asset_type, 2 * canary.test_rows
    first, series = sampled_series(dataset.keys, days=canary.days, rows=rows, random=random)
    walk = matched_random_walk(stored_bars(warehouse, asset_type, first, series), random)
    last = dataset.keys["datetime"].max()
    noise = noise_bars(settings, asset_type, first=first, last=last, rows=rows, seed=noise_seed)  # type: ignore[arg-type]
    bars = pl.concat([walk, noise.select(walk.columns)]).sort("asset_type", "symbol", "datetime")
    both = through_pipeline(canary_settings(settings, asset_type, bars["datetime"]), asset_type, bars)
    is_walk = both.keys["symbol"].is_in(series["series"].to_list()).to_numpy()
    return rows_of(both, is_walk), rows_of(both, ~is_walk)


def shuffled_sample(settings: Settings, dataset: Dataset, seed: int) -> Dataset:
    """The stored features with labels dealt out anew inside each symbol.

    Raises:
        NotEnoughDataError: Too few dates, or no symbol with enough bars.
    """
    canary, random = settings.audit.canary, np.random.default_rng(seed)
    return shuffled_labels(sampled_rows(dataset, days=canary.days, rows=2 * canary.test_rows, random=random), random)


def through_pipeline(settings: Settings, asset_type: AssetType, bars: pl.DataFrame) -> Dataset:
    """Bars through indicators, clean table, feature query and training set of a private warehouse.

    Args:
        settings: Variant, split dates, feature service.
        asset_type: Of the bars.
        bars: Key, prices, `volume`, `bar_known_at`, `ingested_at`.
    """
    scratch = DuckDBWarehouse.scratch(settings.warehouse)
    scratch.write(clean_writes(scratch, settings, asset_type, bars))
    build_features(scratch, settings, [asset_type])
    return as_dataset(settings, asset_type, stored_training_set(scratch, settings, asset_type))


def skill_of(sample: Dataset, settings: Settings, *, by_symbol: bool) -> SkillTest:
    """Walk forward over a canary's training set and test its out-of-sample directions.

    Raises:
        NotEnoughDataError: Too few rows to train on.
    """
    adapted = canary_settings(settings, sample.asset_type, sample.keys["datetime"])
    record = trained(sample, adapted).predictions.filter(pl.col("target_direction").is_not_null())
    return directional_skill(
        (record["up_probability"] >= 0.5).to_numpy(),
        (record["target_direction"] == 1).to_numpy(),
        record["datetime"].dt.date().to_numpy(),
        (record["symbol"].rank("dense").to_numpy().astype(np.intp) - 1) if by_symbol else None,
    )


def _checked(
    canary: Canary, make: Callable[[], Dataset], settings: Settings, asset_type: AssetType, family: int
) -> CheckResult:
    subject = f"{asset_type} {canary.name}"
    chosen = settings.audit.canary
    try:
        skill = skill_of(make(), settings, by_symbol=canary.by_symbol)
    except NotEnoughDataError as error:
        return CheckResult(CHECK, "warning", subject, f"could not run: {error.message}", error.remedy)
    except (DuplicateKeyError, FeatureError, IntegrityError) as error:
        return CheckResult(CHECK, "failed", subject, f"the pipeline refuses its data: {error.message}", error.remedy)
    level = chosen.level / family
    told = _told(skill, level, chosen.seed)
    if skill.p_value <= level:
        return CheckResult(CHECK, "failed", subject, told, canary.remedy)
    return CheckResult(CHECK, "passed", subject, told)


def _seeds(settings: Settings, asset_type: AssetType) -> list[int]:
    """Each draw of each asset class has a stream of its own."""
    entropy = (settings.audit.canary.seed, ASSET_TYPES.index(asset_type))
    return [int(seed) for seed in np.random.SeedSequence(entropy).generate_state(4)]


def rows_of(dataset: Dataset, chosen: NDArray[np.bool_]) -> Dataset:
    """The chosen rows, in their order."""
    return replace(
        dataset,
        matrix=dataset.matrix[chosen],
        label=dataset.label[chosen],
        datetime=dataset.datetime[chosen],
        known_at=dataset.known_at[chosen],
        label_known_at=dataset.label_known_at[chosen],
        keys=dataset.keys.filter(pl.Series(chosen)),
    )


def _told(skill: SkillTest, level: float, seed: int) -> str:
    """The figures of one canary; what it would catch holds for rows that share nothing but their date's mean."""
    caught = (float(-ndtri(level)) + _POWER_QUANTILE) * 50 / np.sqrt(skill.rows)
    return (
        f"accuracy {skill.accuracy:.2f}% against a base rate of {skill.base_rate:.2f}% on {skill.rows} test rows of "
        f"{skill.dates} dates; by chance {skill.by_chance:.2f}%, excess {skill.excess:+.2f} points, standard error "
        f"{skill.standard_error:.2f} by date, p {skill.p_value:.2g}, level {level:.2g}; were the rows independent, "
        f"hindsight of {caught:.1f} points would be caught with 95%; seed {seed}"
    )
