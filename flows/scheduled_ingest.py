"""Ingestion as scheduled flows do it: the configured sources, or one that was given for one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flows.context import Context
from flows.ingest import ingest
from flows.scheduled_outcome import Outcome
from flows.scheduled_rows import ingested, links
from market.assets import ASSET_TYPES, AssetType
from market.errors import ConfigError, SourceError

Given = tuple[str | None, tuple[Path, ...]]
"""A source for one run and its files and folders."""

CONFIGURED: Final[Given] = (None, ())


def ingest_configured(context: Context, asset_types: Sequence[AssetType] = (), given: Given = CONFIGURED) -> Outcome:
    """Read the profile's configured sources, each class by itself: one vendor's bad day is not everybody's.

    Args:
        context: Settings, warehouse, progress.
        asset_types: Classes; all that have a source by default.
        given: A source in place of the configured ones; an error of it is one of the run, because it was asked for.
            With one class, bars that do not say theirs are of it; with several they must say it.
    """
    if given != CONFIGURED:
        return _ingest_given(context, asset_types, given)
    reports, problems, tried = [], [], 0
    for name in asset_types or ASSET_TYPES:
        if context.settings.sources.of(name) is None:
            continue
        tried += 1
        try:
            reports += ingest(context, asset_type=name)
        except SourceError as error:
            remedy = f"; {error.remedy}" if error.remedy else ""
            problems.append(f"{name}: no new bars: {error.message}{remedy}")
    if not tried:
        problems.append(f"profile '{context.settings.profile}' names no source: the stored bars are used")
    new = sum(one.new + one.changed for one in reports)
    return Outcome(
        headline=f"{new:,} new or changed bars from {tried - len(problems) if tried else 0} of {tried} sources",
        table=[ingested(one) for one in reports],
        problems=tuple(problems),
        failures=("no source could be read",) if tried and len(problems) == tried else (),
        links=links(context),
    )


def _ingest_given(context: Context, asset_types: Sequence[AssetType], given: Given) -> Outcome:
    source, paths = given
    if source is None:
        raise ConfigError("path without source", remedy="say which source reads the files, such as parquet")
    only = asset_types[0] if len(asset_types) == 1 else None
    reports = ingest(context, source=source, paths=paths, asset_type=only)
    new = sum(one.new + one.changed for one in reports)
    headline = f"{new:,} new or changed bars from source '{source}'"
    return Outcome(headline, table=[ingested(one) for one in reports], links=links(context))
