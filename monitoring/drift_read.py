"""What drift monitoring reads of the feature table: training rows, weeks of training, the newest bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from market.assets import AssetType
from market.drift import Floats
from market.drift_bars import PRICES
from market.drift_grid import MISSING, Ruler
from market.drift_weeks import TREND_STATES, CodedRows
from warehouse.features import FEATURES_TABLE
from warehouse.schema import load_schema
from warehouse.warehouse import ReadConnection

INTERACTIONS_SQL = MappingProxyType(
    {
        "rsi_volume_interaction": "rsi * volume_ratio",
        "macd_atr_interaction": "macd_histogram_pct * atr_pct",
        "adx_trend_interaction": "IF(in_rise_cycle = 1, adx, -adx)",
    }
)
"""The on-demand features as expressions over stored columns."""

_TRAINED = "asset_type = @asset_type AND label_known_at <= @through"
_CONTEXT = "symbol, datetime, atr_pct AS class_volatility, trend_regime, " + ", ".join(
    f"CAST({name} AS FLOAT64) AS bar_{name}" for name in PRICES
)
_BATCH_ROWS = 65_536
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Extent:
    """The training rows of a class: how many, and the stamps of the first and the last bar (None without rows)."""

    rows: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True)
class NewestBars:
    """Bars of the newest weeks, n rows.

    Attributes:
        values: float64 (n, features), NaN where missing.
        is_warm: (n,) the bar has a full history.
        day: int64 (n,), days since 1970.
        coded: The same rows with codes.
    """

    values: Floats
    is_warm: npt.NDArray[np.bool_]
    day: npt.NDArray[np.int64]
    coded: CodedRows


def stored_features() -> frozenset[str]:
    """Names that can be read: columns of the feature table, and features computed from them."""
    columns = load_schema().table(FEATURES_TABLE).columns
    return frozenset(one.name for one in columns if one.type in ("FLOAT64", "INT64")) | frozenset(INTERACTIONS_SQL)


def training_extent(read: ReadConnection, asset_type: AssetType, through: datetime) -> Extent:
    """Rows whose label was known at `through`."""
    sql = f"""
SELECT COUNT(*) AS row_count, MIN(datetime) AS first, MAX(datetime) AS last
FROM `{FEATURES_TABLE}` WHERE {_TRAINED}
"""
    [row] = read.query(sql, {"asset_type": asset_type, "through": through}).to_pylist()
    return Extent(row["row_count"], row["first"], row["last"])


def training_columns(read: ReadConnection, asset_type: AssetType, through: datetime, features: Sequence[str]) -> Floats:
    """Features of the training rows in no particular order, float64 (features, rows), NaN where missing."""
    sql = f"SELECT {_selected(features)} FROM `{FEATURES_TABLE}` WHERE {_TRAINED}"
    found = np.empty((len(features), training_extent(read, asset_type, through).rows))
    start = 0
    for batch in read.stream(sql, {"asset_type": asset_type, "through": through}, batch_rows=_BATCH_ROWS):
        part = slice(start, start + batch.num_rows)
        for row, name in zip(found, features, strict=True):
            row[part] = _numbers(batch.column(name))
        start = part.stop
    return found[:, :start]


def training_weeks(
    read: ReadConnection,
    asset_type: AssetType,
    through: datetime,
    days: tuple[datetime, datetime],
    features: Sequence[str],
    rulers: Sequence[Ruler | None],
    chosen: npt.NDArray[np.bool_],
    coded: npt.NDArray[np.bool_],
) -> CodedRows:
    """Training rows with a full history on chosen days, as codes, in no particular order.

    Args:
        read: The warehouse.
        asset_type: The class.
        through: As `training_extent`.
        days: Stamps from the first one on and before the second one.
        features: Names.
        rulers: Of each.
        chosen: Whether a day counts, from the first one on, shape (days,).
        coded: Whether its features do, too; else prices alone are wanted and every code is `MISSING`.
    """
    sql = f"""
SELECT {_CONTEXT}, CAST(target_direction AS FLOAT64) AS outcome, {_selected(features)}
FROM `{FEATURES_TABLE}`
WHERE {_TRAINED} AND is_warm AND datetime >= @first AND datetime < @until
"""
    parameters = {"asset_type": asset_type, "through": through, "first": days[0], "until": days[1]}
    first = np.datetime64(days[0].replace(tzinfo=None), "D").astype(np.int64)
    symbols: dict[str, int] = {}
    parts = []
    for batch in read.stream(sql, parameters, batch_rows=_BATCH_ROWS):
        kept = batch.filter(pa.array(chosen[_days(batch) - first]))
        parts.append(_coded(kept, features, rulers, symbols, coded[_days(kept) - first]))
    return _in_order(_joined(parts, len(features)), symbols)


def newest_bars(
    read: ReadConnection,
    asset_type: AssetType,
    *,
    since: datetime,
    now: datetime,
    features: Sequence[str],
    rulers: Sequence[Ruler | None],
) -> NewestBars:
    """Bars stamped after `since` and known at `now`; outcomes that are not known yet are NaN."""
    sql = f"""
SELECT {_CONTEXT}, is_warm, IF(label_known_at <= @now, CAST(target_direction AS FLOAT64), NULL) AS outcome,
  {_selected(features)}
FROM `{FEATURES_TABLE}`
WHERE asset_type = @asset_type AND datetime > @since AND bar_known_at <= @now
ORDER BY symbol, datetime
"""
    table = read.query(sql, {"asset_type": asset_type, "since": since, "now": now})
    symbols: dict[str, int] = {}
    batches = table.to_batches()
    coded = _joined([_coded(batch, features, rulers, symbols) for batch in batches], len(features))
    coded = _in_order(coded, symbols)
    values = np.empty((table.num_rows, len(features)))
    for column, name in enumerate(features):
        values[:, column] = _numbers(table.column(name))
    is_warm = np.asarray(table.column("is_warm").to_numpy(zero_copy_only=False), dtype=bool)
    return NewestBars(values, is_warm, coded.day, coded)


def newest_stamp(read: ReadConnection, asset_type: AssetType, now: datetime) -> datetime | None:
    """Stamp of the newest bar known at `now`."""
    sql = f"""
SELECT MAX(datetime) AS newest FROM `{FEATURES_TABLE}` WHERE asset_type = @asset_type AND bar_known_at <= @now
"""
    found: datetime | None = read.query(sql, {"asset_type": asset_type, "now": now}).to_pylist()[0]["newest"]
    return found


def _selected(features: Sequence[str]) -> str:
    return ", ".join(f"CAST({INTERACTIONS_SQL.get(name, name)} AS FLOAT64) AS {name}" for name in features)


def _coded(
    batch: pa.RecordBatch,
    features: Sequence[str],
    rulers: Sequence[Ruler | None],
    symbols: dict[str, int],
    wanted: npt.NDArray[np.bool_] | slice = slice(None),
) -> CodedRows:
    codes = np.full((batch.num_rows, len(features)), MISSING)
    for column, (name, one) in enumerate(zip(features, rulers, strict=True)):
        if one is not None:
            codes[wanted, column] = one.codes(_numbers(batch.column(name))[wanted])
    return CodedRows(
        codes=codes,
        day=_days(batch),
        symbol=_numbered(batch.column("symbol"), symbols),
        direction=_numbers(batch.column("outcome")),
        volatility_pct=_numbers(batch.column("class_volatility")),
        trend=_numbered(batch.column("trend_regime"), {name: i for i, name in enumerate(TREND_STATES)}).astype(np.int8),
        prices=np.column_stack([_numbers(batch.column(f"bar_{name}")) for name in PRICES]),
    )


def _joined(parts: Sequence[CodedRows], features: int) -> CodedRows:
    def whole(values: Iterator[npt.NDArray[Any]], empty: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([empty, *values])

    nothing, floats = np.empty(0, np.int64), np.empty(0)
    return CodedRows(
        codes=whole((one.codes for one in parts), np.empty((0, features), np.uint16)),
        day=whole((one.day for one in parts), nothing),
        symbol=whole((one.symbol for one in parts), nothing),
        direction=whole((one.direction for one in parts), floats),
        volatility_pct=whole((one.volatility_pct for one in parts), floats),
        trend=whole((one.trend for one in parts), np.empty(0, np.int8)),
        prices=whole((one.prices for one in parts), np.empty((0, len(PRICES)))),
    )


def _in_order(rows: CodedRows, symbols: Mapping[str, int]) -> CodedRows:
    """Symbols numbered by their names: engines give rows in orders of their own, and sums depend on it."""
    rank = np.empty(len(symbols), np.int64)
    for position, name in enumerate(sorted(symbols)):
        rank[symbols[name]] = position
    return replace(rows, symbol=rank[rows.symbol])


def _numbers(column: pa.Array | pa.ChunkedArray) -> Floats:
    """Doubles with NaN for NULL."""
    values: Floats = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return values.astype(np.float64, copy=False)


def _days(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    stamps = batch.column("datetime").cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    days: npt.NDArray[np.int64] = stamps.astype("datetime64[D]").astype(np.int64)
    return days


def _numbered(column: pa.Array, known: dict[str, int]) -> npt.NDArray[np.int64]:
    """A number for each text; texts that are not known yet get the next ones."""
    encoded = pc.dictionary_encode(column)
    numbers = np.array([known.setdefault(text, len(known)) for text in encoded.dictionary.to_pylist()], np.int64)
    if not numbers.size:
        return np.empty(0, np.int64)
    found: npt.NDArray[np.int64] = numbers[encoded.indices.to_numpy(zero_copy_only=False)]
    return found
