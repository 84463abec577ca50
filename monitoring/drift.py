"""Feature drift: the newest 7 days of a class against the champion's training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from configs.settings import Settings
from feature_repo.services import feature_names
from market.drift import Summary, bin_shares, kolmogorov_smirnov, population_stability, stability_edges, summarize
from market.drift_bars import LOOKBACK_DAYS
from market.errors import NoChampionError
from monitoring.conditions import Condition, Moment
from monitoring.drift_baseline import WEEK_DAYS, Baseline, BaselineKey, baseline_of
from monitoring.drift_judge import FeatureVerdict, Judgement, judge_bars
from monitoring.drift_messages import conditions_of, notes_of
from monitoring.drift_read import NewestBars, newest_bars, newest_stamp, stored_features
from monitoring.drift_rows import FeatureRow, distributions_write
from registry.bundle import BundleInfo
from registry.models import ModelRegistry
from warehouse.warehouse import Warehouse

_NEWEST_FULL_BUILD = """
SELECT MAX(build_number) AS build FROM `tradehits.feature_builds` WHERE asset_type = @asset_type AND is_full
"""


@dataclass(frozen=True)
class DriftFound:
    """What drift monitoring says about a class at a moment.

    Attributes:
        conditions: Of every feature, regime and relation that was judged.
        rows: Rows written to `feature_distributions`.
        notes: What could not be judged and why, one sentence each.
        features: What was found of each feature.
    """

    conditions: list[Condition]
    rows: int
    notes: tuple[str, ...]
    features: tuple[FeatureVerdict, ...] = ()


def measure(warehouse: Warehouse, registry: ModelRegistry, settings: Settings, moment: Moment) -> DriftFound:
    """Compare the newest 7 days with the champion's training data and store the figures in `feature_distributions`.

    Only bars and outcomes known at the moment count. A moment before the champion's `trained_through` is compared with
    those of its training rows whose outcome was known by then.

    Args:
        warehouse: Read, and written once.
        registry: Names the champion.
        settings: Section `drift`, and where the baseline is kept.
        moment: Class, date of the row, and now.
    """
    info = _champion(registry, moment)
    looked = _look(warehouse, settings, moment, info)
    warehouse.write([distributions_write(moment, looked.rows)])
    return DriftFound(
        conditions=conditions_of(moment, looked.judgement),
        rows=len(looked.rows),
        notes=(*looked.notes, *notes_of(moment, looked.judgement)),
        features=looked.judgement.features if looked.judgement is not None else (),
    )


@dataclass(frozen=True)
class _Looked:
    rows: list[FeatureRow]
    judgement: Judgement | None
    notes: tuple[str, ...]


def _champion(registry: ModelRegistry, moment: Moment) -> BundleInfo | None:
    try:
        return registry.info(moment.asset_type, registry.resolve(moment.asset_type))
    except NoChampionError:
        return None


def _look(warehouse: Warehouse, settings: Settings, moment: Moment, info: BundleInfo | None) -> _Looked:
    with warehouse.read() as read:
        newest = newest_stamp(read, moment.asset_type, moment.now)
    if newest is None:
        return _Looked([], None, (f"{moment.asset_type}: no bar is stored that was known by {moment.now:%Y-%m-%d}",))
    if newest.date() <= moment.date - timedelta(days=WEEK_DAYS):
        note = f"{moment.asset_type}: the newest bar is of {newest:%Y-%m-%d}, there is none of the last 7 days"
        return _Looked([], None, (note,))
    features, notes = _features(settings, moment, info)
    baseline = (
        None if info is None else baseline_of(warehouse, settings, _key(warehouse, settings, moment, info, features))
    )
    if info is None:
        notes.append(f"{moment.asset_type}: there is no champion, so nothing to compare features with")
    elif baseline is None:
        notes.append(f"{moment.asset_type}: none of {info.model_version}'s training rows is stored: no baseline")
    bars = _bars(warehouse, settings, moment, newest, features, baseline)
    is_newest = bars.day > _day(newest) - WEEK_DAYS
    judgement = None if baseline is None else judge_bars(settings, baseline, bars, is_newest)
    rows = [_row(name, i, bars.values[is_newest, i], baseline, judgement) for i, name in enumerate(features)]
    return _Looked(rows, judgement, tuple(notes))


def _features(settings: Settings, moment: Moment, info: BundleInfo | None) -> tuple[tuple[str, ...], list[str]]:
    """The champion's features, then those of the configured service that it does not know."""
    own = () if info is None else info.features
    wanted = tuple(dict.fromkeys((*own, *feature_names(settings.training.feature_service))))
    known = stored_features()
    gone = [name for name in wanted if name not in known]
    new = [name for name in wanted if info is not None and name not in own and name in known]
    notes = []
    if gone:
        notes.append(f"{moment.asset_type}: not stored, so not measured: {', '.join(gone)}")
    if new:
        notes.append(
            f"{moment.asset_type}: new features, which {info.model_version if info else 'no model'} was not trained on "
            f"and which have no baseline: {', '.join(new)}"
        )
    return tuple(name for name in wanted if name in known), notes


def _key(
    warehouse: Warehouse, settings: Settings, moment: Moment, info: BundleInfo, features: Sequence[str]
) -> BaselineKey:
    [build] = warehouse.query(_NEWEST_FULL_BUILD, {"asset_type": moment.asset_type}).to_pylist()
    own = tuple(name for name in features if name in info.features)
    return BaselineKey(
        asset_type=moment.asset_type,
        model_version=str(info.model_version),
        run_id=info.run_id,
        through=min(info.trained_through, moment.now),
        is_past=moment.now < info.trained_through,
        features=own,
        full_build=build["build"] or 0,
        block_weeks=settings.drift.block_weeks,
        blocks=settings.drift.reference_blocks,
    )


def _bars(
    warehouse: Warehouse,
    settings: Settings,
    moment: Moment,
    newest: datetime,
    features: Sequence[str],
    baseline: Baseline | None,
) -> NewestBars:
    """The newest weeks; outcomes of one bar lie a week behind, so one week more than relations need."""
    days = max(WEEK_DAYS * settings.drift.block_weeks, LOOKBACK_DAYS) + WEEK_DAYS
    rulers = () if baseline is None else baseline.rulers
    missing = len(features) - len(rulers)
    with warehouse.read() as read:
        return newest_bars(
            read,
            moment.asset_type,
            since=newest - timedelta(days=days),
            now=moment.now,
            features=features,
            rulers=(*rulers, *[None] * missing),
        )


def _row(
    name: str, column: int, values: np.ndarray, baseline: Baseline | None, judgement: Judgement | None
) -> FeatureRow:
    known = np.sort(values[~np.isnan(values)])
    current = summarize(known, values.size - known.size)
    if baseline is None or column >= len(baseline.summaries):
        return FeatureRow(name, current)
    before = baseline.summaries[column]
    drifted = None if judgement is None else judgement.drifted(name)
    if not before.rows or not known.size:
        return FeatureRow(name, current, before, drifted=drifted)
    trained, one = baseline.values(column), baseline.rulers[column]
    edges = stability_edges(trained, one.knots if one is not None and one.is_discrete else None)
    stability = population_stability(bin_shares(trained, edges), bin_shares(known, edges))
    return FeatureRow(name, current, before, kolmogorov_smirnov(trained, known), stability, drifted)


def _day(stamp: datetime) -> int:
    return int(np.datetime64(stamp.replace(tzinfo=None), "D").astype(np.int64))


__all__ = ["DriftFound", "FeatureVerdict", "Summary", "measure"]
