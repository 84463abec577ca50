"""Settings of Gemini and the ensemble: the user's weights, and a key that stands nowhere but in the environment."""

from __future__ import annotations

import pytest

from configs.settings import load_settings
from market.assets import ASSET_TYPES
from market.errors import ConfigError
from market.signals import XGBOOST_WEIGHTS


def test_the_weights_are_50_50_and_70_30_and_70_30() -> None:
    weights = load_settings("sample").ensemble.xgboost_weight

    assert weights.model_dump() == {"stocks": 0.5, "etf": 0.7, "crypto": 0.7}
    assert {name: weights.of(name) for name in ASSET_TYPES} == XGBOOST_WEIGHTS


def test_a_weight_is_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS__ENSEMBLE__XGBOOST_WEIGHT__STOCKS", "0.8")

    assert load_settings("test").ensemble.xgboost_weight.of("stocks") == 0.8


@pytest.mark.parametrize("weight", ["1.1", "-0.1", "nan"])
def test_a_weight_lies_between_0_and_1(weight: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS__ENSEMBLE__XGBOOST_WEIGHT__STOCKS", weight)

    with pytest.raises(ConfigError, match=r"ensemble\.xgboost_weight\.stocks"):
        load_settings("test")


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({}, None),
        ({"GEMINI_API_KEY": ""}, None),
        ({"GOOGLE_API_KEY": " from-google "}, "from-google"),
        ({"GEMINI_API_KEY": "from-gemini", "GOOGLE_API_KEY": "from-google"}, "from-gemini"),
    ],
)
def test_the_key_comes_from_the_environment(
    environment: dict[str, str], key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    found = load_settings("test").gemini.api_key

    assert (found and found.get_secret_value()) == key


def test_the_key_is_in_no_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "hidden-key")
    settings = load_settings("test")

    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.gemini)):
        assert "hidden-key" not in text
    assert "api_key" not in settings.model_dump()["gemini"]


def test_a_key_in_the_settings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS__GEMINI__API_KEY", "in-the-wrong-place")

    with pytest.raises(ConfigError, match="GEMINI_API_KEY") as refused:
        load_settings("test")
    assert "in-the-wrong-place" not in str(refused.value)
