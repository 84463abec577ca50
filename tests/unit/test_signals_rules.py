"""The rules from probability to signal, at their edges and everywhere else."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.assets import ASSET_TYPES
from market.errors import SignalError
from market.signals import (
    XGBOOST_WEIGHTS,
    Thresholds,
    action_recommendation,
    confidence,
    ensemble_probability,
    ensemble_score,
    gemini_probability,
    predicted_direction,
    signal,
    signal_strength,
    stop_loss_pct,
    take_profit_pct,
)

STANDARD = Thresholds(buy=0.60, sell=0.40, high=0.65, medium=0.55)
probabilities = st.floats(0, 1)


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        *((1.0, "BUY"), (0.60, "BUY"), (math.nextafter(0.60, 0), "HOLD"), (0.5, "HOLD")),
        *((math.nextafter(0.40, 1), "HOLD"), (0.40, "SELL"), (0.0, "SELL")),
    ],
)
def test_signals_include_their_thresholds(probability, expected):
    assert signal(probability, STANDARD) == expected


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        *((1.0, "HIGH"), (0.65, "HIGH"), (math.nextafter(0.65, 0), "MEDIUM"), (0.55, "MEDIUM")),
        *((math.nextafter(0.55, 0), "LOW"), (0.5, "LOW"), (math.nextafter(0.45, 1), "LOW")),
        *((0.45, "MEDIUM"), (math.nextafter(0.35, 1), "MEDIUM"), (0.35, "HIGH"), (0.0, "HIGH")),
    ],
)
def test_confidence_includes_its_thresholds_on_both_sides(probability, expected):
    assert confidence(probability, STANDARD) == expected


def test_the_low_sides_are_the_decimals_that_people_write():
    assert (STANDARD.high_low, STANDARD.medium_low) == (0.35, 0.45)
    for hundredths in range(51, 101):
        assert Thresholds(high=1.0, medium=hundredths / 100).medium_low == (100 - hundredths) / 100


@given(st.lists(probabilities, min_size=1, max_size=50))
def test_arrays_get_what_each_value_gets_alone(values):
    array = np.array(values)

    assert signal(array, STANDARD).tolist() == [signal(p, STANDARD) for p in values]
    assert confidence(array, STANDARD).tolist() == [confidence(p, STANDARD) for p in values]


def test_empty_arrays_give_empty_answers():
    assert signal(np.empty(0), STANDARD).shape == confidence(np.empty(0), STANDARD).shape == (0,)


@given(st.integers(0, 1000))
def test_confidence_is_the_same_for_a_probability_and_its_mirror(thousandths):
    p, mirror = thousandths / 1000, (1000 - thousandths) / 1000

    assert confidence(p, STANDARD) == confidence(mirror, STANDARD)
    assert signal(p, STANDARD) == {"BUY": "SELL", "SELL": "BUY", "HOLD": "HOLD"}[signal(mirror, STANDARD)]


@given(probabilities, probabilities)
def test_a_higher_probability_is_never_a_lower_signal(left, right):
    order = ["SELL", "HOLD", "BUY"]
    low, high = sorted((left, right))

    assert order.index(signal(low, STANDARD)) <= order.index(signal(high, STANDARD))


@pytest.mark.parametrize("bad", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_probability_outside_the_unit_interval_is_an_error_everywhere(bad):
    for rule in (
        lambda: signal(bad, STANDARD),
        lambda: signal(np.array([0.5, bad]), STANDARD),
        lambda: confidence(bad, STANDARD),
        lambda: predicted_direction(bad),
        lambda: signal_strength(bad),
        lambda: ensemble_score(bad),
        lambda: ensemble_probability(bad, 0.5, 0.5),
        lambda: ensemble_probability(0.5, bad, 0.5),
        lambda: ensemble_probability(0.5, 0.5, bad),
        lambda: gemini_probability("UP", bad),
    ):
        with pytest.raises(SignalError, match="not in"):
            rule()


@pytest.mark.parametrize(
    "bad",
    [
        *({"buy": 0.5}, {"buy": 1.1}, {"sell": 0.5}, {"sell": -0.1}, {"medium": 0.7}, {"medium": 0.5}, {"high": 1.2}),
        *({"buy": float("nan")}, {"medium": float("nan")}),
    ],
)
def test_thresholds_that_overlap_are_refused(bad):
    with pytest.raises(SignalError, match="must satisfy"):
        Thresholds(**bad)


def test_recommendations_need_a_signal_and_more_than_low_confidence():
    table = {
        (side, level): action_recommendation(side, level)
        for side in ("BUY", "SELL", "HOLD")
        for level in ("HIGH", "MEDIUM", "LOW")
    }

    assert table == {
        **{("BUY", "HIGH"): "STRONG_BUY", ("BUY", "MEDIUM"): "MODERATE_BUY", ("BUY", "LOW"): "NEUTRAL"},
        **{("SELL", "HIGH"): "STRONG_SELL", ("SELL", "MEDIUM"): "MODERATE_SELL", ("SELL", "LOW"): "NEUTRAL"},
        **{("HOLD", "HIGH"): "NEUTRAL", ("HOLD", "MEDIUM"): "NEUTRAL", ("HOLD", "LOW"): "NEUTRAL"},
    }


def test_strength_and_score_put_the_probability_on_their_scales():
    assert [signal_strength(p) for p in (0.5, 0.6, 0.4, 1.0, 0.0)] == [0, 20, 20, 100, 100]
    assert [ensemble_score(p) for p in (0.5, 0.6, 0.0, 1.0)] == [0, 0.2, -1, 1]
    assert [predicted_direction(p) for p in (0.5, math.nextafter(0.5, 0))] == [1, 0]


def test_gemini_answers_become_probabilities():
    assert gemini_probability("UP", 0.8) == 0.9
    assert gemini_probability("DOWN", 0.8) == 0.1
    assert gemini_probability("NEUTRAL", 0.8) == 0.5
    with pytest.raises(SignalError, match="SIDEWAYS"):
        gemini_probability("SIDEWAYS", 0.8)


def test_the_ensemble_weighs_both_and_falls_back_on_xgboost():
    assert ensemble_probability(0.6, 0.9, 0.5) == 0.75
    assert ensemble_probability(0.6, 0.9, 0.7) == 0.69
    assert ensemble_probability(0.6123, None, 0.7) == 0.6123
    assert [XGBOOST_WEIGHTS[asset_type] for asset_type in ASSET_TYPES] == [0.5, 0.7, 0.7]


@given(probabilities, probabilities, probabilities)
def test_the_ensemble_lies_between_its_members(xgb, gemini, weight):
    p = ensemble_probability(xgb, gemini, weight)

    assert min(xgb, gemini) - 1e-11 <= p <= max(xgb, gemini) + 1e-11 and 0 <= p <= 1


@given(st.integers(0, 100), st.sampled_from([0.5, 0.7]))
def test_members_that_agree_on_a_threshold_meet_it_together(hundredths, weight):
    p = hundredths / 100

    assert ensemble_probability(p, p, weight) == p


def test_stops_and_targets_are_two_and_three_atr_in_percent_of_the_close():
    assert stop_loss_pct(1.5, 100.0) == 3.0
    assert take_profit_pct(1.5, 100.0) == 4.5
    assert stop_loss_pct(None, 100.0) is take_profit_pct(None, 100.0) is None
    for atr, close in ((1.0, 0.0), (-1.0, 10.0), (float("nan"), 10.0), (1.0, float("inf"))):
        with pytest.raises(SignalError, match="finite"):
            stop_loss_pct(atr, close)
