"""Whether probabilities mean what they say: reliability by bins and the expected calibration error.

Two ways to cut bins. `mass`: equal counts, equal probabilities never torn apart. `width`: equal widths over [0, 1].
Honest next-bar probabilities seldom leave 0.45 to 0.55, where equal widths leave one or two bins, so `mass` is what
reports show. (Naeini, Cooper and Hauskrecht, 2015; Nixon et al., 2019.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from market.errors import MetricError
from market.outcomes import checked_outcomes

Binning = Literal["mass", "width"]
FloatArray = npt.NDArray[np.float64]

BINS: Final = 10


@dataclass(frozen=True)
class Reliability:
    """Bins that hold rows, in rising order of probability; every array has one entry a bin.

    Attributes:
        rows: Number of rows.
        mean_probability: Mean probability of UP.
        up_share: Share of rows that went UP, 0-1.
    """

    rows: npt.NDArray[np.int64]
    mean_probability: FloatArray
    up_share: FloatArray


def reliability_table(
    actual: npt.NDArray[Any], probability: npt.NDArray[Any], *, bins: int = BINS, binning: Binning = "mass"
) -> Reliability:
    """Mean probability and share of UP, bin by bin.

    Args:
        actual: 0 or 1, shape (n,), n > 0; rows with an unknown label are dropped by the caller.
        probability: Of UP, in [0, 1], shape (n,).
        bins: Bins asked for; empty ones are left out. A probability on an edge belongs to the bin below.
        binning: `mass` or `width`.

    Raises:
        MetricError: Empty, missing or ill-shaped input, or no bin.
    """
    truth, p = checked_outcomes(actual, probability)
    if bins < 1:
        raise MetricError(f"{bins} bins cannot hold a row")
    shares = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.unique(np.quantile(p, shares)) if binning == "mass" else shares
    place = np.searchsorted(edges, p, side="left")
    rows = np.bincount(place, minlength=edges.size + 1)
    used = rows > 0
    ups, total = (np.bincount(place, weights, minlength=edges.size + 1)[used] for weights in (truth, p))
    return Reliability(rows[used], total / rows[used], ups / rows[used])


def expected_calibration_error(
    actual: npt.NDArray[Any], probability: npt.NDArray[Any], *, bins: int = BINS, binning: Binning = "mass"
) -> float:
    """Mean distance between probability and share of UP over bins, weighted by rows, 0-1.

    Args:
        actual: 0 or 1, shape (n,), n > 0.
        probability: Of UP, in [0, 1], shape (n,).
        bins: Bins asked for.
        binning: `mass` or `width`.

    Returns:
        The error. Few rows make it large whatever the model: see `chance_calibration_error`.

    Raises:
        MetricError: As `reliability_table`.
    """
    table = reliability_table(actual, probability, bins=bins, binning=binning)
    distance = np.abs(table.mean_probability - table.up_share)
    return float((table.rows * distance).sum() / table.rows.sum())


def chance_calibration_error(probability: npt.NDArray[Any], *, bins: int = BINS) -> float:
    """The expected calibration error (bins of equal mass) that perfect probabilities would show on as many rows.

    In a bin of n rows the share of UP scatters around the mean probability p with deviation s = sqrt(p (1 - p) / n); a
    normal variable's mean distance from its mean is sqrt(2 / pi) x s. Rows count as independent; where symbols move
    together chance alone gives more.

    Args:
        probability: Of UP, in [0, 1], shape (n,), n > 0.
        bins: Bins asked for.

    Raises:
        MetricError: As `reliability_table`.
    """
    table = reliability_table(np.zeros(np.shape(probability)), probability, bins=bins)
    p = table.mean_probability
    distance = np.sqrt(2 / np.pi * p * (1 - p) / table.rows)
    return float((table.rows * distance).sum() / table.rows.sum())
