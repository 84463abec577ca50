"""Inference of past days, after kills, and with what is served tampered with: only the honest answer is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from feast.protos.feast.types.Value_pb2 import Map
from polars.testing import assert_frame_equal

import flows.inference
from feature_repo import store as feast
from feature_repo.publication import feast_files
from feature_repo.reading import UTC_TIME
from flows.features import features
from market.errors import SkewError
from tests.integration.inference_world import (
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
from warehouse.duckdb import DuckDBWarehouse
from warehouse.warehouse import Write

FRIDAY = midnight(END)
WEDNESDAY = date(2024, 6, 19)
"""Juneteenth: the exchange was shut."""
THURSDAY = date(2024, 6, 20)
DEPLOYMENTS = "ml_models.deployment_log"
KEY = ["asset_type", "symbol", "datetime"]
SCORE = ["symbol", "xgb_up_probability", "signal", "model_version", "stop_loss_pct", "volume_sma_20", "rsi", "close"]


@pytest.fixture
def world(inference_home: Path, tmp_path: Path) -> World:
    return world_at(tmp_path / "own", inference_home)


@pytest.fixture(scope="module")
def on_friday(inference_home: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """What was predicted on Friday itself; read only."""
    world = world_at(tmp_path_factory.mktemp("friday") / "home", inference_home)
    world.predict()
    return world


def of_class(rows: pl.DataFrame, asset_type: str) -> pl.DataFrame:
    return rows.filter(pl.col("asset_type") == asset_type).sort("symbol")


def corrected(world: World, days_before: int, factor: float) -> str:
    """A bar before Friday's comes again with another close; returns its symbol."""
    batch = bars(world.settings, "crypto", END - timedelta(days=days_before), END - timedelta(days=days_before))
    symbol = batch["symbol"].sort()[1]
    own = batch.filter(pl.col("symbol") == symbol).with_columns(
        close=pl.col("close") * factor, high=pl.col("high") * factor, low=pl.col("low") / factor
    )
    deliver(world, own)
    return str(symbol)


def test_a_past_day_gets_what_was_given_on_it_whatever_was_corrected_and_came_later(
    world: World, on_friday: World
) -> None:
    days_pass(world, 4)
    symbol = corrected(world, 2, 1.04)
    report = world.predict(END)
    assert {one.model_versions for one in report.classes} == {("walk_forward_stocks/1",), ("walk_forward_crypto/1",)}
    assert [one.recomputed for one in report.classes] == [(), (symbol,)]
    given, again = on_friday.rows(), world.rows()
    changed = pl.col("symbol") == symbol
    assert_frame_equal(again.filter(~changed).select(SCORE), given.filter(~changed).select(SCORE))
    assert_frame_equal(again.filter(changed).select(SCORE), given.filter(changed).select(SCORE), rel_tol=1e-9)
    stored = world.ask(f"SELECT rsi FROM `{FEATURES}` WHERE symbol = '{symbol}' AND datetime = TIMESTAMP '2024-06-21'")
    assert abs(stored["rsi"][0] - again.filter(changed)["rsi"][0]) > 0.1, "today's row has the correction in it"
    assert again["actual_direction"].null_count() == 0
    assert again["gemini_status"].unique().to_list() == ["disabled"]


def test_before_the_first_champion_its_fold_models_answer_as_the_record_does(world: World) -> None:
    report = world.predict(THURSDAY)
    record = world.ask(f"SELECT * FROM `{RECORD}` WHERE datetime = TIMESTAMP '2024-06-20' ORDER BY asset_type, symbol")
    made = world.rows()
    assert made["xgb_up_probability"].to_list() == record["up_probability"].to_list(), "the same model, bit for bit"
    assert report.classes[0].model_versions == ("walk_forward_stocks/1#fold2",)
    assert (record["trained_through"] <= record["bar_known_at"]).all() and set(record["fold"]) == {2}
    assert record["up_probability"].n_unique() > 6
    actual = {1: "UP", 0: "DOWN"}
    assert made["actual_direction"].to_list() == [actual[value] for value in record["actual_direction"]]
    nobody = world.predict(date(2021, 3, 3), features_are_new=True).classes
    assert [one.predicted for one in nobody] == [0, 0]
    assert nobody[0].note == "no model existed on 2021-03-03, and the champion's record does not reach back to it"


def test_a_past_day_belongs_to_its_own_champion_and_no_log_makes_a_model_older_than_what_it_knows(world: World) -> None:
    days_pass(world, 4, classes=["crypto"])
    features(world.context)
    train(world, "crypto", seed=99)
    (sunday,) = world.predict(END + timedelta(days=2), classes=["crypto"], features_are_new=True).classes
    assert (sunday.champion, sunday.model_versions) == ("walk_forward_crypto/2", ("walk_forward_crypto/1",))
    log = world.ask(f"SELECT * FROM `{DEPLOYMENTS}` WHERE component_name = 'walk_forward_crypto'")
    since_spring = log.with_columns(deployed_at=pl.lit(datetime(2024, 4, 1, tzinfo=UTC)).cast(UTC_TIME))
    world.warehouse.write([Write(DEPLOYMENTS, rows=since_spring.to_arrow(), mode="merge")])
    (thursday,) = world.predict(THURSDAY, classes=["crypto"], features_are_new=True).classes
    assert thursday.model_versions == ("walk_forward_crypto/2#fold2",)


def test_a_class_without_a_session_on_the_day_says_so_and_writes_nothing(world: World) -> None:
    (stocks,) = world.predict(WEDNESDAY, classes=["stocks"], features_are_new=True).classes
    assert (stocks.note, stocks.predicted) == ("no session on 2024-06-19: nothing is written", 0)
    assert world.rows().is_empty()
    (tomorrow,) = world.predict(END + timedelta(days=3), classes=["stocks"], features_are_new=True).classes
    assert tomorrow.note.startswith("the bars of 2024-06-24 are not closed yet by the clock (2024-06-21 20:15 UTC)")
    last_day = world.predict(date.max, features_are_new=True).classes
    assert [one.note[:44] for one in last_day] == ["the bars of 9999-12-31 are not closed yet by"] * 2


def test_backfills_are_no_live_performance(on_friday: World, tmp_path: Path) -> None:
    world = world_at(tmp_path / "own", on_friday.settings.paths.home.parent)
    feast.apply(world.settings)
    world.predict(THURSDAY, classes=["crypto"], features_are_new=True)
    days_pass(world, 1, classes=["crypto"])
    world.predict(classes=["crypto"])
    marked = world.ask(
        "SELECT datetime, is_backfill, COUNT(*) AS n FROM `tradehits.v_live_predictions` "
        "WHERE asset_type = 'crypto' GROUP BY 1, 2 ORDER BY 1"
    )
    assert marked.rows() == [
        (midnight(THURSDAY), True, 6),
        (FRIDAY, False, 6),
        (FRIDAY + timedelta(days=1), False, 6),
    ]
    matured = world.ask(
        "SELECT live_matured_rows_37d FROM `tradehits.v_performance_source` WHERE asset_type = 'crypto'"
    )
    assert matured.rows() == [(6,)], "Friday's; Thursday's were made with the outcome known, Saturday's is open"


QUICK = "before the online store is loaded"


class Killed(BaseException):
    """Stands for the end of the process."""


STEPS: dict[str, Callable[[pytest.MonkeyPatch, Callable[..., None]], None]] = {
    "before the online store is loaded": lambda patch, die: patch.setattr("feature_repo.store.materialize", die),
    "before anything is scored": lambda patch, die: patch.setattr(flows.inference, "score_newest", die),
    "before the snapshot": lambda patch, die: patch.setattr(flows.inference, "publish_snapshot", die),
}


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=() if step == QUICK else pytest.mark.slow) for step in STEPS]
)
def test_killed_between_steps_the_next_run_ends_where_an_undisturbed_one_does(
    world: World, on_friday: World, step: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        STEPS[step](patch, die)
        with pytest.raises(Killed):
            world.predict(classes=["crypto"])
    world.predict(classes=["crypto"])
    for table in (REALTIME, RECORD):
        assert_frame_equal(of_class(world.rows(table), "crypto"), of_class(on_friday.rows(table), "crypto"))
    assert world.settings.paths.snapshot_file.exists()


@pytest.mark.slow
def test_killed_inside_the_transaction_nothing_of_the_class_is_written(world: World, on_friday: World) -> None:
    write = DuckDBWarehouse.write

    def die_in_the_second(self: DuckDBWarehouse, writes: list[Write]) -> object:
        if any(one.table == REALTIME for one in writes):
            bad = Write(RECORD, rows=world.rows(RECORD).head(1).to_arrow(), mode="append")
            return write(self, [*writes, bad])
        return write(self, writes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DuckDBWarehouse, "write", die_in_the_second)
        with pytest.raises(Exception, match="a row with this key exists"):
            world.predict()
    assert world.rows().is_empty()
    world.predict()
    assert_frame_equal(world.rows(), on_friday.rows())


def served_otherwise(world: World, feature: str) -> None:
    """The online store answers with another value of one feature of one symbol, whatever is loaded into it."""
    with closing(sqlite3.connect(feast_files(world.settings).online)) as store, store:
        (table,) = store.execute("SELECT name FROM sqlite_master WHERE name LIKE 'rows_%'").fetchone()
        for key, stored in store.execute(f"SELECT entity_key, features FROM {table}").fetchall():
            values = Map.FromString(stored)
            values.val[feature].double_val += 1e-12
            store.execute(f"UPDATE {table} SET features = ? WHERE entity_key = ?", (values.SerializeToString(), key))


def test_a_feature_served_otherwise_than_stored_is_named_and_nothing_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    features(world.context)
    served_otherwise(world, "atr_pct")
    monkeypatch.setattr("feature_repo.store.materialize", lambda *_: None)
    with pytest.raises(SkewError, match=r"atr_pct is \d+\.\d+ as served and \d+\.\d+ as stored \(6 of 6 rows differ\)"):
        world.predict(classes=["stocks"])
    assert world.rows().is_empty()


@pytest.mark.slow
def test_a_stored_row_that_changed_behind_feasts_back_is_found(world: World) -> None:
    world.predict(classes=["crypto"])
    row = world.ask(
        f"SELECT * FROM `{FEATURES}` WHERE asset_type = 'crypto' AND datetime = TIMESTAMP '2024-06-21' LIMIT 1"
    )
    world.warehouse.write([Write(FEATURES, rows=row.with_columns(pl.col("rsi") + 9).to_arrow(), mode="merge")])
    with pytest.raises(SkewError, match="rsi is"):
        world.predict(classes=["crypto"])
    with pytest.raises(SkewError, match="rsi is"):
        world.predict(classes=["crypto"], check_all=True)


@pytest.mark.slow
def test_a_clock_set_into_the_past_hides_what_came_later(inference_home: Path, tmp_path: Path) -> None:
    thursday = datetime(2024, 6, 21, 12, tzinfo=UTC)  # crypto's bar of the 20th closed twelve hours ago
    clock = world_at(tmp_path / "own", inference_home).settings.clock
    world = world_at(tmp_path / "own", clock=clock.model_copy(update={"crypto": thursday}))
    (crypto,) = world.predict(classes=["crypto"]).classes
    assert crypto.bar == midnight(date(2024, 6, 20))
    made = world.rows()
    assert made["created_at"].unique().to_list() == [thursday]
    assert made["actual_direction"].null_count() == 6, "the outcome is stored, and unknown at noon"
    assert made["model_version"].unique().to_list() == ["walk_forward_crypto/1#fold2"], "the champion knows too much"
