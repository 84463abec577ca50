"""One request to Gemini through the configured SDK: same question, same answer, same faults."""

from __future__ import annotations

import email.utils
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Protocol

from configs.ensemble import GeminiSettings
from market.errors import ConfigError
from serving.gemini_faults import BusyError, GeminiFaultError, RefusedError, UnavailableError
from serving.gemini_prompt import Prompt

TEMPERATURE: Final = 0.0
"""The likeliest answer, so that the same question is likely to be answered the same."""

_RETRYABLE: Final = frozenset((408, 500, 502, 503, 504))
_INSTALL: Final = {
    "google-genai": "install TradeHits again: it brings google-genai",
    "google-generativeai": "pip install tradehits[gemini-legacy], or gemini.sdk: google-genai",
}
_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")


@dataclass(frozen=True)
class RawAnswer:
    """What came back, unread.

    Attributes:
        text: Of the answer, not parsed.
        input_tokens: Of the question; None when it was not said.
        output_tokens: Of the answer and the thoughts before it; None likewise.
    """

    text: str
    input_tokens: int | None
    output_tokens: int | None


class GeminiClient(Protocol):
    """A way to Gemini."""

    async def ask(self, prompt: Prompt) -> RawAnswer:
        """Send one request and wait for its answer.

        Raises:
            GeminiFaultError: There is none, or none that could be read.
        """

    async def aclose(self) -> None:
        """Close connections."""


def open_client(settings: GeminiSettings) -> GeminiClient:
    """The configured SDK's client; imports the SDK, which takes a second.

    Raises:
        ConfigError: There is no key, the SDK is not installed, or the environment names an unusable proxy.
    """
    if settings.api_key is None:
        raise ConfigError("Gemini needs an API key", remedy="set GEMINI_API_KEY")
    try:
        return _client(settings)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{settings.sdk} is not installed", remedy=_INSTALL[settings.sdk]) from error


def _client(settings: GeminiSettings) -> GeminiClient:
    if settings.sdk == "google-genai":
        from serving.gemini_genai import GenaiClient

        return GenaiClient(settings)
    with warnings.catch_warnings():
        # the SDK announces its end at every start; the documentation of the setting does so too
        warnings.simplefilter("ignore", FutureWarning)
        from serving.gemini_legacy import LegacyClient
    return LegacyClient(settings)


def fault_of_status(status: int, headers: Mapping[str, str], details: Any) -> GeminiFaultError:
    """The fault behind an HTTP status.

    Args:
        status: Of the answer, 400 or more.
        headers: Of the answer, any case-insensitive mapping.
        details: Google's own details of an error, such as a RetryInfo; anything else is ignored.
    """
    wait = _retry_after(headers.get("retry-after"))
    if wait is None:
        wait = _retry_info(details)
    name = _name(status)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return BusyError(name, wait)
    return UnavailableError(name, wait) if status in _RETRYABLE else RefusedError(name)


def tokens(value: Any) -> int | None:
    """A count of tokens as the server gave it; None unless it can be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def total_tokens(values: Iterable[Any]) -> int | None:
    """The sum of counts, those that were not said apart; None when none was said."""
    known = [count for count in map(tokens, values) if count is not None]
    return sum(known) if known else None


def _name(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _retry_after(given: str | None) -> float | None:
    """Seconds of a Retry-After header: a number, or a date."""
    if given is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d+)?", given.strip()):
        return float(given)
    try:
        until = email.utils.parsedate_to_datetime(given)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _retry_info(details: Any) -> float | None:
    """The delay of a google.rpc.RetryInfo, in which Gemini says it: {"error": {"details": [{"retryDelay": "30s"}]}}."""
    error = details.get("error", details) if isinstance(details, Mapping) else None
    listed = error.get("details") if isinstance(error, Mapping) else None
    for entry in listed if isinstance(listed, list) else []:
        delay = entry.get("retryDelay") if isinstance(entry, Mapping) else None
        found = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
        if found:
            return float(found[1])
    return None
