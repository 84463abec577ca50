"""Settings of Gemini and of the ensemble that its opinion joins."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from market.assets import AssetType

KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
"""Where the API key may stand, the first that is set counts."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GeminiSettings(_Section):
    """How Gemini is asked, and how much that may cost in time and money.

    Attributes:
        enabled: False: nobody is asked and no stored opinion is used.
        sdk: `google-genai`, or `google-generativeai` (extra `gemini-legacy`).
        model: Gemini's model name; part of the cache key.
        base_url: Where Gemini is reached; None for Google's own address.
        prompt: Name of a file in `serving/prompts` without its ending; its hash is part of the cache key.
        max_output_tokens: Longest answer, thoughts included.
        thinking_tokens: Thoughts before the answer; None leaves it to the model. The old SDK cannot say it.
        max_reasoning_chars: Longer reasoning is cut.
        concurrency: Questions in flight at the same time.
        deadline_seconds: All questions of one inference together; what is not answered by then has status `timeout`.
        answer_deadline_seconds: Likewise for one question of a waiting client.
        call_timeout_seconds: One attempt.
        attempts: Attempts per question, where 429, a server's error or a broken connection is tried again.
        backoff_seconds: First pause before the next attempt, doubled each time with jitter; Retry-After is kept.
        max_backoff_seconds: Longest such pause; a longer Retry-After ends the question.
        breaker_failures: So many failures in a row open the circuit: nobody is asked ...
        breaker_seconds: ... for so long.
        daily_calls: Requests per UTC day, of all processes of the profile together.
        daily_cost_usd: Money likewise; each request reserves its highest possible cost first.
        input_usd_per_million_tokens: Price of what is sent.
        output_usd_per_million_tokens: Price of what comes back, thoughts included.
        store_timeout_seconds: So long a process waits for another one's write to the store of calls.
        ask_about_past: Ask also about bars whose next bar the world already knows (replayed data). Gemini may remember
            what happened, so this is for simulated bars only.
        trace_seconds: Time per inference for writing traces of new calls to MLflow; the rest follows next time. 0: off.
    """

    enabled: bool
    sdk: Literal["google-genai", "google-generativeai"]
    model: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    base_url: str | None = Field(pattern=r"^https?://\S+$")
    prompt: str = Field(pattern=r"^[a-z0-9_]{1,64}$")
    max_output_tokens: int = Field(ge=64, le=65536)
    thinking_tokens: int | None = Field(ge=0)
    max_reasoning_chars: int = Field(ge=50, le=4000)
    concurrency: int = Field(ge=1, le=256)
    deadline_seconds: float = Field(gt=0)
    answer_deadline_seconds: float = Field(gt=0)
    call_timeout_seconds: float = Field(gt=0)
    attempts: int = Field(ge=1, le=10)
    backoff_seconds: float = Field(gt=0)
    max_backoff_seconds: float = Field(gt=0)
    breaker_failures: int = Field(ge=1)
    breaker_seconds: float = Field(gt=0)
    daily_calls: int = Field(ge=0)
    daily_cost_usd: float = Field(ge=0)
    input_usd_per_million_tokens: float = Field(ge=0)
    output_usd_per_million_tokens: float = Field(ge=0)
    store_timeout_seconds: float = Field(gt=0)
    ask_about_past: bool
    trace_seconds: float = Field(ge=0)
    api_key: SecretStr | None = Field(default_factory=lambda: _key(os.environ), exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _no_key_in_files(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "api_key" in given:
            raise ValueError(f"an API key is no setting: give it as {KEY_VARIABLES[0]}")
        return given


class WeightSettings(_Section):
    """XGBoost's share of the ensemble, per asset class; the rest is Gemini's."""

    stocks: float = Field(ge=0, le=1)
    etf: float = Field(ge=0, le=1)
    crypto: float = Field(ge=0, le=1)

    def of(self, asset_type: AssetType) -> float:
        """The share in one asset class."""
        return float(getattr(self, asset_type))


class EnsembleSettings(_Section):
    """Weights, and when matured predictions are evidence about them.

    Attributes:
        xgboost_weight: XGBoost's share per asset class.
        min_rows: Matured predictions with an opinion, below which the report finds no evidence ...
        min_dates: ... and different dates among them.
        level: Coverage of the report's intervals.
    """

    xgboost_weight: WeightSettings
    min_rows: int = Field(ge=1)
    min_dates: int = Field(ge=2)
    level: float = Field(gt=0.5, lt=1)


def _key(environ: Mapping[str, str]) -> SecretStr | None:
    given = next((environ[name].strip() for name in KEY_VARIABLES if environ.get(name, "").strip()), None)
    return None if given is None else SecretStr(given)
