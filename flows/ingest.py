"""Bars from sources into the warehouse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from configs.sources import BigQueryOptions, SourceSettings
from flows.context import Context
from market.assets import ASSET_TYPES, AssetType
from market.errors import ConfigError, SourceError
from warehouse.clock import wall_clock
from warehouse.ingest import IngestReport, store_batch
from warehouse.reading import Batch, read_batches
from warehouse.sources.base import Source, open_source


def ingest(
    context: Context, *, source: str | None = None, paths: Sequence[Path] = (), asset_type: AssetType | None = None
) -> list[IngestReport]:
    """Read and inspect every bar first, then store class by class.

    Args:
        context: Settings, warehouse, progress.
        source: Name of one source, with the options that the configuration gives it; None reads
            `sources.<asset_type>` of the configuration.
        paths: Files and folders of that source.
        asset_type: This class only, and the class of bars that do not say theirs; None: all.

    Raises:
        ConfigError: No source was given and none is configured.
        BadBarsError: A file is no table of bars, or too many of its rows break rules; nothing was written.
    """
    with context.reporter.step("read and check bars"):
        batches = context.tasks.run("read-bars", read_bars, context, source=source, paths=paths, asset_type=asset_type)
    reports = []
    for batch in batches:
        what = batch.asset_type if batch.interval == "1d" else f"{batch.asset_type} {batch.interval}"
        with context.reporter.step(f"store {what}"):
            reports.append(context.tasks.run(f"store-{batch.asset_type}", _store, context, batch))
    return reports


def _store(context: Context, batch: Batch) -> IngestReport:
    """Store bars, or leave them where they are and put a view over them."""
    options = context.settings.sources.of(batch.asset_type)
    if isinstance(options, BigQueryOptions) and not options.recompute_indicators and batch.source == options.source:
        from warehouse.attached import attach

        return attach(context.warehouse, context.settings, options, batch)
    return store_batch(context.warehouse, context.settings, batch)


def read_bars(
    context: Context, *, source: str | None, paths: Sequence[Path], asset_type: AssetType | None
) -> list[Batch]:
    """Inspected bars by asset class and interval; at least one batch."""
    now, batches = wall_clock(), []
    for opened, wanted in _sources(context, source=source, paths=paths, asset_type=asset_type):
        found = read_batches(opened, wanted, warehouse=context.warehouse, settings=context.settings, now=now)
        if not found:
            raise SourceError(
                f"source '{opened.name}' has no {wanted or ''} bars".replace("  ", " "), remedy="name another source"
            )
        batches += found
    return batches


def _sources(
    context: Context, *, source: str | None, paths: Sequence[Path], asset_type: AssetType | None
) -> Iterator[tuple[Source, AssetType | None]]:
    """Opened sources, each with the class it is to give."""
    settings, now = context.settings, wall_clock()
    wanted = [name for name in ASSET_TYPES if asset_type in (None, name)]
    configured = {name: options for name in wanted if (options := settings.sources.of(name)) is not None}
    if source is not None:
        configured = {name: options for name, options in configured.items() if _says_more(options, source)}
        if paths or not configured:
            options = configured.get(asset_type) if asset_type else None
            opened = open_source(
                source, paths=paths, options=options, asset_type=asset_type, settings=settings, now=now
            )
            yield opened, asset_type
            return
    if not configured:
        raise ConfigError(
            f"profile '{settings.profile}' has no source of {asset_type or ''} bars".replace("  ", " "),
            remedy="give one: --source parquet --path FILE; or name it in configs/ under sources.<asset_type>",
        )
    for name, options in configured.items():
        yield open_source(options.source, options=options, asset_type=name, settings=settings, now=now), name


def _says_more(options: SourceSettings, source: str) -> bool:
    """Whether a class's configuration names this source, and more than its name."""
    return options.source == source and options.model_fields_set > {"source"}
