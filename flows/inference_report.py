"""What inference did, as one object that tables, JSON and tests read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from market.assets import AssetType
from serving.predictor_read import REALTIME_TABLE

if TYPE_CHECKING:
    # Feast takes seconds to import, and `tradehits today` needs none of it.
    from serving.predictor import Scored
    from serving.predictor_fresh import Unscored
    from serving.predictor_read import Class
    from serving.predictor_replay import Replayed
    from warehouse.warehouse import Warehouse

SIGNALS = ("BUY", "SELL", "HOLD")
LEVELS = ("HIGH", "MEDIUM", "LOW")
NO_SIGNAL = "no BUY or SELL: a valid answer, not a fault"


@dataclass(frozen=True)
class Written:
    """Rows that one class's transaction changed.

    Attributes:
        predictions: New ones.
        outcomes: Stored predictions whose outcome became known, or was corrected.
        record_rows: Bars that joined the walk-forward record.
        record_labels: Rows of the record whose label became known.
    """

    predictions: int = 0
    outcomes: int = 0
    record_rows: int = 0
    record_labels: int = 0


@dataclass(frozen=True)
class ClassReport:
    """One asset class.

    Attributes:
        champion: Published champion; None before the first.
        model_versions: Who made the predictions of the bar: those made before a promotion are their former champion's.
        bar: Stamp of the bar.
        bar_known_at: When it closed.
        next_known_at: Until then the signals stand.
        symbols: Symbols with bars.
        predicted: Symbols with a stored prediction of the bar, earlier ones included.
        written: What this run changed.
        signals: Of all predictions of the bar, like the four below.
        confidence: Predictions by level.
        probability_range: Lowest and highest probability of the ensemble; None without predictions.
        gemini: Predictions by `gemini_status`.
        strongest: BUY and SELL, the strongest first, at most ten: symbol, signal, level, probability.
        unscored: Symbols without a prediction, with the reason.
        checked: Symbols whose served features and probability were compared with the stored ones.
        replayed: Stored predictions replayed; None unless asked for.
        recomputed: Symbols whose past was computed anew because bars of it were corrected later.
        note: What a reader has to know; empty when there is nothing.
        late: That a newer bar is due and has not come (part of the note too); empty when none is.
    """

    asset_type: AssetType
    champion: str | None = None
    model_versions: tuple[str, ...] = ()
    bar: datetime | None = None
    bar_known_at: datetime | None = None
    next_known_at: datetime | None = None
    symbols: int = 0
    predicted: int = 0
    written: Written = field(default_factory=Written)
    signals: dict[str, int] = field(default_factory=dict)
    confidence: dict[str, int] = field(default_factory=dict)
    probability_range: tuple[float, float] | None = None
    gemini: dict[str, int] = field(default_factory=dict)
    strongest: tuple[tuple[str, str, str, float], ...] = ()
    unscored: tuple[Unscored, ...] = ()
    checked: int = 0
    replayed: Replayed | None = None
    recomputed: tuple[str, ...] = ()
    note: str = ""
    late: str = ""


@dataclass(frozen=True)
class PredictReport:
    """One inference.

    Attributes:
        date: The day asked for; None: the newest bars.
        snapshot: What the service answers from; None before the first champion.
        seconds: Of everything.
    """

    profile: str
    date: date | None
    classes: tuple[ClassReport, ...]
    snapshot: Path | None
    seconds: float


def class_report(
    warehouse: Warehouse,
    found: Class,
    scored: Scored | str,
    champion: str,
    written: Written,
    replayed: Replayed | None,
    notes: Sequence[str],
    late: str = "",
) -> ClassReport:
    """What the table holds for the bar, and what happened on the way."""
    symbols = found.symbols.height
    if isinstance(scored, str):
        said = "; ".join([scored, *notes])
        return ClassReport(found.asset_type, champion, symbols=symbols, written=written, replayed=replayed, note=said)
    sql = (
        "SELECT symbol, signal, ensemble_confidence, ensemble_up_probability, signal_strength, gemini_status, "
        f"model_version FROM `{REALTIME_TABLE}` WHERE asset_type = @asset_type AND datetime = @stamp "
        "ORDER BY signal_strength DESC, symbol"
    )
    rows = pl.DataFrame(warehouse.query(sql, {"asset_type": found.asset_type, "stamp": scored.bar.stamp}))
    signals = Counter(rows["signal"])
    if rows.height and not signals["BUY"] + signals["SELL"]:
        notes = [*notes, NO_SIGNAL]
    probability = rows["ensemble_up_probability"].to_list()
    strongest = rows.filter(pl.col("signal") != "HOLD").head(10)
    return ClassReport(
        asset_type=found.asset_type,
        champion=champion,
        model_versions=tuple(rows["model_version"].unique().sort()),
        bar=scored.bar.stamp,
        bar_known_at=scored.bar.bar_known_at,
        next_known_at=scored.bar.next_known_at,
        symbols=symbols,
        predicted=rows.height,
        written=written,
        signals={name: signals[name] for name in SIGNALS},
        confidence={name: Counter(rows["ensemble_confidence"])[name] for name in LEVELS},
        probability_range=(min(probability), max(probability)) if probability else None,
        gemini=dict(sorted(Counter(rows["gemini_status"]).items())),
        strongest=tuple(
            strongest.select("symbol", "signal", "ensemble_confidence", "ensemble_up_probability").iter_rows()
        ),
        unscored=scored.unscored,
        checked=scored.checked,
        replayed=replayed,
        recomputed=scored.recomputed,
        note="; ".join(text for text in (late, scored.note, *notes) if text),
        late=late,
    )
