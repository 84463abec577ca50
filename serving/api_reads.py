"""Contents of the read routes, made of a snapshot: pure, and the same for the same snapshot and query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, cast

import polars as pl

from market.assets import ASSET_TYPES, AssetType
from market.signals import signal
from serving.api_find import find_symbol, known_symbol, near_symbols, shown
from serving.api_notes import accuracy_note, quiet_note, signal_note
from serving.api_queries import EnsembleSignalsQuery, HighConfidenceQuery, PredictionsQuery
from serving.instants import iso
from serving.snapshot import Snapshot
from serving.snapshot_columns import Positions

MODEL = "xgboost_walk_forward_v2"

_HISTORY = (
    "asset_type", "symbol", "price", "up_probability", "predicted_direction", "actual_direction", "rsi",
    "macd_histogram", "adx", "growth_score", "in_rise_cycle", "rise_cycle_start", "pivot_high_flag", "pivot_low_flag",
    "golden_cross", "trend_regime",
)  # fmt: skip


@dataclass(frozen=True)
class Content:
    """What an answer says.

    Attributes:
        body: JSON.
        model_versions: Of the classes it speaks of.
        as_of: Newest `bar_known_at` behind it.
    """

    body: dict[str, Any]
    model_versions: Mapping[str, str]
    as_of: datetime | None


def predictions(snapshot: Snapshot, query: PredictionsQuery) -> Content:
    """Rows of the record, newest first."""
    classes, columns = _classes(snapshot, query.asset_type), snapshot.columns
    scope = _within(snapshot, classes, query)
    wanted = _texts(confidence_level=query.confidence, signal=query.signal)
    page = columns.page(columns.merged(list(scope.values())), wanted, query.offset, query.limit)
    as_of = columns.newest_known_at(page)
    newest = {name: found for name, rows in scope.items() if (found := columns.newest(rows)) is not None}
    body = {
        "status": "success",
        "count": len(page),
        "model": MODEL,
        "model_versions": _versions(snapshot, classes),
        "as_of": None if as_of is None else iso(as_of),
        "note": signal_note(snapshot, newest, wanted, len(page)) if newest else _nothing(snapshot, classes, query),
        "filters": query.model_dump(mode="json"),
        "predictions": _objects(
            asset_type=columns.texts("asset_type", page),
            symbol=columns.texts("symbol", page),
            datetime=columns.minutes(page),
            price=columns.numbers("price", page),
            up_probability_pct=columns.percents(page),
            predicted_direction=columns.numbers("predicted_direction", page),
            confidence_level=columns.texts("confidence_level", page),
            signal=columns.texts("signal", page),
            rsi=columns.numbers("rsi", page),
            growth_score=columns.numbers("growth_score", page),
            trend_regime=columns.texts("trend_regime", page),
        ),
    }
    return _content(snapshot, classes, body, as_of)


def high_confidence(snapshot: Snapshot, query: HighConfidenceQuery) -> Content:
    """Rows of HIGH confidence, newest first."""
    classes, columns = _classes(snapshot, query.asset_type), snapshot.columns
    scope = {name: columns.within(name) for name in classes}
    wanted = _texts(confidence_level="HIGH", signal=query.signal_type)
    page = columns.page(columns.merged(list(scope.values())), wanted, 0, query.limit)
    newest = {name: found for name, rows in scope.items() if (found := columns.newest(rows)) is not None}
    words = f"{'signal' if query.signal_type == 'all' else query.signal_type} of HIGH confidence"
    body = {
        "status": "success",
        "confidence": "HIGH",
        "accuracy_note": accuracy_note(snapshot, classes),
        "count": len(page),
        "note": quiet_note(snapshot, newest, [wanted], words) if newest else _nothing(snapshot, classes),
        "signals": _objects(
            asset_type=columns.texts("asset_type", page),
            symbol=columns.texts("symbol", page),
            date=[minute[:10] for minute in columns.minutes(page)],
            price=columns.numbers("price", page),
            up_pct=columns.percents(page),
            signal=columns.texts("signal", page),
            growth_score=columns.numbers("growth_score", page),
            trend_regime=columns.texts("trend_regime", page),
            pivot_low=["Pivot Low" if flag else "" for flag in columns.numbers("pivot_low_flag", page)],
            rise_start=["Rise Start" if flag else "" for flag in columns.numbers("rise_cycle_start", page)],
            golden_cross_flag=["Golden Cross" if flag else "" for flag in columns.numbers("golden_cross", page)],
        ),
    }
    return _content(snapshot, classes, body, columns.newest_known_at(page))


def walk_forward_summary(snapshot: Snapshot) -> Content:
    """The record by class and split."""
    rows = [
        {
            "data_split": record.data_split,
            "asset_type": record.asset_type,
            "total_predictions": record.total_predictions,
            "correct": record.correct,
            "accuracy": record.accuracy,
            "base_rate": record.base_rate,
            "accuracy_ci_95": record.accuracy_ci_95,
        }
        for record in snapshot.summary
    ]
    body = {
        "status": "success",
        "model": MODEL,
        "model_versions": snapshot.model_versions,
        "methodology": {name: snapshot.methodology[name] for name in ("training", "testing", "validation")},
        "summary": rows,
    }
    return _content(snapshot, list(snapshot.champions), body, None)


def symbol_prediction(snapshot: Snapshot, asset_type: AssetType, raw: str) -> Content:
    """A symbol's newest row and those before it.

    Raises:
        UnknownSymbolError: The snapshot holds no such symbol.
    """
    symbol = known_symbol(snapshot, asset_type, raw)
    rows = snapshot.walk_forward[list(snapshot.history_positions[asset_type, symbol])].to_dicts()
    newest = rows[0]
    body = {
        "status": "success",
        "symbol": symbol,
        "asset_type": asset_type,
        "latest_prediction": {
            "datetime": iso(newest["datetime"]),
            "price": newest["price"],
            "direction": newest["predicted_direction"],
            "up_probability": newest["up_probability"],
            "confidence": newest["confidence_level"],
            "growth_score": newest["growth_score"],
            "trend_regime": newest["trend_regime"],
            "signals": {
                "in_rise_cycle": newest["in_rise_cycle"],
                "rise_cycle_start": newest["rise_cycle_start"],
                "pivot_low": newest["pivot_low_flag"],
                "pivot_high": newest["pivot_high_flag"],
                "golden_cross": newest["golden_cross"],
            },
        },
        "history": [{**{name: row[name] for name in _HISTORY}, "datetime": iso(row["datetime"])} for row in rows],
    }
    return _content(snapshot, [asset_type], body, newest["bar_known_at"])


def ensemble_signals(snapshot: Snapshot, query: EnsembleSignalsQuery, *, days: int) -> Content:
    """Stored ensemble predictions of the last days of each class's clock, newest and strongest first."""
    classes = _classes(snapshot, query.asset_type)
    rows = snapshot.realtime.filter(pl.col("asset_type").is_in(classes))
    recent = [
        (pl.col("asset_type") == name)
        & (pl.col("datetime").dt.date() > snapshot.champions[name].today.astimezone(UTC).date() - timedelta(days=days))
        for name in classes
    ]
    rows = rows.filter(pl.any_horizontal(recent)) if recent else rows
    matched = rows if query.signal_type == "all" else rows.filter(pl.col("signal") == query.signal_type)
    order = [pl.col("datetime").dt.date(), "signal_strength", "asset_type", "symbol"]
    page = matched.sort(order, descending=[True, True, False, False], nulls_last=True).head(query.limit)
    signals = [
        {
            "symbol": row["symbol"],
            "asset_type": row["asset_type"],
            "date": f"{row['datetime']:%Y-%m-%d}",
            "price": row["close"],
            "xgb_signal": signal(row["xgb_up_probability"], snapshot.champions[row["asset_type"]].thresholds),
            "xgb_probability": row["xgb_up_probability"],
            "ensemble_signal": row["signal"],
            "ensemble_confidence": row["ensemble_confidence"],
            "gemini_reasoning": row["gemini_reasoning"],
            "risk_level": row["gemini_risk_level"],
        }
        for row in page.iter_rows(named=True)
    ]
    body = {
        "status": "success",
        "count": page.height,
        "filters": query.model_dump(mode="json"),
        "signals": signals,
    }
    # a stored prediction stays under a new champion: the header names who made these
    made_by = {name: name for name in page["model_version"].unique(maintain_order=True)}
    return Content(body, made_by or _versions(snapshot, classes), _as_of(snapshot, classes, page["bar_known_at"].max()))


def _content(snapshot: Snapshot, classes: list[AssetType], body: dict[str, Any], as_of: datetime | None) -> Content:
    return Content(body, _versions(snapshot, classes), _as_of(snapshot, classes, as_of))


def _versions(snapshot: Snapshot, classes: list[AssetType]) -> dict[str, str]:
    return {name: snapshot.model_versions[name] for name in classes}


def _as_of(snapshot: Snapshot, classes: list[AssetType], found: Any) -> datetime | None:
    """An empty answer is as new as the rows in which nothing was found."""
    known = [as_of for name in classes if (as_of := snapshot.as_of[name]) is not None]
    return cast("datetime | None", found) or max(known, default=None)


def _classes(snapshot: Snapshot, asset_type: str) -> list[AssetType]:
    return [name for name in ASSET_TYPES if name in snapshot.champions and asset_type in ("all", name)]


def _within(snapshot: Snapshot, classes: list[AssetType], query: PredictionsQuery) -> dict[AssetType, Positions]:
    """Rows of each class, symbol and date of a query."""
    date_from = None if query.date_from is None else datetime.combine(query.date_from, time.min, UTC)
    date_to = None if query.date_to is None else datetime.combine(query.date_to, time.max, UTC)
    found = {}
    for name in classes:
        symbol = None if query.symbol is None else find_symbol(snapshot, name, query.symbol)
        if query.symbol is None or symbol is not None:
            found[name] = snapshot.columns.within(name, symbol=symbol, date_from=date_from, date_to=date_to)
    return found


def _texts(**wanted: str) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if value != "all"}


def _objects(**columns: Sequence[Any]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _nothing(snapshot: Snapshot, classes: list[AssetType], query: PredictionsQuery | None = None) -> str:
    if not classes:
        return f"No champion is published for this asset class; served: {', '.join(snapshot.champions) or 'none'}."
    if query is not None and query.symbol is not None:
        near = [name for asset_type in classes for name in near_symbols(snapshot, asset_type, query.symbol)]
        if not any(find_symbol(snapshot, name, query.symbol) for name in classes):
            return f"No prediction of {shown(query.symbol)}; near names: {', '.join(near[:5])}."
    return "The service holds no prediction of these dates."
