"""Daily inference: features, online store, predictions, outcomes, and the snapshot that the service answers from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from flows.context import Context
from flows.features import features
from flows.gemini_calls import copy_gemini_calls
from flows.inference_report import ClassReport, PredictReport, Written, class_report
from flows.publish_snapshot import publish_snapshot
from market.assets import AssetType
from market.errors import NoChampionError
from registry.bundle import Bundle
from registry.models import ModelRegistry
from registry.store import RunStore
from serving.predictor import Scored, outcome_write, rows_write, score_newest, score_past
from serving.predictor_bar import bar_of
from serving.predictor_fresh import all_stale
from serving.predictor_past import Scorer
from serving.predictor_read import REALTIME_TABLE, Class, read_class
from serving.predictor_replay import replay_stored
from training import record_live
from training.promotion import settle
from warehouse.champions import PublishedChampion, published_champions, thresholds_in_force
from warehouse.clock import asset_settings_write, newest_known_at, now_of
from warehouse.features import feature_query_hash, stored_asset_types

OTHER_FEATURES = "features are computed by another query than the champion was trained on: train it again"


def predict(
    context: Context,
    asset_types: Sequence[AssetType] = (),
    date: date | None = None,
    *,
    check_all: bool = False,
    features_are_new: bool = False,
) -> PredictReport:
    """Score the newest closed bar of every symbol, or a past day, and fill what has become known since.

    Running it again changes nothing: what is stored is never scored again. Killed anywhere, the next run goes on: every
    class is written in one transaction.

    Args:
        context: Settings, warehouse, progress.
        asset_types: Classes; all with bars by default.
        date: Score the bars stamped with this day, as they were known then and by the model of that day; None: the
            newest ones.
        check_all: Compare every symbol's served features with the stored ones, and replay every stored prediction.
        features_are_new: The caller built, published and loaded features just now.

    Raises:
        FeatureError: No bars are stored.
        SkewError: Served features or probabilities are not what is stored; nothing of that class was written.
        KnowledgeTimeError: Nobody can say any more what was known on that day.
    """
    started = time.monotonic()
    if not features_are_new:
        features(context, only_new=True)
    with context.reporter.step("open MLflow"):
        registry = ModelRegistry(RunStore(context.settings))
    reports = [
        context.tasks.run(f"predict-{name}", _predict_class, context, registry, name, date, check_all)
        for name in asset_types or stored_asset_types(context.warehouse)
    ]
    copy_gemini_calls(context)
    return PredictReport(
        context.settings.profile, date, tuple(reports), _publish(context, registry), time.monotonic() - started
    )


def _predict_class(
    context: Context, registry: ModelRegistry, asset_type: AssetType, day: date | None, check_all: bool
) -> ClassReport:
    settings, warehouse = context.settings, context.warehouse
    with context.reporter.step(f"{asset_type}: predict{f' {day}' if day else ''}"):
        settle(warehouse, settings, registry, asset_type)
        with warehouse.read() as read:
            newest, published = newest_known_at(read), published_champions(read)
            now = now_of(asset_type, settings, newest[asset_type])
            found = read_class(read, asset_type, now)
        champion = published.get(asset_type)
        if champion is None:
            return ClassReport(asset_type, note=f"no champion yet: run `tradehits train --asset-type {asset_type}`")
        bundle = registry.load_bundle(asset_type, champion.model_version)
        scored = _score(context, registry, found, bundle, published, day, now, check_all)
        replayed = replay_stored(warehouse, registry, asset_type) if check_all else None
        written = _write(context, asset_type, scored, bundle, newest, published, now)
        notes = [OTHER_FEATURES] if bundle.info.feature_sql_hash != feature_query_hash() else []
        late = _late(scored) if day is None else ""
        return class_report(warehouse, found, scored, champion.model_version, written, replayed, notes, late)


def _score(
    context: Context,
    registry: ModelRegistry,
    found: Class,
    bundle: Bundle,
    published: dict[AssetType, PublishedChampion],
    day: date | None,
    now: datetime,
    check_all: bool,
) -> Scored | str:
    """What the bar was given, or why it was given nothing."""
    settings, warehouse, asset_type = context.settings, context.warehouse, found.asset_type
    bar, stale = all_stale(settings, found, now)
    if day is not None:
        not_closed = f"the bars of {day} are not closed yet by the clock ({now:%Y-%m-%d %H:%M} UTC): nothing is written"
        if day.year > now.year + 1:  # no calendar is asked that far ahead
            return not_closed
        newest, bar = bar, bar_of(settings, asset_type, day, now)
        if bar is None:
            return f"no session on {day}: nothing is written"
        if bar.bar_known_at > now:
            return not_closed
        is_newest = bar == newest and not stale
    elif stale:
        return stale
    else:
        is_newest = True
    assert bar is not None
    if is_newest and found.is_end_of_bars and bundle.info.trained_through <= bar.bar_known_at:
        thresholds = thresholds_in_force(settings, asset_type, published)
        scorer = Scorer(bundle, bundle.info.model_version or "", thresholds)
        return score_newest(warehouse, settings, scorer, found, bar, now, check_all=check_all)
    return score_past(warehouse, settings, registry, found, bar, now, check_all=check_all)


def _late(scored: Scored | str) -> str:
    """That a newer bar is due and has not come; empty when none is."""
    if isinstance(scored, str) or not scored.bar.sessions_behind:
        return ""
    bar = scored.bar
    due = f"the bar after {bar.stamp:%Y-%m-%d} was due at {bar.next_known_at:%Y-%m-%d %H:%M} UTC"
    return f"late: {due} and has not come; ingest and predict again when it has"


def _write(
    context: Context,
    asset_type: AssetType,
    scored: Scored | str,
    bundle: Bundle,
    newest: dict[AssetType, datetime | None],
    published: dict[AssetType, PublishedChampion],
    now: datetime,
) -> Written:
    """Everything of one class in one transaction: outcomes and labels first, then what is new."""
    warehouse = context.warehouse
    since = record_live.rows_since(warehouse, bundle, now)
    with warehouse.read() as read:
        outcomes, labels = outcome_write(read, asset_type, now), record_live.label_write(read, asset_type, now)
    writes = [write for write in (outcomes, labels) if write is not None]
    if isinstance(scored, Scored) and scored.rows.height:
        writes.append(rows_write(scored.rows))
    if since.height:
        writes.append(record_live.rows_write(since))
    done = warehouse.write([*writes, asset_settings_write(context.settings, newest, published)])
    counts = Counter[tuple[str, str]]()
    for result in done:
        counts[result.table, "filled"] += result.updated
        counts[result.table, "new"] += result.inserted
    return Written(
        predictions=counts[REALTIME_TABLE, "new"],
        outcomes=counts[REALTIME_TABLE, "filled"],
        record_rows=counts[record_live.PREDICTIONS_TABLE, "new"],
        record_labels=counts[record_live.PREDICTIONS_TABLE, "filled"],
    )


def _publish(context: Context, registry: ModelRegistry) -> Path | None:
    """Publish the snapshot; there is none before the first champion."""
    with context.reporter.step("publish snapshot"):
        try:
            return publish_snapshot(context.settings, warehouse=context.warehouse, registry=registry)
        except NoChampionError:
            return None
