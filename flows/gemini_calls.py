"""New calls of Gemini, from their own file into the warehouse and into MLflow's traces."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from market.errors import GeminiStoreError, RegistryError
from serving.gemini_records import Call
from serving.gemini_store import open_store, stored_calls
from warehouse.warehouse import Write

if TYPE_CHECKING:
    from configs.settings import Settings
    from flows.context import Context
    from registry.traces import ModelCall
    from warehouse.warehouse import Warehouse

log = logging.getLogger(__name__)

TABLE: Final = "tradehits.gemini_calls"

OVERLAP: Final = timedelta(days=1)
"""A call is stored when it ends, so one may turn up that began before the newest one copied; no call lasts a day."""

TRACES_AT_ONCE: Final = 50

_NEWEST = "SELECT MAX(called_at) AS newest FROM `tradehits.gemini_calls`"

_TIME = pl.Datetime("us", "UTC")
_TEXTS = ("call_id", "asset_type", "symbol", "model", "prompt_hash", "status", "prediction", "reasoning", "risk_level")
_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    **dict.fromkeys((*_TEXTS, "error"), pl.String),
    **dict.fromkeys(("called_at", "datetime"), _TIME),
    **dict.fromkeys(("confidence", "latency_seconds", "cost_usd"), pl.Float64),
    **dict.fromkeys(("input_tokens", "output_tokens"), pl.Int64),
}


@dataclass(frozen=True)
class CopiedCalls:
    """What was copied.

    Attributes:
        stored: Calls new in the warehouse.
        traced: Calls new in MLflow's traces; the others follow next time.
    """

    stored: int
    traced: int


def copy_gemini_calls(context: Context) -> CopiedCalls:
    """Copy what is new, of the service's calls too; doing it again changes nothing.

    A damaged store of calls or an MLflow that does not answer costs a warning, not the run.

    Raises:
        WarehouseError: The warehouse could not be written.
    """
    if not context.settings.paths.gemini_file.exists():
        return CopiedCalls(0, 0)
    with context.reporter.step("copy Gemini's calls"):
        try:
            return CopiedCalls(_store(context.settings, context.warehouse), _trace(context.settings))
        except GeminiStoreError as error:
            log.warning("Gemini's calls are not copied: %s", error)
            return CopiedCalls(0, 0)


def _store(settings: Settings, warehouse: Warehouse) -> int:
    newest: datetime | None = pl.from_arrow(warehouse.query(_NEWEST))["newest"][0]  # type: ignore[index]
    calls = stored_calls(settings, None if newest is None else newest - OVERLAP)
    if not calls:
        return 0
    (result,) = warehouse.write([Write(TABLE, rows=_rows(calls).to_arrow(), mode="append", skip_existing=True)])
    return result.inserted


def _rows(calls: Sequence[Call]) -> pl.DataFrame:
    kept = [{name: value for name, value in asdict(call).items() if name in _SCHEMA} for call in calls]
    return pl.DataFrame(kept, schema=_SCHEMA)


def _trace(settings: Settings) -> int:
    """Write traces, oldest calls first, as long as `gemini.trace_seconds` lasts."""
    until, traced = time.monotonic() + settings.gemini.trace_seconds, 0
    with closing(open_store(settings)) as store:
        calls = store.untraced(TRACES_AT_ONCE) if settings.gemini.trace_seconds else []
        if not calls:
            return 0
        from registry.traces import TraceStore

        try:
            traces = TraceStore(settings)
            while calls and time.monotonic() < until:
                traces.write([_model_call(call) for call in calls])
                store.mark_traced(call.call_id for call in calls)
                traced += len(calls)
                calls = store.untraced(TRACES_AT_ONCE)
        except (RegistryError, OSError) as error:
            log.warning("Gemini's calls are not traced now: %s", error)
    return traced


def _model_call(call: Call) -> ModelCall:
    from registry.traces import ModelCall

    answer = {name: getattr(call, name) for name in ("prediction", "confidence", "reasoning", "risk_level")}
    return ModelCall(
        call_id=call.call_id,
        name=f"gemini {call.asset_type} {call.symbol}",
        model=call.model,
        started_at=call.called_at,
        seconds=call.latency_seconds,
        error=call.error,
        inputs=json.loads(call.facts),
        outputs=answer if call.status == "ok" else None,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cost_usd=call.cost_usd,
        attributes={"status": call.status, "attempts": call.attempts, "prompt_hash": call.prompt_hash},
    )
