"""What a source of bars is, and how one is opened by name.

Adding a source is adding one module to this package. Its name is the source's name, and it defines

    def open_source(
        *, options: SourceOptions, settings: Settings, now: datetime, asset_type: AssetType | None = None
    ) -> Source

which returns an object with `name`, `is_simulated` and `read`. `read` passes whatever it reads through `checked`, so no
source can hand on bars that break a rule; `raw`, if it has that too, hands on what it found, for the ingestion to judge
and to quarantine. Modules are imported only when their source is asked for; those whose name starts with an underscore
are helpers. To let a profile name the source and its options, add a class to `configs/sources.py`; docs/sources.md has
an example.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import polars as pl
from pydantic import ValidationError

import warehouse.sources
from configs.settings import Settings
from configs.sources import OPTIONS_BY_SOURCE, PlainOptions, SourceOptions
from market.assets import ASSET_TYPES, AssetType
from market.bars import BAR_KEY, BAR_SCHEMA, SOURCE_ROW, check_bars
from market.errors import BadBarsError, ConfigError, SourceError
from market.inspection import RawBars


class Source(Protocol):
    """Somewhere bars come from."""

    @property
    def name(self) -> str:
        """The source's name, as on the command line."""
        ...

    @property
    def is_simulated(self) -> bool:
        """Whether its bars are invented; results on them are marked so."""
        ...

    def read(self, asset_type: AssetType | None = None) -> pl.DataFrame:
        """All bars, or one class's: checked, canonical, sorted, as `market.bars.BAR_SCHEMA`, at least one row.

        Raises:
            BadBarsError: Bars break a rule; nothing is returned.
            SourceError: The source cannot be read, or has no bars of the class.
        """
        ...


@runtime_checkable
class RawSource(Source, Protocol):
    """A source that can also hand on bars as it found them."""

    def raw(self, asset_type: AssetType | None = None) -> Sequence[RawBars]:
        """What `read` checks, file by file and unchecked; rows of another class are left out when one is asked for.

        Raises:
            BadBarsError: A file is no table of bars, or a cell cannot be read.
            SourceError: The source cannot be read.
        """
        ...


@dataclass(frozen=True)
class SetAside:
    """Rows that a source left out itself, where they lie.

    Attributes:
        rows: How many.
        findings: What says so, `market.findings.FINDING_SCHEMA`.
    """

    rows: int
    findings: pl.DataFrame


@runtime_checkable
class FilteringSource(RawSource, Protocol):
    """A source that leaves rows out before they are read."""

    def set_aside(self, asset_type: AssetType) -> SetAside:
        """What was left out of one class; ask after `raw`."""
        ...


def source_names() -> tuple[str, ...]:
    """Names of all sources."""
    names = (module.name for module in pkgutil.iter_modules(warehouse.sources.__path__))
    return tuple(sorted(name for name in names if name != "base" and not name.startswith("_")))


def open_source(
    name: str,
    *,
    paths: Sequence[Path] = (),
    options: SourceOptions | None = None,
    asset_type: AssetType | None = None,
    settings: Settings,
    now: datetime,
) -> Source:
    """Open a source by name.

    Args:
        name: One of `source_names()`.
        paths: Files and folders of sources that read files; they take the place of those in `options`.
        options: The source's own settings; None: its defaults.
        asset_type: Class of bars that do not say theirs.
        settings: Calendars, paths and the simulated market.
        now: Bars known only later are refused.

    Raises:
        SourceError: For an unknown name, or paths that the source lacks or does not take.
        ConfigError: The source cannot be opened without settings of its own.
    """
    if name not in source_names():
        raise SourceError(f"unknown source '{name}'", remedy=f"one of {', '.join(source_names())}")
    options = _with_paths(options or _default_options(name), tuple(paths))
    try:
        module = importlib.import_module(f"warehouse.sources.{name}")
    except ModuleNotFoundError as error:
        raise SourceError(
            f"source '{name}' needs the package {error.name}", remedy="pip install -e '.[sources]'"
        ) from error
    return cast(Source, module.open_source(options=options, settings=settings, now=now, asset_type=asset_type))


def _default_options(name: str) -> SourceOptions:
    model = OPTIONS_BY_SOURCE.get(name, PlainOptions)
    try:
        return model.model_validate({"source": name})
    except ValidationError as error:
        missing = ", ".join(str(part["loc"][0]) for part in error.errors())
        raise ConfigError(
            f"source '{name}' needs settings: {missing}",
            remedy=f"name it in configs/ under sources.<asset_type>: {{source: {name}, ...}}; see docs/sources.md",
        ) from error


def _with_paths(options: SourceOptions, paths: tuple[Path, ...]) -> SourceOptions:
    """A path given to a source that reads no files must not pass in silence."""
    if not paths:
        return options
    if "paths" not in type(options).model_fields:
        raise SourceError(
            f"source '{options.source}' takes no path, got {paths[0]}",
            remedy="leave --path out, or use --source parquet or csv",
        )
    return options.model_copy(update={"paths": paths})


def checked(
    frame: pl.DataFrame, *, file: str, settings: Settings, now: datetime, with_source_row: bool = False
) -> pl.DataFrame:
    """`market.bars.check_bars` with the calendars and the delay of the settings."""
    sessions = settings.sessions
    calendars: dict[AssetType, str] = {"stocks": sessions.calendars.stocks, "etf": sessions.calendars.etf}
    return check_bars(
        frame,
        file=file,
        now=now,
        calendars=calendars,
        delay_minutes=sessions.publication_delay_minutes,
        with_source_row=with_source_row,
    )


def read_strictly(raw: Sequence[RawBars], *, settings: Settings, now: datetime) -> pl.DataFrame:
    """Check every file of daily bars on its own, then join them.

    Returns:
        As `market.bars.check_bars`.

    Raises:
        BadBarsError: A bar breaks a rule or is not daily, or a key stands in two files.
    """
    for part in raw:
        if "interval" in part.frame.columns and (part.frame["interval"] != "1d").any():
            raise BadBarsError(
                "not all bars are daily", file=part.file, column="interval", remedy="ingest it, or give daily bars"
            )
    parts = [checked(part.frame, file=part.file, settings=settings, now=now, with_source_row=True) for part in raw]
    if len(parts) == 1:
        return parts[0].select(BAR_SCHEMA.names())
    numbered = [part.with_columns(file=pl.lit(i, dtype=pl.UInt32)) for i, part in enumerate(parts)]
    bars = pl.concat(numbered).sort(*BAR_KEY, "file")
    _refuse_key_in_two_files(bars, [part.file for part in raw])
    return bars.select(BAR_SCHEMA.names())


def raw_of_class(raw: Sequence[RawBars], asset_type: AssetType | None) -> list[RawBars]:
    """Without rows of the other classes and files that hold only such; rows of no known class stay, to be judged."""
    if asset_type is None:
        return list(raw)
    others = [name for name in ASSET_TYPES if name != asset_type]
    other = pl.col("asset_type").cast(pl.String).is_in(others).fill_null(value=False)
    kept = []
    for part in raw:
        frame = part.frame.filter(~other) if "asset_type" in part.frame.columns else part.frame
        if frame.height or part.frame.is_empty():
            kept.append(RawBars(part.file, frame))
    return kept


def of_class(bars: pl.DataFrame, asset_type: AssetType | None, *, source: str) -> pl.DataFrame:
    """Bars of one class, or all; a class without bars is an error that says which there are."""
    if asset_type is None:
        return bars
    rows = bars.filter(pl.col("asset_type") == asset_type)
    if rows.is_empty():
        present = ", ".join(bars["asset_type"].unique().sort())
        raise SourceError(f"source '{source}' has no {asset_type} bars, only {present}", remedy="name another source")
    return rows


def _refuse_key_in_two_files(bars: pl.DataFrame, files: Sequence[str]) -> None:
    """`bars` is sorted by key and file."""
    same = pl.all_horizontal(pl.col(column) == pl.col(column).shift() for column in BAR_KEY)
    twins = bars.with_columns(pl.col("file", SOURCE_ROW).shift().name.prefix("other_")).filter(same)
    if twins.is_empty():
        return
    first = twins.bottom_k(1, by=["file", SOURCE_ROW]).row(0, named=True)
    raise BadBarsError(
        f"{first['symbol']} at {first['datetime']} is also in {files[first['other_file']]}, "
        f"row {first['other_source_row']} ({twins.height:,} such rows)",
        file=files[first["file"]],
        row=first[SOURCE_ROW],
        column="datetime",
        remedy="give each bar once: drop one of the files, or its rows that the other one has",
    )
