"""`tradehits probe` on the embedded engine: every probe passes, and one that does not makes the command fail."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import flows.probe
from configs.settings import load_settings
from flows.cli import app
from flows.probe import run_probe
from market.errors import ConfigError
from warehouse.dialect.probe import Probe
from warehouse.dialect.probes import PROBES


def test_every_probe_passes_and_the_command_ends_well() -> None:
    done = CliRunner().invoke(app, ["probe", "--profile", "local"])
    assert done.exit_code == 0, done.output
    assert f"{len(PROBES)} golden probes on DuckDB: {len(PROBES)} passed." in done.output


def test_json_has_one_object_a_probe() -> None:
    text, passed = run_probe(load_settings("test"), "json")
    rows = json.loads(text)
    assert passed
    assert len(rows) == len(PROBES)
    assert {row["status"] for row in rows} == {"passed"}
    assert all(row["source"] and row["sql"] and row["expected"] for row in rows)


def test_a_probe_that_differs_is_named_with_both_answers_and_the_command_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Probe("one is two", "Arithmetic", "SELECT 1", ((2,),), topic="numbers")
    monkeypatch.setattr(flows.probe, "PROBES", (wrong,))
    done = CliRunner().invoke(app, ["probe", "--profile", "local"])
    assert done.exit_code == 1
    for words in ("failed: numbers: one is two", "SELECT 1", "expected 2", "got      1", "documented under Arithmetic"):
        assert words in done.output


def test_another_output_is_refused() -> None:
    with pytest.raises(ConfigError, match="probe has no output 'csv'"):
        run_probe(load_settings("test"), "csv")


def test_on_the_embedded_engine_there_is_nothing_to_migrate() -> None:
    for arguments in ([], ["--plan"], ["--apply"], ["--undo"]):
        done = CliRunner().invoke(app, ["migrate", "--profile", "local", *arguments])
        assert (done.exit_code, done.output.startswith("There is nothing to migrate")) == (0, True)
    both = CliRunner().invoke(app, ["migrate", "--profile", "local", "--plan", "--apply"])
    assert isinstance(both.exception, ConfigError)
