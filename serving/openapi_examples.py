"""Examples of the OpenAPI document; a test holds each of them against the type of its answer."""

from __future__ import annotations

from typing import Any

from feature_repo.services import feature_names

_VERSIONS = {
    "stocks": "walk_forward_stocks/3",
    "etf": "walk_forward_etf/2",
    "crypto": "walk_forward_crypto/4",
}
_ROW = [58.2, 1.4, 0, 0, 0.21, 1, 0, 0, 0, 27.3, 26.1, 15.4, 1, 0, 0, 0, 2.1, 3.8, 5.2, 2.4, 1.1, 61.0, 84.0, 71.2,
        68.9, 4.4, 100, 64.0, 0.5, None]  # fmt: skip
_REASONING = "Price holds above its 50-day average on rising volume; momentum is moderate and no reversal is visible."

PARAMETERS: dict[str, Any] = {
    "symbol": "NVDA",
    "asset_type": "stocks",
    "confidence": "HIGH",
    "signal": "BUY",
    "signal_type": "BUY",
    "limit": 5,
    "date_from": "2025-06-01",
    "date_to": "2025-06-30",
}
"""Values by parameter name."""

REQUESTS: dict[str, Any] = {
    "POST /predict": {"asset_type": "stocks", "rows": [_ROW]},
    "POST /api/ml/ensemble-prediction": {"symbol": "NVDA", "asset_type": "stocks"},
}

ANSWERS: dict[str, Any] = {
    "GET /api/ml/predictions": {
        "status": "success",
        "count": 1,
        "model": "xgboost_walk_forward_v2",
        "model_versions": {"stocks": _VERSIONS["stocks"]},
        "as_of": "2025-06-30T20:15:00Z",
        "note": "No BUY or SELL on the newest bars, which is a valid answer. stocks 2025-06-30: none in 503 symbols, "
        "up probabilities 46.2% to 54.8%. BUY from 60%, SELL to 40%, HIGH from 65% or to 35%.",
        "filters": {
            "asset_type": "stocks",
            "confidence": "all",
            "signal": "all",
            "limit": 50,
            "offset": 0,
            "symbol": "NVDA",
            "date_from": "2025-06-30",
            "date_to": None,
        },
        "predictions": [
            {
                "asset_type": "stocks",
                "symbol": "NVDA",
                "datetime": "2025-06-30 00:00",
                "price": 157.99,
                "up_probability_pct": 53.17,
                "predicted_direction": 1,
                "confidence_level": "LOW",
                "signal": "HOLD",
                "rsi": 67.4,
                "growth_score": 100,
                "trend_regime": "STRONG_UPTREND",
            }
        ],
    },
    "GET /api/ml/high-confidence-signals": {
        "status": "success",
        "confidence": "HIGH",
        "accuracy_note": "crypto: 54.1% of 1,204 HIGH predictions out of sample were right (95% interval 50.2 to "
        "58.0), base rate 51.3%",
        "count": 1,
        "note": None,
        "signals": [
            {
                "asset_type": "crypto",
                "symbol": "BTC/USDT",
                "date": "2025-06-30",
                "price": 107135.3,
                "up_pct": 65.84,
                "signal": "BUY",
                "growth_score": 75,
                "trend_regime": "WEAK_UPTREND",
                "pivot_low": "Pivot Low",
                "rise_start": "",
                "golden_cross_flag": "",
            }
        ],
    },
    "GET /api/ml/walk-forward-summary": {
        "status": "success",
        "model": "xgboost_walk_forward_v2",
        "model_versions": _VERSIONS,
        "methodology": {
            "training": "through 2022-12-31; rows of TRAIN are those of the burn-in folds, out-of-sample like all",
            "testing": "after 2022-12-31 through 2023-12-31; walk-forward, retrained quarterly on labels known before "
            "each fold",
            "validation": "after 2023-12-31; walk-forward likewise, continuing",
        },
        "summary": [
            {
                "data_split": "VALIDATE",
                "asset_type": "stocks",
                "total_predictions": 187620,
                "correct": 97187,
                "accuracy": 51.8,
                "base_rate": 52.3,
                "accuracy_ci_95": [50.9, 52.7],
            }
        ],
    },
    "GET /api/ml/symbol-prediction/{symbol}": {
        "status": "success",
        "symbol": "NVDA",
        "asset_type": "stocks",
        "latest_prediction": {
            "datetime": "2025-06-30T00:00:00Z",
            "price": 157.99,
            "direction": 1,
            "up_probability": 0.5317,
            "confidence": "LOW",
            "growth_score": 100,
            "trend_regime": "STRONG_UPTREND",
            "signals": {
                "in_rise_cycle": 1,
                "rise_cycle_start": 0,
                "pivot_low": 0,
                "pivot_high": 0,
                "golden_cross": 0,
            },
        },
        "history": [
            {
                "asset_type": "stocks",
                "symbol": "NVDA",
                "datetime": "2025-06-30T00:00:00Z",
                "price": 157.99,
                "up_probability": 0.5317,
                "predicted_direction": 1,
                "actual_direction": None,
                "rsi": 67.4,
                "macd_histogram": 0.83,
                "adx": 28.9,
                "growth_score": 100,
                "in_rise_cycle": 1,
                "rise_cycle_start": 0,
                "pivot_high_flag": 0,
                "pivot_low_flag": 0,
                "golden_cross": 0,
                "trend_regime": "STRONG_UPTREND",
            }
        ],
    },
    "GET /api/ml/ensemble-signals": {
        "status": "success",
        "count": 1,
        "filters": {"asset_type": "stocks", "signal_type": "BUY", "limit": 20},
        "signals": [
            {
                "symbol": "NVDA",
                "asset_type": "stocks",
                "date": "2025-06-30",
                "price": 157.99,
                "xgb_signal": "HOLD",
                "xgb_probability": 0.5317,
                "ensemble_signal": "BUY",
                "ensemble_confidence": "HIGH",
                "gemini_reasoning": _REASONING,
                "risk_level": "MEDIUM",
            }
        ],
    },
    "POST /api/ml/ensemble-prediction": {
        "status": "success",
        "symbol": "NVDA",
        "asset_type": "stocks",
        "datetime": "2025-06-30T00:00:00Z",
        "price": 157.99,
        "market_data": {"close": 157.99, "rsi": 67.4, "adx": 28.9, "trend_regime": "STRONG_UPTREND"},
        "xgb_prediction": {"up_probability": 0.5317, "direction": "UP"},
        "gemini_prediction": {
            "direction": "UP",
            "confidence": 0.6,
            "reasoning": _REASONING,
            "risk_level": "MEDIUM",
            "status": "ok",
        },
        "ensemble_prediction": {
            "direction": "UP",
            "confidence": "HIGH",
            "ensemble_score": 0.3317,
            "xgb_contribution": 0.26585,
            "gemini_contribution": 0.4,
            "xgb_probability": 0.5317,
            "gemini_direction": "UP",
            "gemini_confidence": 0.6,
            "gemini_reasoning": _REASONING,
            "risk_level": "MEDIUM",
            "weights_used": {"xgboost": 0.5, "gemini": 0.5},
        },
        "final_recommendation": {
            "direction": "UP",
            "confidence": "HIGH",
            "reasoning": f"BUY: probability of a higher next close 0.666, by XGBoost and Gemini. {_REASONING}",
            "risk_level": "MEDIUM",
        },
    },
    "POST /predict": {
        "status": "success",
        "asset_type": "stocks",
        "model_version": _VERSIONS["stocks"],
        "features": list(feature_names("default")),
        "up_probability": [0.5317],
    },
}
"""Answers of status 200 by method and path."""

ERRORS: dict[str, Any] = {
    "401": ("an API key is needed: send it as Authorization: Bearer ..., or as X-API-Key", "authorization"),
    "404": ("no prediction of stocks 'NVDIA'; near names: NVDA, NVR", "symbol"),
    "413": ("the body is larger than 8,388,608 bytes", "body"),
    "415": ("the body must be JSON: Content-Type: application/json", "content-type"),
    "422": ("asset_type: Input should be 'all', 'stocks', 'etf' or 'crypto'", "asset_type"),
    "429": ("more than 1200 requests a minute; the next one in 2 s", None),
    "503": ("nothing was published yet; `tradehits run` or `tradehits predict` publishes", None),
    "default": ("this address does not answer that method; /docs lists every route", None),
}
"""Message and field by status."""
