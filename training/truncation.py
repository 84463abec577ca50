"""The truncation proof: values of the past must not change when the future is cut off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from configs.settings import Settings
from configs.sources import BigQueryOptions
from market.assets import CLEAN_TABLES, AssetType
from market.indicators import OUTPUT_COLUMNS, add_indicators
from warehouse.clean import clean_state
from warehouse.clock import wall_clock
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import FEATURES_TABLE, feature_parameters, feature_query
from warehouse.warehouse import Warehouse, Write

RELATIVE_TOLERANCE = 1e-9
LABEL_COLUMNS = ("target_direction", "forward_return_pct", "label_known_at")
_NOT_COMPARED = ("asset_type", "symbol", "datetime", "created_timestamp", *LABEL_COLUMNS)
_BARS = ("open", "high", "low", "close", "volume")
_CUT_MARK = "~"


@dataclass(frozen=True)
class Finding:
    """One column that looks ahead, or (with an empty `column`) the statement that none does."""

    column: str
    subject: str
    detail: str
    remedy: str = ""


def truncation_check(warehouse: Warehouse, settings: Settings, asset_type: AssetType) -> list[Finding]:
    """Recompute indicators and features on histories cut at sampled bars and compare with the stored values.

    Symbols and cuts are drawn with `audit.seed`; every stored column but keys, write time and labels is compared on the
    last bars before the cut, where a look at the future shows.

    Returns:
        One finding per column that changed, saying how far before the cut; or one that says how much was compared.
    """
    histories = _sampled_histories(warehouse, settings, asset_type)
    if histories.height == 0:
        return [Finding("", asset_type, "no symbol has enough bars to cut")]
    stored_bars = _stored_rows(warehouse, CLEAN_TABLES[asset_type], histories, None)
    stored_features = _stored_rows(warehouse, FEATURES_TABLE, histories, asset_type)
    cuts = _cut_histories(histories, stored_features, settings)
    own = _computed_here(warehouse, settings, asset_type)
    indicators = add_indicators(cuts, settings.indicators.variant) if own else _with_given(cuts, stored_bars)
    features = _features_of(indicators, settings, asset_type)
    findings = [
        *(compare(stored_bars, indicators, OUTPUT_COLUMNS, stage="indicator") if own else ()),
        *compare(
            stored_features,
            features,
            tuple(name for name in features.columns if name not in _NOT_COMPARED),
            stage="feature",
        ),
    ]
    told = f"{cuts['symbol'].n_unique()} cut histories, {cuts.height} bars: no past value changed"
    if not own:
        told += "; the indicators are your table's own, so only what is made of them could be recomputed"
    return findings or [Finding("", asset_type, told)]


def compare(stored: pl.DataFrame, cut: pl.DataFrame, columns: tuple[str, ...], *, stage: str) -> list[Finding]:
    """Compare stored values with values recomputed on cut histories.

    Args:
        stored: `symbol`, `datetime` and the columns, computed with the whole history.
        cut: The same, computed on cut histories whose symbols are `SYMBOL~CUT`.
        columns: What to compare; numbers to a relative 1e-9, everything else exactly, NULL equal to NULL only.
        stage: Named in the findings: `indicator` or `feature`.
    """
    recomputed = cut.with_columns(
        cut_symbol=pl.col("symbol"), symbol=pl.col("symbol").str.split(_CUT_MARK).list.first()
    )
    recomputed = recomputed.with_columns(
        bars_before_cut=(pl.col("datetime").count() - pl.col("datetime").rank("ordinal")).over("cut_symbol")
    )
    joined = recomputed.join(
        stored.select("symbol", "datetime", *(pl.col(name).alias(f"stored_{name}") for name in columns)),
        on=("symbol", "datetime"),
        how="left",
    )
    findings = []
    for name in columns:
        changed = joined.filter(~_same(name, joined.schema[name]))
        if changed.height:
            reach = int(changed["bars_before_cut"].max()) + 1  # type: ignore[arg-type]
            example = changed.sort("bars_before_cut").row(0, named=True)
            bar = f"{example['symbol']} at {example['datetime']:%Y-%m-%d}"
            findings.append(
                Finding(
                    name,
                    f"{stage} {name}",
                    f"changes on {changed.height} of {joined.height} past bars when the future is cut, up to {reach} "
                    f"bars before the cut; {bar}: {example[f'stored_{name}']} with the future, {example[name]} without",
                    f"let {name} use bars up to its own only: no LEAD, no centred window, no statistic of all history",
                )
            )
    return findings


def _same(name: str, dtype: pl.DataType) -> pl.Expr:
    cut, stored = pl.col(name), pl.col(f"stored_{name}")
    equal = cut.eq_missing(stored)
    if dtype.is_float():
        close = (cut - stored).abs() <= RELATIVE_TOLERANCE * pl.max_horizontal(cut.abs(), stored.abs())
        return equal | close.fill_null(value=False)
    return equal


def _sampled_histories(warehouse: Warehouse, settings: Settings, asset_type: AssetType) -> pl.DataFrame:
    table = CLEAN_TABLES[asset_type]
    symbols = warehouse.query(
        f"SELECT symbol FROM `{table}` GROUP BY symbol HAVING COUNT(*) >= 30 ORDER BY symbol"
    ).column(0)
    random = np.random.default_rng(settings.audit.seed)
    count = min(settings.audit.truncation_symbols, len(symbols))
    chosen = [symbols[int(i)].as_py() for i in random.choice(len(symbols), count, replace=False)]
    columns = ", ".join(("symbol", "datetime", *_BARS, "bar_known_at", "ingested_at"))
    sql = f"SELECT {columns} FROM `{table}` WHERE symbol IN UNNEST(@symbols)"
    bars = pl.DataFrame(warehouse.query(sql, {"symbols": chosen}))
    return bars.with_columns(asset_type=pl.lit(asset_type)).sort("symbol", "datetime")


def _cut_histories(histories: pl.DataFrame, features: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Every sampled symbol cut at several bars, each cut under a symbol of its own so that one build computes all.

    Random cuts would miss a rare flag that looks ahead: only cuts right after its events show it. So each flag that is
    mostly 0 adds a cut right after one of its events.
    """
    random = np.random.default_rng(settings.audit.seed + 1)
    pieces = []
    for history in histories.partition_by("symbol", maintain_order=True):
        symbol = history["symbol"][0]
        lowest = min(220, history.height // 2)
        lengths = set(random.integers(lowest, history.height, settings.audit.truncation_cuts).tolist())
        own = features.filter(pl.col("symbol") == symbol).sort("datetime")
        for flag in _rare_flags(own):
            events = np.flatnonzero(own[flag].to_numpy()[: history.height - 1]) + 1
            lengths |= {int(random.choice(events))} if len(events) else set()
        for length in sorted(lengths):
            piece = history.head(length)
            pieces.append(piece.with_columns(symbol=pl.lit(f"{symbol}{_CUT_MARK}{length}")))
    return pl.concat(pieces).sort("asset_type", "symbol", "datetime")


def _computed_here(warehouse: Warehouse, settings: Settings, asset_type: AssetType) -> bool:
    """Whether the platform computed the stored indicators; else they came with a table that is only read."""
    source = settings.sources.of(asset_type)
    if not isinstance(source, BigQueryOptions) or source.recompute_indicators:
        return True
    with warehouse.read() as read:
        return clean_state(read, asset_type).change_number > 0


def _with_given(cuts: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Cut histories with the stored indicators of their bars."""
    own = stored.select("datetime", *OUTPUT_COLUMNS, parent="symbol")
    parents = cuts.with_columns(parent=pl.col("symbol").str.split(_CUT_MARK).list.first())
    return parents.join(own, on=["parent", "datetime"], how="left", maintain_order="left").drop("parent")


def _rare_flags(features: pl.DataFrame) -> list[str]:
    """Stored 0/1 (or -1) columns that are 0 on most bars; labels are no features."""
    return [
        name
        for name, dtype in features.schema.items()
        if dtype.is_integer() and name not in LABEL_COLUMNS and features[name].abs().max() == 1
        and (features[name] == 0).mean() > 0.7  # type: ignore[operator]
    ]  # fmt: skip


def _features_of(indicators: pl.DataFrame, settings: Settings, asset_type: AssetType) -> pl.DataFrame:
    """The feature query on a private warehouse that holds the cut histories only."""
    scratch = DuckDBWarehouse.scratch(settings.warehouse)
    scratch.ensure_schema()
    clean = indicators.drop("asset_type").with_columns(indicator_variant=pl.lit(settings.indicators.variant))
    scratch.write([Write(CLEAN_TABLES[asset_type], rows=clean.to_arrow(), mode="replace")])
    return pl.DataFrame(scratch.query(feature_query(), feature_parameters(settings, asset_type, wall_clock())))


def _stored_rows(
    warehouse: Warehouse, table: str, histories: pl.DataFrame, asset_type: AssetType | None
) -> pl.DataFrame:
    symbols = histories["symbol"].unique().to_list()
    condition = "symbol IN UNNEST(@symbols)" + (" AND asset_type = @asset_type" if asset_type else "")
    parameters = {"symbols": symbols} | ({"asset_type": asset_type} if asset_type else {})
    return pl.DataFrame(warehouse.query(f"SELECT * FROM `{table}` WHERE {condition}", parameters))
