"""Offline equals online: what is served is compared with what is stored, bit for bit, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.stored import stored_features
from market.errors import SkewError
from registry.bundle import Bundle

REMEDY = (
    "run `tradehits features` (it publishes and loads what is stored); if it stays, the features that are served are "
    "not computed by the code behind the stored ones"
)


def matrix_of(features: pl.DataFrame, names: Sequence[str]) -> npt.NDArray[np.float32]:
    """Rows as a model takes them: single precision as in training, NaN for an unknown value."""
    columns = [pl.col(name).cast(pl.Float32).fill_null(float("nan")) for name in names]
    return np.ascontiguousarray(features.select(columns).to_numpy())


def require_equal_features(served: pl.DataFrame, stored: pl.DataFrame, names: Sequence[str]) -> int:
    """Compare features as they are served with those of the stored rows, bit for bit.

    Args:
        served: `symbol`, `datetime`, `bar_known_at` and the features.
        stored: Rows of `walk_forward_features_v2`, the same symbols in the same order.
        names: The features.

    Returns:
        How many rows were compared.

    Raises:
        SkewError: A key, a time or a feature differs; the first one is named with both values.
    """
    keys = ("symbol", "datetime", "bar_known_at")
    for name in keys:
        _require_equal(name, served[name], stored[name], served["symbol"])
    wanted = stored_features(stored, names)
    for name in names:
        _require_equal(name, served[name], wanted[name], served["symbol"])
    return served.height


def require_replayed(
    bundle: Bundle, stored: pl.DataFrame, probability: npt.NDArray[np.float64], *, what: str = "served"
) -> int:
    """Score stored rows anew and compare with the probabilities that were served, bit for bit.

    Args:
        bundle: The model that served.
        stored: Rows of `walk_forward_features_v2`.
        probability: What was served for them, in their order.
        what: Says in messages where the probabilities come from.

    Returns:
        How many rows were compared.

    Raises:
        SkewError: A probability differs; the first symbol is named with both values.
    """
    replayed = bundle.predict(matrix_of(stored_features(stored, bundle.info.features), bundle.info.features))
    differs = np.flatnonzero(replayed != probability)
    if differs.size:
        row = int(differs[0])
        raise SkewError(
            f"{bundle.info.asset_type} {stored['symbol'][row]} {stored['datetime'][row]:%Y-%m-%d}: {what} was "
            f"{float(probability[row])!r}, replayed from the stored row it is {float(replayed[row])!r} "
            f"({differs.size} of {len(replayed)} rows differ)",
            remedy=REMEDY,
        )
    return len(replayed)


def sampled(symbols: Sequence[str], count: int, seed: int) -> list[str]:
    """Some symbols in their order; other seeds draw others, all when there are not more."""
    if len(symbols) <= count:
        return list(symbols)
    drawn = np.random.default_rng(seed).choice(len(symbols), size=count, replace=False)
    return [symbols[position] for position in np.sort(drawn)]


def _require_equal(name: str, served: pl.Series, stored: pl.Series, symbols: pl.Series) -> None:
    if served.dtype.is_float():
        # a bit pattern tells -0.0 from 0.0; NULLs are equal to each other only
        one, other = (series.fill_null(float("nan")).to_numpy().view(np.int64) for series in (served, stored))
        equal = one == other
    else:
        equal = served.eq_missing(stored).to_numpy()
    if not equal.all():
        row = int(np.argmin(equal))
        raise SkewError(
            f"{symbols[row]}: {name} is {served[row]!r} as served and {stored[row]!r} as stored "
            f"({int((~equal).sum())} of {len(equal)} rows differ)",
            remedy=REMEDY,
        )
