"""Drift found in the warehouse: clean weeks, injected faults, and histories with which little can be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from feature_repo.interactions import adx_trend_interaction, macd_atr_interaction, rsi_volume_interaction
from feature_repo.services import INTERACTIONS, feature_names
from market.drift_weeks import Weeks
from monitoring import drift_baseline
from monitoring.drift import DriftFound
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
    with_faults,
)
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import Write

FEATURES = feature_names("default")
SYMBOLS = 24
BEGAN = date(2021, 7, 1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """24 stocks with less than three years of bars; the champion knows all but the last eight weeks."""
    return simulated(tmp_path_factory.mktemp("drift"), seed=2, symbols=SYMBOLS, start=BEGAN)


@pytest.fixture(scope="module")
def clean(world: World) -> DriftFound:
    return world.measure()


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


def test_a_clean_week_is_clear_and_every_feature_has_a_row(world: World, clean: DriftFound) -> None:
    found = clean
    assert (found.rows, kinds(found)) == (len(FEATURES), {})
    assert [one.metric_name for one in found.conditions if one.alert_type == "FEATURE_DRIFT"] == list(FEATURES)
    assert [one.metric_name for one in found.conditions if one.severity] == []
    relations = {one.metric_name for one in found.conditions if one.alert_type == "CONCEPT_DRIFT"}
    assert "relation:rsi" in relations and "relation:golden_cross" not in relations  # one bar in a hundred is a cross
    stored = world.distributions().filter(pl.col("date") == TODAY)
    assert sorted(FEATURES) == stored["feature_name"].to_list()
    assert stored["drift_detected"].to_list() == [False] * len(FEATURES)


def test_stored_figures_are_those_of_scipy_and_numpy(world: World, clean: DriftFound) -> None:
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


def deviation(world: World, feature: str) -> float:
    row = world.distributions().filter((pl.col("date") == TODAY) & (pl.col("feature_name") == feature)).to_dicts()[0]
    return float(row["baseline_std"])


@pytest.mark.parametrize("feature", ["momentum_5d", "atr_pct"])
def test_a_shift_of_three_tenths_of_a_deviation_is_found_and_named(
    world: World, clean: DriftFound, feature: str
) -> None:
    moved = deviation(world, feature) * 0.3
    found = with_fault(world, feature, lambda value: value + moved)
    assert kinds(found)[feature][0] == "shift"
    assert "shift: +" in raised(found)[feature].message
    assert set(kinds(found)) <= {feature, *(name for name, used in INTERACTIONS.items() if feature in used)}


@pytest.mark.parametrize("feature", ["rsi_slope", "volume_ratio"])
def test_a_scale_of_thirteen_tenths_is_found_and_named(world: World, feature: str) -> None:
    found = with_fault(world, feature, lambda value: value * 1.3)
    assert kinds(found)[feature][0] == "scale"
    [one] = [one for one in found.features if one.name == feature]
    assert one.reason is not None
    assert (one.reason.kind, one.reason.amount) == ("scale", pytest.approx(1.3, abs=0.1))
    assert "scale: as if every value were x1." in raised(found)[feature].message


def tenth_missing(value: pl.Expr) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) % 10 == 3).then(None).otherwise(value)


def one_impossible(value: pl.Expr) -> pl.Expr:
    return pl.when(pl.int_range(pl.len()) == 7).then(130.0).otherwise(value)


FAULTS: dict[str, tuple[Change, str, str]] = {
    "adx": (tenth_missing, "missing values", "missing values: 10.0% of the bars"),
    "cci": (lambda value: pl.lit(3.25), "stuck value", "stuck value: 100% of the bars have one and the same value"),
    "volume_ratio": (lambda value: value * 100, "unit change", "about x100"),
    "rsi": (lambda value: value.first().over("symbol"), "stuck value", "repeat their symbol's value before"),
    "stoch_k": (one_impossible, "out of range", "such as 130"),
    "golden_cross": (lambda value: value + 2, "out of range", "lie where none may"),
    "pivot_high_flag": (lambda value: pl.lit(1.0), "stuck value", "every bar has 1"),
    "roc": (lambda value: pl.lit(None, pl.Float64), "missing values", "100.0% of the bars"),
}


@pytest.fixture(scope="module")
def broken(world: World) -> DriftFound:
    """A week in which eight features are broken, each in its own way."""
    return with_faults(world, {feature: change for feature, (change, _, _) in FAULTS.items()})


@pytest.mark.parametrize("feature", FAULTS)
def test_a_fault_of_the_data_is_critical_and_has_its_name(broken: DriftFound, feature: str) -> None:
    _, kind, message = FAULTS[feature]
    assert kinds(broken)[feature][0] == kind
    condition = raised(broken)[feature]
    assert (condition.severity, condition.features) == ("CRITICAL", (feature,))
    assert message in condition.message
    assert "Do not retrain" in condition.remedy


def test_broken_features_do_not_accuse_the_others(broken: DriftFound) -> None:
    made_of_them = {name for name, used in INTERACTIONS.items() if set(used) & set(FAULTS)}
    assert set(kinds(broken)) <= {*FAULTS, *made_of_them}
    assert raised(broken)["rsi_volume_interaction"].severity == "CRITICAL"


def test_values_that_went_to_other_symbols_are_scattered(world: World) -> None:
    found = with_fault(world, "mfi", lambda value: value.reverse())
    assert "scatter" in kinds(found)["mfi"]


def test_the_past_gives_what_it_gave_whatever_came_later(tmp_path: Path) -> None:
    day = TODAY - timedelta(days=14)
    world = simulated(tmp_path / "whole", symbols=5, start=BEGAN)
    later = world.measure(day)
    cut = simulated(tmp_path / "cut", symbols=5, start=BEGAN)
    rows = cut.rows()
    known = rows.filter(pl.col("bar_known_at") <= midnight(day) + timedelta(hours=23, minutes=59))
    unknown = pl.col("label_known_at") > midnight(day) + timedelta(hours=23, minutes=59)
    labels = ("target_direction", "forward_return_pct", "label_known_at")
    known = known.with_columns(pl.when(unknown).then(None).otherwise(pl.col(name)).alias(name) for name in labels)
    cut.warehouse.write([Write(FEATURES_TABLE, rows=known.to_arrow(), mode="replace")])
    then = cut.measure(day)
    assert later.conditions == then.conditions
    assert later.features, "judged"
    before = day - timedelta(days=90)
    assert world.measure(before).conditions == cut.measure(before).conditions, "before the champion knew the bars"


def test_a_second_run_writes_the_same_rows_again(world: World, clean: DriftFound) -> None:
    assert world.measure().conditions == clean.conditions
    rows = world.distributions()
    assert world.measure().conditions == clean.conditions
    assert world.distributions().drop("created_at").equals(rows.drop("created_at"))


@pytest.mark.slow
def test_a_kept_baseline_gives_what_a_new_one_gives(
    world: World, clean: DriftFound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = world.settings.paths.model_copy(update={"cache": tmp_path})
    fresh = replace(world, settings=world.settings.model_copy(update={"paths": paths}))
    kept = tmp_path / "drift" / "stocks" / "champion"
    with monkeypatch.context() as older:
        older.setattr(drift_baseline, "_LAYOUT", drift_baseline._LAYOUT[1:])
        assert fresh.measure().conditions == clean.conditions
    [outdated] = kept.iterdir()
    (outdated / "weeks.npz").write_bytes(b"a layout of before")
    assert fresh.measure().conditions == clean.conditions, "made anew, not read"
    [folder] = kept.iterdir()
    assert folder != outdated
    fresh.measure(champions=champion("stocks", model_version="walk_forward_stocks/2", run_id="r2"))
    [last] = kept.iterdir()
    assert last != folder, "the former champion's is gone"


def test_a_raised_format_is_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    key = drift_baseline.BaselineKey("stocks", "m/1", "r", midnight(TRAINED), False, ("rsi",), 1, 8, 20)
    now = key.digest
    monkeypatch.setattr(drift_baseline, "_FORMAT", drift_baseline._FORMAT - 1)
    assert key.digest != now


def test_no_lock_is_held_while_a_baseline_is_computed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = world.settings.paths.model_copy(update={"cache": tmp_path})
    fresh = replace(world, settings=world.settings.model_copy(update={"paths": paths}))
    seen = []
    computed = drift_baseline.measure_weeks

    def with_a_write(*given: Any) -> Weeks:
        # a writer in the same thread is refused while a read connection is open
        seen.append(world.warehouse.write([Write(FEATURES_TABLE, rows=world.rows(TODAY).to_arrow(), mode="merge")]))
        return computed(*given)

    monkeypatch.setattr(drift_baseline, "measure_weeks", with_a_write)
    assert fresh.measure().features
    assert seen, "a block after the other"


def test_another_volatility_and_other_trend_states_are_another_regime(world: World) -> None:
    before = world.rows(TODAY - timedelta(days=7))
    world.put(before.with_columns(pl.col("atr_pct") * 5, trend_regime=pl.lit("STRONG_DOWNTREND")))
    try:
        found = world.measure()
    finally:
        world.put(before)
    assert set(raised(found, "REGIME_CHANGE")) == {"volatility_regime", "trend_regime"}
    one = raised(found, "REGIME_CHANGE")["volatility_regime"]
    assert one.severity == "WARNING"
    assert one.current_value is not None and one.threshold_value is not None
    assert one.current_value > one.threshold_value
    assert "above every week of training" in one.message


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
    found = simulated(tmp_path, symbols=1, start=BEGAN).measure()
    assert found.rows == len(FEATURES)
    assert found.conditions == []
    assert found.notes == (
        "stocks: drift is not judged: 5 bars with a full history in the newest 7 days, 20 are needed",
    )


def test_empty_and_constant_features_are_said_to_be(tmp_path: Path) -> None:
    world = simulated(tmp_path, symbols=5, start=BEGAN)
    world.put(world.rows().with_columns(mfi=pl.lit(None, pl.Float64), cci=pl.lit(7.0)))
    found = world.measure()
    assert "stocks: no training row has a value, so there is no baseline: mfi" in found.notes
    assert "stocks: constant in training, so only another value can be noticed: cci" in found.notes
    assert "cci" not in kinds(found)
    assert "mfi" not in {one.metric_name for one in found.conditions}
    changed = with_fault(world, "cci", lambda value: value + 1)
    assert kinds(changed)["cci"][0] == "out of range"
