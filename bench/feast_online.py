"""Benchmark `feast_online`: 40 features of one symbol and of all of them from SQLite, against stock Feast's store."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measure import Comparison, growth_exponent, measured

NAME = "feast_online"
SYMBOLS = {"small": 100, "full": 1000}
LENGTH = 30
READS = {"small": 300, "full": 3000}


def run(size: str) -> Iterator[Comparison]:
    """The 99th percentile of reads of one symbol, and the median read of all symbols."""
    from bench.feast_historical import _made

    symbols = SYMBOLS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        folder = _made(Path(root) / "online", symbols, LENGTH)
        for kind in ("ours", "stock"):
            measured(load, folder, kind)
        single = {kind: measured(one_seconds, folder, kind, symbols, READS[size]) for kind in ("ours", "stock")}
        tenth = measured(all_seconds, folder, "ours", symbols // 10)
        every = {kind: measured(all_seconds, folder, kind, symbols) for kind in ("ours", "stock")}
        growth = growth_exponent(tenth, every["ours"], 10)
        peer = "stock Feast, sqlite"
        note = _shares(folder, "one")
        yield Comparison(NAME, f"{size}: one symbol, p99", single["ours"], peer, single["stock"], 0.0, note)
        note = _shares(folder, "all")
        yield Comparison(NAME, f"{size}: all of {symbols:,} symbols", every["ours"], peer, every["stock"], growth, note)


def _shares(folder: Path, what: str) -> str:
    shares = {kind: json.loads((folder / f"{kind}-{what}.json").read_text()) for kind in ("ours", "stock")}
    return (
        ", ".join(f"{kind}: {share:.0%} in the store" for kind, share in shares.items()) + ", the rest Feast's answer"
    )


def load(folder: Path, kind: str) -> float:
    from bench.feast_materialize import load_seconds

    return load_seconds(folder, kind, 1)


def one_seconds(folder: Path, kind: str, symbols: int, reads: int) -> float:
    """Reads of one symbol after another; the 99th percentile."""
    read = _Reader(folder, kind)
    for number in range(20):
        read([number % symbols])
    taken, share = _timed([lambda n=n: read([n * 7919 % symbols]) for n in range(reads)], read)
    (folder / f"{kind}-one.json").write_text(json.dumps(share))
    return sorted(taken)[int(0.99 * reads)]


def all_seconds(folder: Path, kind: str, symbols: int) -> float:
    """Reads of all symbols at once; the median of nine."""
    read = _Reader(folder, kind)
    read(range(symbols))
    taken, share = _timed([lambda: read(range(symbols)) for _ in range(9)], read)
    (folder / f"{kind}-all.json").write_text(json.dumps(share))
    return sorted(taken)[4]


class _Reader:
    """Online reads, and how much of their time the store itself takes."""

    def __init__(self, folder: Path, kind: str) -> None:
        from bench.feast_repository import FEATURES, VIEW, open_repository

        self._store = open_repository(folder, kind, folder / "history.parquet")
        self._references = [f"{VIEW}:{name}" for name in FEATURES]
        self.inside = 0.0
        online = self._store.provider.online_store
        original = online.online_read

        def timed(*given: object, **named: object) -> object:
            start = time.perf_counter()
            try:
                return original(*given, **named)
            finally:
                self.inside += time.perf_counter() - start

        online.online_read = timed

    def __call__(self, numbers: range | list[int]) -> None:
        names = [f"S{number:05d}/USD" for number in numbers]
        keys = {"asset_type": ["crypto"] * len(names), "symbol": names}
        answer = self._store.get_online_features(self._references, keys).to_dict()
        assert answer["flag_11"][0] is not None


def _timed(reads: list[Callable[[], None]], reader: _Reader) -> tuple[list[float], float]:
    reader.inside = 0.0
    taken = []
    for read in reads:
        start = time.perf_counter()
        read()
        taken.append(time.perf_counter() - start)
    return taken, reader.inside / sum(taken)
