"""Addresses of alert channels: secrets that only the environment holds, and only the process that sends reads."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

URL_VARIABLE = "TRADEHITS_ALERT_URL_"


def channels_with_urls(environ: Mapping[str, str] | None = None) -> list[str]:
    """Names of the channels whose URL is in an environment (this process's own by default); never the URLs."""
    given = os.environ if environ is None else environ
    found = (re.fullmatch(rf"{URL_VARIABLE}([A-Z][A-Z0-9_]*)", variable) for variable in given)
    return sorted(match[1].lower() for match in found if match and given[match[0]].strip())


def has_url(channel: str) -> bool:
    """Whether the environment gives the channel's URL."""
    return channel in channels_with_urls()


def url_of(channel: str) -> str:
    """The channel's URL, empty without one; for the process that sends, which ends with its message."""
    return os.environ.get(url_variable(channel), "").strip()


def url_variable(channel: str) -> str:
    """Name of the environment variable that holds a channel's URL."""
    return f"{URL_VARIABLE}{channel.upper()}"
