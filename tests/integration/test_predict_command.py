"""`tradehits predict` and `tradehits today` as a user calls them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flows.cli import app


@pytest.fixture
def home(inference_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(inference_home, tmp_path / "own")
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("TRADEHITS_PROFILE", "test")
    return tmp_path / "own"


def called(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_today_says_in_five_lines_what_to_do_then_which_signals_from_which_model_and_how_sure(
    home: Path,
) -> None:
    before = called("today").stdout.splitlines()
    assert before[:4] == [
        "no predictions yet in profile test: run `tradehits predict`",
        "stocks: no prediction yet",
        "etf: no bars",
        "crypto: no prediction yet",
    ]
    report = json.loads(called("predict", "--format", "json").stdout)
    stocks, crypto = report["classes"]
    assert (stocks["asset_type"], stocks["bar"], stocks["predicted"]) == ("stocks", "2024-06-21T00:00:00+00:00", 6)
    assert crypto["model_versions"] == ["walk_forward_crypto/1"]
    assert crypto["written"] == {"predictions": 6, "outcomes": 0, "record_rows": 0, "record_labels": 0}
    assert sum(crypto["signals"].values()) == sum(crypto["confidence"].values()) == crypto["gemini"]["disabled"] == 6
    assert Path(report["snapshot"]) == home / "test" / "cache" / "serving.snapshot"

    after = called("today").stdout.splitlines()
    assert len(before) == len(after) == 5
    assert "12 predictions" in after[0]
    low, high = crypto["probability_range"]
    assert f"probabilities {low:.3f} to {high:.3f}; bar 2024-06-21; walk_forward_crypto/1" in after[3]
    assert after[4].startswith("out of sample, percent right: stocks ")
    assert "base rate" in after[4]


def test_a_table_says_when_a_class_has_no_session_and_a_bad_day_is_bad_usage(home: Path) -> None:
    told = called("predict", "--asset-type", "stocks", "--date", "2024-06-22").stdout
    assert "stocks: no session on 2024-06-22: nothing is written" in told
    assert CliRunner().invoke(app, ["predict", "--date", "yesterday"]).exit_code == 2


@pytest.mark.slow
def test_two_commands_at_once_write_every_row_once(home: Path) -> None:
    command = [str(Path(sys.executable).parent / "tradehits"), "predict", "--format", "json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    reports = [json.loads(process.communicate(timeout=280)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    written = [[one["written"]["predictions"] for one in report["classes"]] for report in reports]
    assert sorted(written) == [[0, 0], [6, 6]]
