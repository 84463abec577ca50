"""Gemini's words are parsed by a schema; anything else is no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gemini_answer import parse_answer
from serving.gemini_faults import UnusableAnswerError

GOOD = {"direction": "DOWN", "confidence": 0.25, "reasoning": "RSI 71.", "risk_level": "HIGH"}


def test_a_good_answer_is_read_as_it_is() -> None:
    answer = parse_answer(json.dumps(GOOD), 100)

    assert answer.model_dump() == GOOD


@pytest.mark.parametrize("confidence", [0, 1, 0.0, 1.0])
def test_confidence_may_be_a_whole_number(confidence: float) -> None:
    assert parse_answer(json.dumps({**GOOD, "confidence": confidence}), 100).confidence == confidence


@pytest.mark.parametrize(
    "change",
    [
        {"direction": "up"},
        {"direction": None},
        {"confidence": "0.5"},
        {"confidence": -0.01},
        {"confidence": True},
        {"confidence": None},
        {"reasoning": ""},
        {"reasoning": " \n\t\u200b"},
        {"reasoning": 5},
        {"risk_level": "EXTREME"},
        {"probability": 0.5},
    ],
    ids=repr,
)
def test_a_field_out_of_its_range_is_no_answer(change: dict[str, Any]) -> None:
    with pytest.raises(UnusableAnswerError, match="breaks the schema"):
        parse_answer(json.dumps({**GOOD, **change}), 100)


@given(st.text(max_size=200))
def test_no_text_makes_another_error_or_is_repeated_in_it(text: str) -> None:
    try:
        parse_answer(text, 100)
    except UnusableAnswerError as error:
        assert str(error) == "answer breaks the schema: answer json_invalid" or "model_type" in str(error)


@given(st.text(min_size=1, max_size=400), st.integers(50, 120))
def test_reasoning_is_one_printable_line_of_bounded_length(text: str, limit: int) -> None:
    try:
        said = parse_answer(json.dumps({**GOOD, "reasoning": text}), limit).reasoning
    except UnusableAnswerError:
        return
    assert 0 < len(said) <= limit
    assert said.isprintable()


def test_an_endless_answer_is_not_even_parsed() -> None:
    with pytest.raises(UnusableAnswerError, match="more than 65536 characters"):
        parse_answer(" " * 70_000 + json.dumps(GOOD), 100)
