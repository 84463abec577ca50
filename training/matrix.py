"""Chosen rows of a dataset on their way into XGBoost, without a second copy of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from training.dataset import Dataset

BATCH_ROWS = 1 << 17


class RowBatches(xgb.DataIter):  # type: ignore[misc]
    """Feeds the rows of a fold to `QuantileDMatrix`: one view where they are contiguous, else small batches.

    Rows are in time order, so a training window is contiguous but for a few rows whose label came late (a halted or
    delisted symbol). XGBoost sketches value by value: the bins, and so the model, do not depend on the batches.
    """

    def __init__(self, dataset: Dataset, rows: NDArray[np.intp]) -> None:
        """Take the rows at these positions, in this order."""
        super().__init__(release_data=True)
        self._dataset = dataset
        self._rows = rows
        self._step = len(rows) if is_contiguous(rows) else BATCH_ROWS
        self._next = 0

    def reset(self) -> None:
        """Begin again; XGBoost passes over the data several times."""
        self._next = 0

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Hand over one batch; False after the last."""
        if self._next >= len(self._rows):
            return False
        batch = as_index(self._rows[self._next : self._next + self._step])
        input_data(
            data=self._dataset.matrix[batch],
            label=self._dataset.label[batch],
            feature_names=list(self._dataset.features),
        )
        self._next += self._step
        return True


def quantile_matrix(
    dataset: Dataset, rows: NDArray[np.intp], *, threads: int, reference: xgb.QuantileDMatrix | None = None
) -> xgb.QuantileDMatrix:
    """The rows as XGBoost's binned matrix.

    Args:
        dataset: Where they stand.
        rows: Positions, at least one.
        threads: To bin with.
        reference: Matrix of the training rows whose bins are used; None: bins come from these rows alone.
    """
    return xgb.QuantileDMatrix(RowBatches(dataset, rows), ref=reference, nthread=threads)


def is_contiguous(rows: NDArray[np.intp]) -> bool:
    """Whether the positions rise one by one."""
    if not len(rows) or int(rows[-1]) - int(rows[0]) + 1 != len(rows):
        return False
    return bool((rows[1:] > rows[:-1]).all())


def as_index(rows: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """A slice, which makes views, where the positions rise one by one; else the positions, which make copies."""
    return slice(int(rows[0]), int(rows[-1]) + 1) if is_contiguous(rows) else rows
