"""Promotion and rollback on a real registry and warehouse: what is published is one champion's, whole, and proved."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from market.assets import AssetType
from market.errors import IntegrityError, RegistryError
from registry.models import ModelRegistry
from registry.store import RunStore
from registry.switch import PREDICTIONS_ARTIFACT
from tests.bundles import FEATURES
from tests.integration.champion_world import (
    DAYS,
    SYMBOLS,
    TRAINED_DAYS,
    V1,
    V2,
    V4,
    World,
    calibration,
    deployments,
    feature_rows,
    predictions,
    promote,
    published,
    put_version,
    roll_back,
    trained_through,
    world_at,
)
from training.audit_waivers import add_waiver
from training.promotion import judge, settle
from training.publication import PREDICTIONS_TABLE
from warehouse.champions import published_champions
from warehouse.clock import refresh_asset_settings
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import Write

STOCKS: AssetType = "stocks"


@pytest.fixture
def world(champion_home: Path, tmp_path: Path) -> World:
    return world_at(tmp_path / "home", champion_home)


def thresholds_in_views(world: World) -> tuple[float, float]:
    sql = "SELECT buy_threshold, high_threshold FROM `tradehits.v_today` WHERE asset_type = 'stocks'"
    [row] = world.warehouse.query(sql).to_pylist()
    return row["buy_threshold"], row["high_threshold"]


def test_the_published_record_is_the_runs_own_and_bars_closed_since_are_scored_with_its_bundle(world: World) -> None:
    settled = promote(world, V2)
    rows, run = published(world), predictions(2).sort("symbol", "datetime")
    assert settled is not None
    assert (settled.rows, settled.appended) == (len(SYMBOLS) * DAYS, len(SYMBOLS) * (DAYS - TRAINED_DAYS))
    own, later = rows.filter(pl.col("fold") == 0), rows.filter(pl.col("fold") == -1)
    assert own["up_probability"].to_list() == run["up_probability"].to_list()
    assert set(later["fold_start"]) == set(later["trained_through"]) == {trained_through()}
    assert later["bar_known_at"].min() == trained_through() + timedelta(days=1)
    assert rows.filter(~(pl.col("trained_through") <= pl.col("fold_start"))).is_empty()
    assert rows.filter(~(pl.col("fold_start") <= pl.col("bar_known_at"))).is_empty()
    features = feature_rows().sort("symbol", "datetime").filter(pl.col("bar_known_at") > trained_through())
    expected = world.registry.load_bundle(STOCKS).predict(features.select(FEATURES).to_numpy().astype(np.float32))
    assert later["up_probability"].to_list() == expected.tolist()
    assert set(rows["model_version"]) == {V2}


def test_a_label_that_the_run_did_not_know_is_filled_and_the_newest_bars_stay_open(world: World) -> None:
    rows = published(world)
    truth = feature_rows().sort("symbol", "datetime")
    assert predictions(1)["target_direction"].null_count() == len(SYMBOLS)
    assert_frame_equal(
        rows.select("actual_direction", "forward_return_pct", "label_known_at"),
        truth.select(pl.col("target_direction").alias("actual_direction"), "forward_return_pct", "label_known_at"),
    )
    assert rows["actual_direction"].null_count() == len(SYMBOLS)


def test_a_label_that_the_run_knew_is_kept_when_the_bar_was_corrected_since(world: World) -> None:
    before = published(world).filter(pl.col("fold") == 0)
    corrected = feature_rows().with_columns(target_direction=1 - pl.col("target_direction"))
    world.warehouse.write([Write(FEATURES_TABLE, rows=corrected.to_arrow(), mode="merge")])
    promote(world, V2)
    after = published(world).filter(pl.col("fold") == 0)
    known = before["label_known_at"] <= trained_through()
    assert after.filter(known)["actual_direction"].to_list() == before.filter(known)["actual_direction"].to_list()
    assert after.filter(~known)["actual_direction"].to_list() != before.filter(~known)["actual_direction"].to_list()


def test_a_rollback_restores_model_service_thresholds_calibration_and_record_together(world: World) -> None:
    first_record, first_bundle = published(world), world.registry.load_bundle(STOCKS)
    promote(world, V2)
    assert published(world)["up_probability"].to_list() != first_record["up_probability"].to_list()
    assert thresholds_in_views(world) == (0.602, 0.652)
    settled = roll_back(world, V1)
    assert settled is not None
    assert_frame_equal(published(world), first_record)
    restored = ModelRegistry(RunStore(world.settings)).load_bundle(STOCKS)
    assert restored.info == first_bundle.info
    assert (restored.info.feature_service, restored.info.calibration) == ("reference", calibration(1))
    assert thresholds_in_views(world) == (0.601, 0.651)
    with world.warehouse.read() as read:
        champion = published_champions(read)[STOCKS]
    assert (champion.model_version, champion.calibration, champion.buy_threshold) == (V1, "none", 0.601)


def test_other_classes_keep_their_rows(world: World) -> None:
    other = published(world).with_columns(asset_type=pl.lit("etf"), model_version=pl.lit("walk_forward_etf/4"))
    world.warehouse.write([Write(PREDICTIONS_TABLE, rows=other.to_arrow(), mode="append")])
    promote(world, V2)
    assert_frame_equal(published(world).filter(pl.col("asset_type") == "etf"), other)


def test_every_change_is_logged_with_who_why_from_and_to(world: World) -> None:
    promote(world, V2)
    roll_back(world, V1)
    log = deployments(world)
    assert [(row["component"], row["version"], row["status"], row["deployed_by"]) for row in log] == [
        ("MODEL", V1, "SUCCESS", "Ann"),
        ("MODEL", V2, "SUCCESS", "Ann"),
        ("MODEL", V1, "SUCCESS", "Bob"),
    ]
    details = f"rollback from {V2} to {V1}: it went wrong; 1,200 rows published, 80 of them scored"
    assert str(log[2]["details"]).startswith(details)
    tags = world.registry.version(STOCKS, V1).tags
    assert (tags["champion_action"], tags["champion_by"], tags["champion_why"], tags["champion_from"]) == (
        "rollback",
        "Bob",
        "it went wrong",
        V2,
    )
    run = world.registry.store.run(world.registry.version(STOCKS, V2).run_id)
    assert (run.data.tags["replaced_by"], run.data.tags["replaced_with"]) == ("Bob", V1)
    [row] = world.warehouse.query(
        "SELECT champion_version FROM `ml_models.v_pipeline_status` WHERE asset_type = 'stocks'"
    ).to_pylist()
    assert row["champion_version"] == V1


def test_settling_what_is_settled_writes_nothing(world: World) -> None:
    before = [(one.table, one.last_modified_at) for one in world.warehouse.statistics()]
    assert settle(world.warehouse, world.settings, world.registry, STOCKS) is None
    assert settle(world.warehouse, world.settings, world.registry, "crypto") is None
    assert [(one.table, one.last_modified_at) for one in world.warehouse.statistics()] == before


def test_an_alias_moved_in_another_tool_gets_its_record_and_a_repair_in_the_log(world: World) -> None:
    world.registry.store.client.set_registered_model_alias("walk_forward_stocks", "champion", "2")
    settled = settle(world.warehouse, world.settings, world.registry, STOCKS)
    assert settled is not None
    assert set(published(world)["model_version"]) == {V2}
    assert str(deployments(world)[-1]["details"]).startswith(f"repair from {V1} to {V2}: the alias was moved by other")
    assert settle(world.warehouse, world.settings, world.registry, STOCKS) is None
    assert world.registry.champions(STOCKS) == (V1, V2)


def test_a_failed_check_is_overruled_by_no_one(world: World) -> None:
    failed = [{"check": "canary", "status": "failed", "subject": "stocks", "detail": "beats noise", "remedy": ""}]
    version = put_version(world, 4, checks=failed)
    with pytest.raises(IntegrityError, match="cannot be promoted: 1 of 1 checks failed: canary of stocks"):
        promote(world, version, against_the_rules=True)
    assert world.registry.champion_version(STOCKS) == V1
    waived = put_version(world, 5, checks=[{**failed[0], "status": "waived"}])
    assert promote(world, waived) is not None


def test_a_waiver_given_after_training_opens_the_way_too(world: World) -> None:
    failed = [{"check": "canary", "status": "failed", "subject": "noise", "detail": "beats noise", "remedy": ""}]
    version = put_version(world, 4, checks=failed)
    add_waiver(world.warehouse, check="canary", subject="noise", by="Ann", why="known, harmless", asset_type=STOCKS)
    assert promote(world, version) is not None


def test_a_worse_challenger_needs_to_be_asked_for_against_the_rules_and_that_is_recorded(world: World) -> None:
    worse = put_version(world, 4, skill=-0.05)
    with pytest.raises(IntegrityError, match=f"{worse} stays challenger of {V1}: Brier score .* neither better nor"):
        promote(world, worse)
    assert world.registry.champion_version(STOCKS) == V1
    promote(world, worse, against_the_rules=True)
    assert world.registry.champion_version(STOCKS) == V4
    assert "against the rules: it is better" in str(deployments(world)[-1]["details"])
    assert world.registry.version(STOCKS, V4).tags["champion_action"] == "promote against the rules"


def test_the_word_is_recorded_only_where_the_rules_said_no(world: World) -> None:
    promote(world, V2, against_the_rules=True)
    assert world.registry.version(STOCKS, V2).tags["champion_action"] == "promote"


def test_bars_that_daily_inference_added_count_in_the_comparison(world: World) -> None:
    longer = put_version(world, 4, days=DAYS)
    decision = judge(world.warehouse, world.registry, STOCKS, longer, V1)
    assert decision.comparison is not None
    assert decision.comparison.rows == len(SYMBOLS) * (DAYS - 1)


def test_a_damaged_record_is_refused_before_anything_moves(world: World) -> None:
    promote(world, V2)
    run_id = world.registry.version(STOCKS, V1).run_id
    world.registry.store.artifact(run_id, PREDICTIONS_ARTIFACT).write_bytes(b"no parquet")
    with pytest.raises(RegistryError, match=f"the predictions of run {run_id} cannot be read"):
        roll_back(world, V1)
    assert world.registry.champions(STOCKS) == (V1, V2)
    assert set(published(world)["model_version"]) == {V2}


def test_a_champion_whose_files_are_gone_can_be_replaced_against_the_rules(world: World) -> None:
    folder = world.registry.store.artifact_root / world.registry.version(STOCKS, V1).tags["folder"]
    shutil.rmtree(folder)
    with pytest.raises(IntegrityError, match="0 known bars on 0 dates were predicted by both"):
        promote(world, V2)
    assert promote(world, V2, against_the_rules=True) is not None


def test_predictions_whose_bars_are_gone_are_left_out_and_counted(world: World) -> None:
    kept = feature_rows().filter(pl.col("symbol") != "DDD")
    world.warehouse.write([Write(FEATURES_TABLE, rows=kept.to_arrow(), mode="replace", where={"asset_type": "stocks"})])
    promote(world, V2)
    assert set(published(world)["symbol"]) == {"AAA", "BBB", "CCC"}
    left_out = "280 predictions left out because their bars are not stored any more"
    assert left_out in str(deployments(world)[-1]["details"])


def test_a_record_of_which_no_bar_is_left_is_not_published(world: World) -> None:
    before = published(world)
    other = feature_rows().with_columns(symbol=pl.lit("NEW_") + pl.col("symbol"))
    world.warehouse.write(
        [Write(FEATURES_TABLE, rows=other.to_arrow(), mode="replace", where={"asset_type": "stocks"})]
    )
    with pytest.raises(IntegrityError, match="none of the 1,120 bars that walk_forward_stocks/2 predicted is stored"):
        promote(world, V2)
    assert_frame_equal(published(world), before)


def test_a_configuration_edited_later_is_the_newer_decision_about_thresholds(world: World) -> None:
    refresh_asset_settings(world.warehouse, world.settings)
    assert thresholds_in_views(world) == (0.601, 0.651)
    thresholds = world.settings.thresholds
    edited = thresholds.model_copy(update={"stocks": thresholds.stocks.model_copy(update={"buy": 0.58})})
    settings = world.settings.model_copy(update={"thresholds": edited})
    refresh_asset_settings(world.warehouse, settings)
    assert thresholds_in_views(world) == (0.58, 0.65)
    promote(World(settings, world.warehouse, world.registry), V2)
    refresh_asset_settings(world.warehouse, settings)
    assert thresholds_in_views(world) == (0.602, 0.652)


def test_quantiles_in_the_configuration_leave_the_bundles_numbers_in_force(world: World) -> None:
    thresholds = world.settings.thresholds
    edited = thresholds.model_copy(update={"stocks": thresholds.stocks.model_copy(update={"mode": "quantile"})})
    refresh_asset_settings(world.warehouse, world.settings.model_copy(update={"thresholds": edited}))
    assert thresholds_in_views(world) == (0.601, 0.651)
