"""Benchmark `drift_evidently`: exact drift figures of 40 columns against Evidently's default preset, on one frame."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bench.measure import Comparison, growth_exponent, measured

if TYPE_CHECKING:
    import pandas as pd

NAME = "drift_evidently"
COLUMNS = 40
ROWS = {"small": (20_000, 2_000), "full": (1_000_000, 100_000)}
"""Rows of reference and current."""
THREADS = 2


def run(size: str) -> Iterator[Comparison]:
    """N rows by both, N / 10 by ours."""
    reference, current = ROWS[size]
    smaller = measured(our_seconds, reference // 10, current // 10)
    ours = measured(our_seconds, reference, current)
    theirs = measured(evidently_seconds, reference, current)
    label = f"{size}: {reference:,} against {current:,} rows x {COLUMNS}"
    growth = growth_exponent(smaller, ours, 10)
    yield Comparison(NAME, label, ours, "Evidently, DataDriftPreset as it is", theirs, growth)


def frames(reference: int, current: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Normal, heavy-tailed, discrete and drifted columns, without missing values."""
    import numpy as np
    import pandas as pd

    def frame(rows: int, shift: float, seed: int) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        values = {}
        for i in range(COLUMNS):
            drawn = random.standard_t(4, rows) if i % 4 == 1 else random.standard_normal(rows)
            values[f"feature_{i:02d}"] = (np.round(drawn * 10) if i % 4 == 2 else drawn) + shift * (i % 5 == 0)
        return pd.DataFrame(values)

    return frame(reference, 0.0, 1), frame(current, 0.3, 2)


def our_seconds(reference: int, current: int) -> float:
    """Moments, quantiles, Kolmogorov-Smirnov with p-value and PSI of every column, all exact."""
    from market.drift import summarize

    before, now = frames(reference, current)
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(
            pool.map(_column, (before[name].to_numpy() for name in before), (now[name].to_numpy() for name in now))
        )
    taken = time.perf_counter() - start
    assert len(found) == COLUMNS and summarize is not None
    return taken


def _column(before: object, now: object) -> tuple[object, ...]:
    import numpy as np

    from market.drift import bin_shares, kolmogorov_smirnov, population_stability, stability_edges, summarize

    trained, newest = np.sort(before), np.sort(now)  # type: ignore[call-overload]
    edges = stability_edges(trained)
    stability = population_stability(bin_shares(trained, edges), bin_shares(newest, edges))
    return summarize(trained), summarize(newest), kolmogorov_smirnov(trained, newest), stability


def evidently_seconds(reference: int, current: int) -> float:
    """The preset with its own choices, without its page."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    before, now = frames(reference, current)
    start = time.perf_counter()
    result = Report([DataDriftPreset()]).run(now, before).dict()
    taken = time.perf_counter() - start
    assert len(result["metrics"]) > COLUMNS
    return taken
