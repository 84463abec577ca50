"""Finished answers: which are kept, how they are told apart, and what a client gets that has one already."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from serving.answers import Answer, Answers, make_answer, request_key
from serving.metrics import route_template

NOON = datetime(2024, 6, 28, 12, tzinfo=UTC)


def answer(text: str = "a", version: str = "walk_forward_stocks/1") -> Answer:
    return make_answer({"text": text}, "/r", model_versions={"stocks": version}, as_of=NOON)


def sent(made: Answer, *headers: tuple[bytes, bytes]) -> tuple[int, dict[bytes, bytes], bytes]:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        raise AssertionError("an answer reads nothing")

    asyncio.run(made({"type": "http", "headers": list(headers)}, receive, send))
    return messages[0]["status"], dict(messages[0]["headers"]), messages[1].get("body", b"")


def test_an_answer_names_its_models_and_its_newest_bar() -> None:
    status, headers, body = sent(answer())
    assert (status, body) == (200, b'{"text":"a"}')
    assert headers[b"content-length"] == b"12"
    assert headers[b"x-model-version"] == b"walk_forward_stocks/1"
    assert headers[b"x-as-of"] == b"2024-06-28T12:00:00Z"


def test_the_etag_follows_body_and_model() -> None:
    assert answer().etag == answer().etag
    assert answer().etag != answer("b").etag
    assert answer().etag != answer(version="walk_forward_stocks/2").etag


@pytest.mark.parametrize(
    ("given", "status"),
    [(b"%s", 304), (b"W/%s", 304), (b'"x", %s', 304), (b"*", 304), (b'"x"', 200), (b"", 200)],
)
def test_a_client_that_has_it_is_told_so(given: bytes, status: int) -> None:
    made = answer()
    value = given % made.etag if b"%s" in given else given
    found, headers, body = sent(made, (b"if-none-match", value))
    assert found == status
    assert headers[b"etag"] == made.etag
    assert (body == b"") == (status == 304)


def test_the_longest_unused_answer_leaves_first() -> None:
    kept = Answers(most=2)
    for key in (b"1", b"2"):
        kept.put(key, answer())
    assert kept.get(b"1") is not None
    kept.put(b"3", answer())
    assert [key for key in (b"1", b"2", b"3") if kept.get(key)] == [b"1", b"3"]


def test_answers_stay_within_their_bytes_whatever_is_asked() -> None:
    kept = Answers(most=1000, most_bytes=10_000)
    for number in range(500):
        kept.put(b"%d" % number, answer("x" * (number % 7) * 500))
    assert 1 <= len(kept) <= 16
    kept.put(b"huge", answer("x" * 20_000))
    assert kept.get(b"huge") is None
    assert len(Answers(most=0)) == 0


def test_requests_are_told_apart_as_they_were_sent() -> None:
    plain = {"path": "/s/BTC/USDT", "raw_path": b"/s/BTC/USDT", "query_string": b"a=1"}
    encoded = {**plain, "raw_path": b"/s/BTC%2FUSDT"}
    assert request_key(plain) == b"/s/BTC/USDT?a=1"
    assert request_key(encoded) == b"/s/BTC%2FUSDT?a=1"


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/api/ml/predictions", "/api/ml/predictions"),
        ("/api/ml/symbol-prediction/BTC/USDT", "/api/ml/symbol-prediction/{symbol}"),
        ("/api/ml/predictions/more", "unmatched"),
        ("/docs/assets", "/docs"),
        ("/%00", "unmatched"),
    ],
)
def test_no_client_can_make_up_a_series(path: str, template: str) -> None:
    assert route_template(path) == template
