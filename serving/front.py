"""What stands in front of BentoML's application: finished answers at once, and its errors in the API's shape.

Around its endpoints BentoML puts tracing, a task a request for the timeout, and an access log; mounted routes pay for
all of it. An answer that was made before and whose snapshot still stands needs none of that.
"""

from __future__ import annotations

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.answers import request_key
from serving.api_errors import error_response, invalid_response
from serving.metrics import ENSEMBLE, PREDICT, READS
from serving.snapshot_holder import SnapshotHolder

NATIVE = frozenset((PREDICT, ENSEMBLE))


class ReadyAnswers:
    """Sends the answers that the present snapshot gave before; other reads go straight to their routes.

    Args:
        app: BentoML's application.
        reads: The read routes; they are mounted in it too.
        holder: Gives the snapshot with its answers.
    """

    def __init__(self, app: ASGIApp, reads: ASGIApp, holder: SnapshotHolder) -> None:
        """Wrap both."""
        self._app = app
        self._reads = reads
        self._holder = holder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from what is kept, or pass on."""
        if scope["type"] == "http" and scope["method"] == "GET":
            served = self._holder.served
            if served is not None:
                answer = served.answers.get(request_key(scope))
                if answer is not None:
                    await answer(scope, receive, send)
                    return
            if scope["path"].startswith(READS) and scope["path"] not in NATIVE:
                await self._reads(scope, receive, send)
                return
        await self._app(scope, receive, send)


class NativeErrors:
    """BentoML answers invalid input with 400, `error` and `detail`; the API promises 422 and its own shape."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap BentoML's application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; hold a 400 of a native endpoint until it is whole, and send what it means."""
        if scope["type"] != "http" or scope["path"] not in NATIVE:
            await self._app(scope, receive, send)
            return
        held = bytearray()
        is_invalid = False

        async def translated(message: Message) -> None:
            nonlocal is_invalid
            if message["type"] == "http.response.start":
                is_invalid = message["status"] == 400
            if not is_invalid:
                await send(message)
            elif message["type"] == "http.response.body":
                held.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await _invalid(bytes(held), scope, receive, send)

        await self._app(scope, receive, translated)


async def _invalid(body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        detail = orjson.loads(body)["detail"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        detail = None
    response = invalid_response(detail) if detail else error_response(422, "the body is not valid JSON", "body")
    await response(scope, receive, send)
