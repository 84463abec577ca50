"""The road from the inflated construction to the honest one: the faults of each step, and why one is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from training.explain_faults import copied_rows, lookahead_pivots, unknown_is_down

ORIGINAL_SERVICE = "validated_16"
HONEST_SERVICE = "default"


@dataclass(frozen=True)
class Construction:
    """One way from bars to an accuracy. The defaults are the honest one.

    Attributes:
        step: What the reader sees.
        explanation: One sentence about the fault that was taken away here (first step: about all of them).
        service: Feature service.
        copies: How often each row stands in the table.
        lookahead_pivots: Pivots on their own bar instead of two bars later.
        unknown_is_down: A missing label counts as DOWN.
        one_split: One model for all tested bars instead of one a fold.
        is_control: Runs on a random walk made of the same bars, beside the steps.
    """

    step: str
    explanation: str
    service: str = HONEST_SERVICE
    copies: int = 1
    lookahead_pivots: bool = False
    unknown_is_down: bool = False
    one_split: bool = False
    is_control: bool = False

    def table(self, rows: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """The training table of this construction from the honest ones by service."""
        table = rows[self.service]
        if self.lookahead_pivots:
            table = lookahead_pivots(table)
        if self.copies > 1:
            table = copied_rows(table, self.copies)
        return unknown_is_down(table) if self.unknown_is_down else table


def constructions(*, duplicates: int, train_end: date, test_end: date) -> tuple[Construction, ...]:
    """The steps in their order, each without one more fault than the step before; the last one has none.

    Args:
        duplicates: Copies of each row in the first step; with 1 there is no such step.
        train_end: Last date of TRAIN.
        test_end: Last date of TEST; every step is tested on the bars after it.
    """
    copied = f"every row {duplicates} times, " if duplicates > 1 else ""
    reported = Construction(
        step=f"as reported: {copied}look-ahead pivots, one split",
        explanation=f"features {ORIGINAL_SERVICE} with pivots that compare a bar with the next two, one model trained "
        f"to {train_end}, tested after {test_end}, missing labels counted as DOWN",
        service=ORIGINAL_SERVICE,
        copies=duplicates,
        lookahead_pivots=True,
        unknown_is_down=True,
        one_split=True,
    )
    unique = replace(
        reported,
        step="without duplicates",
        explanation="the next row of a copied row is the same bar, whose close is never higher: about "
        f"{100 * (1 - 1 / duplicates):.0f}% of the labels were DOWN by construction, and so was every answer",
        copies=1,
    )
    control = replace(
        unique,
        step="control: the same on a random walk",
        explanation="the same bars with directions of a fair coin: nothing can be known, so whatever lies above the "
        "base rate is read from the two bars after a pivot",
        is_control=True,
    )
    confirmed = replace(
        unique,
        step="pivots confirmed two bars later",
        explanation="the high of five bars is known when the two after it have closed; said on its own bar it tells "
        "that the next close is lower",
        lookahead_pivots=False,
    )
    labelled = replace(
        confirmed,
        step="last label unknown instead of DOWN",
        explanation="the newest bar of a symbol has no outcome yet: it neither trains nor counts",
        unknown_is_down=False,
    )
    folded = replace(
        labelled,
        step="walk-forward instead of one split",
        explanation="a new model at every fold, trained on all labels known before it",
        one_split=False,
    )
    honest = replace(
        folded,
        step="honest: scale-free features",
        explanation=f"features {HONEST_SERVICE}, which no price level enters: adjusted prices carry later splits and "
        "dividends in their level",
        service=HONEST_SERVICE,
    )
    head = (reported, unique) if duplicates > 1 else (reported,)
    return (*head, control, confirmed, labelled, folded, honest)
