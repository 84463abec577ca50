"""What an HTTP status means, and when a server wants to be asked again."""

from __future__ import annotations

import sys
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from market.errors import ConfigError
from serving.gemini_client import fault_of_status, open_client, total_tokens
from serving.gemini_faults import BusyError, RefusedError, UnavailableError
from tests.gemini_questions import gemini_settings


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(status, RefusedError) for status in (400, 401, 403, 404, 418, 499, 501)],
        *[(status, UnavailableError) for status in (408, 500, 502, 503, 504)],
        (429, BusyError),
    ],
)
def test_a_status_is_worth_another_attempt_or_not(status: int, kind: type) -> None:
    assert type(fault_of_status(status, {}, None)) is kind


RETRY_INFO = {"error": {"details": [{"@type": "x"}, {"retryDelay": "31.5s"}]}}


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ({"retry-after": "7"}, None, 7.0),
        ({"retry-after": "0.5"}, RETRY_INFO, 0.5),
        ({}, RETRY_INFO, 31.5),
        ({}, {"details": [{"retryDelay": "2s"}]}, 2.0),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": "-1"}, None, None),
        ({"retry-after": "9" * 400}, None, None),
        ({"retry-after": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, None, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 +99999999999999"}, None, None),
        ({}, {"error": "many"}, None),
        ({}, {"error": {"details": "many"}}, None),
        ({}, {"error": {"details": [5, {"retryDelay": 5}, {"retryDelay": "forever"}]}}, None),
        ({}, [1, 2], None),
    ],
)
def test_the_wait_is_read_from_header_or_details(headers: dict[str, str], details: Any, seconds: float | None) -> None:
    fault = fault_of_status(429, headers, details)

    assert isinstance(fault, BusyError)
    assert fault.retry_after_seconds == seconds


def test_a_date_to_wait_for_is_seconds_from_now() -> None:
    until = datetime.now(UTC) + timedelta(seconds=90)

    fault = fault_of_status(503, {"retry-after": format_datetime(until, usegmt=True)}, None)

    assert isinstance(fault, UnavailableError)
    assert fault.retry_after_seconds == pytest.approx(90, abs=5)


@pytest.mark.parametrize(
    ("values", "total"), [((60, 40), 100), ((60, None), 60), ((None, None), None), ((-5, "7", 1.5, True, 3), 3)]
)
def test_tokens_that_cannot_be_counted_do_not_count(values: tuple[Any, ...], total: int | None) -> None:
    assert total_tokens(values) == total


def test_a_client_needs_a_key() -> None:
    with pytest.raises(ConfigError, match="GEMINI_API_KEY"):
        open_client(gemini_settings(None, key=None).gemini)


@pytest.mark.parametrize("sdk", ["google-genai", "google-generativeai"])
def test_an_sdk_that_is_not_installed_is_named_with_its_remedy(sdk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = {"google-genai": "gemini_genai", "google-generativeai": "gemini_legacy"}[sdk]
    monkeypatch.delitem(sys.modules, f"serving.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "google.genai" if sdk == "google-genai" else "google.generativeai", None)
    monkeypatch.delattr("google.genai" if sdk == "google-genai" else "google.generativeai", raising=False)

    with pytest.raises(ConfigError, match=f"{sdk} is not installed") as missing:
        open_client(gemini_settings(None, sdk=sdk).gemini)
    assert "install" in missing.value.remedy


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "http://user:s3cret/rest@proxy:3128"),
        ("ALL_PROXY", "http://proxy:s3cret"),
        ("HTTPS_PROXY", "gopher://user:s3cret@proxy:1"),
        ("ALL_PROXY", "socks5://user:s3cret@proxy:1"),
        ("NO_PROXY", "http://proxy:s3cret"),
    ],
)
def test_an_unusable_proxy_is_named_without_what_may_be_secret_in_it(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigError, match="proxy") as refused:
        open_client(gemini_settings(None).gemini)
    assert variable in refused.value.remedy
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))


def test_certificates_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")

    with pytest.raises(ConfigError, match="no certificates") as refused:
        open_client(gemini_settings(None).gemini)
    assert "SSL_CERT_FILE" in refused.value.remedy
