"""The decision of both models, and the object that clients get."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import SignalError
from market.signals import Thresholds
from serving.ensemble import Opinion, combine
from serving.ensemble_decision import ensemble_answer
from tests.snapshots import realtime_row

UP = Opinion("ok", "UP", 0.8, "RSI 55.", "LOW")
RULES = Thresholds()


def test_stocks_share_half_and_half() -> None:
    decision = combine("stocks", 0.5, UP, RULES, 0.5)

    # 0.5 x 0.5 + 0.5 x (0.5 + 0.8 / 2)
    assert decision.probability == 0.7
    assert decision.score == 0.4
    assert (decision.direction, decision.signal, decision.confidence) == ("UP", "BUY", "HIGH")
    assert (decision.xgb_contribution, decision.gemini_contribution, decision.xgb_weight) == (0.25, 0.45, 0.5)


def test_crypto_shares_seventy_and_thirty() -> None:
    decision = combine("crypto", 0.6, Opinion("cached", "DOWN", 0.6, "Weak.", "HIGH"), RULES, 0.7)

    # 0.7 x 0.6 + 0.3 x (0.5 - 0.6 / 2)
    assert decision.probability == 0.48
    assert (decision.direction, decision.signal, decision.confidence) == ("DOWN", "HOLD", "LOW")
    assert (decision.xgb_contribution, decision.gemini_contribution) == (0.42, 0.06)


def test_a_neutral_opinion_draws_towards_one_half_whatever_its_confidence() -> None:
    decision = combine("etf", 0.6, Opinion("ok", "NEUTRAL", 0.9, "No edge.", "LOW"), RULES, 0.7)

    assert decision.probability == 0.57


@pytest.mark.parametrize("status", ["disabled", "timeout", "error", "budget"])
def test_without_an_answer_xgboost_decides_alone(status: str) -> None:
    decision = combine("stocks", 0.62, Opinion(status), RULES, 0.5)  # type: ignore[arg-type]

    assert (decision.probability, decision.xgb_contribution, decision.xgb_weight) == (0.62, 0.62, 1.0)
    assert decision.gemini_contribution is None
    assert (decision.signal, decision.confidence) == ("BUY", "MEDIUM")


def test_thresholds_of_the_class_decide_on_the_signal() -> None:
    assert combine("stocks", 0.62, Opinion("error"), Thresholds(buy=0.63), 0.5).signal == "HOLD"


@given(st.floats(0, 1), st.sampled_from(["UP", "DOWN", "NEUTRAL"]), st.floats(0, 1), st.floats(0, 1))
def test_the_contributions_add_up_to_a_probability_between_both(
    p: float, said: str, sure: float, weight: float
) -> None:
    opinion = Opinion("ok", said, sure, "x", "LOW")  # type: ignore[arg-type]

    decision = combine("stocks", p, opinion, RULES, weight)

    assert opinion.probability is not None
    assert decision.gemini_contribution is not None
    assert decision.probability == pytest.approx(decision.xgb_contribution + decision.gemini_contribution, abs=1e-11)
    low, high = sorted((p, opinion.probability))
    assert low - 1e-11 <= decision.probability <= high + 1e-11
    assert decision.direction == ("UP" if decision.probability >= 0.5 else "DOWN")


@pytest.mark.parametrize(("p", "weight"), [(1.1, 0.5), (-0.1, 0.5), (float("nan"), 0.5), (0.5, 1.5)])
def test_a_probability_or_weight_outside_its_range_is_an_error(p: float, weight: float) -> None:
    with pytest.raises(SignalError):
        combine("stocks", p, UP, RULES, weight)


def test_the_answer_is_the_documented_object() -> None:
    row = realtime_row("crypto", "BTC/USDT", datetime(2026, 3, 2, tzinfo=UTC), xgb_up_probability=0.6, close=102.25)
    opinion = Opinion("ok", "DOWN", 0.6, "RSI 71 is high.", "HIGH")

    answer = ensemble_answer(row, opinion, combine("crypto", 0.6, opinion, RULES, 0.7), {"close": 102.25, "rsi": 71})

    assert json.loads(json.dumps(answer, allow_nan=False)) == {
        "status": "success",
        "symbol": "BTC/USDT",
        "asset_type": "crypto",
        "datetime": "2026-03-02T00:00:00Z",
        "price": 102.25,
        "market_data": {"close": 102.25, "rsi": 71},
        "xgb_prediction": {"up_probability": 0.6, "direction": "UP"},
        "gemini_prediction": {
            "direction": "DOWN",
            "confidence": 0.6,
            "reasoning": "RSI 71 is high.",
            "risk_level": "HIGH",
            "status": "ok",
        },
        "ensemble_prediction": {
            "direction": "DOWN",
            "confidence": "LOW",
            "ensemble_score": -0.04,
            "xgb_contribution": 0.42,
            "gemini_contribution": 0.06,
            "xgb_probability": 0.6,
            "gemini_direction": "DOWN",
            "gemini_confidence": 0.6,
            "gemini_reasoning": "RSI 71 is high.",
            "risk_level": "HIGH",
            "weights_used": {"xgboost": 0.7, "gemini": 0.3},
        },
        "final_recommendation": {
            "direction": "DOWN",
            "confidence": "LOW",
            "reasoning": "HOLD: probability of a higher next close 0.480, from 70% XGBoost 0.600 and 30% Gemini 0.200. "
            "RSI 71 is high.",
            "risk_level": "HIGH",
        },
    }


def test_without_an_opinion_the_answer_says_why_and_knows_no_risk() -> None:
    row = realtime_row("stocks", "NVDA", datetime(2026, 3, 2, tzinfo=UTC), xgb_up_probability=0.52)
    opinion = Opinion("budget")

    answer = ensemble_answer(row, opinion, combine("stocks", 0.52, opinion, RULES, 0.5), {})

    assert answer["gemini_prediction"] == {
        "direction": None, "confidence": None, "reasoning": None, "risk_level": None, "status": "budget",
    }  # fmt: skip
    assert answer["ensemble_prediction"]["gemini_contribution"] is None
    assert answer["ensemble_prediction"]["weights_used"] == {"xgboost": 1.0, "gemini": 0.0}
    assert answer["final_recommendation"] == {
        "direction": "UP",
        "confidence": "LOW",
        "reasoning": "HOLD: probability of a higher next close 0.520, by XGBoost alone (the day's budget for Gemini is "
        "spent).",
        "risk_level": None,
    }
