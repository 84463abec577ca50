"""The newest bars with their indicators: `crypto_trading_data.*_daily_clean`.

Every change is numbered in `tradehits.clean_builds` by the transaction that makes it, with the symbols it touched in
`tradehits.clean_changes`: the worklist of the features. A number can be written once, so of two writers that began from
the same state the later one fails whole instead of undoing the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from configs.settings import Settings
from market.assets import CLEAN_TABLES, AssetType
from market.errors import BadBarsError
from market.indicators import add_indicators
from warehouse.chunks import SymbolRange, ahead, symbol_ranges, within
from warehouse.clean_incremental import KEY, overlaid, rewritten_rows, touched_symbols
from warehouse.clock import wall_clock
from warehouse.warehouse import ReadConnection, Warehouse, Write

BUILDS_TABLE = "tradehits.clean_builds"
CHANGES_TABLE = "tradehits.clean_changes"
FULL_SHARE = 0.5
"""From this share of rewritten rows on, a full build costs less than an incremental one."""

_PRICES = ("open", "high", "low", "close", "volume")
_STAMPS = ("bar_known_at", "ingested_at")

_NEWEST_VERSIONS = """
SELECT asset_type, symbol, datetime, open, high, low, close, volume, bar_known_at, ingested_at
FROM `tradehits.bar_versions`
WHERE asset_type = @asset_type AND `interval` = '1d' AND symbol BETWEEN @first_symbol AND @last_symbol
QUALIFY ROW_NUMBER() OVER (PARTITION BY asset_type, symbol, datetime ORDER BY ingested_at DESC) = 1
"""

_VERSION_COUNTS = """
SELECT symbol, COUNT(*) AS `rows` FROM `tradehits.bar_versions`
WHERE asset_type = @asset_type AND `interval` = '1d'
GROUP BY symbol
"""

_VERSION_KEYS = """
SELECT DISTINCT symbol, datetime FROM `tradehits.bar_versions`
WHERE asset_type = @asset_type AND `interval` = '1d' AND symbol BETWEEN @first_symbol AND @last_symbol
"""


@dataclass(frozen=True)
class CleanState:
    """What stands in a clean table.

    Attributes:
        rows: Rows of the table.
        variants: Indicator variants found in it.
        change_number: The last numbered change; 0 before the first.
        numbered_rows: Rows after that change; None before the first.
    """

    rows: int
    variants: tuple[str, ...]
    change_number: int
    numbered_rows: int | None

    def is_current(self, variant: str) -> bool:
        """Whether the table is what its last numbered change left, in this variant."""
        return self.numbered_rows == self.rows and self.variants in ((variant,), ())


def clean_state(read: ReadConnection, asset_type: AssetType) -> CleanState:
    """Read the state of one clean table."""
    counted = read.query(
        f"SELECT indicator_variant, COUNT(*) AS n FROM `{CLEAN_TABLES[asset_type]}` GROUP BY indicator_variant"
    ).to_pylist()
    last = read.query(
        f"SELECT change_number, table_rows FROM `{BUILDS_TABLE}` WHERE asset_type = @asset_type "
        "ORDER BY change_number DESC LIMIT 1",
        {"asset_type": asset_type},
    ).to_pylist()
    return CleanState(
        rows=sum(row["n"] for row in counted),
        variants=tuple(sorted(row["indicator_variant"] for row in counted)),
        change_number=last[0]["change_number"] if last else 0,
        numbered_rows=last[0]["table_rows"] if last else None,
    )


def clean_writes(warehouse: Warehouse, settings: Settings, asset_type: AssetType, fresh: pl.DataFrame) -> list[Write]:
    """The writes that bring an asset class's clean table up to date; none when it is.

    New and corrected bars recompute their symbol from the first of them on. Everything is recomputed when the stored
    indicators are of another variant, or when the table is not what its last change left.

    Args:
        warehouse: Read here; the writes belong into the transaction that appends `fresh` to `tradehits.bar_versions`.
        settings: Gives the indicator variant.
        asset_type: The asset class.
        fresh: Key, prices, `bar_known_at`, `ingested_at` of the new and changed bars, unique by key; may be empty.

    Raises:
        BadBarsError: A fresh bar has no price or volume.
    """
    _refuse_missing(fresh)
    with warehouse.read() as read:
        state = clean_state(read, asset_type)
        is_current = state.is_current(settings.indicators.variant)
        if is_current and fresh.is_empty():
            return []
        if is_current and state.rows:
            touched = touched_symbols(read, asset_type, fresh)
            later_bars = int(touched["later_bars"].sum())
            if later_bars < FULL_SHARE * state.rows:
                rows, changes = rewritten_rows(read, asset_type, settings.indicators.variant, fresh, touched)
                return _incremental(settings, asset_type, rows, changes, state, new_bars=rows.height - later_bars)
    return _full(warehouse, settings, asset_type, fresh, state)


def _incremental(
    settings: Settings,
    asset_type: AssetType,
    rows: pl.DataFrame,
    changes: pl.DataFrame,
    state: CleanState,
    new_bars: int,
) -> list[Write]:
    """Merge the rewritten rows and note what they touched."""
    number = state.change_number + 1
    numbered = changes.with_columns(asset_type=pl.lit(asset_type), change_number=pl.lit(number, pl.Int64))
    return [
        Write(CLEAN_TABLES[asset_type], rows=rows.to_arrow(), mode="merge"),
        Write(CHANGES_TABLE, rows=numbered.to_arrow(), mode="append"),
        _build_write(settings, asset_type, number, is_full=False, table_rows=state.rows + new_bars),
    ]


def _full(
    warehouse: Warehouse, settings: Settings, asset_type: AssetType, fresh: pl.DataFrame, state: CleanState
) -> list[Write]:
    """Replace the whole table; its rows are computed range by range while the write stages them."""
    with warehouse.read() as read:
        counts = pl.DataFrame(read.query(_VERSION_COUNTS, {"asset_type": asset_type}))
        own = fresh.group_by("symbol").agg(rows=pl.len().cast(pl.Int64))
        ranges = symbol_ranges(pl.concat([counts, own]).group_by("symbol").agg(pl.col("rows").sum()))
        table_rows = (
            sum(_keys_after(read, asset_type, part, fresh) for part in ranges) if counts.height else fresh.height
        )

    def of_range(part: SymbolRange) -> pa.Table:
        stored = pl.DataFrame(warehouse.query(_NEWEST_VERSIONS, _bounds(asset_type, part)))
        return _with_indicators(overlaid(stored, within(fresh, part)), settings)

    def batches() -> Iterator[pa.RecordBatch]:
        for rows in ahead(of_range, ranges):
            yield from rows.to_batches()

    schema = _with_indicators(fresh.clear(), settings).schema
    return [
        Write(CLEAN_TABLES[asset_type], rows=pa.RecordBatchReader.from_batches(schema, batches()), mode="replace"),
        _build_write(settings, asset_type, state.change_number + 1, is_full=True, table_rows=table_rows),
    ]


def _with_indicators(bars: pl.DataFrame, settings: Settings) -> pa.Table:
    """Rows in time's order: the newest bars of a range of symbols lie together, and daily work reads little else."""
    variant = settings.indicators.variant
    computed = add_indicators(bars.select(*KEY, *_PRICES, *_STAMPS).sort(KEY), variant)
    rows = computed.drop("asset_type").with_columns(indicator_variant=pl.lit(variant))
    return rows.sort("datetime", maintain_order=True).to_arrow()


def _keys_after(read: ReadConnection, asset_type: AssetType, part: SymbolRange, fresh: pl.DataFrame) -> int:
    """Bars of a range once the fresh ones are there."""
    keys = pl.DataFrame(read.query(_VERSION_KEYS, _bounds(asset_type, part)))
    return pl.concat([keys, within(fresh, part).select("symbol", "datetime")]).unique().height


def _bounds(asset_type: AssetType, part: SymbolRange) -> dict[str, object]:
    return {"asset_type": asset_type, "first_symbol": part.first, "last_symbol": part.last}


def _build_write(settings: Settings, asset_type: AssetType, number: int, *, is_full: bool, table_rows: int) -> Write:
    row = {
        "asset_type": asset_type,
        "change_number": number,
        "changed_at": wall_clock(),
        "indicator_variant": settings.indicators.variant,
        "is_full": is_full,
        "table_rows": table_rows,
    }
    return Write(BUILDS_TABLE, rows=pa.Table.from_pylist([row]), mode="append")


def _refuse_missing(fresh: pl.DataFrame) -> None:
    for name in _PRICES:
        missing = fresh.filter(~pl.col(name).is_finite().fill_null(value=False))
        if missing.height:
            bar = missing.row(0, named=True)
            raise BadBarsError(
                f"{bar['symbol']} at {bar['datetime']:%Y-%m-%d}: value {bar[name]} is not a number",
                column=name,
                remedy="repair or reject the bar before storing it",
            )
