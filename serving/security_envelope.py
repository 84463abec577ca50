"""What every answer gets, whoever gave it: an id, security headers, one shape of errors, a deadline, a log line."""

from __future__ import annotations

import itertools
import logging
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.security_deadline import Deadlines
from serving.security_errors import LARGEST_HELD_BYTES, Refusal, error_body, in_shape, refuse, told_by_id
from serving.security_log import AccessLog

logger = logging.getLogger(__name__)

HEADERS: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
_POLICY = b"content-security-policy"
_TELLING = frozenset((b"server", b"x-powered-by", b"x-bentoml-request-id"))
_POLICY_DATA = b"default-src 'none'; frame-ancestors 'none'"
_POLICY_PAGE = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_DATA = [*HEADERS, (_POLICY, _POLICY_DATA)]
_PAGE = [*HEADERS, (_POLICY, _POLICY_PAGE)]


class Envelope:
    """The outermost layer.

    Args:
        app: Everything else.
        timeout_seconds: A request that is not answered by then is ended: with 503, or by closing once its answer began.
        log: Where requests are noted; None: nowhere.
    """

    def __init__(self, app: ASGIApp, timeout_seconds: float, log: AccessLog | None) -> None:
        """Request ids begin with a random part, so that those of two workers differ."""
        self._app = app
        self._deadlines = Deadlines(timeout_seconds)
        self._log = log
        self._prefix = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; of other kinds of connection only the lifespan goes through."""
        if scope["type"] != "http":
            await self._not_http(scope, receive, send)
            return
        started = time.perf_counter()
        answer = _Answer(send, f"{self._prefix}-{next(self._numbers):x}", scope["method"] == "HEAD")
        try:
            with self._deadlines:
                await self._app(scope, receive, answer.send)
        except TimeoutError:
            logger.warning("request %s ended after %g s", answer.request_id, self._deadlines.seconds)
            await answer.fail(503, f"no answer within {self._deadlines.seconds:g} s")
        except Exception:
            logger.exception("request %s failed", answer.request_id)
            await answer.fail(500, told_by_id(answer.request_id))
        finally:
            if self._log is not None:
                seconds = time.perf_counter() - started
                self._log.write(scope, answer.request_id, answer.status, seconds, answer.size)

    async def _not_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await _no_websocket(scope, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            if self._log is not None:
                self._log.flush()


async def _no_websocket(scope: Scope, send: Send) -> None:
    """Refuse the handshake in the API's shape where the server can, else without words."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    body = error_body("websockets are not spoken here")
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *_DATA]
    await send({"type": "websocket.http.response.start", "status": 400, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


class BrokenAnswerError(Exception):
    """An answer failed after it began; the server ends the connection, so that nobody takes it for complete."""


class _Answer:
    """One answer on its way out; errors are held until they are whole."""

    __slots__ = ("_body", "_held", "_is_complete", "_is_head", "_send", "request_id", "size", "status")

    def __init__(self, send: Send, request_id: str, is_head: bool) -> None:
        self._send = send
        self._is_head = is_head
        self._held: Message | None = None
        self._body = b""
        self._is_complete = False
        self.request_id = request_id
        self.status = 0
        self.size = 0

    async def send(self, message: Message) -> None:
        """Pass a message on; dressed when it begins an answer, in shape when it is an error."""
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                self._held = message
                return
            self.status = message["status"]
            # A new message: whoever sends a finished answer again and again may keep its message.
            message = {**message, "headers": self._dressed(message.get("headers", ()))}
        elif self._held is not None:
            await self._error(message)
            return
        else:
            self.size += len(message.get("body", b""))
            self._is_complete = not message.get("more_body", False)
        await self._send(message)

    async def fail(self, status: int, message: str) -> None:
        """End an answer that its maker did not end; Starlette ends its own before it raises.

        Raises:
            BrokenAnswerError: If it cannot be ended as an error any more.
        """
        if self._is_complete:
            return
        if self.status:
            raise BrokenAnswerError(self.request_id)
        self._held = None
        self._body = b""
        await refuse(self.send, Refusal(status, message, close=True))

    async def _error(self, message: Message) -> None:
        if len(self._body) <= LARGEST_HELD_BYTES:
            self._body += message.get("body", b"")
        if message.get("more_body", False) or self._held is None:
            return
        start, self._held = self._held, None
        self.status = start["status"]
        self._is_complete = True
        body = in_shape(start["status"], self._body, self.request_id)
        headers = [
            (name, value)
            for name, value in start.get("headers", ())
            if name.lower() not in (b"content-length", b"content-type", b"transfer-encoding", b"etag")
        ]
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        self.size = 0 if self._is_head else len(body)
        await self._send({"type": "http.response.start", "status": start["status"], "headers": self._dressed(headers)})
        await self._send({"type": "http.response.body", "body": b"" if self._is_head else body})

    def _dressed(self, given: object) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = list(given)  # type: ignore[call-overload]
        names = dict(headers)
        if not _TELLING.isdisjoint(names):
            headers = [(name, value) for name, value in headers if name not in _TELLING]
        if _POLICY in names:
            ours = HEADERS
        else:
            ours = _PAGE if names.get(b"content-type", b"").startswith(b"text/html") else _DATA
        return [*headers, *ours, (b"x-request-id", self.request_id.encode())]
