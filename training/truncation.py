"""The truncation proof: values of the past must not change when the future is cut off.

It follows a value on its whole way: indicators, the feature query, the on-demand features, and the matrix that the
model is given. What was read with the whole history is compared with the same code run on cut histories, in a warehouse
of its own. Cuts are made by knowledge time: a bar of another class counts only if it was known when the cut bar closed.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

import training.dataset as datasets
from configs.settings import Settings
from feature_repo.services import INTERACTIONS
from market.assets import CLEAN_TABLES, AssetType
from market.indicators import OUTPUT_COLUMNS, add_indicators
from training.dataset import KEY, LABELS, Dataset
from training.truncation_compare import MATRIX_TOLERANCE, Finding, compare
from training.truncation_histories import (
    LABEL_COLUMNS,
    computed_here,
    copies,
    cuts_only,
    sampled_histories,
    stored_rows,
    with_given,
)
from training.truncation_others import as_known_at_the_cut
from warehouse.clock import wall_clock
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import FEATURES_TABLE, feature_parameters, feature_query
from warehouse.warehouse import Warehouse, Write

SAMPLED = "sampled histories"
_NOT_COMPARED = ("asset_type", "symbol", "datetime", "created_timestamp", *LABEL_COLUMNS)


@dataclass(frozen=True)
class Recomputed:
    """Sampled symbols as they are stored, and copies of their histories run through the same code again.

    Attributes:
        asset_type: The asset class.
        computed_here: Whether the platform computed the stored indicators; else the copies carry the stored ones.
        stored_bars: Rows of the clean table.
        stored_features: Rows of the feature table.
        indicators: Copies with indicators; symbols are `SYMBOL~COPY`.
        features: The same through the feature query.
        matrix: The same as a model would see them, Float64, NULL where unknown; one column a feature.
    """

    asset_type: AssetType
    computed_here: bool
    stored_bars: pl.DataFrame
    stored_features: pl.DataFrame
    indicators: pl.DataFrame
    features: pl.DataFrame
    matrix: pl.DataFrame


def recompute(warehouse: Warehouse, settings: Settings, asset_type: AssetType) -> Recomputed | None:
    """Run sampled histories, cut, whole and rescaled, through indicators, feature query and dataset in one build.

    Returns:
        None when no symbol has enough bars.
    """
    histories = sampled_histories(warehouse, settings, asset_type)
    if histories.is_empty():
        return None
    stored_bars = stored_rows(warehouse, CLEAN_TABLES[asset_type], histories, None)
    stored_features = stored_rows(warehouse, FEATURES_TABLE, histories, asset_type)
    bars = copies(histories, stored_features, settings)
    own = computed_here(warehouse, settings, asset_type)
    indicators = add_indicators(bars, settings.indicators.variant) if own else with_given(bars, stored_bars)
    scratch = DuckDBWarehouse.scratch(settings.warehouse)
    features = features_of(scratch, indicators, settings, asset_type)
    matrix = _matrix_of(scratch, features, settings, asset_type)
    return Recomputed(asset_type, own, stored_bars, stored_features, indicators, features, matrix)


def truncation_check(
    warehouse: Warehouse,
    settings: Settings,
    asset_type: AssetType,
    dataset: Dataset | None = None,
    recomputed: Recomputed | None = None,
) -> list[Finding]:
    """Compare what is stored, and what the model was given, with values recomputed on histories cut at sampled bars.

    Symbols and cuts are drawn with `audit.seed`; every stored column but keys, write time and labels is compared on all
    bars before each cut. A column is named at the first stage where it shows, not again at later ones.

    Args:
        warehouse: What is stored.
        settings: Sampling, indicator variant, feature service.
        asset_type: The asset class.
        dataset: What the model was given; without it the proof ends at the feature table.
        recomputed: From `recompute`, when it was done already.

    Returns:
        One finding per column that changed, saying how far before the cut; or one that says how much was compared.
    """
    done = recomputed or recompute(warehouse, settings, asset_type)
    if done is None:
        return [Finding("", SAMPLED, "no symbol has enough bars to cut")]
    findings = _stored_findings(warehouse, settings, done)
    if dataset is not None:
        findings += _matrix_findings(dataset, done, {finding.column for finding in findings})
    if findings:
        return findings
    cuts = cuts_only(done.features)
    told = f"{cuts['symbol'].n_unique()} cut histories, {cuts.height} bars: no past value changed"
    if dataset is not None:
        told += f", from indicators to the {len(dataset.features)} columns of the training matrix"
    if not done.computed_here:
        told += "; the indicators are your table's own, so only what is made of them could be recomputed"
    return [Finding("", SAMPLED, told)]


def features_of(
    scratch: DuckDBWarehouse, indicators: pl.DataFrame, settings: Settings, asset_type: AssetType
) -> pl.DataFrame:
    """The feature query on a private warehouse that holds these bars only."""
    clean = indicators.drop("asset_type").with_columns(indicator_variant=pl.lit(settings.indicators.variant))
    scratch.write([Write(CLEAN_TABLES[asset_type], rows=clean.to_arrow(), mode="replace")])
    return pl.DataFrame(scratch.query(feature_query(), feature_parameters(settings, asset_type, wall_clock())))


def seen_by_model(dataset: Dataset, symbols: list[str]) -> pl.DataFrame:
    """`symbol`, `datetime` and the matrix columns of some symbols, Float64, NULL where unknown, one row a key."""
    keys = dataset.keys.with_row_index("row").filter(pl.col("symbol").is_in(symbols))
    values = pl.DataFrame(dataset.matrix[keys["row"].to_numpy()], schema=list(dataset.features), orient="row")
    unknown_as_null = values.select(pl.all().cast(pl.Float64).fill_nan(None))
    rows = keys.select("symbol", "datetime").hstack(unknown_as_null)
    return rows.unique(["symbol", "datetime"], keep="first", maintain_order=True)


def _stored_findings(warehouse: Warehouse, settings: Settings, done: Recomputed) -> list[Finding]:
    """Indicators, then the columns of the feature table."""
    findings = []
    if done.computed_here:
        findings = compare(done.stored_bars, cuts_only(done.indicators), OUTPUT_COLUMNS, stage="indicator")
    named = {finding.column for finding in findings}
    columns = [name for name in done.features.columns if name not in (*_NOT_COMPARED, *named)]
    found = compare(done.stored_features, cuts_only(done.features), columns, stage="feature")

    def rebuilt(scratch: DuckDBWarehouse, indicators: pl.DataFrame) -> pl.DataFrame:
        return features_of(scratch, indicators, settings, done.asset_type)

    exact = as_known_at_the_cut(
        warehouse, settings, done.asset_type, found, done.indicators, done.stored_features, rebuilt
    )
    return [*findings, *exact]


def _matrix_findings(dataset: Dataset, done: Recomputed, named: set[str]) -> list[Finding]:
    """Columns of the training matrix that are not what cut histories give, unless an earlier stage explains them."""
    symbols = done.stored_bars["symbol"].unique().to_list()
    columns = [name for name in dataset.features if name in done.matrix.columns]
    findings = compare(
        seen_by_model(dataset, symbols),
        cuts_only(done.matrix),
        columns,
        stage="matrix column",
        tolerance=MATRIX_TOLERANCE,
    )
    return [finding for finding in findings if not named & {finding.column, *INTERACTIONS.get(finding.column, ())}]


def _matrix_of(
    scratch: DuckDBWarehouse, features: pl.DataFrame, settings: Settings, asset_type: AssetType
) -> pl.DataFrame:
    """The copies as `training.dataset` makes a training set of them, every one of its steps included."""
    scratch.write([Write(FEATURES_TABLE, rows=features.to_arrow(), mode="replace")])
    rows = datasets.stored_training_set(scratch, settings, asset_type)
    labels = rows.select(*KEY, *LABELS)
    joined = datasets.join_labels(rows.drop(LABELS), labels).sort("datetime", "symbol")
    dataset = datasets.as_dataset(settings, asset_type, joined)
    return seen_by_model(dataset, dataset.keys["symbol"].unique().to_list())
