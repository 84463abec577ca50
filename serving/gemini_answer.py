"""Gemini's words as an answer, or nothing: they are parsed by a schema and never obeyed."""

from __future__ import annotations

import unicodedata
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from market.signals import GeminiDirection
from serving.gemini_faults import UnusableAnswerError
from serving.gemini_opinion import RiskLevel

MAX_ANSWER_CHARS: Final = 65_536


class Answer(BaseModel):
    """What Gemini was asked to answer with.

    Attributes:
        direction: Where the next close will lie.
        confidence: 0 to 1.
        reasoning: Plain text on one line.
        risk_level: Of holding the instrument until the next close.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    direction: GeminiDirection
    confidence: float = Field(ge=0, le=1, allow_inf_nan=False)
    reasoning: str = Field(min_length=1)
    risk_level: RiskLevel


def parse_answer(text: str, max_reasoning_chars: int) -> Answer:
    """Read an answer; reasoning becomes one line of printable text of at most `max_reasoning_chars` characters.

    Raises:
        UnusableAnswerError: It is no JSON object of exactly these fields, types and ranges.
    """
    if len(text) > MAX_ANSWER_CHARS:
        raise UnusableAnswerError(f"answer of more than {MAX_ANSWER_CHARS} characters")
    try:
        answer = Answer.model_validate_json(text)
    except ValidationError as error:
        # places and kinds of the faults only: the text itself may hold anything
        faults = [f"{_place(fault['loc'])} {fault['type']}" for fault in error.errors(include_input=False)[:4]]
        raise UnusableAnswerError(f"answer breaks the schema: {', '.join(faults)}") from None
    reasoning = _one_line(answer.reasoning, max_reasoning_chars)
    if not reasoning:
        raise UnusableAnswerError("answer breaks the schema: reasoning empty")
    return answer.model_copy(update={"reasoning": reasoning})


def _place(location: tuple[int | str, ...]) -> str:
    """A known field's name; a field of Gemini's own invention is not repeated."""
    name = str(location[0]) if location else "answer"
    return name if name in (*Answer.model_fields, "answer") else "another field"


def _one_line(text: str, limit: int) -> str:
    """Without control and direction-changing characters, which could forge lines of a log or hide words on a screen."""
    kept = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
