"""What all steps of the explanation share: split dates that fit the bars, settings, and honest training tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from configs.settings import Settings, SplitSettings
from market.assets import AssetType
from market.errors import NotEnoughDataError
from training.dataset import stored_training_set
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.ingest import ingest_asset_type

MIN_TESTED_DATES = 60
"""About three months; fewer dates say nothing about an accuracy."""

TRAIN_SHARE, TEST_SHARE = 0.6, 0.8
"""Ends of TRAIN and TEST as shares of the bars' dates, where the profile's split dates do not fit the bars."""

ROWS_PER_LEAF_WEIGHT = 100
"""The least weight of a leaf is at most one such part of the training rows: short histories show a flag's worth too."""


def fitting_splits(bars: pl.DataFrame, settings: Settings) -> tuple[SplitSettings, bool]:
    """The profile's split dates, or dates at fixed shares of the bars where those leave too little to train or test on.

    Args:
        bars: `market.bars.BAR_SCHEMA` of one asset class.
        settings: Gives the dates and `training.min_train_rows`.

    Returns:
        The dates, and whether they are the profile's.

    Raises:
        NotEnoughDataError: The history is too short for either.
    """
    own = settings.splits.of(bars["asset_type"][0])
    if _fits(bars, own, settings):
        return own, True
    dates = bars["datetime"].dt.date().unique().sort()
    if dates.len() > 2:
        train_end, test_end = (dates[max(0, math.ceil(share * dates.len()) - 1)] for share in (TRAIN_SHARE, TEST_SHARE))
        drawn = SplitSettings(train_end=train_end, test_end=test_end) if train_end < test_end else own
        if _fits(bars, drawn, settings):
            return drawn, False
    symbols = bars["symbol"].n_unique()
    enough = _needed_rows(bars, settings) / (TRAIN_SHARE * symbols)
    dates_needed = math.ceil(max(enough, MIN_TESTED_DATES / (1 - TEST_SHARE)))
    counted = f"{bars.height:,} bars of {symbols} symbol{'s' * (symbols > 1)}"
    raise NotEnoughDataError(
        f"{counted} on {dates.len():,} dates are too short a history",
        remedy=f"give at least {dates_needed:,} daily bars a symbol, or lower training.min_train_rows "
        f"({settings.training.min_train_rows})",
    )


def _fits(bars: pl.DataFrame, splits: SplitSettings, settings: Settings) -> bool:
    day = bars["datetime"].dt.date()
    trained = int((day < splits.train_end).sum())
    return trained >= _needed_rows(bars, settings) and day.filter(day > splits.test_end).n_unique() >= MIN_TESTED_DATES


def _needed_rows(bars: pl.DataFrame, settings: Settings) -> int:
    """The newest label of each symbol is not known when training ends."""
    return settings.training.min_train_rows + bars["symbol"].n_unique()


def study_settings(settings: Settings, bars: pl.DataFrame, splits: SplitSettings) -> Settings:
    """Settings of all steps: these split dates, and leaves that fit the training rows."""
    asset_type: AssetType = bars["asset_type"][0]
    trained = int((bars["datetime"].dt.date() <= splits.train_end).sum())
    booster = settings.training.xgboost
    weight = min(booster.min_child_weight, trained / ROWS_PER_LEAF_WEIGHT)
    training = settings.training.model_copy(update={"xgboost": booster.model_copy(update={"min_child_weight": weight})})
    own = settings.splits.model_copy(update={asset_type: splits})
    return settings.model_copy(update={"splits": own, "training": training})


def with_service(settings: Settings, service: str) -> Settings:
    """The same settings with another feature service."""
    return settings.model_copy(update={"training": settings.training.model_copy(update={"feature_service": service})})


def honest_tables(bars: pl.DataFrame, settings: Settings, services: Sequence[str]) -> dict[str, pl.DataFrame]:
    """Training tables by service from bars alone: the platform's indicators, feature query and labels.

    Args:
        bars: `market.bars.BAR_SCHEMA` of one asset class.
        settings: Indicator variant, split dates, sessions.
        services: Names of feature services.

    Returns:
        As `training.dataset.stored_training_set`, with `close`.
    """
    asset_type: AssetType = bars["asset_type"][0]
    scratch = DuckDBWarehouse.scratch(settings.warehouse)
    ingest_asset_type(scratch, settings, bars, source="explain")
    build_features(scratch, settings, [asset_type])
    key = ["symbol", "datetime"]
    closes = bars.select(*key, "close")
    return {
        name: stored_training_set(scratch, with_service(settings, name), asset_type).join(
            closes, on=key, how="left", maintain_order="left", validate="1:1"
        )
        for name in services
    }
