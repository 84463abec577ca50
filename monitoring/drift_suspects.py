"""Names for what happened to features that left their place beside the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from market.drift_bars import companions
from market.drift_explain import Explanation, Suspect, explain
from market.drift_verdict import Verdict, moments_of
from market.drift_weeks import CodedRows, in_order, related_columns, score_tables, split_weeks
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
    ordered, tables, basis = rows.take(order), score_tables(baseline.rulers), baseline.basis
    beside = companions(ordered.prices, ordered.symbol, ordered.day)
    [(own, before)] = split_weeks(ordered, np.array([first]), WEEK_DAYS)
    chosen, columns = related_columns(ordered, own, before, basis, beside, tables)
    week_values, usual = values[order[chosen]], moments_of(baseline.usual)
    found = {}
    for column in np.flatnonzero(apart):
        one, deviation = baseline.rulers[column], baseline.summaries[column].std
        if one is None or not deviation:
            continue
        # the other suspects say nothing about this one
        compared = related & (~apart | (np.arange(apart.size) == column))
        reason = explain(
            Suspect(
                values=week_values[:, column],
                columns=columns,
                position=int(np.searchsorted(basis.features, column)),
                beside=compared[basis.features],
                basis=basis,
                usual=usual,
                limits=verdict.limits[1:, column],
                ruler=one,
                deviation=deviation,
            )
        )
        if reason.size >= LEAST_SIZE:
            found[int(column)] = reason
    return found
