"""Run benchmarks, print a table and keep the rows in `bench/results.json`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    audit_overhead,
    backtest_20m,
    backtest_vectorbt,
    detector_delay,
    drift_20m,
    drift_evidently,
    feast_historical,
    feast_materialize,
    feast_online,
    features,
    indicators,
    inference,
    ingest_incremental,
    monte_carlo,
    serving_get,
    serving_post,
    walk_forward_20m,
    walk_forward_naive,
    warehouse_20m,
    warehouse_concurrency,
)
from bench.measure import Comparison

RESULTS = Path(__file__).parent / "results.json"
BENCHMARKS: dict[str, Callable[[str], Iterator[Comparison]]] = {
    module.NAME: module.run
    for module in (
        indicators,
        features,
        ingest_incremental,
        warehouse_20m,
        warehouse_concurrency,
        feast_historical,
        feast_materialize,
        feast_online,
        walk_forward_naive,
        walk_forward_20m,
        audit_overhead,
        inference,
        serving_get,
        serving_post,
        backtest_vectorbt,
        backtest_20m,
        monte_carlo,
        detector_delay,
        drift_evidently,
        drift_20m,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(BENCHMARKS), help="one benchmark; all without it")
    parser.add_argument("--size", choices=("small", "full"), default="full")
    given = parser.parse_args()
    console = Console(width=150)
    console.print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    rows = []
    for name in [given.only] if given.only else BENCHMARKS:
        for comparison in BENCHMARKS[name](given.size):
            rows.append(comparison.as_row())
            keep(rows[-1])
    console.print(table(rows))


def keep(row: dict[str, str | float]) -> None:
    """Put a row in the place of the earlier one of the same benchmark, size and peer."""
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    identity = ("name", "size", "peer")
    others = [one for one in stored if any(one[key] != row[key] for key in identity)]
    rows = sorted([*others, row], key=lambda one: [str(one[key]) for key in identity])
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")


def table(rows: list[dict[str, str | float]]) -> Table:
    shown = Table()
    for title in rows[0]:
        shown.add_column(
            title.replace("_", " "), justify="left" if title in ("name", "size", "peer", "note") else "right"
        )
    for row in rows:
        shown.add_row(*(value if isinstance(value, str) else f"{value:,.3g}" for value in row.values()))
    return shown


if __name__ == "__main__":
    main()
