"""A past day: the bars as they were known then, and the model that was champion then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from configs.settings import Settings
from market.assets import AssetType
from market.signals import Thresholds
from registry.bundle import Bundle
from registry.fold_models import fold_model
from registry.models import ModelRegistry, registered_name
from serving.predictor_bar import Bar
from serving.predictor_read import corrected_symbols, read_bars
from warehouse.asof import warehouse_as_of
from warehouse.warehouse import Warehouse

_OUTCOME = ("target_direction", "forward_return_pct", "label_known_at")
_CHANGES = """
SELECT version, deployed_at
FROM `ml_models.deployment_log`
WHERE component = 'MODEL' AND component_name = @component_name AND status = 'SUCCESS'
ORDER BY deployed_at, deployment_id
"""


@dataclass(frozen=True)
class Scorer:
    """Who scores a bar.

    Attributes:
        bundle: Its `trained_through` is not after the bar.
        name: For the column `model_version`: a version, or `<version>#fold<n>` for a fold of its record.
        thresholds: That make its probabilities into signals.
    """

    bundle: Bundle
    name: str
    thresholds: Thresholds


@dataclass(frozen=True)
class Reign:
    """A version was champion from `since` on."""

    model_version: str
    since: datetime


def bars_as_of(warehouse: Warehouse, settings: Settings, bar: Bar) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Features of every symbol's bar from what was known when it closed.

    Where no bar up to it was corrected later, the stored row is that: features read nothing but the bar and the ones
    before it. Only the other symbols are computed anew, from the versions known then.

    Returns:
        Rows like those of `read_bars`, with the outcome as it is known today; and the symbols computed anew.

    Raises:
        KnowledgeTimeError: Superseded versions were dropped, so that nobody can say what was known then.
    """
    with warehouse.read() as read:
        stored = read_bars(read, bar.asset_type, bar.stamp)
        corrected = corrected_symbols(read, bar.asset_type, bar.stamp, bar.bar_known_at)
    if not corrected:
        return stored, ()
    with (
        warehouse_as_of(warehouse, settings, bar.asset_type, bar.bar_known_at, symbols=corrected) as past,
        past.warehouse.read() as read,
    ):
        then = read_bars(read, bar.asset_type, bar.stamp)
    outcome = stored.select("symbol", *_OUTCOME)
    then = then.drop(_OUTCOME).join(outcome, on="symbol", how="inner").select(stored.columns)
    kept = stored.filter(~pl.col("symbol").is_in(corrected))
    return pl.concat([kept, then], how="vertical_relaxed").sort("symbol"), corrected


def scorer_of_the_day(warehouse: Warehouse, registry: ModelRegistry, bar: Bar, now: datetime) -> Scorer | None:
    """The model for a past bar: the champion of that day, else the fold model of today's champion that tested it.

    The champion of the day is who reigned when the bar closed, or who became the first champion before the next bar
    did. Nobody scores a bar older than what it was trained through.

    Returns:
        None when no model of that time is known: there was no champion, and the bar lies in no fold's test window.

    Raises:
        RegistryError: A version's files are gone.
        MixedVariantError: It was trained on another indicator variant than the configured one.
    """
    found = champion_at(champion_reigns(warehouse, registry, bar.asset_type, now), bar)
    if found is not None:
        bundle = registry.load_bundle(bar.asset_type, found)
        if bundle.info.trained_through <= bar.bar_known_at:
            return Scorer(bundle, found, bundle.info.thresholds.rules())
    champion = registry.resolve(bar.asset_type)
    fold = fold_model(registry, bar.asset_type, champion, bar.stamp)
    if fold is None:
        return None
    return Scorer(fold.bundle, f"{champion}#fold{fold.fold}", fold.bundle.info.thresholds.rules())


def champion_reigns(warehouse: Warehouse, registry: ModelRegistry, asset_type: AssetType, now: datetime) -> list[Reign]:
    """Champions of a class in the order in which they followed each other.

    The deployment log knows when each was published by the wall clock. Where that lies after the class's own clock the
    market is replayed, and a model counts as champion from the moment it could be trained (`trained_through`).
    """
    changes = warehouse.query(_CHANGES, {"component_name": registered_name(asset_type)}).to_pylist()
    reigns: list[Reign] = []
    for change in changes:
        since = change["deployed_at"]
        if since > now:
            since = registry.info(asset_type, change["version"]).trained_through
        reigns.append(Reign(change["version"], max(since, reigns[-1].since) if reigns else since))
    return reigns


def champion_at(reigns: Sequence[Reign], bar: Bar) -> str | None:
    """The version that reigned when a bar closed, or the first one ever if it came before the next bar; else None."""
    earlier = [reign.model_version for reign in reigns if reign.since <= bar.bar_known_at]
    if earlier:
        return earlier[-1]
    return reigns[0].model_version if reigns and reigns[0].since < bar.next_known_at else None
