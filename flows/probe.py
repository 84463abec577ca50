"""`tradehits probe`: the golden dialect probes on the configured engine."""

from __future__ import annotations

import io
import json
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from configs.settings import Settings, WarehouseSettings
from market.errors import ConfigError, WarehouseError
from warehouse.dialect.emulator import DEVIATIONS
from warehouse.dialect.probes import PROBES
from warehouse.dialect.probes_tables import probe_writes, write_probe_schema
from warehouse.dialect.probing import ProbedEngine, ProbeResult, Status, run_probes
from warehouse.warehouse import Warehouse

WIDTH = 132
_THREADS = 8
_STYLES: dict[Status, str] = {"passed": "green", "failed": "bold red", "deviates": "yellow", "not run": "dim"}


def run_probe(settings: Settings, output: str) -> tuple[str, bool]:
    """Ask every golden probe.

    Nothing of the profile is read or written: the embedded engine runs in memory, and on BigQuery the probes are
    literals but for one table in a dataset that is made for it and deleted at the end.

    Args:
        settings: Name the engine.
        output: `table` or `json`.

    Returns:
        Text to print, and whether no probe failed.

    Raises:
        ConfigError: For another output.
        WarehouseError: The engine could not be asked at all.
    """
    if output not in ("table", "json"):
        raise ConfigError(f"probe has no output '{output}'", remedy="table or json")
    with probed_engine(settings.warehouse) as engine:
        results = run_probes(engine, PROBES)
    passed = all(result.status != "failed" for result in results)
    return (_as_json(results) if output == "json" else _as_text(results, engine_name(settings))), passed


def engine_name(settings: Settings) -> str:
    """The engine, as people call it."""
    if settings.warehouse.engine == "duckdb":
        return "DuckDB"
    host = settings.warehouse.bigquery.emulator_host
    return f"the BigQuery emulator at {host}" if host else f"BigQuery project {settings.warehouse.project}"


@contextmanager
def probed_engine(settings: WarehouseSettings) -> Iterator[ProbedEngine]:
    """The configured engine with the probe table on it; whatever was made for the probes is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tradehits-probe-") as folder:
        sql_folder = write_probe_schema(Path(folder))
        if settings.engine == "duckdb":
            from warehouse.duckdb import DuckDBWarehouse

            embedded = DuckDBWarehouse.scratch(settings, sql_folder=sql_folder)
            _fill(embedded)
            yield ProbedEngine(embedded, embedded, is_embedded=True)
            return
        yield from _on_bigquery(settings, sql_folder)


def _on_bigquery(settings: WarehouseSettings, sql_folder: Path) -> Iterator[ProbedEngine]:
    from warehouse.bigquery import BigQueryWarehouse

    dataset = f"tradehits_probe_{uuid.uuid4().hex[:12]}"
    names = settings.datasets.model_copy(update={"tradehits": dataset})
    bigquery = settings.bigquery.model_copy(update={"staging_dataset": dataset})
    own = settings.model_copy(update={"datasets": names, "bigquery": bigquery})
    warehouse = BigQueryWarehouse(own, staging=sql_folder / "staging", sql_folder=sql_folder)
    without = ""
    try:
        try:
            _fill(warehouse)
        except WarehouseError as error:
            without = f"the probe table could not be made: {error.message.splitlines()[0]}"
        yield ProbedEngine(
            warehouse=warehouse,
            with_tables=None if without else warehouse,
            is_embedded=False,
            without_tables=without,
            deviations=DEVIATIONS if settings.bigquery.emulator_host else None,
            # The emulator stands still when it is asked several things at once.
            threads=1 if settings.bigquery.emulator_host else _THREADS,
        )
    finally:
        warehouse.bigquery.client.delete_dataset(dataset, delete_contents=True, not_found_ok=True)


def _fill(warehouse: Warehouse) -> None:
    warehouse.ensure_schema()
    for writes in probe_writes():
        warehouse.write(writes)


def _as_json(results: Sequence[ProbeResult]) -> str:
    rows = [
        {
            "name": result.probe.name,
            "topic": result.probe.topic,
            "status": result.status,
            "sql": result.probe.sql,
            "source": result.probe.source,
            "expected": result.expected,
            "got": result.got,
            "note": result.note,
        }
        for result in results
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _as_text(results: Sequence[ProbeResult], engine: str) -> str:
    out = io.StringIO()
    console = Console(file=out, width=WIDTH)
    console.print(_by_topic(results))
    for status in ("deviates", "not run", "failed"):
        for result in results:
            if result.status == status:
                console.print(_told(result), highlight=False)
    counts = Counter(result.status for result in results)
    told = ", ".join(f"{counts[status]} {status}" for status in _STYLES if counts[status])
    console.print(Text(f"{len(results)} golden probes on {engine}: {told}."), highlight=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _by_topic(results: Sequence[ProbeResult]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("topic", no_wrap=True)
    for status in ("probes", *_STYLES):
        table.add_column(status, justify="right", no_wrap=True)
    for topic in dict.fromkeys(result.probe.topic for result in results):
        own = [result for result in results if result.probe.topic == topic]
        counts = Counter(result.status for result in own)
        cells = [Text(str(counts[status] or ""), style=style) for status, style in _STYLES.items()]
        table.add_row(topic, str(len(own)), *cells)
    return table


def _told(result: ProbeResult) -> Text:
    text = Text(f"{result.status}: ", style=_STYLES[result.status])
    text.append(f"{result.probe.topic}: {result.probe.name}", style="default")
    if result.note:
        text.append(f"\n  {result.note}", style="default")
    if result.status in ("failed", "deviates"):
        text.append(f"\n  {result.probe.sql}\n  expected {result.expected}\n  got      {result.got}", style="default")
        text.append(f"\n  documented under {result.probe.source}", style="dim")
    return text
