"""Two models on the same out-of-sample bars.

What both find hard cancels out in the paired differences, and dates are drawn in blocks, because symbols move together.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from configs.promotion import PromotionSettings
from market.calibration import chance_calibration_error, expected_calibration_error
from market.comparison import paired_bootstrap, panel_diebold_mariano
from market.errors import MetricError
from market.metrics import accuracy, base_rate, brier_score
from market.statistics import Interval
from training.dataset import KEY


@dataclass(frozen=True)
class Score:
    """One model on the common bars.

    Attributes:
        accuracy: Percent.
        brier: Mean squared error of the probability.
        ece: Expected calibration error in bins of equal counts, 0-1.
        ece_by_chance: What perfect probabilities would show on as many rows.
    """

    accuracy: float
    brier: float
    ece: float
    ece_by_chance: float


@dataclass(frozen=True)
class Comparison:
    """Challenger and champion on the same out-of-sample bars.

    Attributes:
        rows: Bars that both predicted out of sample and whose outcome is known.
        dates: Different dates among them; None of the figures below exists without two.
        common_share: Share of the champion's known bars that the challenger predicted too, 0-1.
        base_rate: Share of the more frequent direction, percent.
        challenger: Its scores.
        champion: Its scores.
        brier_gain: Champion's Brier score - challenger's; positive is better.
        brier_gain_ci: Paired block bootstrap by date.
        accuracy_gain_points: Challenger's accuracy - champion's, percentage points.
        accuracy_gain_ci: Likewise.
        diebold_mariano_p: Two-sided, on the Brier losses averaged by date; evidence beside the interval, and no rule.
    """

    rows: int
    dates: int
    common_share: float
    base_rate: float | None = None
    challenger: Score | None = None
    champion: Score | None = None
    brier_gain: float | None = None
    brier_gain_ci: Interval | None = None
    accuracy_gain_points: float | None = None
    accuracy_gain_ci: Interval | None = None
    diebold_mariano_p: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain fields for JSON."""
        return asdict(self)


def compare_records(challenger: pl.DataFrame, champion: pl.DataFrame, settings: PromotionSettings) -> Comparison:
    """Put two out-of-sample records side by side.

    Args:
        challenger: The key, `up_probability`, and `target_direction`, null while unknown; a key stands once.
        champion: Likewise. Where both know an outcome, the challenger's counts: it read the bars later.
        settings: Level and bootstrap.
    """
    columns = (*KEY, "up_probability", "target_direction")
    joined = champion.select(columns).join(challenger.select(columns), on=KEY, how="left", suffix="_challenger")
    outcome = pl.coalesce("target_direction_challenger", "target_direction")
    known = joined.with_columns(actual=outcome).filter(pl.col("actual").is_not_null())
    common = known.filter(pl.col("up_probability_challenger").is_not_null())
    share = common.height / known.height if known.height else 0.0
    dates = common["datetime"].dt.date().to_numpy()
    distinct = len(np.unique(dates))
    if distinct < 2:
        return Comparison(common.height, distinct, share)
    actual = common["actual"].to_numpy().astype(np.float64)
    new, old = common["up_probability_challenger"].to_numpy(), common["up_probability"].to_numpy()
    new_loss, old_loss = np.square(new - actual), np.square(old - actual)
    hits = _hits(actual, new) - _hits(actual, old)
    return Comparison(
        rows=common.height,
        dates=distinct,
        common_share=share,
        base_rate=base_rate(actual, new),
        challenger=_score(actual, new),
        champion=_score(actual, old),
        brier_gain=float((old_loss - new_loss).mean()),
        brier_gain_ci=_interval(old_loss - new_loss, dates, settings),
        accuracy_gain_points=100 * float(hits.mean()),
        accuracy_gain_ci=_interval(100 * hits, dates, settings),
        diebold_mariano_p=_diebold_mariano(old_loss, new_loss, dates),
    )


def _score(actual: NDArray[np.float64], probability: NDArray[np.float64]) -> Score:
    return Score(
        accuracy(actual, probability),
        brier_score(actual, probability),
        expected_calibration_error(actual, probability),
        chance_calibration_error(probability),
    )


def _hits(actual: NDArray[np.float64], probability: NDArray[np.float64]) -> NDArray[np.float64]:
    hits: NDArray[np.float64] = ((probability >= 0.5) == (actual == 1)).astype(np.float64)
    return hits


def _interval(differences: NDArray[np.float64], dates: NDArray[np.generic], settings: PromotionSettings) -> Interval:
    return paired_bootstrap(
        differences,
        dates,
        samples=settings.bootstrap_samples,
        block_days=settings.bootstrap_block_days,
        seed=settings.seed,
        level=settings.level,
    )


def _diebold_mariano(
    old_loss: NDArray[np.float64], new_loss: NDArray[np.float64], dates: NDArray[np.generic]
) -> float | None:
    try:
        return panel_diebold_mariano(old_loss, new_loss, dates).p_value
    except MetricError:  # a constant difference: no test can judge it, and the interval says it all
        return None
