"""How often was something tried before this was the best of it: trials counted, and Sharpe ratios deflated for them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from configs.settings import Settings
from flows.backtest_report import BacktestReport, Deflated
from market.assets import ASSET_TYPES, AssetType
from market.overfitting import deflated_sharpe_ratio, trial_variance
from registry.store import RunStore, is_store_made
from registry.trials import count_trials
from training.deflate import SHARPE_METRIC
from warehouse.backtests import StoredTrials


def model_trials(settings: Settings) -> dict[AssetType, int]:
    """Training runs of each class so far, with every tuning trial inside them; at least one, the champion's."""
    if not is_store_made(settings):
        return dict.fromkeys(ASSET_TYPES, 1)
    store = RunStore(settings)
    return {name: max(1, count_trials(store, name, SHARPE_METRIC).count) for name in ASSET_TYPES}


def deflate(reports: Sequence[BacktestReport], before: StoredTrials, *, models: int, periods: int) -> list[Deflated]:
    """Deflate the Sharpe ratio of backtests of one class for everything that was tried on it.

    Trials are the configurations backtested on the class, these included, and every model that was trained for it
    beyond the champion: choosing a model is choosing by the same bars. The variance is that of the ratios as far as
    known, never below what chance alone gives (see `market.overfitting.trial_variance`).

    Args:
        reports: Of one class.
        before: Configurations that left a result earlier.
        models: Models tried, at least one.
        periods: Daily returns in a year.
    """
    sharpes = {**before.sharpes, **{report.trial: report.returns.sharpe_ratio for report in reports}}
    trials = len(sharpes) + models - 1
    known = np.array([one for one in sharpes.values() if one is not None]) / math.sqrt(periods)
    return [
        Deflated(
            None
            if report.shape is None
            else deflated_sharpe_ratio(
                report.shape, trials=trials, variance=trial_variance(known, report.shape.observations)
            ),
            trials,
        )
        for report in reports
    ]
