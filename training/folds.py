"""A fold as a piece of work that can be done anywhere: here, in a thread, on a cluster, or by a run that was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from configs.training import TrainingSettings
from market.splits import Fold
from training.dataset import Dataset
from training.model import FittedModel

FINAL = -1
"""Number of the job that fits the final model."""


@dataclass(frozen=True)
class FoldJob:
    """What a fold's fit needs beside data and settings; small enough to be sent anywhere.

    Attributes:
        number: The fold's index, or `FINAL`.
        fold: The fold; None for the final model, which trains on every known label and tests nothing.
        rows: Training rows, as far as the plan says; only progress and memory are reckoned from it.
        previous: The model that a warm start goes on from; None for a fit from scratch.
        since: First stamp of the rows that a warm start learns from.
    """

    number: int
    fold: Fold | None
    rows: int
    previous: FittedModel | None = None
    since: np.datetime64 | None = None


@dataclass(frozen=True)
class FoldFit:
    """A fitted fold.

    Attributes:
        number: Of its job.
        model: The model.
        probability: Of UP for each tested row in time order, shape (tested,); empty for the final model.
    """

    number: int
    model: FittedModel
    probability: NDArray[np.float64]


Work = Callable[[Dataset, FoldJob, TrainingSettings], FoldFit]
"""Fits one fold: `training.walk_forward.fit_fold`. It must not depend on what was done before it."""


class Engine(Protocol):
    """Does fold jobs. The results do not depend on the engine, or on how many jobs are at work."""

    def fit(self, jobs: Sequence[FoldJob]) -> Iterator[FoldFit]:
        """Yield each job's result as it comes, in any order; the first error ends it."""
        ...

    def close(self) -> None:
        """Let go of threads, connections and shared data."""
        ...
