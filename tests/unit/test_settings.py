from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from configs.settings import CONFIG_DIR, REPO_DIR, load_settings
from market.errors import ConfigError

PROFILES = sorted(path.stem for path in CONFIG_DIR.glob("*.yaml") if path.stem != "base")


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_in_the_folder_loads(profile: str) -> None:
    assert load_settings(profile).profile == profile


def test_the_sample_profile_is_the_default_and_replays_its_stocks() -> None:
    settings = load_settings()
    assert settings.profile == "sample"
    assert (settings.clock.stocks, settings.clock.etf, settings.clock.crypto) == ("end_of_data", "wall", "wall")
    assert settings.splits.stocks.train_end == date(2010, 12, 31)
    assert settings.splits.etf.train_end == date(2022, 12, 31)


def test_an_argument_wins_over_the_profile_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS_PROFILE", "test")
    assert load_settings().profile == "test"
    assert load_settings("local").profile == "local"


def test_environment_wins_over_overlay_and_overlay_over_base(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings("local").training.retrain == "quarterly"
    assert load_settings("test").training.retrain == "yearly"
    monkeypatch.setenv("TRADEHITS__TRAINING__RETRAIN", "monthly")
    monkeypatch.setenv("TRADEHITS__TRAINING__XGBOOST__MAX_DEPTH", "3")
    settings = load_settings("test")
    assert settings.training.retrain == "monthly"
    assert settings.training.xgboost.max_depth == 3
    assert settings.training.max_trees == 40, "an overridden key must not drop its neighbours"


def test_a_clock_may_be_an_instant_and_becomes_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS__CLOCK__CRYPTO", "2025-06-30T02:00:00+02:00")
    assert load_settings().clock.crypto == datetime(2025, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("variable", "value", "names"),
    [
        ("TRADEHITS__TRAINING__RETRAIM", "yearly", "did you mean retrain?"),
        ("TRADEHITS__NOTHING", "1", "no key 'nothing'"),
        ("TRADEHITS__TRAINING__SEED__DEEPER", "1", "no key 'deeper'"),
        ("TRADEHITS__PATHS__HOME", "/tmp", "no key 'paths'"),
        ("TRADEHITS__TRAINING__RETRAIN", "daily", "training.retrain"),
        ("TRADEHITS__CLOCK__STOCKS", "2025-06-30T00:00:00", "timezone"),
        ("TRADEHITS__THRESHOLDS__ETF__MEDIUM", "0.9", "medium 0.9 must not be above high 0.65"),
        ("TRADEHITS__SPLITS__ETF__TEST_END", "2020-01-01", "must lie after train_end"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, names: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=names.replace("?", r"\?")):
        load_settings()


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown profile 'prod'") as caught:
        load_settings("prod")
    assert "bigquery, local, sample, test" in caught.value.remedy


def test_all_state_lies_in_the_home_of_the_profile(tmp_path: Path) -> None:
    paths = load_settings("local").paths
    assert paths.state == tmp_path / "home" / "local" / "state"
    assert paths.mlruns == tmp_path / "home" / "local" / "state" / "mlruns"
    assert paths.summary_file == tmp_path / "home" / "local" / "summary.json"


def test_without_a_home_state_lies_in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRADEHITS_HOME")
    paths = load_settings("local").paths
    assert paths.state == REPO_DIR / ".tradehits" / "local" / "state"
    assert paths.mlruns == REPO_DIR / "mlruns" / "local"
