"""Asks Gemini about bars: stored answers first, then requests within deadline, places, budget and circuit."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from market.errors import ConfigError, GeminiStoreError, MarketDataError
from serving.gemini_answer import Answer
from serving.gemini_client import open_client
from serving.gemini_faults import BudgetSpentError, GeminiFaultError, TooSlowError
from serving.gemini_line import Line
from serving.gemini_opinion import DISABLED, GeminiStatus, Opinion, Question
from serving.gemini_past import outcome_is_known
from serving.gemini_prompt import Prompt, make_prompt
from serving.gemini_records import NANO_USD, Key, opinion_of
from serving.gemini_request import Request, call_of
from serving.gemini_store import GeminiStore, open_store

if TYPE_CHECKING:
    from configs.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _told(error: ConfigError) -> str:
    """What is wrong with the configuration, logged and as an opinion says it."""
    cause = f"{error.message}; {error.remedy}" if error.remedy else error.message
    log.warning("Gemini is not asked: %s", cause)
    return cause


@dataclass
class _Book:
    """What a gathering knows of its questions: one entry per different question, in order of appearance."""

    prompts: dict[Key, Prompt] = field(default_factory=dict)
    opinions: dict[Key, Opinion] = field(default_factory=dict)
    questions: dict[Key, Question] = field(default_factory=dict)

    def open(self) -> list[Key]:
        return [key for key in self.prompts if key not in self.opinions]


class OpinionDesk:
    """Gathers opinions for one event loop; keeps its connections, its circuit and its place in line between gatherings.

    Use it as an asynchronous context manager. A client that asks once may use `gather_opinions`.
    """

    def __init__(self, settings: Settings, *, now: Callable[[], dt.datetime] = _now) -> None:
        """Open nothing yet.

        Args:
            settings: Of the profile.
            now: The wall clock, which decides on the day of the budget and on what the world already knows.
        """
        self._settings = settings
        self._gemini = settings.gemini
        self._now = now
        self._store: GeminiStore | None = None
        self._line: Line | None = None
        self._opening = asyncio.Lock()
        # one thread: SQLite waits for other processes' writes, and the event loop must not
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gemini-store")

    async def __aenter__(self) -> OpinionDesk:
        """The desk itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close connections and the store."""
        if self._line is not None:
            await self._line.aclose()
        if self._store is not None:
            await self._in_thread(self._store.close)
        self._thread.shutdown(wait=False)

    async def gather(
        self, questions: Sequence[Question], *, allow_calls: bool = True, deadline_seconds: float | None = None
    ) -> list[Opinion]:
        """One opinion per question, in their order. Faults of Gemini never raise: the status says what happened.

        A configuration with which nobody can be asked (no such SDK or prompt, an unusable proxy) is such a fault too:
        the status is `error`, and the opinions and a warning name the cause with its remedy.

        Args:
            questions: Equal ones are asked once.
            allow_calls: False: stored opinions only, else `disabled`; for bars whose outcome may be known. Bars whose
                next bar the world already knows are treated so in any case, unless `gemini.ask_about_past`.
            deadline_seconds: For all of them together; default `gemini.deadline_seconds`.
        """
        if not self._gemini.enabled:
            return [DISABLED] * len(questions)
        book = _Book()
        may_ask = allow_calls and self._gemini.api_key is not None
        try:
            places = [self._entered(question, book) for question in questions]
        except ConfigError as error:  # without the prompt no answer can be looked up either
            unasked = Opinion("error", model=self._gemini.model, error=_told(error)) if may_ask else DISABLED
            return [unasked] * len(questions)
        try:
            await self._look_up(book)
            await self._ask_all(book, deadline_seconds, allow_calls=may_ask)
        except ConfigError as error:
            cause = _told(error)
            for key in book.open():
                book.opinions[key] = self._without(key, "error", cause)
        except GeminiStoreError as error:
            log.warning("Gemini is not asked: %s", error.message)
            for key in book.open():
                book.opinions[key] = self._without(key, "error", "the store of calls cannot be used")
        found = [place if isinstance(place, Opinion) else book.opinions[place] for place in places]
        counts = Counter(opinion.status for opinion in found)
        log.info("Gemini's opinions: %s", ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
        return found

    def _entered(self, question: Question, book: _Book) -> Key | Opinion:
        try:
            prompt = make_prompt(question, self._gemini.prompt)
        except MarketDataError as error:
            log.warning("Gemini is not asked about %.40r: %s", question.symbol, error.message)
            return Opinion("error", model=self._gemini.model, error=f"unusable question: {error.field}")
        key = Key(question.asset_type, question.symbol, question.datetime, self._gemini.model, prompt.hash)
        book.prompts.setdefault(key, prompt)
        book.questions.setdefault(key, question)
        return key

    async def _look_up(self, book: _Book) -> None:
        if not book.prompts or (self._gemini.api_key is None and not self._settings.paths.gemini_file.exists()):
            return
        async with self._opening:
            if self._store is None:
                self._store = await self._in_thread(open_store, self._settings)
        keys = list(book.prompts)
        for key, call in zip(keys, await self._in_thread(self._store.answers, keys), strict=True):
            if call is not None:
                book.opinions[key] = opinion_of(call, "cached")

    async def _ask_all(self, book: _Book, deadline_seconds: float | None, *, allow_calls: bool) -> None:
        unanswered = book.open()
        asked = await asyncio.to_thread(self._may_be_asked, book, unanswered) if allow_calls else []
        for key in set(unanswered).difference(asked):
            book.opinions[key] = self._without(key, "disabled")
        if not asked:
            return
        async with self._opening:
            if self._line is None:
                self._line = Line(self._gemini, await asyncio.to_thread(open_client, self._gemini))
        # from here on: loading the SDK happens once in a process, and is no time of Gemini's
        deadline = asyncio.get_running_loop().time() + (deadline_seconds or self._gemini.deadline_seconds)
        tasks = [asyncio.create_task(self._ask(key, book.prompts[key], deadline)) for key in asked]
        try:
            for key, opinion in zip(asked, await asyncio.gather(*tasks), strict=True):
                book.opinions[key] = opinion
        finally:
            for task in tasks:
                task.cancel()

    def _may_be_asked(self, book: _Book, keys: list[Key]) -> list[Key]:
        if self._gemini.ask_about_past:
            return keys
        sessions, now = self._settings.sessions, self._now()
        return [key for key in keys if not outcome_is_known(book.questions[key], sessions, now)]

    async def _ask(self, key: Key, prompt: Prompt, deadline: float) -> Opinion:
        """One question from waiting in line to its row in the store."""
        assert self._line is not None
        request = Request(prompt, deadline, reserve=self._reserve, settle=self._settle)
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._line.answer(request)
        except TimeoutError:
            return await self._ended(key, request, TooSlowError("no answer before the deadline"))
        except GeminiFaultError as fault:
            return await self._ended(key, request, fault)
        except GeminiStoreError as error:
            log.warning("Gemini is not asked about %s: %s", key.symbol, error.message)
            return self._without(key, "error", "the store of calls cannot be used")
        return await self._ended(key, request, answer)

    async def _ended(self, key: Key, request: Request, end: Answer | GeminiFaultError) -> Opinion:
        call = call_of(key, request, end, self._now())
        if request.attempts and self._store is not None:
            try:
                await self._in_thread(self._store.record, call, request.open_reservation, request.open_cost_nano_usd)
            except GeminiStoreError as error:
                log.warning("Gemini's answer about %s is not kept: %s", key.symbol, error.message)
        return opinion_of(call, call.status)

    def _without(self, key: Key, status: GeminiStatus, error: str | None = None) -> Opinion:
        return Opinion(status, model=key.model, prompt_hash=key.prompt_hash, error=error)

    async def _reserve(self, request: Request) -> None:
        assert self._store is not None
        limits = {
            "daily_calls": self._gemini.daily_calls,
            "daily_nano_usd": math.floor(self._gemini.daily_cost_usd * NANO_USD),
        }
        highest = self._line.highest_cost_nano_usd(request.prompt) if self._line else 0
        reservation = await self._in_thread(self._store.reserve, self._now(), highest, **limits)
        if reservation is None:
            raise BudgetSpentError("the day's budget is spent")
        request.began(reservation)

    async def _settle(self, request: Request) -> None:
        reservation, request.open_reservation = request.open_reservation, None
        # taken first: a deadline that ends this wait does not end the thread's work, and twice settled is money made up
        if reservation is not None and self._store is not None:
            await self._in_thread(self._store.settle, reservation, request.open_cost_nano_usd)

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))


async def gather_opinions(
    settings: Settings,
    questions: Sequence[Question],
    *,
    allow_calls: bool = True,
    deadline_seconds: float | None = None,
) -> list[Opinion]:
    """One opinion per question, in their order, through a desk of its own; see `OpinionDesk.gather`."""
    async with OpinionDesk(settings) as desk:
        return await desk.gather(questions, allow_calls=allow_calls, deadline_seconds=deadline_seconds)
