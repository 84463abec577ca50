"""Channels: named in the configuration, addressed by the environment, and the address never gets out."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from pydantic import ValidationError

from configs.alert_urls import channels_with_urls, has_url, url_of, url_variable
from configs.alerts import AlertSettings, QuietHours
from configs.settings import REPO_DIR, load_settings
from market.errors import ConfigError

SECRET = "mailtos://ada:s3cr3t@example.com"


def test_a_url_in_the_environment_is_a_channel_with_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings("test").alerts.channels == {}
    monkeypatch.setenv("TRADEHITS_ALERT_URL_NIGHT_DESK", SECRET)
    settings = load_settings("test")
    assert list(settings.alerts.channels) == ["night_desk"]
    assert settings.alerts.channels["night_desk"].warning == "now"
    assert "s3cr3t" not in repr(settings) + settings.model_dump_json()
    assert has_url("night_desk")
    assert url_variable("night_desk") == "TRADEHITS_ALERT_URL_NIGHT_DESK"


def test_the_configuration_routes_a_channel_and_the_environment_adds_no_second_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRADEHITS_ALERT_URL_DESK", SECRET)
    monkeypatch.setenv("TRADEHITS__ALERTS__CHANNELS", '{"desk": {"warning": "digest"}, "mail": {}}')
    channels = load_settings("test").alerts.channels
    assert {name: channel.warning for name, channel in channels.items()} == {"desk": "digest", "mail": "now"}
    assert (has_url("desk"), has_url("mail")) == (True, False)


def test_an_empty_url_is_none() -> None:
    assert channels_with_urls({"TRADEHITS_ALERT_URL_A": " ", "TRADEHITS_ALERT_URL_": "x", "OTHER": "y"}) == []


def test_who_sends_reads_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS_ALERT_URL_DESK", f" {SECRET}\n")
    assert (url_of("desk"), url_of("nobody")) == (SECRET, "")


@pytest.mark.parametrize(
    "channels", ['{"Desk": {}}', '{"desk": {"url": "json://x"}}', '{"desk": {"warning": "later"}}', '{"a b": {}}']
)
def test_a_channel_that_is_none_is_refused_without_a_word_of_any_address(
    channels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEHITS_ALERT_URL_OTHER", SECRET)
    monkeypatch.setenv("TRADEHITS__ALERTS__CHANNELS", channels)
    with pytest.raises(ConfigError, match=r"alerts\.channels") as caught:
        load_settings("test")
    assert "s3cr3t" not in str(caught.value)
    assert "json://x" not in str(caught.value)


def test_times_need_a_zone_that_exists_and_a_night_that_lasts() -> None:
    with pytest.raises(ValidationError, match="no time zone of the IANA database"):
        QuietHours.model_validate({"start": "22:00", "end": "07:00", "time_zone": "Mars/Olympus"})
    with pytest.raises(ValidationError, match="no quiet hours"):
        QuietHours.model_validate({"start": "22:00", "end": "22:00", "time_zone": "UTC"})


def test_the_configuration_of_every_profile_names_no_channel() -> None:
    for profile in ("sample", "local", "bigquery", "test"):
        assert isinstance(load_settings(profile).alerts, AlertSettings)
        assert load_settings(profile).alerts.channels == {}


DOCUMENTED = re.findall(r"^export TRADEHITS_ALERT_URL_\w+='([^']+)'", (REPO_DIR / "docs/alerts.md").read_text(), re.M)


def test_apprise_understands_every_url_of_the_documentation() -> None:
    script = "import sys, apprise; print([apprise.Apprise.instantiate(url) is not None for url in sys.argv[1:]])"
    done = subprocess.run([sys.executable, "-c", script, *DOCUMENTED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[True, True, True, True]"
