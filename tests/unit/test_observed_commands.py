"""Commands, steps and tasks as events: one line each, with what their results count and how they ended."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from configs.event_log import event
from configs.settings import Settings, load_settings
from flows import cli
from flows.observed import facts_of, named
from flows.observing import observed_command, observed_task
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from market.errors import SourceError


@dataclass(frozen=True)
class Stored:
    asset_type: str
    new: int
    symbols: tuple[str, ...]
    is_first: bool = True
    model_version: str = "walk_forward_etf/1"


@pytest.fixture
def settings() -> Settings:
    return load_settings("test")


def told(settings: Settings) -> list[dict[str, Any]]:
    """Lines without what differs from run to run."""
    lines = [json.loads(line) for line in settings.paths.event_log.read_text().splitlines()]
    assert len({line.pop("run_id") for line in lines}) == 1
    for line in lines:
        assert line.pop("time").endswith("Z")
        assert line.pop("seconds", 0) >= 0
        line.pop("profile")
    return lines


def test_steps_and_tasks_of_a_command_are_a_line_each_and_a_task_that_is_all_of_a_step_is_one(
    settings: Settings,
) -> None:
    reporter, tasks = LogReporter(), PlainTasks()

    def train() -> Stored:
        with reporter.step("etf: walk-forward") as advance:
            advance(3, 12)
            advance(12, 12)
        return Stored("etf", 7, ("A", "B"))

    def predict() -> int:
        with reporter.step("crypto: predict"):
            return 5

    with observed_command(settings, "run"):
        with reporter.step("store etf"):
            tasks.run("store-etf", Stored, "etf", 2, ("A",))
        assert tasks.run("train-etf", train).new == 7
        tasks.run("predict-crypto", predict)
        with reporter.step("etf: monitor 2026-11-20"):
            pass
    step = {"level": "info", "event": "step.ended", "command": "run", "status": "ok"}
    model = {"model_version": "walk_forward_etf/1"}
    assert told(settings) == [
        {"level": "info", "event": "command.started", "command": "run"},
        step | {"step": "store", "asset_type": "etf", "counts": {"new": 2, "symbols": 1}} | model,
        step | {"step": "walk-forward", "asset_type": "etf", "counts": {"done": 12, "total": 12}},
        step | {"step": "train", "asset_type": "etf", "counts": {"new": 7, "symbols": 2}} | model,
        step | {"step": "predict", "asset_type": "crypto", "counts": {"rows": 5}},
        step | {"step": "monitor", "asset_type": "etf", "date": "2026-11-20"},
        {"level": "info", "event": "command.ended", "command": "run", "status": "ok"},
    ]


def test_a_step_that_fails_says_why_and_so_does_its_command(settings: Settings) -> None:
    def fail() -> None:
        raise SourceError("the vendor has no bars", remedy="wait")

    with pytest.raises(SourceError), observed_command(settings, "ingest"), LogReporter().step("read and check bars"):
        PlainTasks().run("read-bars", fail)
    why = {"level": "error", "status": "failed", "error": "SourceError", "message": "the vendor has no bars"}
    assert told(settings)[1:] == [
        {"event": "step.ended", "command": "ingest", "step": "read and check bars"} | why,
        {"event": "command.ended", "command": "ingest"} | why,
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [(SystemExit(0), "ok"), (SystemExit(3), "failed"), (KeyboardInterrupt(), "interrupted"), (SystemExit(), "ok")],
)
def test_leaving_is_judged_by_the_exit_code(settings: Settings, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), observed_command(settings, "status"):
        raise error
    assert told(settings)[-1]["status"] == status


def test_outside_of_a_command_steps_and_tasks_tell_nothing(settings: Settings) -> None:
    with LogReporter().step("read"):
        assert PlainTasks().run("store-etf", lambda: 3) == 3
    assert not settings.paths.event_log.exists()


def test_a_function_can_be_a_task_whose_class_is_its_argument(settings: Settings) -> None:
    @observed_task("promote")
    def promote(asset_type: str, *, fails: bool = False) -> Stored:
        if fails:
            raise SourceError("gone")
        return Stored(asset_type, 1, ())

    with observed_command(settings, "models promote"):
        promote("etf")
        with pytest.raises(SourceError):
            promote("crypto", fails=True)
    found = [(line["step"], line["asset_type"], line["status"]) for line in told(settings)[1:-1]]
    assert found == [("promote", "etf", "ok"), ("promote", "crypto", "failed")]


def test_events_inside_a_command_carry_its_name(settings: Settings) -> None:
    with observed_command(settings, "serve"):
        event("snapshot.swapped", snapshot="abc")
    assert told(settings)[1] == {
        "level": "info",
        "event": "snapshot.swapped",
        "command": "serve",
        "snapshot": "abc",
    }


@pytest.mark.parametrize(
    ("name", "step", "asset_type", "date"),
    [
        ("stocks: walk-forward", "walk-forward", "stocks", None),
        ("store-crypto", "store", "crypto", None),
        ("store etf", "store", "etf", None),
        ("store etf 1h", "store 1h", "etf", None),
        ("crypto: predict 2026-11-20", "predict", "crypto", "2026-11-20"),
        ("open MLflow", "open MLflow", None, None),
        ("stocks and etf together", "stocks and etf together", None, None),
        ("etf", "etf", "etf", None),
    ],
)
def test_a_name_is_the_same_for_every_class_and_day(
    name: str, step: str, asset_type: str | None, date: str | None
) -> None:
    found = named(name)
    assert (found.step, found.asset_type, found.date) == (step, asset_type, date)


def test_results_are_counted_by_what_they_are() -> None:
    stored = [Stored("etf", 2, ("A",)), Stored("crypto", 3, ("B", "C"))]
    assert facts_of(12).counts == {"rows": 12}
    assert facts_of(stored).counts == {"items": 2, "new": 5, "symbols": 3}
    assert facts_of([]).counts == {"items": 0}
    for nothing in (None, True, "text", Path("x"), {"a": 1}, Stored):
        assert facts_of(nothing).counts == {}


def test_the_command_line_keeps_its_events_under_the_commands_own_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRADEHITS_PROFILE", "test")
    monkeypatch.setenv("TRADEHITS__OBSERVABILITY__STDERR", "true")
    monkeypatch.setattr(sys, "argv", ["tradehits", "models", "list", "--format", "json"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    out, err = capsys.readouterr()
    assert (left.value.code, json.loads(out)) == (0, [])
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["command.started", "command.ended"]
    assert [line["command"] for line in told(settings)] == ["models list", "models list"]


def test_a_command_that_ends_with_a_named_error_is_kept_as_failed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tradehits", "alerts", "resolve", "abc", "--by", "Ada", "--profile", "test"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    assert "error: " in capsys.readouterr().err
    ended = told(settings)[-1]
    assert (ended["command"], ended["status"], ended["error"]) == ("alerts resolve", "failed", "AlertError")
