"""`tradehits audit explain`: which part of a reported accuracy is hindsight, on the user's own bars."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from configs.settings import Settings
from flows.progress import Reporter
from market.assets import AssetType
from market.errors import ConfigError, SourceError
from training.explain import Explanation, explain_bars
from warehouse.clock import wall_clock
from warehouse.duckdb import DuckDBWarehouse
from warehouse.reading import Batch, read_batches
from warehouse.sources.base import open_source

DEFAULT_CLASS: AssetType = "etf"
_PARQUET = (".parquet", ".pq")
_MAGIC = (b"PAR1", b"PARE")


@dataclass(frozen=True)
class Explained:
    """An explanation, its picture's file, and what the reader of the bars found."""

    explanation: Explanation
    subject: str
    picture: Path
    left_out: int


def explain(
    settings: Settings,
    path: Path,
    *,
    asset_type: AssetType | None,
    duplicates: int,
    picture: Path | None,
    reporter: Reporter,
) -> Explained:
    """Read bars from a file or folder, explain, and draw the waterfall. Nothing of the profile's warehouse is touched.

    Args:
        settings: A profile's.
        path: A csv or parquet file, or a folder of either; columns that are no bars are ignored.
        asset_type: Which class to read, and the class of bars that do not say theirs; None: what they say, else etf.
        duplicates: Copies of each row in the inflated construction.
        picture: A PNG file; None: in the profile's reports.
        reporter: Progress.

    Raises:
        SourceError: There are no such bars.
        ConfigError: The bars are of several classes, or the picture cannot be written there.
        NotEnoughDataError: The history is too short.
    """
    if picture is not None:
        _place(picture)
    with reporter.step("read and check bars"):
        batch = _read(settings, path, asset_type)
    with reporter.step("explain") as advance:
        explanation = explain_bars(batch.bars, settings, duplicates=duplicates, progress=advance)
    symbols = batch.bars["symbol"].unique().sort().to_list()
    subject = f"{batch.asset_type} · {', '.join(symbols) if len(symbols) <= 3 else f'{len(symbols)} symbols'}"
    if picture is None:
        picture = settings.paths.reports / f"explain_{batch.asset_type}.png"
        _place(picture)
    _draw(explanation, subject, picture)
    return Explained(explanation, subject, picture, batch.quarantined)


def _read(settings: Settings, path: Path, asset_type: AssetType | None) -> Batch:
    """The daily bars of one class."""
    source, now = _source_of(path), wall_clock()
    default = asset_type or DEFAULT_CLASS
    configured = settings.sources.of(default)
    options = configured if configured is not None and configured.source == source else None
    opened = open_source(source, paths=[path], options=options, asset_type=default, settings=settings, now=now)
    scratch = DuckDBWarehouse.scratch(settings.warehouse)
    found = read_batches(opened, asset_type, warehouse=scratch, settings=settings, now=now)
    daily = [batch for batch in found if batch.interval == "1d" and batch.bars.height]
    if not daily:
        wanted = f"daily {asset_type} bars" if asset_type else "daily bars"
        raise SourceError(f"{path} holds no {wanted}", remedy="check the file, and --asset-type")
    if len(daily) > 1:
        raise ConfigError(
            f"{path} holds bars of {', '.join(batch.asset_type for batch in daily)}",
            remedy="choose one with --asset-type",
        )
    return daily[0]


def _source_of(path: Path) -> str:
    """`parquet` or `csv`, by what the file or folder holds."""
    if not path.is_dir():
        return "parquet" if _is_parquet(path) else "csv"
    kinds = {file.suffix.lower() in _PARQUET for file in path.rglob("*") if file.is_file() and file.name[0] != "."}
    if kinds == {True, False}:
        raise ConfigError(
            f"folder {path} holds parquet files and others", remedy="name one file, or a folder of one kind"
        )
    return "parquet" if kinds == {True} else "csv"


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in _MAGIC or path.suffix.lower() in _PARQUET
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}", remedy="check the path; it is relative to the working directory"
        ) from error


def _place(picture: Path) -> None:
    """Refuse a name or a folder that cannot hold the picture, before the work begins."""
    if picture.suffix.lower() != ".png":
        raise ConfigError(
            f"the picture is a PNG file, not {picture.name}", remedy="give --picture a name that ends .png"
        )
    with _writing(picture):
        picture.parent.mkdir(parents=True, exist_ok=True)


def _draw(explanation: Explanation, subject: str, picture: Path) -> None:
    """Put the picture in place whole."""
    from training.explain_picture import waterfall

    figure = waterfall(explanation, subject)
    staged = picture.with_name(f".{picture.name}.{os.getpid()}")
    with _writing(picture):
        try:
            figure.savefig(staged, format="png", dpi=100)
            staged.replace(picture)
        finally:
            staged.unlink(missing_ok=True)


@contextmanager
def _writing(picture: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"the picture {picture} cannot be written: {error.strerror}",
            remedy="name a file in a folder you may write to with --picture",
        ) from error
