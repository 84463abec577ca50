"""The way of one question to Gemini: a free place, the circuit, the budget, the request, and another attempt."""

from __future__ import annotations

import asyncio
import math
from typing import Final

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from configs.ensemble import GeminiSettings
from serving.gemini_answer import Answer, parse_answer
from serving.gemini_client import GeminiClient, RawAnswer
from serving.gemini_faults import (
    BudgetSpentError,
    BusyError,
    CircuitOpenError,
    GeminiFaultError,
    TooSlowError,
    UnavailableError,
    UnusableAnswerError,
)
from serving.gemini_prompt import Prompt
from serving.gemini_request import Request

NANO_USD_PER_TOKEN: Final = 1000
"""Of one dollar per million tokens."""

_HARMLESS: Final = (BusyError, BudgetSpentError, UnusableAnswerError, asyncio.CancelledError)
"""Ends of a request that say nothing against the server's health."""


class Line:
    """One process's way to Gemini, for one event loop."""

    def __init__(self, settings: GeminiSettings, client: GeminiClient) -> None:
        """Nobody in line.

        Args:
            settings: Limits.
            client: Closed with the line.
        """
        self._settings = settings
        self._client = client
        self._places = asyncio.Semaphore(settings.concurrency)
        self._circuits = AsyncCircuitBreakerFactory(
            default_threshold=settings.breaker_failures, default_ttl=settings.breaker_seconds, exclude=list(_HARMLESS)
        )
        self._resume_at = 0.0

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    def highest_cost_nano_usd(self, prompt: Prompt) -> int:
        """More than one request can cost."""
        return self._cost(prompt.largest_token_count, self._settings.max_output_tokens)

    async def answer(self, request: Request) -> Answer:
        """The answer, after as many attempts as allowed.

        Raises:
            GeminiFaultError: There is none.
        """
        attempts = AsyncRetrying(
            stop=self._ends,
            retry=retry_if_exception_type((BusyError, UnavailableError)),
            wait=wait_exponential_jitter(
                initial=self._settings.backoff_seconds,
                max=self._settings.max_backoff_seconds,
                jitter=self._settings.backoff_seconds,
            ),
            reraise=True,
        )
        async with self._places:
            raw: RawAnswer = await attempts(self._attempt, request)
        return parse_answer(raw.text, self._settings.max_reasoning_chars)

    def _ends(self, state: RetryCallState) -> bool:
        """After the last attempt, and when Gemini wants to be left alone for long."""
        fault = state.outcome.exception() if state.outcome else None
        wait = fault.retry_after_seconds if isinstance(fault, BusyError | UnavailableError) else None
        too_long = wait is not None and wait > self._settings.max_backoff_seconds
        return too_long or stop_after_attempt(self._settings.attempts)(state)

    async def _attempt(self, request: Request) -> RawAnswer:
        await self._pause(request.deadline)
        circuit = await self._circuits.get_breaker("gemini")
        try:
            async with circuit:
                return await self._sent(request)
        except OpenedState as opened:
            # one instance is raised for all: without this it would keep everybody's frames
            opened.with_traceback(None)
            raise CircuitOpenError("not asked after too many failures in a row") from None

    async def _pause(self, deadline: float) -> None:
        """Wait as Gemini asked everybody to."""
        wait = self._resume_at - asyncio.get_running_loop().time()
        if wait <= 0:
            return
        if wait > self._settings.max_backoff_seconds or self._resume_at >= deadline:
            raise CircuitOpenError("not asked while Gemini wants to be left alone")
        await asyncio.sleep(wait)

    async def _sent(self, request: Request) -> RawAnswer:
        await request.reserve(request)
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                raw = await self._client.ask(request.prompt)
        except TimeoutError:
            raise TooSlowError("no answer in time") from None
        except GeminiFaultError as fault:
            if isinstance(fault, BusyError | UnavailableError) and fault.retry_after_seconds is not None:
                resume_at = asyncio.get_running_loop().time() + fault.retry_after_seconds
                self._resume_at = max(self._resume_at, resume_at)
            if not fault.may_have_cost:
                request.costs(0)
                await request.settle(request)
            raise
        request.input_tokens, request.output_tokens = raw.input_tokens, raw.output_tokens
        if raw.input_tokens is not None and raw.output_tokens is not None:
            request.costs(self._cost(raw.input_tokens, raw.output_tokens))
        return raw

    def _cost(self, input_tokens: int, output_tokens: int) -> int:
        sent = input_tokens * self._settings.input_usd_per_million_tokens
        received = output_tokens * self._settings.output_usd_per_million_tokens
        return math.ceil((sent + received) * NANO_USD_PER_TOKEN)
