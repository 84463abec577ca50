"""A month of operation: every rule holds on every day."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from configs.settings import load_settings
from flows.cli import app
from flows.progress import LogReporter
from flows.simulate_month import simulate_month
from market.errors import ConfigError


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_thirty_days_with_weekends_and_a_holiday(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["simulate-month", "--format", "json"])
    month = json.loads(done.stdout)
    assert [(day["date"], day["violations"]) for day in month["days"] if day["violations"]] == []
    assert done.exit_code == 0 and month["holds"] is True
    days = {day["date"]: day for day in month["days"]}
    assert len(days) == 30
    assert [day for day, told in days.items() if told["retrained"]] == [
        "2024-06-02",
        "2024-06-09",
        "2024-06-16",
        "2024-06-23",
        "2024-06-30",
    ]
    # fifteen audits at a level of 1% each: a refusal by chance is no surprise, a third one is
    assert sum(len(told["refused"]) for told in days.values()) <= 2
    # 6 symbols a class; the bars of Saturday, Sunday and of the holiday on the 19th are crypto's alone
    assert {day: told["predictions"] for day, told in days.items() if told["predictions"] != 18} == {
        **{f"2024-06-{day:02d}": 6 for day in (2, 3, 9, 10, 16, 17, 20, 23, 24, 30)},
    }
    assert not (tmp_path / "test" / "state").exists()


def test_too_little_history_is_refused_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))
    for start, days, message in ((date(2022, 1, 1), 30, "too late to train"), (date(2024, 6, 1), 0, "0 days")):
        with pytest.raises(ConfigError, match=message):
            simulate_month(load_settings("test"), start, days, LogReporter())
    assert not list(tmp_path.rglob("*.duckdb"))
