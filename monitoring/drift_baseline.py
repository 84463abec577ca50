"""The champion's training data as drift monitoring needs it, made once per champion and kept in the cache.

Every feature's training values lie sorted in a file of their own that is mapped into memory: the exact distance of a
week from millions of rows is then a matter of milliseconds. A folder is complete or does not exist, its name says what
it was made from, and the newest one of a class is kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from configs.settings import Settings
from market.assets import AssetType
from market.drift import Floats, Summary, summarize
from market.drift_bars import COMPANIONS, LOOKBACK_DAYS, companions
from market.drift_basis import Basis, basis_of
from market.drift_grid import KNOTS, Ruler, ruler
from market.drift_weeks import CodedRows, Weeks, in_order, joined_weeks, measure_weeks
from monitoring.drift_read import INTERACTIONS_SQL, Extent, training_columns, training_extent, training_weeks
from warehouse.warehouse import Warehouse

WEEK_DAYS = 7
_FORMAT = 2
"""Goes up when stored figures mean something else under the same names."""
_LAYOUT = (*(one.name for one in fields(Weeks)), *COMPANIONS, KNOTS)
"""What is stored: a folder of another layout is another folder, made anew and never read."""
_GROUP_BYTES = 640 * 2**20
"""Columns are read in groups of at most so many bytes."""
_RULER_ROWS = 200_000
"""Rows that are enough to rank what bars say."""
_BASELINE, _WEEKS = "baseline.json", "weeks.npz"
_RULER = ("knots", "upto")


@dataclass(frozen=True)
class BaselineKey:
    """What a baseline depends on.

    Attributes:
        asset_type: The class.
        model_version: The champion.
        run_id: Of its training.
        through: Rows whose label was known then; an instant before the champion's own `trained_through` when a past day
            is looked at.
        features: Names, in order.
        full_build: Number of the newest full feature build: a changed definition makes other values.
        block_weeks: Of the blocks of weeks.
        blocks: Their number.
        is_past: `through` lies before the champion's own.
    """

    asset_type: AssetType
    model_version: str
    run_id: str
    through: datetime
    is_past: bool
    features: tuple[str, ...]
    full_build: int
    block_weeks: int
    blocks: int

    @property
    def digest(self) -> str:
        """The name of its folder."""
        text = json.dumps([_FORMAT, _LAYOUT, asdict(self)], default=str, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Baseline:
    """Training rows of a champion, p features.

    Attributes:
        key: What it was made from.
        rows: Training rows.
        summaries: Of each feature.
        rulers: Of each feature; None where no row has a value.
        usual: Weeks of training; may be none.
        block: Number of each week's block of neighbours, shape (weeks,).
        basis: Columns of the weeks' moments: the measurements among the features, beside what the bars say.
        folder: Where the sorted values lie.
    """

    key: BaselineKey
    rows: int
    summaries: tuple[Summary, ...]
    rulers: tuple[Ruler | None, ...]
    usual: Weeks
    block: npt.NDArray[np.intp]
    basis: Basis
    folder: Path

    def values(self, column: int) -> Floats:
        """Sorted known values of a feature, mapped from its file."""
        mapped: Floats = np.load(self.folder / _file(column), mmap_mode="r")
        return mapped


def baseline_of(warehouse: Warehouse, settings: Settings, key: BaselineKey) -> Baseline | None:
    """The kept baseline, or a new one from the feature table; None when the champion has no training rows there.

    A new one is read in several short looks, and computed between them: writers wait for none of the arithmetic. A bar
    corrected in between is old in one column and new in another, which moves no figure of some thousand rows.
    """
    # looking back day by day must not push out what every new day needs
    root = settings.paths.cache / "drift" / key.asset_type / ("past" if key.is_past else "champion")
    folder = root / key.digest
    if not (folder / _BASELINE).exists():
        with warehouse.read() as read:
            extent = training_extent(read, key.asset_type, key.through)
        if not extent.rows or extent.first is None or extent.last is None:
            return None
        being_made = root / f".{key.digest}.{uuid.uuid4().hex}"
        being_made.mkdir(parents=True)
        try:
            _make(warehouse, settings, key, extent, being_made)
            _put(being_made, folder)
        finally:
            shutil.rmtree(being_made, ignore_errors=True)
    return _load(key, folder)


def _make(warehouse: Warehouse, settings: Settings, key: BaselineKey, extent: Extent, folder: Path) -> None:
    group = max(1, _GROUP_BYTES // (8 * extent.rows))
    summaries: list[Summary] = []
    with ThreadPoolExecutor(settings.warehouse.threads) as pool:
        for start in range(0, len(key.features), group):
            names = key.features[start : start + group]
            with warehouse.read() as read:
                columns = training_columns(read, key.asset_type, key.through, names)
            files = [folder / _file(start + i) for i in range(len(names))]
            summaries += pool.map(_sort_into, columns, files)
            del columns
    usual, block, basis = _weeks(warehouse, key, extent, _rulers(folder, summaries))
    of_bars = {
        f"{name}_{part}": getattr(one, part)
        for name, one in zip(COMPANIONS, basis.companions, strict=False)
        for part in _RULER
    }
    figures = {field.name: getattr(usual, field.name) for field in fields(Weeks)}
    np.savez(folder / _WEEKS, block=block, measured=basis.features, **figures, **of_bars)
    told = {"key": asdict(key), "rows": extent.rows, "summaries": [asdict(one) for one in summaries]}
    (folder / _BASELINE).write_text(json.dumps(told, default=str, indent=1), encoding="utf-8")


def _sort_into(column: Floats, file: Path) -> Summary:
    column.sort()  # NaN goes to the end
    known = column[: np.searchsorted(column, np.inf, side="right")]
    np.save(file, known)
    return summarize(known, column.size - known.size)


def _rulers(folder: Path, summaries: Sequence[Summary]) -> tuple[Ruler | None, ...]:
    return tuple(
        ruler(np.load(folder / _file(i), mmap_mode="r")) if one.rows else None for i, one in enumerate(summaries)
    )


def _weeks(
    warehouse: Warehouse, key: BaselineKey, extent: Extent, rulers: Sequence[Ruler | None]
) -> tuple[Weeks, npt.NDArray[np.intp], Basis]:
    """Blocks of weeks, evenly spread; the newest week of training is left out, for it may be the one to judge."""
    assert extent.first is not None and extent.last is not None
    firsts, block = plan_weeks(
        (extent.last - extent.first).days + 1 - WEEK_DAYS, blocks=key.blocks, block_weeks=key.block_weeks
    )
    days = (extent.last - extent.first).days + 1
    chosen, coded = (_marked(days, firsts, before) for before in (LOOKBACK_DAYS, WEEK_DAYS))
    stamps = (extent.first, extent.last + timedelta(days=1))
    with warehouse.read() as read:
        rows = training_weeks(read, key.asset_type, key.through, stamps, key.features, rulers, chosen, coded)
    basis = _basis(key, rulers, rows)
    firsts += np.datetime64(extent.first.replace(tzinfo=None), "D").astype(np.int64)
    # block by block: what bars say beside features takes more memory than the features
    parts = [
        measure_weeks(_of_days(rows, own[0] - LOOKBACK_DAYS, own[-1] + WEEK_DAYS), rulers, own, WEEK_DAYS, basis)
        for own in (firsts[block == number] for number in np.unique(block))
    ]
    usual = joined_weeks(parts) if parts else measure_weeks(rows, rulers, firsts, WEEK_DAYS, basis)
    kept = np.flatnonzero(_is_full(usual.rows) & (_is_full(usual.related) | ~usual.related.any()))
    return usual.take(kept), block[kept], basis


def _marked(days: int, firsts: npt.NDArray[np.int64], before: int) -> npt.NDArray[np.bool_]:
    """Days of the weeks, and so many before each."""
    marked = np.zeros(days, bool)
    for first in firsts:
        marked[max(0, first - before) : first + WEEK_DAYS] = True
    return marked


def _of_days(rows: CodedRows, first: int, until: int) -> CodedRows:
    return rows.take(np.flatnonzero((rows.day >= first) & (rows.day < until)))


def _basis(key: BaselineKey, rulers: Sequence[Ruler | None], rows: CodedRows) -> Basis:
    """Measurements are compared: not flags, nor what is computed from other features, nor what never changes."""
    measured = [
        i
        for i, (name, one) in enumerate(zip(key.features, rulers, strict=True))
        if one is not None and not one.is_discrete and name not in INTERACTIONS_SQL
    ]
    # whole symbols: what a bar says depends on the bars before it
    every = -(-rows.day.size // _RULER_ROWS)
    some = rows.take(np.flatnonzero(rows.symbol % every == 0)) if every > 1 else rows
    ordered = some.take(in_order(some))
    return basis_of(np.array(measured, np.intp), companions(ordered.prices, ordered.symbol, ordered.day))


def _is_full(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Weeks of a history that had hardly begun, and weeks of holidays, are no measure of a usual one."""
    known = rows[rows > 0]
    full: npt.NDArray[np.bool_] = rows >= max(1.0, 0.5 * float(np.median(known))) if known.size else rows > 0
    return full


def plan_weeks(days: int, *, blocks: int, block_weeks: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """First days of the weeks that tell what is usual, and the number of each one's block.

    Weeks are counted back from the last day, so that each ends on the weekday of the newest bars.

    Args:
        days: Days to choose from, the last one included.
        blocks: At most so many blocks, evenly spread, no two overlapping.
        block_weeks: Weeks in each.

    Returns:
        Days counted from the first one, ascending, shape (w,); block numbers, shape (w,).
    """
    weeks = max(0, days) // WEEK_DAYS
    whole = weeks // block_weeks
    if not whole:
        return np.empty(0, np.int64), np.empty(0, np.intp)
    offset = days - whole * block_weeks * WEEK_DAYS
    numbers = np.unique(np.round(np.linspace(0, whole - 1, min(blocks, whole))).astype(np.int64))
    week = (numbers[:, None] * block_weeks + np.arange(block_weeks)).ravel()
    return offset + week * WEEK_DAYS, np.repeat(np.arange(numbers.size), block_weeks)


def _put(being_made: Path, folder: Path) -> None:
    """Move a complete folder to its place; one that another process put there first is as good."""
    try:
        being_made.rename(folder)
    except OSError:
        if not (folder / _BASELINE).exists():
            raise
    for other in folder.parent.iterdir():
        if other != folder and not other.name.startswith("."):
            shutil.rmtree(other, ignore_errors=True)


def _load(key: BaselineKey, folder: Path) -> Baseline:
    told = json.loads((folder / _BASELINE).read_text(encoding="utf-8"))
    summaries = tuple(_summary(one) for one in told["summaries"])
    with np.load(folder / _WEEKS) as stored:
        usual = Weeks(*(stored[field.name] for field in fields(Weeks)))
        block, measured = stored["block"], stored["measured"]
        beside = tuple(
            Ruler(stored[f"{name}_knots"], stored[f"{name}_upto"], is_discrete=False)
            for name in COMPANIONS
            if f"{name}_{_RULER[0]}" in stored
        )
    rulers = _rulers(folder, summaries)
    return Baseline(key, told["rows"], summaries, rulers, usual, block, Basis(measured, beside), folder)


def _summary(told: Mapping[str, object]) -> Summary:
    quartiles = told["quartiles"]
    return Summary(**{**told, "quartiles": None if quartiles is None else tuple(quartiles)})  # type: ignore[arg-type]


def _file(column: int) -> str:
    return f"{column:03d}.npy"
