"""The four schedules: when they run next, by Prefect's own reckoning, also where clocks change."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule

from configs.settings import load_settings

ROOT = Path(__file__).parents[2]
FILES = ("prefect.yaml", "prefect.cloud-run.yaml")
INFERENCE, MONITORING = ("30 1 * * *", "ml-daily-inference"), ("0 6 * * *", "ml-model-monitoring")
RETRAIN, BACKTEST = ("0 2 * * 0", "ml-weekly-retrain"), ("0 7 * * *", "ml-backtest-daily")


def deployments(file: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in yaml.safe_load((ROOT / file).read_text())["deployments"]}


def next_runs(cron: str, start: str, end: str) -> list[str]:
    """UTC minutes of all runs in [start, end)."""
    schedule = CronSchedule(cron=cron, timezone="America/New_York")
    bounds = [datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (start, end)]
    dates = asyncio.run(schedule.get_dates(n=20, start=bounds[0], end=bounds[1]))
    return [f"{one.astimezone(UTC):%m-%d %H:%M}" for one in dates]


@pytest.mark.parametrize("file", FILES)
def test_the_four_deployments_have_the_times_that_were_asked_for(file: str) -> None:
    found = deployments(file)
    assert set(found) == {"ml-daily-inference", "ml-model-monitoring", "ml-weekly-retrain", "ml-backtest-daily"}
    for cron, name in (INFERENCE, MONITORING, RETRAIN, BACKTEST):
        assert found[name]["schedules"] == [{"cron": cron, "timezone": "America/New_York"}]
        assert found[name]["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


def test_both_files_say_the_same_but_for_where_flows_run() -> None:
    here, there = (deployments(file) for file in FILES)
    for name in here:
        ours = {key: value for key, value in here[name].items() if key != "work_pool"}
        assert ours == {key: value for key, value in there[name].items() if key != "work_pool"}
    pools = {one["work_pool"]["name"] for one in here.values()}
    assert pools == {load_settings("test").up.work_pool}


def test_parameters_have_the_names_and_values_of_the_scheduled_jobs_that_were_there_before() -> None:
    found = deployments("prefect.yaml")
    assert found["ml-daily-inference"]["parameters"]["confidence_threshold"] == 0.55
    assert found["ml-model-monitoring"]["parameters"] == {"check_drift": True, "alert_threshold": 0.85}
    assert found["ml-weekly-retrain"]["parameters"]["validation_window_days"] == 30
    assert found["ml-backtest-daily"]["parameters"] == {"lookback_days": 7, "confidence_levels": ["HIGH", "MEDIUM"]}


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (INFERENCE, ["10-31 05:30", "11-01 05:30", "11-02 06:30"]),  # 01:30 comes twice on that day, and runs once
        (MONITORING, ["10-31 10:00", "11-01 11:00", "11-02 11:00"]),
        (RETRAIN, ["11-01 07:00"]),
        (BACKTEST, ["10-31 11:00", "11-01 12:00", "11-02 12:00"]),
    ],
    ids=lambda one: one[1] if isinstance(one, tuple) else "",
)
def test_every_day_has_its_run_once_when_clocks_go_back_in_2026(schedule: tuple[str, str], expected: list[str]) -> None:
    assert next_runs(schedule[0], "2026-10-31T04:00", "2026-11-03T04:00") == expected


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (INFERENCE, ["03-13 06:30", "03-14 06:30", "03-15 05:30"]),
        (MONITORING, ["03-13 11:00", "03-14 10:00", "03-15 10:00"]),
        (RETRAIN, ["03-14 06:00"]),  # there is no 02:00: it is 01:00, half an hour before inference
        (BACKTEST, ["03-13 12:00", "03-14 11:00", "03-15 11:00"]),
    ],
    ids=lambda one: one[1] if isinstance(one, tuple) else "",
)
def test_every_day_has_its_run_once_when_clocks_go_forward_in_2027(
    schedule: tuple[str, str], expected: list[str]
) -> None:
    assert next_runs(schedule[0], "2027-03-13T05:00", "2027-03-16T04:00") == expected
