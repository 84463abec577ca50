"""Drift found in the warehouse: clean weeks, injected faults, and histories with which little can be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from feature_repo.interactions import adx_trend_interaction, macd_atr_interaction, rsi_volume_interaction
from feature_repo.services import INTERACTIONS, feature_names
from monitoring.drift_read import INTERACTIONS_SQL
from tests.drift_world import (
    TODAY,
    TRAINED,
    Champions,
    Change,
    World,
    champion,
    kinds,
    midnight,
    raised,
    simulated,
    with_fault,
)
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import Write

FEATURES = feature_names("default")
SYMBOLS = 100


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """100 stocks with four years of bars; the champion knows all but the last eight weeks."""
    return simulated(tmp_path_factory.mktemp("drift"), seed=2, symbols=SYMBOLS)


def values_of(rows: pl.DataFrame, feature: str) -> np.ndarray:
    """A feature as training sees it, on-demand ones by Feast's own functions."""
    if feature in INTERACTIONS:
        transform = {
            "rsi_volume_interaction": rsi_volume_interaction,
            "macd_atr_interaction": macd_atr_interaction,
            "adx_trend_interaction": adx_trend_interaction,
        }[feature]
        inputs = rows.select(pl.col(name).cast(pl.Float64) for name in INTERACTIONS[feature])
        return pl.Series(transform(inputs.to_dict(as_series=False))[feature], dtype=pl.Float64).drop_nulls().to_numpy()
    return rows[feature].cast(pl.Float64).drop_nulls().to_numpy()


def trained_and_newest(world: World) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = world.rows()
    through = midnight(TRAINED) + timedelta(hours=23)
    return rows.filter(pl.col("label_known_at") <= through), rows.filter(
        pl.col("datetime") > midnight(TODAY - timedelta(days=7))
    )


def test_a_clean_week_is_clear_and_every_feature_has_a_row(world: World) -> None:
    found = world.measure()
    assert (found.rows, kinds(found)) == (len(FEATURES), {})
    assert [one.metric_name for one in found.conditions if one.alert_type == "FEATURE_DRIFT"] == list(FEATURES)
    assert [one.metric_name for one in found.conditions if one.severity] == []
    relations = {one.metric_name for one in found.conditions if one.alert_type == "CONCEPT_DRIFT"}
    assert "relation:rsi" in relations and "relation:golden_cross" not in relations  # one bar in a hundred is a cross
    stored = world.distributions().filter(pl.col("date") == TODAY)
    assert sorted(FEATURES) == stored["feature_name"].to_list()
    assert stored["drift_detected"].to_list() == [False] * len(FEATURES)


def test_stored_figures_are_those_of_scipy_and_numpy(world: World) -> None:
    world.measure()
    trained, newest = trained_and_newest(world)
    for row in world.distributions().filter(pl.col("date") == TODAY).to_dicts():
        before, now = values_of(trained, row["feature_name"]), values_of(newest, row["feature_name"])
        expected = ks_2samp(before, now)
        assert row["ks_statistic"] == pytest.approx(expected.statistic, abs=1e-9)
        assert row["ks_p_value"] == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)
        assert row["null_count"] == newest.height - now.size
        assert [row["mean_value"], row["std_value"]] == pytest.approx([now.mean(), now.std(ddof=1)], rel=1e-9)
        assert [row["baseline_mean"], row["baseline_std"]] == pytest.approx(
            [before.mean(), before.std(ddof=1)], rel=1e-9
        )
        quantiles = [
            row[name] for name in ("min_value", "percentile_25", "percentile_50", "percentile_75", "max_value")
        ]
        assert quantiles == pytest.approx(np.quantile(now, [0, 0.25, 0.5, 0.75, 1]), rel=1e-9)
        assert row["psi"] == pytest.approx(closed_form_psi(before, now), abs=1e-9)


def closed_form_psi(before: np.ndarray, now: np.ndarray) -> float:
    values = np.unique(before)
    edges = values[:-1] if values.size <= 20 else np.unique(np.quantile(before, np.arange(1, 10) / 10))
    bounds = [-np.inf, *edges, np.inf]
    total = 0.0
    for low, high in pairwise(bounds):
        a = max(1e-4, np.mean((now > low) & (now <= high)))
        b = max(1e-4, np.mean((before > low) & (before <= high)))
        total += (a - b) * np.log(a / b)
    return total


def test_on_demand_features_are_feasts(world: World) -> None:
    assert set(INTERACTIONS_SQL) == set(INTERACTIONS)


SHIFTED = ("rsi", "adx", "volume_ratio", "stoch_k")


def deviation(world: World, feature: str) -> float:
    world.measure()
    row = world.distributions().filter((pl.col("date") == TODAY) & (pl.col("feature_name") == feature)).to_dicts()[0]
    return float(row["baseline_std"])


@pytest.mark.parametrize("feature", SHIFTED)
def test_a_shift_of_three_tenths_of_a_deviation_is_found_and_named(world: World, feature: str) -> None:
    moved = deviation(world, feature) * 0.3
    found = with_fault(world, feature, lambda value: value + moved)
    assert "shift" in kinds(found)[feature]
    assert "shift: +" in raised(found)[feature].message
    assert set(kinds(found)) <= {feature, *(name for name, used in INTERACTIONS.items() if feature in used)}


@pytest.mark.parametrize("feature", SHIFTED)
def test_a_scale_of_thirteen_tenths_is_found_and_named(world: World, feature: str) -> None:
    found = with_fault(world, feature, lambda value: value * 1.3)
    assert "scale" in kinds(found)[feature]
    [one] = [one for one in found.features if one.name == feature]
    assert one.reason is not None
    assert (one.reason.kind, one.reason.amount) == ("scale", pytest.approx(1.3, abs=0.1))
    assert "scale: as if every value were x1." in raised(found)[feature].message


def tenth_missing(value: pl.Expr) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) % 10 == 3).then(None).otherwise(value)


FAULTS: dict[str, tuple[Change, str]] = {
    "missing values": (tenth_missing, "missing values: 10.0% of the bars"),
    "stuck value": (lambda value: pl.lit(3.25), "stuck value: 100% of the bars have one and the same value"),
    "unit change": (lambda value: value * 100, "about x100"),
}


@pytest.mark.parametrize("feature", SHIFTED)
@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_of_the_data_is_critical_and_has_its_name(world: World, feature: str, kind: str) -> None:
    change, message = FAULTS[kind]
    found = with_fault(world, feature, change)
    assert kinds(found)[feature][0] == kind
    condition = raised(found)[feature]
    assert (condition.severity, condition.features) == ("CRITICAL", (feature,))
    assert message in condition.message
    assert "Do not retrain" in condition.remedy


def test_symbols_that_repeat_their_last_value_are_stuck(world: World) -> None:
    found = with_fault(world, "rsi", lambda value: value.first().over("symbol"))
    assert kinds(found)["rsi"][0] == "stuck value"
    assert "repeat their symbol's value before" in raised(found)["rsi"].message


def test_values_that_cannot_be_are_out_of_range(world: World) -> None:
    one = with_fault(world, "stoch_k", lambda value: pl.when(pl.int_range(pl.len()) == 7).then(130.0).otherwise(value))
    assert kinds(one)["stoch_k"] == ("out of range",)
    assert "such as 130" in raised(one)["stoch_k"].message
    flag = with_fault(world, "golden_cross", lambda value: value + 2)
    assert kinds(flag)["golden_cross"][0] == "out of range"


def test_a_flag_that_is_always_up_is_stuck(world: World) -> None:
    assert kinds(with_fault(world, "pivot_high_flag", lambda value: pl.lit(1.0)))["pivot_high_flag"][0] == "stuck value"


def test_values_that_went_to_other_symbols_are_scattered(world: World) -> None:
    found = with_fault(world, "mfi", lambda value: value.reverse())
    assert "scatter" in kinds(found)["mfi"]


@pytest.mark.slow
def test_the_past_gives_what_it_gave_whatever_came_later(tmp_path: Path) -> None:
    day = TODAY - timedelta(days=14)
    world = simulated(tmp_path / "whole", symbols=12)
    later = world.measure(day)
    cut = simulated(tmp_path / "cut", symbols=12)
    rows = cut.rows()
    known = rows.filter(pl.col("bar_known_at") <= midnight(day) + timedelta(hours=23, minutes=59))
    unknown = pl.col("label_known_at") > midnight(day) + timedelta(hours=23, minutes=59)
    labels = ("target_direction", "forward_return_pct", "label_known_at")
    known = known.with_columns(pl.when(unknown).then(None).otherwise(pl.col(name)).alias(name) for name in labels)
    cut.warehouse.write([Write(FEATURES_TABLE, rows=known.to_arrow(), mode="replace")])
    then = cut.measure(day)
    assert later.conditions == then.conditions
    before = day - timedelta(days=90)
    assert world.measure(before).conditions == cut.measure(before).conditions, "before the champion knew the bars"


def test_a_second_run_writes_the_same_rows_again(world: World) -> None:
    first = world.measure()
    rows = world.distributions()
    assert world.measure().conditions == first.conditions
    assert world.distributions().drop("created_at").equals(rows.drop("created_at"))


@pytest.mark.slow
def test_a_kept_baseline_gives_what_a_new_one_gives(world: World, tmp_path: Path) -> None:
    kept = world.measure()
    paths = world.settings.paths.model_copy(update={"cache": tmp_path})
    fresh = replace(world, settings=world.settings.model_copy(update={"paths": paths}))
    assert fresh.measure().conditions == kept.conditions
    folders = list((tmp_path / "drift" / "stocks" / "champion").iterdir())
    assert len(folders) == 1
    fresh.measure(champions=champion("stocks", model_version="walk_forward_stocks/2", run_id="r2"))
    assert len(list((tmp_path / "drift" / "stocks" / "champion").iterdir())) == 1, "the former champion's is gone"


def test_a_market_five_times_as_wild_is_another_regime(world: World) -> None:
    found = with_fault(world, "atr_pct", lambda value: value * 5)
    assert set(raised(found, "REGIME_CHANGE")) == {"volatility_regime"}
    one = raised(found, "REGIME_CHANGE")["volatility_regime"]
    assert one.severity == "WARNING"
    assert one.current_value is not None and one.threshold_value is not None
    assert one.current_value > one.threshold_value
    assert "above every week of training" in one.message


def test_trend_states_that_training_never_had_together_are_another_regime(world: World) -> None:
    before = world.rows(TODAY - timedelta(days=7))
    world.put(before.with_columns(trend_regime=pl.lit("STRONG_DOWNTREND")))
    try:
        assert set(raised(world.measure(), "REGIME_CHANGE")) == {"trend_regime"}
    finally:
        world.put(before)


def test_an_edge_that_turned_round_is_concept_drift(world: World) -> None:
    before = world.rows(TODAY - timedelta(days=56))
    flipped = pl.when(pl.col("momentum_5d") > 0).then(1).otherwise(0)
    world.put(
        before.with_columns(
            target_direction=pl.when(pl.col("target_direction").is_null()).then(None).otherwise(flipped)
        )
    )
    try:
        found = raised(world.measure(), "CONCEPT_DRIFT")
    finally:
        world.put(before)
    assert "relation:momentum_5d" in found
    assert "Retrain" in found["relation:momentum_5d"].remedy
    assert raised(world.measure(), "CONCEPT_DRIFT") == {}


def test_without_a_champion_figures_are_stored_and_nothing_is_judged(world: World) -> None:
    found = world.measure(champions=Champions(None))
    assert found.notes == ("stocks: there is no champion, so nothing to compare features with",)
    assert (found.rows, found.conditions) == (len(FEATURES), [])
    row = world.distributions().filter(pl.col("date") == TODAY).to_dicts()[0]
    assert row["mean_value"] is not None
    assert (row["baseline_mean"], row["ks_statistic"], row["psi"], row["drift_detected"]) == (None,) * 4


def test_a_new_feature_has_no_baseline_and_a_forgotten_one_is_not_stored(world: World) -> None:
    given = champion("stocks", features=("rsi", "momentum_of_the_moon", *FEATURES[2:]))
    found = world.measure(champions=given)
    assert "stocks: not stored, so not measured: momentum_of_the_moon" in found.notes
    assert any("new features" in note and note.endswith("no baseline: rsi_slope") for note in found.notes)
    new = (
        world.distributions().filter((pl.col("date") == TODAY) & (pl.col("feature_name") == "rsi_slope")).to_dicts()[0]
    )
    assert new["mean_value"] is not None
    assert (new["baseline_mean"], new["drift_detected"]) == (None, None)


def test_a_champion_of_other_rows_has_no_baseline(world: World) -> None:
    found = world.measure(champions=champion("stocks", TRAINED - timedelta(days=9_000)))
    assert found.notes == ("stocks: none of walk_forward_stocks/1's training rows is stored: no baseline",)


def test_an_empty_history_and_an_old_one_are_said_to_be(world: World, tmp_path: Path) -> None:
    other = World(world.settings, world.warehouse, "crypto", champion("crypto"))
    found = other.measure()
    assert (found.rows, found.conditions) == (0, [])
    assert found.notes == ("crypto: no bar is stored that was known by 2024-03-27",)
    late = world.measure(TODAY + timedelta(days=30))
    assert late.notes == ("stocks: the newest bar is of 2024-03-27, there is none of the last 7 days",)


def test_one_symbol_is_too_little_to_judge(tmp_path: Path) -> None:
    found = simulated(tmp_path, symbols=1).measure()
    assert found.rows == len(FEATURES)
    assert found.conditions == []
    assert found.notes == (
        "stocks: drift is not judged: 5 bars with a full history in the newest 7 days, 20 are needed",
    )


def test_empty_and_constant_features_are_said_to_be(tmp_path: Path) -> None:
    world = simulated(tmp_path, symbols=12)
    world.put(world.rows().with_columns(mfi=pl.lit(None, pl.Float64), cci=pl.lit(7.0)))
    found = world.measure()
    assert "stocks: no training row has a value, so there is no baseline: mfi" in found.notes
    assert "stocks: constant in training, so only another value can be noticed: cci" in found.notes
    assert "cci" not in kinds(found)
    assert "mfi" not in {one.metric_name for one in found.conditions}
    changed = with_fault(world, "cci", lambda value: value + 1)
    assert kinds(changed)["cci"][0] == "out of range"


def test_a_feature_that_vanished_is_missing_altogether(world: World) -> None:
    found = with_fault(world, "rsi", lambda value: pl.lit(None, pl.Float64))
    assert kinds(found)["rsi"][0] == "missing values"
    assert "100.0% of the bars" in raised(found)["rsi"].message
    assert raised(found)["rsi_volume_interaction"].severity == "CRITICAL"
