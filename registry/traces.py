"""Finished requests to a language model as MLflow traces, written after the fact and in batches.

MLflow's own decorators and `start_trace` go through its global tracking state and write while the caller waits; spans
made here from stored facts go to the profile's store alone, when there is time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from configs.settings import Settings
from market.errors import RegistryError
from registry.mlflow_api import MlflowException, Span, SpanAttributeKey, SpanType, TracingClient
from registry.store import RunStore

EXPERIMENT: Final = "gemini"

_NANOSECONDS: Final = 1_000_000_000


@dataclass(frozen=True)
class ModelCall:
    """One request that has ended.

    Attributes:
        call_id: 32 hexadecimal digits; the trace's id, so that writing it again changes nothing.
        name: What the trace is called in the UI.
        model: Who was asked.
        started_at: UTC.
        seconds: Until its end.
        error: Why there is no answer; None with one.
        inputs: What was asked.
        outputs: What was answered; None without an answer.
        input_tokens: As the server counted; None when it did not say.
        output_tokens: Likewise.
        cost_usd: By the configured prices.
        attributes: Further facts.
    """

    call_id: str
    name: str
    model: str
    started_at: datetime
    seconds: float
    error: str | None
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any] | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float
    attributes: Mapping[str, Any] = field(default_factory=dict)


class TraceStore:
    """Traces of the profile's MLflow store."""

    def __init__(self, settings: Settings) -> None:
        """Bind to the profile's store and the experiment of traces.

        Raises:
            RegistryError: If the database was written by another version of MLflow.
        """
        self._experiment_id = RunStore(settings, EXPERIMENT).experiment_id
        self._client = TracingClient(settings.mlflow_uri)

    def write(self, calls: Sequence[ModelCall]) -> None:
        """Write one trace per call, all in one transaction.

        Raises:
            RegistryError: MLflow refused them.
        """
        try:
            self._client.log_spans(self._experiment_id, [_span(call, self._experiment_id) for call in calls])
        except MlflowException as error:
            raise RegistryError(f"MLflow refused {len(calls)} traces: {error.message}") from error


def _span(call: ModelCall, experiment_id: str) -> Span:
    start = int(call.started_at.timestamp() * _NANOSECONDS)
    known: dict[str, Any] = {
        SpanAttributeKey.EXPERIMENT_ID: experiment_id,
        SpanAttributeKey.REQUEST_ID: f"tr-{call.call_id}",
        SpanAttributeKey.SPAN_TYPE: SpanType.LLM,
        SpanAttributeKey.INPUTS: dict(call.inputs),
        SpanAttributeKey.OUTPUTS: None if call.outputs is None else dict(call.outputs),
        SpanAttributeKey.MODEL: call.model,
        SpanAttributeKey.LLM_COST: {"total_cost": call.cost_usd},
        **call.attributes,
    }
    if call.input_tokens is not None and call.output_tokens is not None:
        known[SpanAttributeKey.CHAT_USAGE] = {
            "input_tokens": call.input_tokens,
            "output_tokens": call.output_tokens,
            "total_tokens": call.input_tokens + call.output_tokens,
        }
    return Span.from_dict(
        {
            "trace_id": f"tr-{call.call_id}",
            "span_id": call.call_id[:16],
            "parent_span_id": None,
            "name": call.name,
            "start_time_unix_nano": start,
            "end_time_unix_nano": start + int(call.seconds * _NANOSECONDS),
            "status": {"code": "OK" if call.error is None else "ERROR", "message": call.error or ""},
            "attributes": {name: json.dumps(value) for name, value in known.items()},
            "events": [],
        }
    )
