"""Where nothing can be known nothing may look known: deflated Sharpe ratios on markets of noise."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from configs.settings import Settings, load_settings
from flows.backtest_cells import cells_of, class_arena
from flows.backtest_measure import measure_cells, plan
from flows.backtest_trials import deflate
from market.simulate import simulate_market
from warehouse.backtests import BacktestInputs, StoredTrials

START, END = date(2023, 1, 2), date(2024, 6, 28)


def without_costs(settings: Settings) -> Settings:
    """No costs: they alone would keep every ratio down."""
    free = {"fee_bps": 0.0, "slippage_bps": 0.0, "borrow_bps_per_year": 0.0}
    given = settings.backtest
    simulations = given.monte_carlo.model_copy(update={"paths": 100, "shuffles": 0})
    changed = given.model_copy(update={"stocks": given.stocks.model_copy(update=free), "monte_carlo": simulations})
    evaluation = settings.evaluation.model_copy(update={"bootstrap_samples": 100})
    return settings.model_copy(update={"backtest": changed, "evaluation": evaluation})


def noise(seed: int) -> BacktestInputs:
    """Ten symbols without an edge, and probabilities that know nothing and change slowly, as a model's do."""
    market = simulate_market("stocks", seed=seed, start=START, end=END, planted_symbols=0, noise_symbols=10)
    bars = market.bars.with_columns(atr=(pl.col("high") - pl.col("low")).rolling_mean(14).over("symbol"))
    generator = np.random.default_rng(seed)
    lean = np.zeros(bars.height)
    for row, step in enumerate(generator.normal(0, 0.05, bars.height)):
        lean[row] = 0.7 * lean[row - 1] + step
    predictions = bars.select(
        *("asset_type", "symbol", "datetime"),
        entry_probability=pl.Series(np.clip(0.5 + lean, 0.02, 0.98)),
        entry_growth_score=pl.lit(50, dtype=pl.Int64),
        trend_regime_at_entry=pl.lit("CONSOLIDATION"),
        actual_direction=pl.lit(None, dtype=pl.Int64),
        data_split=pl.lit("VALIDATE"),
        model_version=pl.lit("noise/1"),
    )
    rules = load_settings("test").thresholds.stocks.rules()
    return BacktestInputs("stocks", "walk_forward", predictions, bars, rules, ("noise/1",))


def deflated_ratios(seed: int, settings: Settings) -> list[float]:
    """Of every strategy and every cell of its grid on one market, all of them counted as trials."""
    arena = class_arena(noise(seed))
    cells = [cell for name, one in settings.backtest.strategies.items() for cell in cells_of(name, one, grid=True)]
    reports = measure_cells(arena, settings, [plan(arena, settings, cell) for cell in cells], simulated=())
    assert min(report.trades.total_trades for report in reports) > 30
    found = deflate(reports, StoredTrials({}), models=1, periods=252)
    assert {one.trials for one in found} == {len(cells)}
    return [one.ratio for one in found if one.ratio is not None]


def test_on_a_few_noise_markets_no_strategy_passes_for_skill() -> None:
    settings = without_costs(load_settings("test"))
    ratios = [deflated_ratios(seed, settings) for seed in range(3)]
    assert max(max(one) for one in ratios) < 0.95
    assert min(len(one) for one in ratios) == 30


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_on_a_hundred_noise_markets_at_most_seven_of_a_hundred_strategies_pass() -> None:
    settings = without_costs(load_settings("test"))
    ratios = [deflated_ratios(seed, settings) for seed in range(100)]
    passed = np.array([[ratio > 0.95 for ratio in one] for one in ratios])
    assert passed.mean() <= 0.07
    # nor do the best of each market, which is what a person would look at
    assert passed.any(axis=1).mean() <= 0.07
