"""Daily inference on a simulated market: what a prediction holds, and that neither time nor a retraining changes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from polars.testing import assert_frame_equal
from pydantic import SecretStr

from feature_repo import store as feast
from flows.features import features
from flows.publish_snapshot import publish_snapshot
from serving.predictor import outcome_write
from serving.snapshot import load_snapshot
from tests.integration.inference_world import (
    CLASSES,
    EAGER,
    END,
    FEATURES,
    REALTIME,
    RECORD,
    World,
    bars,
    days_pass,
    deliver,
    midnight,
    train,
    world_at,
)
from training import record_live
from warehouse.clock import refresh_asset_settings
from warehouse.sources.simulated import SimulatedSource

FRIDAY = midnight(END)
KEY = ["asset_type", "symbol", "datetime"]
OUTCOME = ["actual_direction", "actual_change_pct", "prediction_correct"]


@pytest.fixture(scope="module")
def friday(inference_home: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Friday's bars are predicted; read only."""
    world = world_at(tmp_path_factory.mktemp("friday") / "home", inference_home)
    world.predict()
    return world


@pytest.fixture
def after_friday(friday: World, tmp_path: Path) -> World:
    """A copy of Friday's world, to go on with."""
    return world_at(tmp_path / "own", friday.settings.paths.home.parent)


def default_matrix(rows: pl.DataFrame, names: list[str]) -> np.ndarray:
    """The model's columns worked out anew from stored ones."""
    made = rows.with_columns(
        rsi_volume_interaction=pl.col("rsi") * pl.col("volume_ratio"),
        macd_atr_interaction=pl.col("macd_histogram_pct") * pl.col("atr_pct"),
        adx_trend_interaction=pl.col("adx") * (2 * pl.col("in_rise_cycle") - 1),
    )
    return made.select(pl.col(name).cast(pl.Float32).fill_null(np.nan) for name in names).to_numpy()


def champion_probability(world: World, asset_type: str, rows: pl.DataFrame) -> np.ndarray:
    """XGBoost's own reading of the champion's file, and Platt's formula by hand."""
    info = world.registry.load_bundle(asset_type).info  # type: ignore[arg-type]
    version = world.registry.version(asset_type, info.model_version)  # type: ignore[arg-type]
    booster = xgb.Booster()
    booster.load_model(world.registry.store.artifact_root / version.tags["folder"] / "model.ubj")
    names = list(info.features)
    raw = booster.predict(xgb.DMatrix(default_matrix(rows, names), feature_names=names)).astype(np.float64)
    assert info.calibration.method == "platt"
    odds = info.calibration.slope * np.log(raw / (1 - raw)) + info.calibration.intercept
    return 1 / (1 + np.exp(-odds))


def test_every_symbol_has_one_prediction_of_its_newest_bar_made_by_the_champions_calibrated_model(
    friday: World,
) -> None:
    made = friday.rows()
    assert made.group_by("asset_type").len().sort("asset_type").rows() == [("crypto", 6), ("stocks", 6)]
    assert made["datetime"].unique().to_list() == [FRIDAY]
    for asset_type in CLASSES:
        stored = friday.ask(f"SELECT * FROM `{FEATURES}` WHERE asset_type = '{asset_type}' ORDER BY symbol, datetime")
        newest = stored.filter(pl.col("datetime") == FRIDAY)
        own = made.filter(pl.col("asset_type") == asset_type)
        expected = champion_probability(friday, asset_type, newest)
        assert np.abs(own["xgb_up_probability"].to_numpy() - expected).max() < 1e-6
        assert own["model_version"].unique().to_list() == [f"walk_forward_{asset_type}/1"]


def test_a_prediction_holds_the_bar_as_it_is_stored(friday: World) -> None:
    made = friday.rows()
    stored = friday.ask(
        f"SELECT * FROM `{FEATURES}` WHERE datetime = TIMESTAMP '2024-06-21' ORDER BY asset_type, symbol"
    )
    same = (
        *("open", "high", "low", "close", "volume", "percent_change", "rsi", "macd", "macd_histogram", "adx", "atr"),
        *("sma_20", "sma_50", "sma_200", "ema_12", "ema_26", "growth_score", "trend_regime", "pivot_high_flag"),
        *("pivot_low_flag", "golden_cross", "death_cross"),
    )
    assert_frame_equal(made.select(same), stored.select(same))
    assert made["bb_upper"].to_list() == stored["bollinger_upper"].to_list()
    assert made["bb_lower"].to_list() == stored["bollinger_lower"].to_list()
    for name in ("in_rise_cycle", "rise_cycle_start", "fall_cycle_start"):
        assert made[name].to_list() == [value == 1 for value in stored[name]]
    for asset_type in CLASSES:
        volumes = bars(friday.settings, asset_type, END).sort("symbol", "datetime")
        mean = volumes.group_by("symbol", maintain_order=True).agg(pl.col("volume").tail(20).mean())["volume"]
        own = made.filter(pl.col("asset_type") == asset_type)
        assert own["volume_sma_20"].to_list() == pytest.approx(mean.to_list(), rel=1e-12)


def test_signal_confidence_stop_and_target_follow_the_rules_with_the_thresholds_in_force(friday: World) -> None:
    made = friday.rows().filter(pl.col("asset_type") == "crypto")
    assert set(made["signal"]) >= {"BUY", "SELL"}, "the thresholds of this test are met"
    for row in made.iter_rows(named=True):
        p = row["xgb_up_probability"]
        assert row["ensemble_up_probability"] == p
        assert row["signal"] == ("BUY" if p >= EAGER["buy"] else "SELL" if p <= EAGER["sell"] else "HOLD")
        distance = abs(p - 0.5)
        level = "HIGH" if distance >= 0.03 else "MEDIUM" if distance >= 0.005 else "LOW"
        assert (row["ensemble_confidence"], row["xgb_confidence"]) == (level, level)
        assert row["ensemble_direction"] == row["xgb_predicted_direction"] == ("UP" if p >= 0.5 else "DOWN")
        assert row["signal_strength"] == pytest.approx(distance * 200, abs=1e-9)
        assert row["stop_loss_pct"] == pytest.approx(2 * row["atr"] / row["close"] * 100)
        assert row["take_profit_pct"] == pytest.approx(3 * row["atr"] / row["close"] * 100)
        assert (row["gemini_status"], row["gemini_prediction"], row["gemini_confidence"]) == ("disabled", None, None)
    assert made["created_at"].unique().to_list() == [FRIDAY + timedelta(days=1)], "the clock, not the wall"
    assert friday.rows()["prediction_id"].n_unique() == 12
    assert friday.rows().select(OUTCOME).null_count().row(0) == (12, 12, 12), "nobody knows the next bar yet"


def test_predicting_twice_changes_nothing(after_friday: World) -> None:
    before = {table: after_friday.rows(table) for table in (REALTIME, RECORD, FEATURES)}
    feast.apply(after_friday.settings)
    report = after_friday.predict(check_all=True, features_are_new=True)
    for table, rows in before.items():
        assert_frame_equal(after_friday.rows(table), rows)
    assert [(one.predicted, one.written.predictions, one.checked) for one in report.classes] == [(6, 0, 6), (6, 0, 6)]
    assert [one.replayed.equal for one in report.classes if one.replayed] == [6, 6]


def test_on_saturday_crypto_goes_on_and_stocks_stand(after_friday: World) -> None:
    before = after_friday.rows()
    days_pass(after_friday, 1)
    stocks, crypto = after_friday.predict().classes
    assert (stocks.bar, stocks.predicted, stocks.written.predictions, stocks.written.outcomes) == (FRIDAY, 6, 0, 0)
    assert (crypto.bar, crypto.written.predictions) == (FRIDAY + timedelta(days=1), 6)
    assert (crypto.written.outcomes, crypto.written.record_rows, crypto.written.record_labels) == (6, 6, 6)
    after = after_friday.rows()
    assert_frame_equal(after.filter(pl.col("datetime") == FRIDAY).drop(OUTCOME), before.drop(OUTCOME))
    closes = bars(after_friday.settings, "crypto", END + timedelta(days=1)).filter(pl.col("datetime") >= FRIDAY)
    for row in after.filter((pl.col("datetime") == FRIDAY) & (pl.col("asset_type") == "crypto")).iter_rows(named=True):
        first, second = closes.filter(pl.col("symbol") == row["symbol"]).sort("datetime")["close"]
        assert row["actual_direction"] == ("UP" if second > first else "DOWN")
        assert row["actual_change_pct"] == pytest.approx((second / first - 1) * 100)
        assert row["prediction_correct"] == (row["ensemble_direction"] == row["actual_direction"])


def test_the_record_grows_by_the_bars_it_lacks_and_is_never_scored_again(after_friday: World) -> None:
    before = after_friday.rows(RECORD)
    days_pass(after_friday, 3)
    after_friday.predict()
    after = after_friday.rows(RECORD)
    old = after.join(before.select(KEY), on=KEY, how="semi", maintain_order="left")
    labels = ["actual_direction", "forward_return_pct", "label_known_at"]
    assert_frame_equal(old.drop(labels), before.drop(labels))
    new = after.join(before.select(KEY), on=KEY, how="anti", maintain_order="left")
    days = new.group_by("asset_type").agg(pl.col("datetime").unique().sort()).sort("asset_type").rows()
    assert days == [
        ("crypto", [FRIDAY + timedelta(days=n) for n in (1, 2, 3)]),
        ("stocks", [FRIDAY + timedelta(days=3)]),
    ], "the weekend's crypto bars too, and Monday's stocks"
    assert (new["fold"] == -1).all() and (new["fold_start"] == new["trained_through"]).all()
    assert (new["trained_through"] <= new["bar_known_at"]).all()
    newest = after.filter(pl.col("datetime") == FRIDAY + timedelta(days=3))
    assert newest["actual_direction"].null_count() == newest.height == 12
    assert after.filter(pl.col("datetime") < FRIDAY + timedelta(days=3))["actual_direction"].null_count() == 0
    live = after_friday.rows().filter(pl.col("datetime") == FRIDAY + timedelta(days=3))
    assert live["xgb_up_probability"].to_list() == newest["up_probability"].to_list(), "one model, one answer"


def test_a_new_champion_scores_new_bars_and_no_old_one_again(after_friday: World) -> None:
    before = after_friday.rows()
    train(after_friday, "crypto", seed=99)
    report = after_friday.predict(classes=["crypto"], features_are_new=True)
    assert_frame_equal(after_friday.rows(), before)
    assert report.classes[0].champion == "walk_forward_crypto/2"
    assert report.classes[0].model_versions == ("walk_forward_crypto/1",)
    assert report.classes[0].signals["BUY"] == before.filter(pl.col("signal") == "BUY").height
    days_pass(after_friday, 1, classes=["crypto"])
    after_friday.predict(classes=["crypto"])
    by_day = after_friday.ask(
        f"SELECT datetime, model_version FROM `{REALTIME}` WHERE asset_type = 'crypto' GROUP BY 1, 2 ORDER BY 1"
    )
    assert by_day["model_version"].to_list() == ["walk_forward_crypto/1", "walk_forward_crypto/2"]


def test_a_symbol_without_the_classs_newest_bar_is_listed_and_never_scored_on_an_older_one(after_friday: World) -> None:
    tomorrow = bars(after_friday.settings, "crypto", END + timedelta(days=1), END + timedelta(days=1))
    absent = tomorrow["symbol"].sort()[0]
    deliver(after_friday, tomorrow.filter(pl.col("symbol") != absent))
    (crypto,) = after_friday.predict(classes=["crypto"]).classes
    assert (crypto.predicted, crypto.symbols) == (5, 6)
    assert [(one.symbol, one.reason) for one in crypto.unscored] == [(absent, "stale")]
    assert crypto.unscored[0].detail == "newest bar 2024-06-21, the class has 2024-06-22"
    deliver(after_friday, tomorrow.filter(pl.col("symbol") == absent))
    (late,) = after_friday.predict(classes=["crypto"]).classes
    assert (late.predicted, late.written.predictions, late.unscored) == (6, 1, ())


def test_an_outcome_and_a_label_wait_until_the_clock_has_reached_them(after_friday: World) -> None:
    days_pass(after_friday, 2, classes=["crypto"])
    features(after_friday.context)
    warehouse, bundle = after_friday.warehouse, after_friday.registry.load_bundle("crypto")
    known_at = FRIDAY + timedelta(days=2)  # when Saturday's bar closed
    for now, outcomes in ((known_at - timedelta(microseconds=1), 0), (known_at, 6)):
        with warehouse.read() as read:
            writes = [outcome_write(read, "crypto", now), record_live.label_write(read, "crypto", now)]
        assert None not in writes
        done = warehouse.write([write for write in writes if write is not None])
        assert [(one.updated, one.inserted) for one in done] == [(outcomes, 0), (outcomes, 0)]
        filled = after_friday.rows().filter(pl.col("actual_direction").is_not_null())
        assert filled.height == outcomes, "the next bars are stored all the time"
        new = record_live.rows_since(warehouse, bundle, now)
        assert new["datetime"].unique().to_list() == ([FRIDAY + timedelta(days=1)] if outcomes else [])
        assert new["actual_direction"].null_count() == outcomes, "Sunday's bar is stored, and not closed yet"


def test_a_prediction_is_served_from_the_close_of_its_bar_on(after_friday: World) -> None:
    for now, served in (
        (FRIDAY + timedelta(hours=20, minutes=14), []),
        (FRIDAY + timedelta(hours=20, minutes=15), ["stocks"]),
        (FRIDAY + timedelta(days=1), ["crypto", "stocks"]),
    ):
        clock = after_friday.settings.clock.model_copy(update={"stocks": now, "crypto": now})
        settings = after_friday.settings.model_copy(update={"clock": clock})
        refresh_asset_settings(after_friday.warehouse, settings)
        snapshot = load_snapshot(publish_snapshot(settings, warehouse=after_friday.warehouse))
        assert snapshot.realtime["asset_type"].unique().sort().to_list() == served


def test_a_configuration_with_which_gemini_cannot_be_asked_costs_its_opinion_and_is_said(
    inference_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:s3cret@proxy:1")
    gemini = world_at(tmp_path / "own", inference_home).settings.gemini
    asked = gemini.model_copy(update={"enabled": True, "ask_about_past": True, "api_key": SecretStr("AIza-test")})
    world = world_at(tmp_path / "own", gemini=asked)
    (crypto,) = world.predict(classes=["crypto"]).classes
    assert (crypto.written.predictions, crypto.gemini) == (6, {"error": 6})
    assert crypto.note.startswith(
        "Gemini gave no usable answer to 6 of 6 questions, XGBoost stands: unusable proxy in the environment"
    )
    assert "correct HTTP_PROXY" in crypto.note and "correct HTTP_PROXY" in caplog.text
    assert "s3cret" not in crypto.note + caplog.text
    made = world.rows()
    assert made["ensemble_up_probability"].to_list() == made["xgb_up_probability"].to_list()


@pytest.mark.slow
def test_an_outcome_follows_its_bars_when_a_hole_is_filled_later(after_friday: World) -> None:
    batch = bars(after_friday.settings, "crypto", END + timedelta(days=2), END + timedelta(days=1))
    symbol = batch["symbol"].sort()[0]
    hole = (pl.col("symbol") == symbol) & (pl.col("datetime") == FRIDAY + timedelta(days=1))
    deliver(after_friday, batch.filter(~hole))
    after_friday.predict(classes=["crypto"])
    of_friday = f"symbol = '{symbol}' AND datetime = TIMESTAMP '2024-06-21'"
    change = f"SELECT actual_change_pct AS c FROM `{REALTIME}` WHERE {of_friday}"
    close = dict(
        bars(after_friday.settings, "crypto", END + timedelta(days=2)).filter(symbol=symbol)["datetime", "close"].rows()
    )
    friday, saturday, sunday = (close[FRIDAY + timedelta(days=n)] for n in (0, 1, 2))
    assert after_friday.ask(change)["c"].to_list() == pytest.approx([(sunday / friday - 1) * 100])
    deliver(after_friday, batch.filter(hole))
    after_friday.predict(classes=["crypto"])
    assert after_friday.ask(change)["c"].to_list() == pytest.approx([(saturday / friday - 1) * 100])


def test_bars_that_ended_long_ago_are_stale_by_the_wall_clock_and_the_setting_is_named(
    inference_home: Path, tmp_path: Path
) -> None:
    clock = world_at(tmp_path / "own", inference_home).settings.clock
    world = world_at(tmp_path / "own", clock=clock.model_copy(update={"crypto": "wall"}))
    (crypto,) = world.predict(classes=["crypto"], features_are_new=True).classes
    assert (crypto.predicted, crypto.bar) == (0, None)
    assert crypto.note.startswith("all 6 symbols are stale: the newest bar is 2024-06-21")
    assert "set clock.crypto (now: wall) to end_of_data" in crypto.note
    assert world.rows().is_empty()


def test_the_views_show_what_was_predicted(friday: World) -> None:
    made = friday.rows()
    latest = friday.ask("SELECT * FROM `ml_models.v_latest_predictions` ORDER BY asset_type, symbol")
    assert_frame_equal(latest.select(made.columns), made)
    for row in latest.iter_rows(named=True):
        strength = {"HIGH": "STRONG", "MEDIUM": "MODERATE"}.get(row["ensemble_confidence"])
        neutral = row["signal"] == "HOLD" or strength is None
        assert row["action_recommendation"] == ("NEUTRAL" if neutral else f"{strength}_{row['signal']}")
        share = row["atr"] / row["close"]
        assert row["volatility_risk"] == ("HIGH" if share > 0.05 else "MEDIUM" if share > 0.02 else "LOW")
    summary = friday.ask("SELECT * FROM `ml_models.v_signal_summary`")
    assert summary["signal_count"].sum() == 12
    for row in summary.iter_rows(named=True):
        group = made.filter(
            asset_type=row["asset_type"], signal=row["signal"], ensemble_confidence=row["ensemble_confidence"]
        ).sort("signal_strength", "symbol", descending=[True, False])
        assert (row["date"], row["signal_count"]) == (END, group.height)
        assert row["top_symbols"] == group["symbol"].to_list()
        assert row["avg_strength"] == pytest.approx(group["signal_strength"].mean())
        assert row["avg_growth_score"] == pytest.approx(group["growth_score"].mean())
    status = friday.ask(
        "SELECT asset_type, pipeline_health, predictions_7d, latest_prediction_date "
        "FROM ml_models.v_pipeline_status ORDER BY 1"
    )
    assert status.rows() == [
        ("crypto", "FAIR", 6, END),
        ("etf", "NO_DATA", None, None),
        ("stocks", "FAIR", 6, END),
    ]


def test_no_row_was_made_by_a_model_that_knew_its_future(friday: World) -> None:
    for asset_type in CLASSES:
        through = friday.registry.load_bundle(asset_type).info.trained_through
        known = friday.ask(
            f"SELECT MIN(bar_known_at) AS k FROM tradehits.v_live_predictions WHERE asset_type = '{asset_type}'"
        )
        assert through <= known["k"][0]


def test_probabilities_lean_where_the_planted_truth_does_and_nowhere_where_there_is_none(after_friday: World) -> None:
    """Two months of bars that the champion never saw, against the probabilities that the market was drawn with."""
    days_pass(after_friday, 60, classes=["crypto"])
    after_friday.predict(classes=["crypto"])
    simulation = after_friday.settings.simulation.model_copy(update={"end": END + timedelta(days=60)})
    settings = after_friday.settings.model_copy(update={"simulation": simulation})
    truth = SimulatedSource(settings, now=datetime.now(UTC)).oracle("crypto")
    record = after_friday.rows(RECORD).filter((pl.col("fold") == -1) & (pl.col("asset_type") == "crypto"))
    both = record.join(truth.rename({"up_probability": "true_probability"}), on=KEY)
    assert both.height == 60 * 6
    planted = both.filter("is_planted")
    correlation = planted.select(pl.corr("up_probability", "true_probability")).item()
    assert correlation > 3 / np.sqrt(planted.height), "three standard errors"
