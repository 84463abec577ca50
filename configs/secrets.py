"""Keeps secrets out of what is written down: values of secret variables, and what looks like a credential."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

HIDDEN = "***"
_SECRET_NAMES = re.compile(
    r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|ALERT_URL_|OTLP_HEADERS|CONNECTION_URL", re.IGNORECASE
)
_SHORTEST = 6
"""A shorter value would be found in ordinary words, and a secret of that length is none."""

_LOOKS_SECRET = re.compile(
    r"""
    (?<=://)[^/\s@"']+(?=@)                                             # user and password of an address
    | (?<=[?&;])(?P<name>[\w-]*(?:key|token|secret|password|sig|signature)=)[^&\s"']+   # of its query
    | (?i:(?P<scheme>bearer|authorization:\s*basic)\s+)[\w.~+/=-]{8,}    # an Authorization header
    | \bth_[0-9a-f]{8}_[\w-]{20,}                                       # a key of the service
    | \bAIza[\w-]{30,}                                                  # a key of Google's
    | \bhooks\.slack\.com/services/[\w/]+
    """,
    re.VERBOSE,
)


def masker(environ: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """A function that hides secrets in a text.

    Args:
        environ: Whose secrets; this process's own environment by default, as it is now.

    Returns:
        Takes a text, gives it with every secret value, its parts where it is an address, and everything that looks like
        a credential replaced by `***`.
    """
    given = os.environ if environ is None else environ
    values = {part for name, value in given.items() if _SECRET_NAMES.search(name) for part in _parts(value.strip())}
    known = sorted((value for value in values if len(value) >= _SHORTEST), key=len, reverse=True)
    # the longest first: an address before the password in it
    found = re.compile("|".join(map(re.escape, known))) if known else None

    def mask(text: str) -> str:
        hidden = found.sub(HIDDEN, text) if found else text
        return _LOOKS_SECRET.sub(_hide, hidden)

    return mask


def _hide(match: re.Match[str]) -> str:
    return f"{match['name'] or ''}{match['scheme'] + ' ' if match['scheme'] else ''}{HIDDEN}"


def _parts(value: str) -> Iterator[str]:
    """A secret, and the secrets inside it when it is an address or a list of headers, as written and decoded."""
    yield from _written(value)
    if "://" in value:
        parts = urlsplit(value)
        inside = [parts.username or "", parts.password or "", *parts.path.split("/")]
        inside += [text for _, text in parse_qsl(parts.query)]
        for text in inside:
            if len(text) > _SHORTEST + 1:  # what is shorter in an address is a word of it
                yield from _written(text)
    elif "=" in value:
        for pair in value.split(","):
            yield from _written(pair.partition("=")[2].strip())


def _written(text: str) -> Iterator[str]:
    """As it is, in an address, and as Python and JSON show it in quotes."""
    yield text
    yield unquote(text)
    yield quote(text, safe="")
    yield repr(text)[1:-1]
    yield json.dumps(text)[1:-1]
