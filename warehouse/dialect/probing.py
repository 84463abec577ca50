"""Asking an engine every golden probe, and comparing its answers with BigQuery's documented ones."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from market.errors import QueryError, TradeHitsError
from warehouse.dialect.probe import Probe
from warehouse.warehouse import Warehouse

Status = Literal["passed", "failed", "deviates", "not run"]


@dataclass(frozen=True)
class ProbeResult:
    """What an engine made of one probe.

    Attributes:
        status: `deviates` is a known difference of an emulator, which says nothing about the project's SQL; `not run`
            is a probe whose answer is no constant, or whose table could not be made.
        expected: BigQuery's answer, as text.
        got: The engine's, as text.
        note: Why a probe deviates or was not run.
    """

    probe: Probe
    status: Status
    expected: str
    got: str
    note: str = ""


@dataclass(frozen=True)
class ProbedEngine:
    """The engine under the probes.

    Attributes:
        warehouse: Answers the SELECTs.
        with_tables: Holds the probe table; or None, and then `without_tables` says why.
        is_embedded: Whether refusals by name are expected.
        deviations: Name of a probe → why the engine is known to answer it otherwise.
        threads: Probes asked at once.
    """

    warehouse: Warehouse
    with_tables: Warehouse | None
    is_embedded: bool
    without_tables: str = ""
    deviations: Mapping[str, str] | None = None
    threads: int = 1


def run_probes(engine: ProbedEngine, probes: Sequence[Probe]) -> list[ProbeResult]:
    """Ask every probe, in order.

    Raises:
        WarehouseError: The engine could not be asked at all (no credentials, no network).
    """
    if engine.threads == 1:
        return [ask(engine, probe) for probe in probes]
    with ThreadPoolExecutor(engine.threads) as pool:
        return list(pool.map(lambda probe: ask(engine, probe), probes))


def ask(engine: ProbedEngine, probe: Probe) -> ProbeResult:
    """Ask one probe."""
    refusal = _expected_refusal(engine, probe)
    expected = f"refused: {refusal}" if refusal else _shown(probe.rows)
    warehouse = engine.with_tables if probe.needs_table else engine.warehouse
    if warehouse is None:
        return ProbeResult(probe, "not run", expected, "", engine.without_tables)
    if not refusal and not probe.rows:
        return ProbeResult(probe, "not run", "", "", "BigQuery's answer is no constant")
    try:
        table = warehouse.query(probe.sql, probe.parameters)
    except QueryError as error:
        got = f"refused: {str(error).splitlines()[0]}"
        agrees = bool(refusal) and re.search(refusal, str(error)) is not None
    else:
        columns = [table.column(position).to_pylist() for position in range(table.num_columns)]
        answer = [tuple(column[row] for column in columns) for row in range(table.num_rows)]
        got = _shown(answer)
        agrees = not refusal and same(answer, list(probe.rows))
    if agrees:
        return ProbeResult(probe, "passed", expected, got)
    reason = (engine.deviations or {}).get(probe.name, "")
    return ProbeResult(probe, "deviates" if reason else "failed", expected, got, reason)


def same(ours: Any, theirs: Any) -> bool:
    """Equal values of equal types: 1 is not 1.0, NaN is NaN, floats agree to twelve digits."""
    if isinstance(theirs, list | tuple):
        alike = isinstance(ours, list | tuple) and len(ours) == len(theirs)
        return alike and all(same(*pair) for pair in zip(ours, theirs, strict=True))
    if isinstance(theirs, dict):
        alike = isinstance(ours, dict) and list(ours) == list(theirs)
        return alike and all(same(ours[name], theirs[name]) for name in theirs)
    if isinstance(theirs, float):
        if not isinstance(ours, float):
            return False
        return math.isclose(ours, theirs, rel_tol=1e-12) or (math.isnan(ours) and math.isnan(theirs))
    if isinstance(theirs, bool) or isinstance(ours, bool):
        return ours is theirs
    if isinstance(theirs, int):
        return isinstance(ours, int) and ours == theirs
    return bool(ours == theirs)


def _expected_refusal(engine: ProbedEngine, probe: Probe) -> str:
    """A pattern of the message, or nothing where an answer is expected."""
    if probe.refused:
        return probe.refused
    if probe.unsupported and (engine.is_embedded or probe.refused_everywhere):
        return re.escape(probe.unsupported)
    return ""


def _shown(rows: Sequence[tuple[Any, ...]]) -> str:
    return "; ".join(", ".join(_value(value) for value in row) for row in rows) or "no row"


def _value(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return "NULL" if value is None else repr(value)


def explain(error: TradeHitsError) -> str:
    """The first line of an error: why something could not be tried."""
    return error.message.splitlines()[0]
