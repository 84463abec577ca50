"""`tradehits report ensemble` on stored predictions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from configs.settings import Settings, load_settings
from flows.cli import app
from market.signals import gemini_probability
from warehouse.engines import open_warehouse
from warehouse.warehouse import Write

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
REALTIME, FEATURES = "ml_models.realtime_predictions", "ml_models.walk_forward_features_v2"


def prediction(
    asset_type: str, symbol: str, day: int, up: bool | None, *, status: str, late: bool = False
) -> dict[str, Any]:
    """XGBoost at one half, Gemini sure and right; `late`: made when the next bar was known."""
    said = "DOWN" if up is False else "UP"
    answered = status in ("ok", "cached")
    ensemble = (0.5 + gemini_probability(said, 0.4)) / 2 if answered else 0.5
    stamp = FIRST + timedelta(days=day)
    return {
        "prediction_id": f"{asset_type}{symbol}{day}",
        "created_at": stamp + timedelta(days=2 if late else 1),
        "asset_type": asset_type,
        "symbol": symbol,
        "datetime": stamp,
        "xgb_up_probability": 0.5,
        "xgb_predicted_direction": "UP",
        "gemini_prediction": said if answered else None,
        "gemini_confidence": 0.4 if answered else None,
        "gemini_status": status,
        "ensemble_up_probability": ensemble,
        "ensemble_direction": "UP" if ensemble >= 0.5 else "DOWN",
        "ensemble_confidence": "LOW",
        "signal": "HOLD",
        "model_version": "v/1",
        "actual_direction": None if up is None else "UP" if up else "DOWN",
    }


def bar(row: dict[str, Any]) -> dict[str, Any]:
    stamp = row["datetime"]
    return {
        **{name: row[name] for name in ("asset_type", "symbol", "datetime")},
        "close": 10.0,
        "is_warm": True,
        "indicator_variant": "wilder",
        "trend_regime": "CONSOLIDATION",
        "bar_known_at": stamp + timedelta(days=1),
        "label_known_at": stamp + timedelta(days=2),
        "created_timestamp": stamp,
        "data_split": "VALIDATE",
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crypto with a Gemini that knows; stocks with opinions that came too late; ETFs without an opinion."""
    home = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        settings = load_settings("test")
    random = np.random.default_rng(2)
    rows = [
        prediction(
            "crypto", f"A{number}/USDT", day, bool(random.random() < 0.5), status="ok" if number % 2 else "cached"
        )
        for day in range(40)
        for number in range(6)
    ]
    rows += [prediction("crypto", "A0/USDT", 40, None, status="ok")]
    rows += [prediction("stocks", "NVDA", day, True, status="ok", late=day > 0) for day in range(4)]
    rows += [prediction("etf", "SPY", day, True, status="disabled") for day in range(3)]
    write(settings, rows)
    return home


def write(settings: Settings, rows: list[dict[str, Any]]) -> None:
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    times = dict.fromkeys(
        ("created_at", "datetime", "bar_known_at", "label_known_at", "created_timestamp"), pl.Datetime("us", "UTC")
    )
    features = pl.DataFrame([bar(row) for row in rows], schema_overrides=times)
    flags = [
        *(
            "rsi_overbought",
            "rsi_oversold",
            "macd_rising",
            "macd_cross_up",
            "macd_cross",
            "pivot_high_flag",
            "pivot_low_flag",
        ),
        *("in_rise_cycle", "rise_cycle_start", "fall_cycle_start", "golden_cross", "death_cross", "growth_score"),
    ]
    features = features.with_columns(
        **{name: pl.lit(0, dtype=pl.Int64) for name in flags}, volume_ratio_clean=pl.lit(1.0)
    )
    predictions = pl.DataFrame(rows, schema_overrides=times, infer_schema_length=None)
    warehouse.write([Write(FEATURES, rows=features.to_arrow()), Write(REALTIME, rows=predictions.to_arrow())])


def report(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setenv("TRADEHITS_HOME", str(home))
    done = CliRunner().invoke(app, ["report", "ensemble", "--profile", "test", *arguments])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.stdout


def test_each_class_is_measured_on_live_predictions_with_an_opinion(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = json.loads(report(home, monkeypatch, "--format", "json"))

    crypto, stocks, etf = (found["classes"][name] for name in ("crypto", "stocks", "etf"))
    assert (crypto["matured"], crypto["rows"], crypto["dates"], crypto["back_filled"]) == (240, 240, 40, 0)
    assert crypto["ensemble_accuracy_pct"] == 100.0
    assert crypto["xgboost_brier"] == 0.25
    assert crypto["ensemble_brier"] == pytest.approx(0.16)
    assert crypto["brier_gain"]["value"] == pytest.approx(0.09)
    assert crypto["verdict"] == "ensemble_better"
    assert crypto["configured_weight"] == 0.7
    assert crypto["measured_weight"]["value"] == 0.0
    assert "consider ensemble.xgboost_weight.crypto" in crypto["conclusion"]
    assert (stocks["matured"], stocks["back_filled"], stocks["rows"], stocks["verdict"]) == (4, 3, 1, "no_evidence")
    assert (etf["matured"], etf["without_opinion"], etf["rows"]) == (3, 3, 0)
    assert etf["brier_gain"] == {"value": None, "interval": None}
    assert "200 on 30 are needed" in etf["conclusion"]
    assert "never changes them" in found["weights"]


def test_a_person_reads_the_same_in_a_table(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = report(home, monkeypatch)

    assert "crypto" in shown and "the ensemble is better" in shown
    assert "no evidence yet" in shown
    assert "3 are back-fills, which are left out" in " ".join(shown.split())
    assert "Weights stay as configured" in shown


def test_an_empty_warehouse_has_no_evidence_for_any_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads(report(tmp_path / "new", monkeypatch, "--format", "json"))

    assert {name: entry["verdict"] for name, entry in found["classes"].items()} == dict.fromkeys(
        ("stocks", "etf", "crypto"), "no_evidence"
    )
