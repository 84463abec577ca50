"""The record as columns of numbers, so that a page of it is found and written in well under a millisecond.

Texts are codes into short lists; rows keep the order of the snapshot, newest first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from market.assets import AssetType

Positions = npt.NDArray[np.int64]
CHUNK = 16_384
TEXTS = ("asset_type", "symbol", "confidence_level", "signal", "trend_regime")
NUMBERS = ("price", "rsi", "growth_score", "predicted_direction", "pivot_low_flag", "rise_cycle_start", "golden_cross")


@dataclass(frozen=True)
class Newest:
    """What the newest date of a class holds, within some rows.

    Attributes:
        positions: Its rows.
        stamp: Its `datetime`.
    """

    positions: Positions
    stamp: datetime


class RecordColumns:
    """Columns of `WalkForwardRow` that pages are made of.

    Args:
        rows: Newest first.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        """Numbers are views of the rows where nothing is missing."""
        self.up_probability = rows["up_probability"].to_numpy()
        self.known_at = rows["bar_known_at"].to_physical().to_numpy()
        self._stamps = rows["datetime"].to_physical().to_numpy()
        self._ages = -self._stamps  # ascending, as a search needs it
        self._all = np.arange(rows.height)
        self._numbers = {name: rows[name].fill_null(0).to_numpy() for name in NUMBERS}
        self._unknown = {name: rows[name].is_null().to_numpy() for name in NUMBERS if rows[name].null_count()}
        self._codes: dict[str, npt.NDArray[np.integer[Any]]] = {}
        self._names: dict[str, list[str | None]] = {}
        for name in TEXTS:
            self._names[name], self._codes[name] = _coded(rows[name])
        self._days = np.unique(self._stamps)[::-1]
        self._day_texts = [_instant(stamp).strftime("%Y-%m-%d %H:%M") for stamp in self._days.tolist()]
        classes = self._codes["asset_type"]
        self._of_class = {
            str(name): np.flatnonzero(classes == code) for code, name in enumerate(self._names["asset_type"])
        }

    def within(
        self,
        asset_type: AssetType,
        *,
        symbol: str | None = None,
        date_from: datetime | None = None,
        date_to: datetime | None = None,
    ) -> Positions:
        """A class's rows, newest first: those of one symbol, and between two instants, both included."""
        found = self._of_class.get(asset_type)
        if found is None:
            return np.empty(0, dtype=np.int64)
        if date_from is not None or date_to is not None:
            first = 0 if date_to is None else self._row_of(date_to, "left")
            last = self._all.size if date_from is None else self._row_of(date_from, "right")
            found = found[np.searchsorted(found, first) : np.searchsorted(found, last)]
        return found if symbol is None else found[self._codes["symbol"][found] == self.code("symbol", symbol)]

    def newest(self, positions: Positions) -> Newest | None:
        """Of one class's rows those of the newest date, None without rows."""
        if not positions.size:
            return None
        stamp = _instant(int(self._stamps[positions[0]]))
        return Newest(positions[: np.searchsorted(positions, self._row_of(stamp, "right"))], stamp)

    def merged(self, parts: Sequence[Positions]) -> Positions:
        """Rows of several classes in the order of the record."""
        if len(parts) == 1:
            return parts[0]
        if sum(part.size for part in parts) == self._all.size:
            return self._all
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)

    def page(self, positions: Positions, wanted: Mapping[str, str], offset: int, limit: int) -> Positions:
        """The rows `offset` to `offset + limit` of those whose texts are as wanted."""
        if not wanted:
            return positions[offset : offset + limit]
        codes = [(self._codes[name], self.code(name, value)) for name, value in wanted.items()]
        found: list[Positions] = []
        count = 0
        for start in range(0, positions.size, CHUNK):
            part = positions[start : start + CHUNK]
            for column, code in codes:
                part = part[column[part] == code]
            found.append(part)
            count += part.size
            if count >= offset + limit:
                break
        return np.concatenate(found)[offset : offset + limit] if found else positions[:0]

    def code(self, name: str, value: str) -> int:
        """The number that stands for a text, -1 for one that no row has."""
        names = self._names[name]
        return names.index(value) if value in names else -1

    def counts(self, positions: Positions, wanted: Mapping[str, str]) -> int:
        """How many rows have texts as wanted."""
        part = positions
        for name, value in wanted.items():
            part = part[self._codes[name][part] == self.code(name, value)]
        return int(part.size)

    def texts(self, name: str, positions: Positions) -> list[str | None]:
        """A text of each row."""
        names = self._names[name]
        return [names[code] for code in self._codes[name][positions].tolist()]

    def numbers(self, name: str, positions: Positions) -> list[float | int | None]:
        """A number of each row, None where it is not known."""
        values: list[float | int | None] = self._numbers[name][positions].tolist()
        unknown = self._unknown.get(name)
        if unknown is None:
            return values
        return [None if missing else value for value, missing in zip(values, unknown[positions].tolist(), strict=True)]

    def percents(self, positions: Positions) -> list[float]:
        """The probability of UP in percent, two decimals."""
        rounded: list[float] = np.round(self.up_probability[positions] * 100, 2).tolist()
        return rounded

    def minutes(self, positions: Positions) -> list[str]:
        """`datetime` as YYYY-MM-DD HH:MM."""
        codes = np.searchsorted(-self._days, -self._stamps[positions])
        return [self._day_texts[code] for code in codes.tolist()]

    def _row_of(self, instant: datetime, side: Literal["left", "right"]) -> int:
        """The first row at (left) or after (right) an instant, in the order newest first."""
        return int(np.searchsorted(self._ages, -_micros(instant), side=side))

    def newest_known_at(self, positions: Positions) -> datetime | None:
        """Newest `bar_known_at` of some rows."""
        return _instant(int(self.known_at[positions].max())) if positions.size else None


def _coded(values: pl.Series) -> tuple[list[str | None], npt.NDArray[np.integer[Any]]]:
    names = values.drop_nulls().unique().sort().to_list()
    codes = values.cast(pl.Enum(names)).to_physical().cast(pl.Int32).fill_null(len(names)).to_numpy()
    return [*names, None], codes


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def _micros(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
