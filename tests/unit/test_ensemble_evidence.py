"""What matured predictions say about the ensemble, on rows whose answer is known beforehand."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from configs.settings import load_settings
from serving.ensemble_evidence import Estimate, measure

SETTINGS = load_settings("test")
DAY = datetime(2026, 3, 2, tzinfo=UTC)


def row(day: int, xgboost: float, said: str, sure: float, up: bool, **changes: Any) -> dict[str, Any]:
    gemini = {"UP": 0.5 + sure / 2, "DOWN": 0.5 - sure / 2, "NEUTRAL": 0.5}[said]
    return {
        "datetime": DAY + timedelta(days=day),
        "xgb_up_probability": xgboost,
        "ensemble_up_probability": (xgboost + gemini) / 2,
        "gemini_status": "ok",
        "gemini_prediction": said,
        "gemini_confidence": sure,
        "is_up": up,
        "is_live": True,
        **changes,
    }


def measured(rows: list[dict[str, Any]], **settings: Any) -> Any:
    changed = SETTINGS.ensemble.model_copy(update=settings)
    return measure("stocks", pl.DataFrame(rows), changed, SETTINGS.evaluation)


def market(gemini_knows: float, days: int = 60, symbols: int = 20, seed: int = 3) -> list[dict[str, Any]]:
    """XGBoost knows nothing; Gemini is right with the given probability."""
    random = np.random.default_rng(seed)
    rows = []
    for day in range(days):
        for _ in range(symbols):
            up = bool(random.random() < 0.5)
            right = random.random() < gemini_knows
            rows.append(row(day, 0.5 + random.normal(0, 0.02), "UP" if up == right else "DOWN", 0.4, up))
    return rows


def test_four_rows_by_hand() -> None:
    found = measured(
        [
            row(0, 0.6, "UP", 0.4, True),  # ensemble 0.65
            row(0, 0.6, "DOWN", 0.6, False),  # ensemble 0.40: right where XGBoost is wrong
            row(1, 0.4, "NEUTRAL", 0.9, False),  # ensemble 0.45
            row(1, 0.4, "DOWN", 0.2, True),  # ensemble 0.40: both wrong
        ]
    )

    assert (found.rows, found.dates, found.matured) == (4, 2, 4)
    assert found.base_rate_pct == 50.0
    assert (found.xgboost_accuracy_pct, found.ensemble_accuracy_pct) == (50.0, 75.0)
    assert found.accuracy_gain_points.value == 25.0
    assert found.xgboost_brier == pytest.approx((0.16 + 0.36 + 0.16 + 0.36) / 4)
    assert found.ensemble_brier == pytest.approx((0.1225 + 0.16 + 0.2025 + 0.36) / 4)
    assert found.brier_gain.value == pytest.approx(found.xgboost_brier - found.ensemble_brier)
    assert found.verdict == "no_evidence"


def test_rows_without_opinion_and_back_fills_are_counted_and_left_out() -> None:
    found = measured(
        [
            row(0, 0.6, "UP", 0.4, True),
            row(0, 0.6, "UP", 0.4, True, gemini_status="cached"),
            row(0, 0.9, "UP", 0.4, True, gemini_status="timeout", gemini_prediction=None, gemini_confidence=None),
            row(0, 0.9, "UP", 0.4, True, gemini_status=None, gemini_prediction=None, gemini_confidence=None),
            row(1, 0.9, "UP", 0.4, True, is_live=False),
        ]
    )

    assert (found.matured, found.without_opinion, found.back_filled, found.rows, found.dates) == (5, 2, 1, 2, 1)
    assert found.xgboost_brier == pytest.approx(0.16)


def test_nothing_matured_is_no_evidence_and_no_number() -> None:
    empty = measure(
        "crypto", pl.DataFrame([row(0, 0.5, "UP", 0.1, True)]).clear(), SETTINGS.ensemble, SETTINGS.evaluation
    )

    assert (empty.verdict, empty.rows, empty.xgboost_brier, empty.configured_weight) == ("no_evidence", 0, None, 0.7)
    assert empty.brier_gain == Estimate(None, None)


def test_a_gemini_that_knows_makes_the_ensemble_better_and_deserves_more_weight() -> None:
    found = measured(market(gemini_knows=0.7))

    assert found.verdict == "ensemble_better"
    assert found.brier_gain.interval[0] > 0
    assert found.accuracy_gain_points.interval[0] > 0
    assert found.measured_weight.interval[1] < found.configured_weight


def test_a_gemini_that_is_sure_and_wrong_makes_xgboost_better() -> None:
    found = measured(market(gemini_knows=0.3))

    assert found.verdict == "xgboost_better"
    assert found.measured_weight.value == 1.0


def test_the_measured_weight_is_the_least_squares_one() -> None:
    rows = market(gemini_knows=0.58)
    frame = pl.DataFrame(rows)
    x = frame["xgb_up_probability"].to_numpy()
    g = np.array([0.5 + (0.2 if said == "UP" else -0.2) for said in frame["gemini_prediction"]])
    y = frame["is_up"].to_numpy().astype(float)

    (weight,), *_ = np.linalg.lstsq((x - g)[:, None], y - g, rcond=None)
    tried = [np.mean((w * x + (1 - w) * g - y) ** 2) for w in np.linspace(0, 1, 1001)]

    found = measured(rows).measured_weight
    assert found.value == pytest.approx(float(weight))
    assert np.argmin(tried) / 1000 == pytest.approx(found.value, abs=0.001)
    assert found.interval[0] < found.value < found.interval[1]


def test_few_rows_or_few_dates_are_no_evidence_however_clear_they_look() -> None:
    assert measured(market(0.9, days=29)).verdict == "no_evidence"
    assert measured(market(0.9, days=40, symbols=4)).verdict == "no_evidence"
    assert measured(market(0.9, days=40, symbols=5)).verdict == "ensemble_better"


def test_one_date_tells_nothing_about_another() -> None:
    found = measured(market(0.9, days=1), min_dates=2, min_rows=1)

    assert found.brier_gain.interval is None
    assert found.measured_weight.interval is None
    assert "inf" not in str(asdict(found))


def test_where_gemini_only_guesses_the_ensemble_is_seldom_called_better() -> None:
    """A sure guess costs Brier score, so XGBoost's coin toss must win; by luck the ensemble hardly ever does."""
    verdicts = [measured(market(gemini_knows=0.5, seed=seed)).verdict for seed in range(12)]

    assert "ensemble_better" not in verdicts
    assert verdicts.count("xgboost_better") >= 9
