"""Names for what happened to features that left their place beside the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from market.drift_explain import Explanation, Suspect, explain
from market.drift_relations import Moments
from market.drift_verdict import Verdict
from market.drift_weeks import CodedRows, in_order, score_tables, scored, split_weeks
from monitoring.drift_baseline import WEEK_DAYS, Baseline

LEAST_SIZE = 0.1
"""Deviations or logarithm of a factor, below which a change explains nothing: values went astray in another way."""


def explanations(
    baseline: Baseline,
    rows: CodedRows,
    values: npt.NDArray[np.float64],
    verdict: Verdict,
    related: npt.NDArray[np.bool_],
    first: int,
) -> dict[int, Explanation]:
    """The likeliest change of each feature that stands out beside the others, by column.

    Args:
        baseline: Of the champion, p features.
        rows: Bars with a full history, the newest weeks.
        values: Of the same rows, shape (n, at least p).
        verdict: About the newest week.
        related: Features that were compared with each other, shape (p,).
        first: First day of the newest week, days since 1970.
    """
    apart = verdict.drifted[1:].any(axis=0)
    if not apart.any():
        return {}
    order = in_order(rows)
    ordered = rows.take(order)
    [(own, earlier)] = split_weeks(ordered, np.array([first]), WEEK_DAYS)
    scores = scored(ordered.codes[own], earlier, score_tables(baseline.rulers))
    week_values = values[order[own]]
    found = {}
    for column in np.flatnonzero(apart):
        # the other suspects say nothing about this one
        beside = np.flatnonzero(related & (~apart | (np.arange(apart.size) == column)))
        columns = np.concatenate([beside, apart.size + beside])
        one, deviation = baseline.rulers[column], baseline.summaries[column].std
        if one is None or not deviation:
            continue
        usual = baseline.usual
        reason = explain(
            Suspect(
                values=week_values[:, column],
                scores=scores[:, columns],
                position=int(np.searchsorted(beside, column)),
                usual=Moments(usual.rows, usual.mean, usual.second).only(columns),
                limits=verdict.limits[1:, column],
                ruler=one,
                deviation=deviation,
            )
        )
        if reason.size >= LEAST_SIZE:
            found[int(column)] = reason
    return found
