"""Missed days: done in order, once, and as they would have been on their days."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from flows.backtest import BacktestQuestion, backtest
from flows.catch_up import (
    catch_up_backtests,
    catch_up_monitoring,
    catch_up_predictions,
    in_order,
)
from flows.cli import app
from flows.features import features
from flows.missed import missed_backtests, missed_days, missed_moments
from flows.monitor import monitor
from market.errors import CatchUpError, ConfigError, SkewError
from tests.integration.inference_world import CLASSES, END, RECORD, World, days_pass, midnight, world_at

DAYS = 4
"""Saturday to Tuesday: four bars of crypto and two of stocks, the newest of which is not missed but today's."""

SATURDAY, SUNDAY, MONDAY, TUESDAY = (END + timedelta(days=number) for number in range(1, DAYS + 1))
QUESTION = BacktestQuestion(strategies=("probability_weighted",))
MONITORED = ("ml_models.model_drift_alerts", "ml_models.feature_distributions", "tradehits.alert_judgements")


def changes(given: World) -> dict[str, object]:
    """No pages, and hardly any simulation: neither is compared here."""
    settings = given.settings
    monte_carlo = settings.backtest.monte_carlo.model_copy(update={"paths": 20, "shuffles": 2})
    return {
        "reports": settings.reports.model_copy(update={"enabled": False}),
        "backtest": settings.backtest.model_copy(update={"monte_carlo": monte_carlo}),
    }


def live(world: World) -> None:
    """What the schedules do on one day."""
    world.predict()
    monitor(world.context)
    backtest(world.context, QUESTION)


@pytest.fixture(scope="module")
def started(inference_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Friday was lived through."""
    home = tmp_path_factory.mktemp("started") / "home"
    plain = world_at(home, inference_home)
    live(world_at(home, **changes(plain)))
    return home


def again(started: Path, home: Path) -> World:
    plain = world_at(home, started)
    return world_at(home, **changes(plain))


@pytest.fixture(scope="module")
def daily(started: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Every day was lived through."""
    world = again(started, tmp_path_factory.mktemp("daily") / "home")
    for number in range(1, DAYS + 1):
        days_pass(world, number)
        live(world)
    return world


@pytest.fixture(scope="module")
def caught(started: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """All bars came on the last day, and what was missed is caught up."""
    world = again(started, tmp_path_factory.mktemp("caught") / "home")
    days_pass(world, DAYS)
    features(world.context, only_new=True)
    assert {name: missed_days(world.context, name) for name in CLASSES} == {
        "stocks": [MONDAY],
        "crypto": [SATURDAY, SUNDAY, MONDAY],
    }
    assert catch_up_predictions(world.context, CLASSES) == [
        f"crypto: {SATURDAY} was missed: 6 predictions, as it was known then",
        f"crypto: {SUNDAY} was missed: 6 predictions, as it was known then",
        f"crypto: {MONDAY} was missed: 6 predictions, as it was known then",
        f"stocks: {MONDAY} was missed: 6 predictions, as it was known then",
    ]
    world.predict(features_are_new=True)
    told = catch_up_monitoring(world.context, CLASSES)
    # a bar of crypto is known when its day is over: Friday's was judged on Saturday
    assert [one.split(" was missed")[0] for one in told] == [
        f"crypto: {SUNDAY}",
        f"stocks, crypto: {MONDAY}",
        f"crypto: {TUESDAY}",
    ]
    monitor(world.context)
    assert missed_backtests(world.context, QUESTION) == [SATURDAY, SUNDAY, MONDAY]
    assert len(catch_up_backtests(world.context, QUESTION)) == 3
    backtest(world.context, QUESTION)
    return world


def table(world: World, name: str, *without: str) -> pl.DataFrame:
    rows = world.ask(f"SELECT * FROM `{name}`").drop("recorded_at", *without, strict=False)
    return rows.sort(rows.columns)


@pytest.mark.slow
def test_predictions_are_those_of_having_run_each_day(daily: World, caught: World) -> None:
    wanted, found = (
        world.rows().sort("asset_type", "symbol", "datetime").drop("created_at") for world in (daily, caught)
    )
    assert wanted.height == 12 + 6 * 4 + 6 * 2
    assert_frame_equal(found, wanted)
    assert_frame_equal(caught.rows(RECORD), daily.rows(RECORD))


@pytest.mark.slow
def test_what_was_caught_up_is_marked_as_made_late(caught: World) -> None:
    marked = caught.ask("SELECT asset_type, DATE(datetime) AS day, is_backfill FROM `tradehits.v_live_predictions`")
    late = marked.filter("is_backfill").unique().sort("asset_type", "day")["asset_type", "day"].rows()
    assert late == [("crypto", SATURDAY), ("crypto", SUNDAY), ("crypto", MONDAY), ("stocks", MONDAY)]


@pytest.mark.slow
def test_judgements_alerts_and_distributions_are_those_of_having_run_each_day(daily: World, caught: World) -> None:
    for name in MONITORED:
        assert_frame_equal(table(caught, name, "created_at"), table(daily, name, "created_at"))
    judged = table(daily, "tradehits.alert_judgements").group_by("asset_type").len().sort("asset_type").rows()
    assert judged == [("crypto", 5), ("stocks", 3)]


@pytest.mark.slow
def test_backtests_and_their_trades_are_those_of_having_run_each_day(daily: World, caught: World) -> None:
    results = [table(world, "ml_models.backtest_results", "created_at") for world in (daily, caught)]
    stored = results[0].group_by("asset_type").len().sort("asset_type").rows()
    assert stored == [("all", 3), ("crypto", 5), ("stocks", 3)], "where stocks take part, the weekend ends on Friday"
    assert_frame_equal(results[1], results[0])
    trades = [table(world, "ml_models.backtest_trades") for world in (daily, caught)]
    assert_frame_equal(trades[1], trades[0])


@pytest.mark.slow
def test_days_that_are_done_are_not_done_twice(caught: World, daily: World) -> None:
    for world in (caught, daily):
        assert [missed_days(world.context, name) for name in CLASSES] == [[], []]
        assert [missed_moments(world.context, name) for name in CLASSES] == [[], []]
        assert missed_backtests(world.context, QUESTION) == []


def test_missed_days_and_holes_are_scored_in_order_and_once(inference_home: Path, tmp_path: Path) -> None:
    world = world_at(tmp_path / "own", inference_home)
    assert missed_days(world.context, "crypto") == [], "nothing was missed before the first run"
    assert missed_moments(world.context, "crypto") == []
    assert missed_backtests(world.context, QUESTION) == []
    world.predict(classes=["crypto"])
    before = world.rows()
    days_pass(world, DAYS, classes=["crypto"])
    features(world.context, only_new=True)
    world.predict(SUNDAY, classes=["crypto"], features_are_new=True)
    assert missed_days(world.context, "crypto") == [SATURDAY, MONDAY]
    assert catch_up_predictions(world.context, CLASSES) == [
        f"crypto: {SATURDAY} was missed: 6 predictions, as it was known then",
        f"crypto: {MONDAY} was missed: 6 predictions, as it was known then",
    ]
    assert missed_days(world.context, "crypto") == []
    assert catch_up_predictions(world.context, CLASSES) == []
    made = world.rows()
    assert made.group_by("datetime").len().sort("datetime").rows() == [
        (midnight(END + timedelta(days=number)), 6) for number in range(DAYS)
    ]
    outcomes = ["actual_direction", "actual_change_pct", "prediction_correct"]
    assert_frame_equal(made.filter(pl.col("datetime") == midnight(END)).drop(outcomes), before.drop(outcomes))


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("predict", ["--date", "2024-06-21"]),
        ("monitor", ["--date", "2024-06-21"]),
        ("monitor", ["--no-check-drift"]),
        ("backtest", ["--to", "2024-06-21"]),
        ("backtest", ["--predictions", "live"]),
    ],
)
def test_catching_up_goes_with_no_other_question(command: str, option: list[str]) -> None:
    done = CliRunner().invoke(app, [command, "--profile", "test", "--catch-up", *option])
    assert isinstance(done.exception, ConfigError)
    assert f"does not go with {' '.join(option) if 'live' in option else option[0]}" in done.exception.message


def test_a_day_that_fails_stops_the_later_ones_and_says_so() -> None:
    done: list[date] = []

    def one(day: date) -> str:
        if day == SUNDAY:
            raise SkewError("rsi of A/USD differs", remedy="publish the features")
        done.append(day)
        return f"{day}"

    with pytest.raises(CatchUpError) as stopped:
        in_order("predict", [SATURDAY, SUNDAY, MONDAY, TUESDAY], one)
    assert done == [SATURDAY]
    assert stopped.value.message == (
        "predict of the missed 2024-06-23 failed, so no later day was done (1 earlier days are done; 2 wait: "
        "2024-06-24, 2024-06-25): rsi of A/USD differs"
    )
    assert stopped.value.remedy.startswith("publish the features; then run it again")
    assert isinstance(stopped.value.__cause__, SkewError)
