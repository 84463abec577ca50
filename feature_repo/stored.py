"""A service's features from stored rows of the feature table, without Feast: what Feast must answer to the bit."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from feature_repo import interactions
from feature_repo.reading import float64
from feature_repo.services import INTERACTIONS


def stored_features(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Features in the order of their names, on-demand ones computed by the functions that Feast runs.

    Args:
        rows: Rows of `walk_forward_features_v2` with the stored columns behind the features
            (`feature_repo.services.stored_columns`).
        names: Names of features.

    Returns:
        One Float64 column a name, in the order of the rows; NULL where a feature is unknown, never NaN.
    """
    for name in (name for name in names if name in INTERACTIONS):
        values = getattr(interactions, name)(rows.select(INTERACTIONS[name]).to_dict(as_series=False))[name]
        rows = rows.with_columns(pl.Series(name, values, pl.Float64))
    return rows.select(float64(names))
