"""Scoring of one asset class: today's bar from the online store, or a past day as it was known then.

Gather, decide, apply: rows and models are read first, every decision is a function of them, and the caller applies the
writes that come out in one transaction. A bar is scored once: what is stored is never scored again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from configs.settings import Settings
from feature_repo.online import read_online
from feature_repo.reading import read_historical
from feature_repo.stored import stored_features
from market.assets import AssetType
from registry.models import ModelRegistry
from serving.ensemble import gather_opinions
from serving.gemini_opinion import unanswered
from serving.predictor_bar import Bar
from serving.predictor_check import matrix_of, require_equal_features, require_replayed, sampled
from serving.predictor_fresh import Unscored, fresh_symbols, online_gaps
from serving.predictor_past import Scorer, bars_as_of, scorer_of_the_day
from serving.predictor_read import REALTIME_TABLE, Class, predicted_symbols, read_bars
from serving.predictor_rows import prediction_rows, questions
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import ReadConnection, Warehouse, Write

_OUTCOMES = f"""
SELECT
  r.* EXCEPT (actual_direction, actual_change_pct, prediction_correct),
  IF(f.target_direction = 1, 'UP', 'DOWN') AS actual_direction,
  f.forward_return_pct AS actual_change_pct,
  r.ensemble_direction = IF(f.target_direction = 1, 'UP', 'DOWN') AS prediction_correct
FROM `{REALTIME_TABLE}` AS r
INNER JOIN `{FEATURES_TABLE}` AS f
  ON r.asset_type = f.asset_type AND r.symbol = f.symbol AND r.datetime = f.datetime
WHERE
  r.asset_type = @asset_type
  AND f.datetime >= @first
  AND f.target_direction IS NOT NULL
  AND f.label_known_at <= @now
  AND (r.actual_direction IS NULL OR r.actual_change_pct != f.forward_return_pct)
"""


@dataclass(frozen=True)
class Scored:
    """What an asset class's bar was given.

    Attributes:
        bar: The bar.
        model_version: Who scored it; None when nobody may.
        rows: New rows of `realtime_predictions`; symbols that have one already are not among them.
        unscored: Symbols without a prediction of this bar, with the reason.
        checked: Symbols whose served features and probability were found equal to the stored ones.
        recomputed: Symbols whose features were computed anew from what was known then, because bars were corrected.
        note: What else is to be said; empty mostly.
    """

    bar: Bar
    model_version: str | None
    rows: pl.DataFrame
    unscored: tuple[Unscored, ...] = ()
    checked: int = 0
    recomputed: tuple[str, ...] = ()
    note: str = ""


def score_newest(
    warehouse: Warehouse,
    settings: Settings,
    scorer: Scorer,
    found: Class,
    bar: Bar,
    now: datetime,
    *,
    check_all: bool = False,
) -> Scored:
    """Score the newest closed bar of every symbol on the features that the online store serves.

    Args:
        warehouse: Its feature table is what the online store was loaded from.
        settings: Feast, Gemini, weights, how many symbols are compared.
        scorer: The champion.
        found: The class's symbols.
        bar: The class's newest bar, new enough to be scored.
        now: The class's clock.
        check_all: Compare every symbol, not a sample.

    Raises:
        SkewError: A served feature or probability is not what the stored row gives; nothing was decided.
    """
    info = scorer.bundle.info
    with warehouse.read() as read:
        stored = read_bars(read, bar.asset_type, bar.stamp)
        predicted = predicted_symbols(read, bar.asset_type, bar.stamp)
    fresh, unscored = fresh_symbols(found, bar, frozenset(stored["symbol"]))
    online = read_online(settings, info.feature_service, bar.asset_type, fresh).rows
    good, gaps = online_gaps(fresh, online, bar)
    served, stored = _of(online, good), _of(stored, good)
    checked = good if check_all else sampled(good, settings.inference.check_symbols, bar.stamp.toordinal())
    require_equal_features(_of(served, checked), _of(stored, checked), info.features)
    probability = scorer.bundle.predict(matrix_of(served, info.features))
    require_replayed(scorer.bundle, _of(stored, checked), probability[_positions(good, checked)])
    is_open = found.is_end_of_bars and bar.sessions_behind == 0
    rows, note = _new_rows(settings, scorer, stored, probability, predicted, now, is_open=is_open)
    return Scored(bar, scorer.name, rows, (*unscored, *gaps), len(checked), note=note)


def score_past(
    warehouse: Warehouse,
    settings: Settings,
    registry: ModelRegistry,
    found: Class,
    bar: Bar,
    now: datetime,
    *,
    check_all: bool = False,
) -> Scored:
    """Score a past day on what was known when its bars closed, by the model of that day; Gemini is not asked.

    Args:
        warehouse: Holds features and the versions of bars.
        settings: Feast, weights, how many symbols are compared.
        registry: Has the models.
        found: The class's symbols.
        bar: The bar.
        now: The class's clock.
        check_all: Compare every symbol, not a sample.

    Raises:
        KnowledgeTimeError: Nobody can say any more what was known then.
        RegistryError: The files of the model of that day are gone.
        SkewError: Feast, asked about that instant, answers with other features than the stored ones.
    """
    scorer = scorer_of_the_day(warehouse, registry, bar, now)
    if scorer is None:
        nobody = f"no model existed on {bar.stamp:%Y-%m-%d}, and the champion's record does not reach back to it"
        return Scored(bar, None, pl.DataFrame(), note=nobody)
    bars, recomputed = bars_as_of(warehouse, settings, bar)
    with warehouse.read() as read:
        predicted = predicted_symbols(read, bar.asset_type, bar.stamp)
    names = scorer.bundle.info.features
    untouched = [symbol for symbol in bars["symbol"] if symbol not in set(recomputed)]
    checked = untouched if check_all else sampled(untouched, settings.inference.check_symbols, bar.stamp.toordinal())
    _require_as_of(settings, scorer, _of(bars, checked), bar)
    probability = scorer.bundle.predict(matrix_of(stored_features(bars, names), names))
    rows, note = _new_rows(settings, scorer, bars, probability, predicted, now, is_open=False)
    return Scored(bar, scorer.name, rows, tuple(_holes(found, bars, bar)), len(checked), recomputed, note)


def outcome_write(read: ReadConnection, asset_type: AssetType, now: datetime) -> Write | None:
    """The write that fills outcomes of stored predictions; None when the class has none.

    Probabilities and signals stay. An outcome that is filled already follows its bars where these were corrected.
    """
    sql = f"SELECT MIN(datetime) AS oldest FROM `{REALTIME_TABLE}` WHERE asset_type = @asset_type"
    oldest = read.query(sql, {"asset_type": asset_type}).column("oldest")[0].as_py()
    if oldest is None:
        return None
    parameters = {"asset_type": asset_type, "first": oldest, "now": now}
    return Write(REALTIME_TABLE, sql=_OUTCOMES, parameters=parameters, mode="merge")


def rows_write(rows: pl.DataFrame) -> Write:
    """The write of new predictions; a row that another command was quicker to write stays as it is."""
    return Write(REALTIME_TABLE, rows=rows.to_arrow(), mode="append", skip_existing=True)


def _new_rows(
    settings: Settings,
    scorer: Scorer,
    bars: pl.DataFrame,
    probability: npt.NDArray[np.float64],
    predicted: frozenset[str],
    now: datetime,
    *,
    is_open: bool,
) -> tuple[pl.DataFrame, str]:
    """Rows of the bars that have none, and what went wrong with Gemini: it is asked while the next bar is open."""
    asset_type = scorer.bundle.info.asset_type
    new = np.flatnonzero([symbol not in predicted for symbol in bars["symbol"]])
    bars = bars[new]
    opinions = asyncio.run(gather_opinions(settings, questions(asset_type, bars), allow_calls=is_open))
    rows = prediction_rows(
        asset_type,
        bars,
        probability[new],
        opinions,
        thresholds=scorer.thresholds,
        weight=settings.ensemble.xgboost_weight.of(asset_type),
        model_version=scorer.name,
        created_at=now,
        now=now,
    )
    return rows, unanswered(opinions)


def _require_as_of(settings: Settings, scorer: Scorer, stored: pl.DataFrame, bar: Bar) -> None:
    """Feast's answer about the instant at which the bar closed equals the stored rows."""
    if stored.is_empty():
        return
    info = scorer.bundle.info
    entities = stored.select("asset_type", "symbol", "datetime", "bar_known_at", event_timestamp="bar_known_at")
    served = read_historical(settings, info.feature_service, entities)
    require_equal_features(served, stored, info.features)
    require_replayed(scorer.bundle, stored, scorer.bundle.predict(matrix_of(served, info.features)))


def _holes(found: Class, bars: pl.DataFrame, bar: Bar) -> list[Unscored]:
    """Symbols that traded before and after a day without a bar of it."""
    there = frozenset(bars["symbol"])
    detail = f"no bar of {bar.stamp:%Y-%m-%d} is stored"
    return [
        Unscored(row["symbol"], "missing", detail, row["newest"])
        for row in found.symbols.iter_rows(named=True)
        if row["symbol"] not in there and row["oldest"] < bar.stamp < row["newest"]
    ]


def _of(rows: pl.DataFrame, symbols: list[str]) -> pl.DataFrame:
    """Rows of symbols, in their order."""
    return pl.DataFrame({"symbol": symbols}, schema={"symbol": pl.String}).join(
        rows, on="symbol", how="inner", maintain_order="left"
    )


def _positions(symbols: list[str], chosen: list[str]) -> npt.NDArray[np.intp]:
    places = {symbol: place for place, symbol in enumerate(symbols)}
    return np.array([places[symbol] for symbol in chosen], dtype=np.intp)
