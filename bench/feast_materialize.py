"""Benchmark `feast_materialize`: the newest bar of every symbol into the online store, against stock Feast's stores."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Comparison, growth_exponent, measured

NAME = "feast_materialize"
SYMBOLS = {"small": (50, 500), "full": (500, 5000)}
"""Symbols at N and at 10 N."""
LENGTH = {"small": 200, "full": 1000}


def run(size: str) -> Iterator[Comparison]:
    """The whole of `FeatureStore.materialize`; what is online afterwards is compared value by value."""
    from bench.feast_historical import _made
    from bench.feast_repository import refuse_difference

    smaller, larger = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        small, large = (_made(Path(root) / str(symbols), symbols, LENGTH[size]) for symbols in (smaller, larger))
        grown_from = measured(load_seconds, small, "ours", smaller)
        ours, theirs = (measured(load_seconds, large, kind, larger) for kind in ("ours", "stock"))
        refuse_difference(*(json.loads((large / f"{kind}.json").read_text()) for kind in ("ours", "stock")))
    what = f"{size}: {larger:,} symbols from {larger * LENGTH[size]:,} rows"
    growth = growth_exponent(grown_from, ours, larger / smaller)
    yield Comparison(NAME, what, ours, "stock Feast, duckdb and sqlite", theirs, growth, "identical values")


def load_seconds(folder: Path, kind: str, symbols: int) -> float:
    """One load of everything, into an empty online store."""
    from datetime import timedelta

    import pyarrow as pa

    from bench.feast_repository import FEATURES, FIRST_DAY, VIEW, digest, open_repository, quiet

    store = open_repository(folder, kind, folder / "history.parquet")
    with quiet():
        # A window before the first row loads nothing but Feast's modules.
        store.materialize(FIRST_DAY - timedelta(days=2), FIRST_DAY - timedelta(days=1), feature_views=[VIEW])
        start = time.perf_counter()
        store.materialize(FIRST_DAY, FIRST_DAY + timedelta(days=20_000), feature_views=[VIEW])
        seconds = time.perf_counter() - start
    names = [f"S{number:05d}/USD" for number in range(symbols)]
    keys = {"asset_type": ["crypto"] * symbols, "symbol": names}
    answer = store.get_online_features([f"{VIEW}:{name}" for name in FEATURES], keys).to_dict()
    table = pa.table({name: answer[name] for name in FEATURES} | {"number": range(symbols)})
    (folder / f"{kind}.json").write_text(json.dumps(digest(table, "number")))
    return seconds
