"""Fold jobs from plan to result: done by an engine, kept in a cache, told to a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from training.fold_cache import FoldCache
from training.folds import Engine, FoldFit, FoldJob

Progress = Callable[[int, int], None]
"""Called with (work done, work in all), reckoned in training rows, of which late folds have more than early ones."""


class FoldRun:
    """Does jobs through an engine, keeps their results, takes over those of a killed run and says how far it is."""

    def __init__(self, engine: Engine, cache: FoldCache, progress: Progress | None) -> None:
        """Start with no work announced."""
        self._engine = engine
        self._cache = cache
        self._progress = progress
        self._expected = 0
        self._done = 0
        self.resumed = 0

    def expect(self, jobs: Iterable[FoldJob]) -> None:
        """Announce work, so that the share that is done can be told."""
        self._expected += sum(job.rows for job in jobs)

    def fit(self, jobs: Sequence[FoldJob], *, kept_as: int = 0) -> dict[int, FoldFit]:
        """Results by job number.

        Args:
            jobs: To be done; the engine decides on the order.
            kept_as: Added to the numbers under which results are kept, as a fold may be fitted in two ways.
        """
        fits: dict[int, FoldFit] = {}
        waiting: dict[int, FoldJob] = {}
        for job in jobs:
            stored = self._cache.load(job.number + kept_as)
            if stored is None:
                waiting[job.number] = job
            else:
                fits[job.number] = FoldFit(job.number, stored.model, stored.probability)
                self.resumed += 1
                self._advance(job.rows)
        for done in self._engine.fit(list(waiting.values())):
            self._cache.store(FoldFit(done.number + kept_as, done.model, done.probability))
            fits[done.number] = done
            self._advance(waiting[done.number].rows)
        return fits

    def _advance(self, rows: int) -> None:
        self._done += rows
        if self._progress:
            self._progress(self._done, max(self._expected, self._done))
