"""The gate in front of every route: who asks, may they, how often, and with what body."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from configs.security import SecuritySettings
from serving.security_body import READS, ClientGoneError, announced_fault, has_body, replayed, whole_body
from serving.security_errors import Refusal, refuse
from serving.security_keys import ApiKey, KeyStore
from serving.security_limits import RateLimiter
from serving.security_log import CLIENT, KEY_NAME

PROBES = frozenset(("/livez", "/readyz", "/healthz"))
_FORWARDED = frozenset(
    (
        *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-server"),
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"),
    )
)
_ONCE = frozenset((b"host", b"content-type", b"content-encoding", b"content-length", b"authorization", b"x-api-key"))
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="tradehits"'),)


class Gate:
    """Lets a request through, or answers it itself.

    Requests from this machine to a service bound to loopback are *local*: open without a key. A request is not local
    when its connection came in from elsewhere (whatever the configuration says), when it was forwarded by a proxy, or
    when it names a host that is not this machine (a web page that had its own name point here).

    Args:
        app: What is behind it.
        settings: Limits and permissions.
        bound_to_loopback: Whether the configured address is reached from this machine alone.
        keys: Who may ask from elsewhere.
        limiter: Counts requests.
    """

    def __init__(
        self, app: ASGIApp, settings: SecuritySettings, bound_to_loopback: bool, keys: KeyStore, limiter: RateLimiter
    ) -> None:
        """Keep the parts."""
        self._app = app
        self._settings = settings
        self._bound_to_loopback = bound_to_loopback
        self._keys = keys
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or pass the request on with its body read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refuse(send, refusal)
        elif has_body(headers):
            await self._with_body(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits = self._settings
        try:
            body = await whole_body(receive, limits.body_limit_bytes, limits.body_timeout_seconds)
        except ClientGoneError:
            return
        if isinstance(body, Refusal):
            await refuse(send, body)
        else:
            await self._app(scope, replayed(body, receive), send)

    def _refusal(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Refusal | None:
        """What is wrong with a request, most telling first; notes its client for the access log."""
        address = scope["client"][0] if scope.get("client") else ""
        scope[CLIENT] = address
        if scope["path"] in PROBES and scope["method"] in READS:
            return announced_fault(headers, scope["method"], 0)
        given = _given_key(headers)
        key = self._keys.find(given) if given else None
        local = given is None and self._is_local(scope, headers)
        if key is not None:
            scope[KEY_NAME] = key.name
        return (
            self._too_often(address, headers, key, local)
            or self._not_allowed(scope["method"], given is not None, key, local)
            or _given_twice(scope["headers"], headers)
            or announced_fault(headers, scope["method"], self._settings.body_limit_bytes)
        )

    def _is_local(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        server = scope.get("server")
        return (
            self._bound_to_loopback
            and server is not None
            and is_loopback(server[0])
            and names_loopback(headers.get(b"host", b""))
            and _FORWARDED.isdisjoint(headers)
        )

    def _too_often(
        self, address: str, headers: Mapping[bytes, bytes], key: ApiKey | None, local: bool
    ) -> Refusal | None:
        rates = self._settings.rate_limits
        if key is not None:
            client, rate = f"key {key.id}", rates.key
        elif local:
            client, rate = "local", rates.local
        else:
            client, rate = f"address {_network(address)}", rates.anonymous
        if rate is None:
            return None
        wait = self._limiter.wait_seconds(client, rate, rates.burst_seconds, time.monotonic())
        if not wait:
            return None
        seconds = str(int(wait) + 1)
        message = f"more than {rate} requests a minute; the next one in {seconds} s"
        return Refusal(429, message, headers=((b"retry-after", seconds.encode()),), close=has_body(headers))

    def _not_allowed(self, method: str, key_given: bool, key: ApiKey | None, local: bool) -> Refusal | None:
        """A key that is wrong is refused even where none is needed, so that its owner notices."""
        if key is not None or local:
            return None
        if key_given:
            return Refusal(401, "this API key is not valid", "authorization", _CHALLENGE, close=True)
        if method in READS and (self._settings.anonymous_reads or method == "OPTIONS"):
            return None
        message = "an API key is needed: send it as Authorization: Bearer ..., or as X-API-Key"
        return Refusal(401, message, "authorization", _CHALLENGE, close=True)


def _given_twice(listed: Sequence[tuple[bytes, bytes]], headers: Mapping[bytes, bytes]) -> Refusal | None:
    """What the gate judged by and what the application behind it reads must be the same header."""
    if len(listed) == len(headers):
        return None
    counts = Counter(name for name, _ in listed)
    twice = next((name.decode("latin-1") for name in counts if counts[name] > 1 and name in _ONCE), None)
    return None if twice is None else Refusal(400, f"{twice} is given more than once", twice, close=True)


def _given_key(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key that a request carries; another scheme of Authorization counts as a wrong key."""
    plain = headers.get(b"x-api-key")
    if plain is not None:
        return plain
    authorization = headers.get(b"authorization")
    if authorization is None:
        return None
    scheme, _, value = authorization.partition(b" ")
    return value.strip() if scheme.lower() == b"bearer" else authorization


@lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether an address or `localhost` is reached from this machine alone."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def names_loopback(host: bytes) -> bool:
    """Whether a `Host` header (with or without a port) names this machine; an absent one (HTTP/1.0) does."""
    text = host.decode("latin-1")
    name = text[1 : text.find("]")] if text.startswith("[") else text.rsplit(":", 1)[0]
    return not text or is_loopback(name)


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """Whom a rate limit holds to be one client: an IPv4 address, or the /64 that an IPv6 customer is given."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(known) if known.version == 4 else str(ip_network((known, 64), strict=False))
