"""What following every predicted direction would have earned before costs, deflated for the number of tries.

No strategy: each date holds every symbol long or short by its predicted direction, equally, from close to close, free
of charge. It is the plainest way to ask whether the best of many training runs is more than luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from market.assets import AssetType
from market.overfitting import ReturnShape, deflated_sharpe_ratio, probabilistic_sharpe_ratio, trial_variance
from registry.trials import Trials
from training.evaluate import OUT_OF_SAMPLE

SHARPE_METRIC = "signal_sharpe_before_costs"
PERIODS_PER_YEAR: dict[AssetType, int] = {"stocks": 252, "etf": 252, "crypto": 365}


@dataclass(frozen=True)
class SignalSharpe:
    """Sharpe ratio of the predicted directions over TEST and VALIDATE, before costs.

    Attributes:
        days: Dates with a known outcome.
        sharpe: Annualised; None when it is not defined.
        probabilistic: Probability that the true ratio is positive, taken alone.
        deflated: The same probability given that this is one of `trials`.
        trials: Training runs of this asset class so far, this one included, with every tuning trial inside them.
    """

    days: int
    sharpe: float | None
    probabilistic: float | None
    deflated: float | None
    trials: int


def signal_sharpe(predictions: pl.DataFrame, asset_type: AssetType, trials: Trials) -> SignalSharpe:
    """Deflate the Sharpe ratio of a record's predicted directions.

    Args:
        predictions: The record: `datetime`, `data_split`, `up_probability`, `forward_return_pct`.
        asset_type: Says how many days a year has.
        trials: Every run so far, with the annualised ratios they logged as `SHARPE_METRIC`.
    """
    daily = daily_returns(predictions)
    periods = PERIODS_PER_YEAR[asset_type]
    shape = ReturnShape.of(daily) if len(daily) else None
    if shape is None:
        return SignalSharpe(len(daily), None, None, None, trials.count)
    per_day = np.array([*trials.values, shape.sharpe * math.sqrt(periods)]) / math.sqrt(periods)
    variance = trial_variance(per_day, shape.observations)
    return SignalSharpe(
        days=len(daily),
        sharpe=shape.sharpe * math.sqrt(periods),
        probabilistic=probabilistic_sharpe_ratio(shape),
        deflated=deflated_sharpe_ratio(shape, trials=max(1, trials.count), variance=variance),
        trials=trials.count,
    )


def daily_returns(predictions: pl.DataFrame) -> NDArray[np.float64]:
    """Mean return (fractions, before costs) of the predicted directions on each date of TEST and VALIDATE, in order."""
    side = pl.when(pl.col("up_probability") >= 0.5).then(1.0).otherwise(-1.0)
    return (
        predictions.filter(pl.col("data_split").is_in(OUT_OF_SAMPLE) & pl.col("forward_return_pct").is_not_null())
        .group_by(pl.col("datetime").dt.date().alias("date"))
        .agg((side * pl.col("forward_return_pct") / 100).mean().alias("daily"))
        .sort("date")["daily"]
        .to_numpy()
    )
