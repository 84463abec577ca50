"""Probability of backtest overfitting against its definition in plain loops, and on worlds whose answer is known."""

from itertools import combinations
from math import comb, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import MetricError
from market.overfitting_cscv import MAX_BLOCKS, probability_of_backtest_overfitting


def by_definition(returns: np.ndarray, blocks: int) -> tuple[float, list[float], list[float], list[float]]:
    """Step by step as the paper lists them, one split at a time."""
    length = len(returns) // blocks
    pieces = np.split(returns[len(returns) - length * blocks :], blocks)
    logits, inside_best, outside_best = [], [], []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([pieces[i] for i in chosen])
        outside = np.concatenate([pieces[i] for i in range(blocks) if i not in chosen])
        in_ratio = inside.mean(axis=0) / inside.std(axis=0, ddof=1)
        out_ratio = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        best = int(np.argmax(in_ratio))
        rank = 1 + int((out_ratio < out_ratio[best]).sum())
        relative = rank / (returns.shape[1] + 1)
        logits.append(log(relative / (1 - relative)))
        inside_best.append(in_ratio[best])
        outside_best.append(out_ratio[best])
    return float(np.mean(np.array(logits) <= 0)), logits, inside_best, outside_best


@pytest.mark.parametrize(("periods", "strategies", "blocks"), [(60, 3, 4), (101, 8, 6), (160, 25, 8)])
def test_it_equals_the_definition_split_by_split(periods, strategies, blocks):
    returns = np.random.default_rng(periods).normal(0.0005, 0.01, (periods, strategies))

    ours = probability_of_backtest_overfitting(returns, blocks=blocks)

    probability, logits, inside, outside = by_definition(returns, blocks)
    assert ours.probability == probability
    assert ours.logits == pytest.approx(logits, abs=1e-9)
    assert ours.in_sample == pytest.approx(inside, rel=1e-9)
    assert ours.out_of_sample == pytest.approx(outside, rel=1e-9)
    assert ours.degradation == pytest.approx(np.polyfit(inside, outside, 1)[0], rel=1e-6)
    assert ours.probability_of_loss == np.mean(np.array(outside) < 0)
    assert len(ours.logits) == comb(blocks, blocks // 2)


def test_choosing_among_coins_is_overfitting_half_of_the_time():
    generator = np.random.default_rng(3)
    found = [
        probability_of_backtest_overfitting(generator.normal(0, 0.01, (240, 30)), blocks=8).probability
        for _ in range(60)
    ]

    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_one_strategy_that_is_better_everywhere_is_no_overfitting():
    returns = np.random.default_rng(4).normal(0, 0.01, (480, 30))
    returns[:, 11] += 0.005

    result = probability_of_backtest_overfitting(returns, blocks=10)

    assert result.probability == 0.0
    assert result.probability_of_loss == 0.0
    assert result.dominates
    assert result.logits == pytest.approx(log(30 / 1)), "always the first of thirty"


def test_what_was_best_in_sample_is_worst_out_of_sample_when_gains_are_paid_back():
    generator = np.random.default_rng(5)
    early = generator.normal(0, 0.01, (100, 20))
    returns = np.concatenate((early, -early))  # whatever a strategy won in one half it loses in the other

    result = probability_of_backtest_overfitting(returns, blocks=2)

    assert result.probability == 1.0 and result.degradation < 0 and not result.dominates
    assert result.probability_of_loss == 1.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), blocks=st.sampled_from([2, 4, 6]))
def test_neither_the_unit_nor_the_order_of_strategies_matters(seed, scale, blocks):
    generator = np.random.default_rng(seed)
    returns = generator.normal(0, 0.01, (60, 7))
    shuffled = generator.permutation(7)
    result = probability_of_backtest_overfitting(returns, blocks=blocks)

    other = probability_of_backtest_overfitting(scale * returns[:, shuffled], blocks=blocks)

    assert other.probability == result.probability
    assert np.sort(other.logits) == pytest.approx(np.sort(result.logits))
    assert 0 <= result.probability <= 1


def test_the_oldest_periods_that_fill_no_block_are_left_out():
    returns = np.random.default_rng(7).normal(0, 0.01, (43, 5))

    assert (
        probability_of_backtest_overfitting(returns, blocks=4).probability
        == probability_of_backtest_overfitting(returns[3:], blocks=4).probability
    )


def test_a_strategy_that_did_nothing_counts_as_zero_and_copies_share_their_rank():
    returns = np.random.default_rng(8).normal(0, 0.01, (80, 3))
    returns[:, 1] = 0.0
    alike = np.repeat(returns[:, :1], 4, axis=1)

    assert np.isfinite(probability_of_backtest_overfitting(returns, blocks=4).logits).all()
    assert (probability_of_backtest_overfitting(alike, blocks=4).logits == 0).all()


@pytest.mark.parametrize(
    ("returns", "blocks"),
    [
        (np.zeros((40, 1)), 4),
        (np.zeros(40), 4),
        (np.full((40, 3), np.nan), 4),
        (np.zeros((40, 3)), 5),
        (np.zeros((40, 3)), 0),
        (np.zeros((400, 3)), MAX_BLOCKS + 2),
        (np.zeros((7, 3)), 4),
    ],
)
def test_returns_that_cannot_be_split_are_refused(returns, blocks):
    with pytest.raises(MetricError):
        probability_of_backtest_overfitting(returns, blocks=blocks)
