"""Fold jobs on this machine: one after the other, or several at a time within a memory budget.

Threads suffice: XGBoost works outside Python's lock, keeps its random state per thread and seeds it per booster, so
parallel folds share the arrays and give the bits of serial ones. The thread count of a fit is never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from threading import Condition

from configs.training import TrainingSettings
from training.dataset import Dataset
from training.folds import FoldFit, FoldJob, Work

BYTES_PER_VALUE = 5
"""XGBoost's bins of a matrix with missing values: 4 by row, 1 by column."""
BYTES_PER_ROW = 64
"""Gradients, margins, row positions and labels."""


class MemoryBudget:
    """Lets work in while all of it together stays within a limit; what exceeds it alone is let in alone."""

    def __init__(self, limit_bytes: float) -> None:
        """Start with nothing at work."""
        self._limit = limit_bytes
        self._used = 0.0
        self._changed = Condition()

    @contextmanager
    def holding(self, size_bytes: float) -> Iterator[None]:
        """Wait until there is room, and keep it while the block runs."""
        with self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + size_bytes <= self._limit)
            self._used += size_bytes
        try:
            yield
        finally:
            with self._changed:
                self._used -= size_bytes
                self._changed.notify_all()


class LocalEngine:
    """Jobs in this process."""

    def __init__(self, dataset: Dataset, settings: TrainingSettings, work: Work) -> None:
        """Take the data once; jobs share it."""
        self._dataset = dataset
        self._settings = settings
        self._work = work
        self._budget = MemoryBudget(settings.memory_gb * 1e9)

    def fit(self, jobs: Sequence[FoldJob]) -> Iterator[FoldFit]:
        """Yield results as they come."""
        if self._settings.parallel_folds == 1 or len(jobs) < 2:
            for job in jobs:
                yield self._work(self._dataset, job, self._settings)
            return
        with ThreadPoolExecutor(self._settings.parallel_folds, thread_name_prefix="fold") as pool:
            futures = [pool.submit(self._within_budget, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()

    def close(self) -> None:
        """There is nothing to let go of."""

    def _within_budget(self, job: FoldJob) -> FoldFit:
        with self._budget.holding(job.rows * (len(self._dataset.features) * BYTES_PER_VALUE + BYTES_PER_ROW)):
            return self._work(self._dataset, job, self._settings)
