"""Bars do not come, come late, come in another shape, or the clock is wrong: said, and made good by the next run."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

import flows.features
import flows.ingest
from configs.sources import CsvOptions
from flows.catch_up import catch_up_predictions
from flows.ingest import ingest
from flows.missed import missed_days
from flows.scheduled import infer, unwell
from flows.scheduled_ingest import ingest_configured
from flows.scheduled_outcome import Outcome, state_of
from market.errors import ConfigError, SourceError
from tests.integration.inference_world import END, World, bars, days_pass, midnight, world_at

HEADER = "symbol,datetime,open,high,low,close,volume"
BAR = "AAA/USD,2024-06-21,1.0,2.0,0.5,1.5,10"
FRIDAY, SATURDAY, SUNDAY, MONDAY = (midnight(END + timedelta(days=number)) for number in range(4))


@pytest.fixture
def world(inference_home: Path, tmp_path: Path) -> World:
    return world_at(tmp_path / "own", inference_home)


def at(world: World, now: datetime) -> World:
    """The same home when the clock of all classes says so."""
    clock = world.settings.clock.model_copy(update={"stocks": now, "crypto": now})
    return world_at(world.settings.paths.home.parent, clock=clock)


def night(day: datetime) -> datetime:
    """01:30 in New York."""
    return day + timedelta(hours=5, minutes=30)


def from_csv(world: World, text: str, name: str = "bars.csv") -> World:
    """The same home with a file as its only source."""
    file = world.settings.paths.home.parent / name
    file.write_text(text)
    sources = world.settings.sources.model_copy(
        update={"stocks": None, "etf": None, "crypto": CsvOptions(paths=(file,))}
    )
    return world_at(world.settings.paths.home.parent, sources=sources)


def test_bars_that_are_late_by_six_hours_are_said_to_be_and_scored_when_they_come(world: World) -> None:
    at(world, night(SATURDAY)).predict(classes=["crypto"])
    sunday_night = at(world, night(SUNDAY))
    late = sunday_night.predict(classes=["crypto"])  # Saturday's bars were due at midnight
    told = unwell(late, 0.25)
    assert told == [
        "crypto: late: the bar after 2024-06-21 was due at 2024-06-23 00:00 UTC and has not come; ingest and predict "
        "again when it has"
    ]
    state = state_of(Outcome("6 predictions", problems=tuple(told)))
    assert (state.type.value, state.name) == ("COMPLETED", "Partial")
    assert late.classes[0].written.predictions == 0
    days_pass(world, 1, classes=["crypto"])
    morning = at(world, night(SUNDAY) + timedelta(hours=6)).predict(classes=["crypto"])
    assert (morning.classes[0].written.predictions, unwell(morning, 0.25)) == (6, [])
    made = world.ask("SELECT COUNT(*) AS n, COUNTIF(is_backfill) AS late FROM `tradehits.v_live_predictions`")
    assert made.rows() == [(12, 0)], "made before the next bar closed: as good as on time"


@pytest.mark.slow
def test_bars_that_came_after_their_day_are_caught_up_and_marked_as_made_late(world: World) -> None:
    at(world, night(SATURDAY)).predict(classes=["crypto"])
    days_pass(world, 2, classes=["crypto"])
    monday_night = at(world, night(MONDAY))
    flows.features.features(monday_night.context)
    assert missed_days(monday_night.context, "crypto") == [SATURDAY.date()]
    catch_up_predictions(monday_night.context, ["crypto"])
    monday_night.predict(classes=["crypto"], features_are_new=True)
    made = world.ask("SELECT datetime, is_backfill FROM `tradehits.v_live_predictions`").unique().sort("datetime")
    assert made["is_backfill"].to_list() == [False, True, False]


@pytest.mark.slow
def test_by_a_clock_one_day_ahead_bars_are_late_and_by_the_right_one_nothing_is_missing(world: World) -> None:
    at(world, night(SATURDAY)).predict(classes=["crypto"])
    ahead = at(world, night(SUNDAY)).predict(classes=["crypto"], features_are_new=True)
    assert ahead.classes[0].written.predictions == 0 and ahead.classes[0].late
    two_ahead = at(world, night(MONDAY)).predict(classes=["crypto"], features_are_new=True)
    assert two_ahead.classes[0].bar is None
    assert "2 sessions have closed since by the clock (2024-06-24 05:30 UTC)" in two_ahead.classes[0].note
    days_pass(world, 1, classes=["crypto"])
    right = at(world, night(SUNDAY)).predict(classes=["crypto"])
    assert right.classes[0].written.predictions == 6
    assert world.rows().height == 12


@pytest.mark.slow
def test_by_a_clock_one_day_behind_nothing_is_scored_that_was_not_closed_yet(world: World) -> None:
    days_pass(world, 1, classes=["crypto"])
    behind = at(world, night(SATURDAY)).predict(classes=["crypto"])
    assert behind.classes[0].bar == FRIDAY
    assert world.rows()["datetime"].unique().to_list() == [FRIDAY]
    right = at(world, night(SUNDAY)).predict(classes=["crypto"])
    assert (right.classes[0].bar, right.classes[0].written.predictions) == (SATURDAY, 6)


def test_a_clock_one_day_behind_stores_no_bar_of_the_future_and_the_next_run_does(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = bars(world.settings, "crypto", END + timedelta(days=1), END + timedelta(days=1))
    text = "\n".join(
        [HEADER, *(",".join(str(row[name]) for name in HEADER.split(",")) for row in day.to_dicts())]
    ).replace(" 00:00:00+00:00", "")
    own = from_csv(world, text)
    monkeypatch.setattr(flows.ingest, "wall_clock", lambda: night(SATURDAY))
    [behind] = ingest(own.context)
    assert (behind.new, behind.quarantined) == (0, 6)
    reasons = own.ask("SELECT DISTINCT rule FROM `tradehits.bar_quarantine`")["rule"].to_list()
    assert reasons == ["not_closed"]
    monkeypatch.setattr(flows.ingest, "wall_clock", lambda: night(SUNDAY))
    [right] = ingest(own.context)
    assert right.new == 6


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", f"{HEADER}\n"], ids=["empty file", "header alone"])
def test_an_empty_source_is_a_failed_ingestion_and_stored_bars_are_still_scored(world: World, text: str) -> None:
    own = from_csv(world, text)
    before = own.ask("SELECT COUNT(*) AS n FROM `tradehits.bar_versions`")
    outcome = ingest_configured(own.context)
    assert outcome.failures == ("no source could be read",)
    assert outcome.problems[0].startswith("crypto: no new bars: ") and "; " in outcome.problems[0]
    assert state_of(outcome).type.value == "FAILED"
    assert own.ask("SELECT COUNT(*) AS n FROM `tradehits.bar_versions`").equals(before)
    inferred = infer(own.context, ["crypto"], 0.55)
    assert state_of(inferred).name == "Partial"
    assert own.rows().height == 6


@pytest.mark.parametrize(
    ("header", "bar", "said"),
    [
        (HEADER.replace("close", "last_px"), BAR, "close"),
        (HEADER.replace("datetime", "day_of_trade"), BAR, "datetime"),
        (HEADER, BAR.replace("1.5", "n/a"), "close"),
        (HEADER, BAR.replace("2024-06-21", "21st of June"), "datetime"),
        (HEADER.replace("volume", "close"), BAR, "close"),
    ],
    ids=["column renamed", "stamp renamed", "text for a number", "another date format", "column twice"],
)
def test_a_changed_schema_names_the_column_and_stores_nothing(world: World, header: str, bar: str, said: str) -> None:
    own = from_csv(world, f"{header}\n{bar}\n")
    before = own.ask("SELECT COUNT(*) AS n FROM `tradehits.bar_versions`")
    with pytest.raises(SourceError) as changed:
        ingest(own.context)
    assert said in changed.value.message and changed.value.remedy
    assert own.ask("SELECT COUNT(*) AS n FROM `tradehits.bar_versions`").equals(before)
    assert state_of(ingest_configured(own.context)).type.value == "FAILED"


def test_a_new_column_of_the_source_is_left_out_and_changes_nothing(world: World) -> None:
    [read] = ingest(from_csv(world, f"{HEADER},vwap\n{BAR},1.4\n").context)
    assert (read.new, read.quarantined) == (1, 0)


@pytest.mark.slow
def test_a_source_for_one_run_takes_the_place_of_the_configured_ones(world: World) -> None:
    file = world.settings.paths.home.parent / "one.csv"
    file.write_text(f"{HEADER}\n{BAR}\n")
    outcome = ingest_configured(world.context, ["crypto"], ("csv", (file,)))
    assert outcome.headline == "1 new or changed bars from source 'csv'"
    assert [(row["asset_type"], row["source"], row["new"]) for row in outcome.table] == [("crypto", "csv", 1)]
    with pytest.raises(ConfigError, match="path without source"):
        ingest_configured(world.context, ["crypto"], (None, (file,)))
