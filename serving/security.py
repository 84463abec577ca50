"""The service's security: everything it answers goes through `secured`.

From the outside in: `Envelope` (request id, headers, error shape, deadline, access log), CORS where origins are
configured (before keys, because a browser's preflight carries none), `Gate` (keys, rates, bodies), the application. All
of it is plain ASGI: a `BaseHTTPMiddleware` would start a task and two queues a request, which costs more than the
routes behind it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from configs.serving import ServingSettings
from market.errors import ConfigError
from serving.security_envelope import Envelope
from serving.security_gate import Gate, is_loopback
from serving.security_keys import KeyStore
from serving.security_limits import RateLimiter
from serving.security_log import AccessLog

_ASKED = ("Authorization", "X-API-Key", "Content-Type", "If-None-Match")
_SHOWN = ("ETag", "X-Model-Version", "X-As-Of", "X-Request-ID", "Retry-After")


def check_exposure(settings: ServingSettings, keys: KeyStore) -> None:
    """Refuse to be reachable from elsewhere without anybody having said so.

    Raises:
        ConfigError: If the service would bind beyond loopback with neither keys nor `serving.anonymous_reads`.
    """
    if is_loopback(settings.host) or settings.anonymous_reads or keys.any_valid():
        return
    raise ConfigError(
        f"serving.host {settings.host} is reachable from other machines, and there is no API key",
        remedy="make one with `tradehits serve keys add NAME`, or say serving.anonymous_reads: true, or take 127.0.0.1",
    )


def secured(
    app: ASGIApp,
    settings: ServingSettings,
    keys: KeyStore,
    *,
    limits_file: Path | None = None,
    log: AccessLog | None = None,
) -> ASGIApp:
    """An application behind keys, limits, deadlines and one shape of errors.

    Args:
        app: Everything the service answers.
        settings: The section `serving`.
        keys: The profile's API keys.
        limits_file: Where workers of one service share their counts of requests; None: this process counts for itself.
        log: The access log; by default on standard output, if `serving.access_log`.

    Raises:
        ConfigError: As `check_exposure`.
    """
    check_exposure(settings, keys)
    inner: ASGIApp = Gate(app, settings, is_loopback(settings.host), keys, RateLimiter(limits_file))
    if settings.cors_origins:
        inner = CORSMiddleware(
            inner,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=_ASKED,
            expose_headers=_SHOWN,
        )
    if log is None and settings.access_log:
        log = AccessLog(sys.stdout.buffer)
    return Envelope(inner, settings.request_timeout_seconds, log)
