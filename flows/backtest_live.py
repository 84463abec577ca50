"""Live signals beside the walk-forward record: where they differ, prediction by prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from market.assets import AssetType
from market.signals import signal
from warehouse.backtests import BacktestInputs, read_inputs

if TYPE_CHECKING:
    from flows.backtest import BacktestQuestion
    from flows.context import Context

KEY = ["asset_type", "symbol", "datetime"]
INFERENCE_FOLD = -1
"""The `fold` of rows that daily inference appends to the record, with the model that also speaks live."""

SAME = 1e-9
"""Probabilities closer than this are the same: both are rounded on their way through tables."""


@dataclass(frozen=True)
class LiveDifference:
    """Live predictions of one class beside the champion's record of the same days.

    A live prediction is never scored again, the record is replaced at every promotion, and live signals use the
    ensemble while the record is XGBoost's: each of these shows in a figure of its own.

    Attributes:
        first, last: Dates of the live predictions.
        live: Live predictions that were made in time.
        backfills: Live predictions of the window left out: written when their next bar could be known, they are no
            evidence of what would have been traded.
        recorded: Rows of the record on the same days.
        common: Keys in both.
        only_live: Live predictions that the record lacks.
        only_recorded: Rows of the record that were never predicted live, on days that were.
        same_model: Common keys that the record has from daily inference too, by the same version.
        xgboost_differs: Those of them whose XGBoost probabilities differ: 0, or something is wrong.
        fold_model: Common keys of the same version that the record has from training: there one of the version's fold
            models spoke, which had not seen later labels, and live the one that was fitted on all of them.
        largest_difference: Of XGBoost probabilities, all common keys; None without any.
        ensemble_differs: Common keys where the ensemble moved the probability away from XGBoost's.
        signals_live, signals_recorded: BUY and SELL among the common keys.
        signals_differ: Common keys whose signal differs.
        accuracy_live, accuracy_recorded: Percent of common keys with a known outcome; None without any.
        known: Number of those.
        examples: Keys of the first differing signals, with both.
    """

    asset_type: AssetType
    first: date
    last: date
    live: int
    backfills: int
    recorded: int
    common: int
    only_live: int
    only_recorded: int
    same_model: int
    xgboost_differs: int
    fold_model: int
    largest_difference: float | None
    ensemble_differs: int
    signals_live: int
    signals_recorded: int
    signals_differ: int
    accuracy_live: float | None
    accuracy_recorded: float | None
    known: int
    examples: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.asset_type}: live against the record, {self.first} to {self.last}"
        yield (
            f"  {self.live:,} live, {self.common:,} also in the record; {self.only_live:,} only live, "
            f"{self.only_recorded:,} only in the record; {self.backfills:,} back-fills left out"
        )
        yield (
            f"  same model: {self.same_model:,}, of which {self.xgboost_differs:,} with another XGBoost probability; "
            f"a fold's model of the same version: {self.fold_model:,}; the ensemble moved {self.ensemble_differs:,}"
        )
        if self.largest_difference is not None:
            yield f"  XGBoost probabilities are at most {self.largest_difference:.4f} apart"
        yield (
            f"  signals: {self.signals_live:,} live, {self.signals_recorded:,} in the record, "
            f"{self.signals_differ:,} differ"
        )
        if self.accuracy_live is not None:
            yield (
                f"  accuracy of {self.known:,} known: {self.accuracy_live:.2f}% live, {self.accuracy_recorded:.2f}% in "
                "the record"
            )
        yield from (f"    {one}" for one in self.examples)
        yield ""


def compare_live(context: Context, question: BacktestQuestion) -> list[LiveDifference]:
    """Compare every class that has live predictions in the window.

    Args:
        context: Settings and warehouse.
        question: Its window and classes.
    """
    from flows.backtest import gather

    found = []
    for inputs in gather(context, question):
        days = inputs.predictions["datetime"]
        first, last = days.min().date(), days.max().date()  # type: ignore[union-attr]
        with context.warehouse.read() as read:
            recorded = read_inputs(read, context.settings, inputs.asset_type, "walk_forward", first, last)
        found.append(difference(inputs, recorded))
    return found


def difference(live: BacktestInputs, recorded: BacktestInputs | None, *, examples: int = 5) -> LiveDifference:
    """Where live predictions and the record of the same days differ.

    Args:
        live: Live predictions that were made in time.
        backfills: Live predictions of the window left out: written when their next bar could be known, they are no
            evidence of what would have been traded.
        recorded: The record of the same class and window; None where it has no row.
        examples: Differing signals to show.
    """
    ours = live.predictions
    days = ours["datetime"]
    theirs = (
        ours.clear().with_columns(fold=pl.lit(None, dtype=pl.Int64))
        if recorded is None
        else recorded.predictions.join(ours.select("datetime").unique(), on="datetime")
    )
    both = ours.join(
        theirs.select(*KEY, "fold", recorded_probability="entry_probability", recorded_model="model_version"), on=KEY
    ).sort(KEY)
    apart = (both["xgb_up_probability"] - both["recorded_probability"]).abs()
    same_version, from_inference = both["model_version"] == both["recorded_model"], both["fold"] == INFERENCE_FOLD
    same_model = same_version & from_inference
    called = signal(both["recorded_probability"].cast(pl.Float64).to_numpy(), live.thresholds)
    acted, differs = both["called_signal"] != "HOLD", both["called_signal"].to_numpy().astype(np.str_) != called
    known = both.filter(pl.col("actual_direction").is_not_null())
    rows = both.with_columns(pl.Series("recorded_signal", called.tolist(), dtype=pl.String)).filter(pl.Series(differs))
    return LiveDifference(
        asset_type=live.asset_type,
        first=days.min().date(),  # type: ignore[union-attr]
        last=days.max().date(),  # type: ignore[union-attr]
        live=ours.height,
        backfills=live.backfills,
        recorded=theirs.height,
        common=both.height,
        only_live=ours.height - both.height,
        only_recorded=theirs.height - both.height,
        same_model=int(same_model.sum()),
        xgboost_differs=int((same_model & (apart > SAME)).sum()),
        fold_model=int((same_version & ~from_inference).sum()),
        largest_difference=float(apart.max()) if both.height else None,  # type: ignore[arg-type]
        ensemble_differs=int(((both["entry_probability"] - both["xgb_up_probability"]).abs() > SAME).sum()),
        signals_live=int(acted.sum()),
        signals_recorded=int((called != "HOLD").sum()),
        signals_differ=int(differs.sum()),
        accuracy_live=_accuracy(known, "entry_probability"),
        accuracy_recorded=_accuracy(known, "recorded_probability"),
        known=known.height,
        examples=tuple(
            f"{row['symbol']} {row['datetime']:%Y-%m-%d}: {row['called_signal']} live at "
            f"{row['entry_probability']:.3f}, {row['recorded_signal']} in the record at "
            f"{row['recorded_probability']:.3f}"
            for row in rows.head(examples).iter_rows(named=True)
        ),
    )


def _accuracy(known: pl.DataFrame, probability: str) -> float | None:
    if known.is_empty():
        return None
    right = (known[probability] >= 0.5).cast(pl.Int64) == known["actual_direction"]
    return 100.0 * float(right.mean())  # type: ignore[arg-type]
