"""Features in the warehouse, and from there into Feast."""

from __future__ import annotations

from flows.context import Context
from market.errors import FeatureError
from warehouse.features import FeatureReport, build_features, stored_asset_types


def features(context: Context, *, only_new: bool = False) -> list[FeatureReport]:
    """Rebuild all features, publish them to Feast, apply the definitions and load the online store.

    Args:
        context: Settings, warehouse, progress.
        only_new: Publish only a build that is not published yet.

    Raises:
        FeatureError: No bars are stored yet.
    """
    from feature_repo import store

    asset_types = stored_asset_types(context.warehouse)
    if not asset_types:
        raise FeatureError("there are no bars to build features from", remedy="run `tradehits ingest` first")
    with context.reporter.step("build features"):
        reports = context.tasks.run("build-features", build_features, context.warehouse, context.settings, asset_types)
    with context.reporter.step("publish to Feast"):
        context.tasks.run("publish-features", _publish, context, only_new)
        context.tasks.run("feast-apply", store.apply, context.settings)
    with context.reporter.step("materialise online store"):
        context.tasks.run("feast-materialize", store.materialize, context.settings)
    return reports


def _publish(context: Context, only_new: bool) -> None:
    from feature_repo import store

    with context.warehouse.read() as read:
        if not (only_new and store.is_published(read, context.settings)):
            store.publish(read, context.settings)
