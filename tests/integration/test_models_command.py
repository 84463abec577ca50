"""`tradehits models` as people and programs call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from filelock import FileLock
from typer.testing import CliRunner

from flows.cli import app
from market.errors import ConfigError, IntegrityError, RegistryError
from tests.integration.champion_world import (
    V1,
    V2,
    V3,
    V4,
    World,
    deployments,
    promote,
    published,
    put_version,
    world_at,
)

Models = Callable[..., Result]


@pytest.fixture
def world(champion_home: Path, tmp_path: Path) -> World:
    return world_at(tmp_path / "home", champion_home)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRADEHITS_PROFILE", "test")

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["models", *arguments])

    return call


def printed(result: Result) -> object:
    assert result.exit_code == 0, result.output + repr(result.exception)
    return json.loads(result.stdout)


ASKED = ("--asset-type", "stocks", "--by", "Ann", "--why", "it is better")


def test_an_empty_home_has_no_models_and_asking_makes_none(models: Models, tmp_path: Path) -> None:
    assert printed(models("list", "--format", "json")) == []
    assert "No model is registered yet" in models("list").stdout
    assert not list((tmp_path / "home").rglob("mlflow.db"))
    failed = models("promote", *ASKED)
    assert isinstance(failed.exception, RegistryError)
    assert "has no model yet" in str(failed.exception)


def test_the_list_has_alias_status_tags_and_metrics_of_every_version(world: World, models: Models) -> None:
    listed = printed(models("list", "--format", "json"))
    assert [(one["model_version"], one["status"], one["aliases"]) for one in listed] == [
        (V3, "challenger", ["challenger"]),
        (V2, "waiting", []),
        (V1, "champion", ["champion"]),
    ]
    assert listed[2]["tags"]["champion_by"] == "Ann"
    assert (listed[2]["asset_type"], listed[2]["metrics"]) == ("stocks", {"validate_base_rate": 51.5})
    assert printed(models("list", "--asset-type", "crypto", "--format", "json")) == []
    text = models("list").stdout
    assert V1 in text
    assert "it is better" in text


def test_promote_and_rollback_do_what_they_say_and_are_recorded(world: World, models: Models) -> None:
    assert f"stocks: promote from {V1} to {V3} by Ann; in force after" in models("promote", *ASKED).stdout
    promoted = printed(models("promote", "--version", "2", *ASKED, "--format", "json"))
    assert promoted["change"]["from_version"] == V3
    assert promoted["decision"]["promote"] is True
    assert promoted["settled"]["rows"] == 1200
    assert set(published(world)["model_version"]) == {V2}
    rolled = models("rollback", "--asset-type", "stocks", "--by", "Bob", "--why", "it went wrong")
    assert f"rollback from {V2} to {V3} by Bob" in rolled.stdout
    assert set(published(world)["model_version"]) == {V3}
    assert [(row["version"], row["deployed_by"], row["status"]) for row in deployments(world)] == [
        (V1, "Ann", "SUCCESS"),
        (V3, "Ann", "SUCCESS"),
        (V2, "Ann", "SUCCESS"),
        (V3, "Bob", "SUCCESS"),
    ]


def test_rollback_goes_back_beyond_one_step_and_to_a_named_version(world: World, models: Models) -> None:
    for version in (V2, V3):
        promote(world, version)
    assert world.registry.champions("stocks") == (V1, V2, V3)
    models("rollback", *ASKED)
    models("rollback", *ASKED)
    assert world.registry.champion_version("stocks") == V1
    failed = models("rollback", *ASKED)
    assert "is the first champion of stocks: there is none to go back to" in str(failed.exception)
    for version in (V2, V3):
        promote(world, version)
    assert models("rollback", "--to", V1, *ASKED).exit_code == 0
    assert world.registry.champions("stocks") == (V1,)
    failed = models("rollback", "--to", V2, *ASKED)
    assert f"{V2} was no champion before {V1}" in str(failed.exception)


def test_promoting_the_champion_again_changes_nothing(world: World, models: Models) -> None:
    again = models("promote", "--version", "1", *ASKED)
    assert again.exit_code == 0
    assert f"{V1} is the champion of stocks already: nothing changed" in again.stdout
    assert len(deployments(world)) == 1


@pytest.mark.parametrize("command", ["promote", "rollback"])
@pytest.mark.parametrize("left_out", ["--by", "--why", "--asset-type"])
def test_who_and_why_are_required(models: Models, command: str, left_out: str) -> None:
    place = ASKED.index(left_out)
    result = models(command, *ASKED[:place], *ASKED[place + 2 :])
    assert result.exit_code == 2
    assert left_out in result.output


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_empty_words_are_no_reason(models: Models, command: str) -> None:
    result = models(command, "--asset-type", "stocks", "--by", "Ann", "--why", "  ")
    assert isinstance(result.exception, ConfigError)
    assert "--why is empty" in str(result.exception)


def test_a_promotion_against_the_rules_needs_the_word(world: World, models: Models) -> None:
    put_version(world, 4, skill=-0.05)
    refused = models("promote", *ASKED)
    assert isinstance(refused.exception, IntegrityError)
    assert "--against-the-rules" in refused.exception.remedy
    assert ", against the rules; in force" in models("promote", *ASKED, "--against-the-rules").stdout


def test_compare_shows_both_on_their_common_bars_and_what_the_rules_say(world: World, models: Models) -> None:
    put_version(world, 4, skill=0.05)
    found = printed(models("compare", V4, V2, "--format", "json"))
    assert found["comparison"]["rows"] == 1116
    assert found["comparison"]["challenger"]["brier"] < found["comparison"]["champion"]["brier"]
    assert [rule["name"] for rule in found["rules"]] == ["audit", "rows", "brier", "gain", "calibration", "news"]
    text = models("compare", "3", "2", "--asset-type", "stocks").stdout
    assert "1,116 common bars" in text
    assert "base rate" in text
    assert f"{V3} may be promoted by the rules" in text


def test_names_are_long_or_short_with_a_class(world: World, models: Models) -> None:
    assert printed(models("show", V1, "--format", "json"))["facts"]["model_version"] == V1
    shown = printed(models("show", "challenger", "--asset-type", "stocks", "--format", "json"))
    assert shown["facts"]["status"] == "challenger"
    assert "needs an asset class" in str(models("show", "challenger").exception)
    assert "is no version of crypto" in str(models("show", V1, "--asset-type", "crypto").exception)
    assert "there is no walk_forward_stocks/9" in str(models("show", "9", "--asset-type", "stocks").exception)
    assert "'nonsense/1' is no model version" in str(models("show", "nonsense/1").exception)


def test_show_names_checks_thresholds_and_earlier_champions(world: World, models: Models) -> None:
    waived = {"check": "canary", "status": "waived", "subject": "stocks", "detail": "by Ann: known", "remedy": ""}
    promote(world, put_version(world, 4, checks=[waived]))
    text = models("show", V4).stdout
    for words in (
        f"{V4}: champion, its record is published",
        "buy 0.604",
        f"earlier champions, newest first: {V1}",
        "1 checks: 1 waived",
        "waived: canary of stocks: by Ann: known",
    ):
        assert words in text


def test_a_rollback_whose_turn_does_not_come_is_in_force_all_the_same(
    world: World, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(world, V2)
    monkeypatch.setenv("TRADEHITS__WAREHOUSE__LOCK_TIMEOUT_SECONDS", "0.2")
    with FileLock(world.settings.paths.state / "pipeline.lock"):
        done = models("rollback", *ASKED)
    assert done.exit_code == 0, done.exception
    assert "its record is published by the next command that has its turn" in done.stdout
    assert world.registry.champion_version("stocks") == V1
    assert set(published(world)["model_version"]) == {V2}
    models("promote", "--version", "3", *ASKED)
    assert [row["version"] for row in deployments(world)] == [V1, V2, V1, V3]
    assert set(published(world)["model_version"]) == {V3}


def test_a_card_is_made_when_the_run_has_none_and_copied(world: World, models: Models, tmp_path: Path) -> None:
    file = tmp_path / "cards" / "one.html"
    assert models("card", V1, "--output", str(file)).stdout.strip() == str(file)
    page = file.read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert V1 in page
    stored = Path(models("card", "1", "--asset-type", "stocks").stdout.strip())
    assert stored.name == "model_card.html"
    assert stored.read_text() == page
