"""Benchmark `feast_historical`: 40 features as of each bar's close, against stock Feast's DuckDB store."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Comparison, Measure, growth_exponent, measured

NAME = "feast_historical"
SYMBOLS = {"small": (10, 100), "full": (100, 1000)}
"""Symbols at N, and at 10 N where the peer is measured too."""
LENGTH = {"small": 1000, "full": 5000}
LARGEST = {"small": 0, "full": 4000}
"""Symbols of the largest read, ours alone."""


def run(size: str) -> Iterator[Comparison]:
    """Into Arrow and into a parquet file; values are compared bit by bit before a time counts."""
    smaller, larger = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        small, large = (_made(Path(root) / str(symbols), symbols, LENGTH[size]) for symbols in (smaller, larger))
        measures = {}
        for into in ("arrow", "parquet"):
            grown_from = measured(read_seconds, small, "ours", into)
            ours, theirs = (measured(read_seconds, large, kind, into) for kind in ("ours", "stock"))
            _refuse_difference(large, into)
            measures[into] = ours
            growth = growth_exponent(grown_from, ours, larger / smaller)
            what = f"{size}: {larger * LENGTH[size]:,} rows into {into}"
            note = f"identical values, {ours.peak_mib / theirs.peak_mib:.0%} of the memory"
            yield Comparison(NAME, what, ours, "stock Feast, duckdb", theirs, growth, note)
        if LARGEST[size]:
            yield from _largest(Path(root), size, measures)


def _largest(root: Path, size: str, measures: dict[str, Measure]) -> Iterator[Comparison]:
    folder = _made(root / "largest", LARGEST[size], LENGTH[size])
    rows, before = LARGEST[size] * LENGTH[size], SYMBOLS[size][1] * LENGTH[size]
    for into, smaller in measures.items():
        ours = measured(read_seconds, folder, "ours", into)
        growth = growth_exponent(smaller, ours, rows / before)
        yield Comparison(
            NAME, f"{size}: {rows:,} rows into {into}", ours, f"itself at {before:,} rows", smaller, growth
        )


def _made(folder: Path, symbols: int, length: int) -> Path:
    folder.mkdir()
    measured(make, folder, symbols, length)
    return folder


def _refuse_difference(folder: Path, into: str) -> None:
    from bench.feast_repository import refuse_difference

    refuse_difference(*(json.loads((folder / f"{kind}-{into}.json").read_text()) for kind in ("ours", "stock")))


def make(folder: Path, symbols: int, length: int) -> float:
    from bench.feast_repository import make_history

    start = time.perf_counter()
    make_history(folder, symbols, length)
    return time.perf_counter() - start


def read_seconds(folder: Path, kind: str, into: str) -> float:
    """One retrieval of all rows, an hour after each bar was known."""
    import pyarrow.parquet as pq
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    from bench.feast_repository import FEATURES, VIEW, digest, open_repository, quiet

    path = folder / "history.parquet"
    store = open_repository(folder, kind, path)
    entities = _entities(path)
    answer = folder / f"{kind}.parquet"
    with quiet():
        start = time.perf_counter()
        job = store.get_historical_features(entities, [f"{VIEW}:{name}" for name in FEATURES])
        if into == "arrow":
            table = job.to_arrow()
        else:
            job.persist(SavedDatasetFileStorage(str(answer)))
        seconds = time.perf_counter() - start
    if into == "arrow":
        sums = digest(table, "number")
    else:
        sums = _digest_of_file(pq.ParquetFile(answer))
        answer.unlink()
    (folder / f"{kind}-{into}.json").write_text(json.dumps(sums))
    return seconds


def _entities(path: Path):  # noqa: ANN202
    """A pandas frame, as stock Feast wants it."""
    import polars as pl

    rows = pl.scan_parquet(path).select(
        "asset_type",
        "symbol",
        (pl.col("bar_known_at") + pl.duration(hours=1)).alias("event_timestamp"),
        pl.int_range(pl.len()).alias("number"),
    )
    return rows.collect().to_pandas()


def _digest_of_file(file) -> dict[str, int]:  # noqa: ANN001
    """Row group by row group: the file is as large as the answer that was not to be held in memory."""
    from bench.feast_repository import digest

    sums: dict[str, int] = {}
    for group in range(file.num_row_groups):
        for name, value in digest(file.read_row_group(group), "number").items():
            sums[name] = (sums.get(name, 0) + value) % 2**64
    return sums
