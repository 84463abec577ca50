"""The process that sends one message: `python -m monitoring.delivery_courier`, a request on standard input.

An apprise URL is a secret, and libraries below apprise log URLs, print them and put them into exceptions. So only this
process ever reads one, from its environment; it says nothing on standard error, and its answer on standard output is
one of a few fixed sentences. It ends with the message, by the alarm clock at the latest, also when the process that
started it was killed.
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, TextIO

import apprise
from apprise.plugins.email import base as email_base

from configs.alert_urls import url_of, url_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUS = re.compile(r"\berror=(\d{3})\b")
KEY_HEADER = "Idempotency-Key"
_KINDS = {"CRITICAL": apprise.NotifyType.FAILURE, "WARNING": apprise.NotifyType.WARNING}


class _Heard(logging.Handler):
    """What apprise says while it sends; nothing of it leaves this process as it was said."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> None:
    """Read the request, send, answer."""
    answer = _take_standard_output()
    request = json.load(sys.stdin)
    signal.setitimer(signal.ITIMER_REAL, float(request["deadline_seconds"]))
    answer.write(json.dumps(dict(zip(("outcome", "detail"), send(request), strict=True))))
    answer.close()


def send(request: Mapping[str, str]) -> tuple[str, str]:
    """Send one message.

    Args:
        request: `channel`, `title`, `body`, `severity` (empty for good news), `key`, `deadline_seconds`.

    Returns:
        SENT, FAILED or UNKNOWN (the receiver may have it), and why.
    """
    url = url_of(request["channel"])
    if not url:
        return "FAILED", f"{url_variable(request['channel'])} is not set"
    heard = _Heard()
    log = logging.getLogger("apprise")
    log.handlers, log.propagate = [heard], False
    log.setLevel(logging.DEBUG)
    plugin = apprise.Apprise.instantiate(url, asset=apprise.AppriseAsset(app_id="TradeHits"))
    if plugin is None:
        return "FAILED", f"{url_variable(request['channel'])} is no URL that apprise understands"
    _prepare(plugin, url, request)
    carrier = apprise.Apprise()
    carrier.add(plugin)
    is_sent = carrier.notify(
        title=request["title"],
        body=request["body"],
        notify_type=_KINDS.get(request["severity"], apprise.NotifyType.SUCCESS),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return ("SENT", "") if is_sent else _refused(heard.lines)


def _prepare(plugin: apprise.NotifyBase, url: str, request: Mapping[str, str]) -> None:
    """Plain text in one piece, patience, and a key by which a repeat is known; what the URL says itself wins."""
    if "format=" not in url:
        plugin.notify_format = apprise.NotifyFormat.TEXT
    if "overflow=" not in url:
        plugin.overflow_mode = apprise.OverflowMode.TRUNCATE
    if "rto=" not in url:
        plugin.socket_read_timeout = max(plugin.socket_read_timeout, 0.6 * float(request["deadline_seconds"]))
    if isinstance(getattr(plugin, "headers", None), dict):
        plugin.headers.setdefault(KEY_HEADER, request["key"])
    # apprise takes no Message-ID; mail servers and readers show two mails with the same one once
    email_base.make_msgid = lambda domain=None: f"<{request['key']}@{domain or 'tradehits'}>"


def _refused(lines: list[str]) -> tuple[str, str]:
    said = "\n".join(lines)
    status = _STATUS.search(said)
    if status is not None:
        return "FAILED", f"the receiver answered HTTP {status[1]}"
    if "timed out" in said and "connect timeout" not in said:
        return "UNKNOWN", "the receiver did not answer in time"
    return "FAILED", "the receiver cannot be reached, or refused it"


def _take_standard_output() -> TextIO:
    """The real standard output for the answer alone; whatever libraries print goes nowhere."""
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return os.fdopen(kept, "w", encoding="utf-8")


if __name__ == "__main__":
    main()
