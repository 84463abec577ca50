"""Relative thresholds: shares of rows signal, ties stay together, and no signal contradicts its direction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import SignalError
from market.signals import Thresholds, confidence, signal
from market.threshold_quantiles import quantile_thresholds

SHARES = {"buy": 0.9, "sell": 0.1, "high": 0.8, "medium": 0.5}


def test_shares_of_evenly_spread_probabilities():
    probability = 0.45 + 0.001 * np.arange(100)  # 0.450 to 0.549

    found = quantile_thresholds(probability, **SHARES)

    assert found.buy == pytest.approx(0.540) and found.sell == pytest.approx(0.459)
    assert (found.high, found.medium) == (0.541, 0.526), "the pair 0.460 and 0.540 would make 21 of 20 HIGH"
    signals = signal(probability, found)
    assert ((signals == "BUY").sum(), (signals == "SELL").sum()) == (10, 10)
    assert (confidence(probability, found) == "HIGH").sum() == 19


def test_a_model_that_says_the_same_everywhere_signals_nothing():
    found = quantile_thresholds(np.full(500, 0.52), **SHARES)

    assert set(signal(np.full(500, 0.52), found)) == {"HOLD"}
    assert set(confidence(np.full(500, 0.52), found)) == {"LOW"}


def test_a_rising_market_has_no_sell_above_one_half():
    probability = np.linspace(0.51, 0.57, 200)

    found = quantile_thresholds(probability, **SHARES)

    assert found.sell < 0.5
    assert (signal(probability, found) == "SELL").sum() == 0


def test_equal_probabilities_are_never_parted():
    probability = np.array([0.5] * 85 + [0.55] * 14 + [0.6])

    found = quantile_thresholds(probability, **SHARES)

    assert (signal(probability, found) == "BUY").sum() == 1, "ten may buy, fourteen are alike, so only the one above"


@settings(deadline=None)
@given(seed=st.integers(0, 500), count=st.integers(1, 200), decimals=st.integers(1, 6), centre=st.floats(0.3, 0.7))
def test_no_more_rows_than_asked_for_and_always_thresholds_that_the_rules_accept(seed, count, decimals, centre):
    generator = np.random.default_rng(seed)
    probability = np.clip(generator.normal(centre, 0.05, count), 0.01, 0.99).round(decimals)

    found = quantile_thresholds(probability, **SHARES)

    assert isinstance(found, Thresholds)
    signals, levels = signal(probability, found), confidence(probability, found)
    allowed = int(0.1 * count + 1e-9)
    assert (signals == "BUY").sum() <= allowed and (signals == "SELL").sum() <= allowed
    assert (levels == "HIGH").sum() <= int(0.2 * count + 1e-9)
    assert (levels != "LOW").sum() <= int(0.5 * count + 1e-9)
    assert (probability[signals == "BUY"] > 0.5).all() and (probability[signals == "SELL"] < 0.5).all()


@pytest.mark.parametrize(
    ("probability", "changes"),
    [
        ([], {}),
        ([0.5, np.nan], {}),
        ([1.1], {}),
        ([[0.5]], {}),
        ([0.5], {"buy": 0.4}),
        ([0.5], {"sell": 0.6}),
        ([0.5], {"high": 0.3}),
        ([0.5], {"medium": 0.0}),
    ],
)
def test_missing_probabilities_and_senseless_shares_are_refused(probability, changes):
    with pytest.raises(SignalError):
        quantile_thresholds(np.array(probability), **{**SHARES, **changes})
