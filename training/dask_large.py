"""A fold that is too large for one worker: trained by all workers of a Dask cluster together, with `xgboost.dask`.

Each worker sketches and bins its own part of the rows, and gradients are summed over workers. Bins and the order of
sums so depend on how rows lie on workers: the model is close to that of a single process, not equal to its bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
from dask import delayed
from distributed import Client
from numpy.typing import NDArray
from xgboost import dask as distributed_xgboost

from configs.training import TrainingSettings
from market.splits import early_stopping_split
from training.dataset import Dataset
from training.folds import FoldFit, FoldJob
from training.matrix import as_index
from training.model import FittedModel, booster_parameters, has_both_directions, predict, require_enough


def fit_large_fold(client: Client, dataset: Dataset, job: FoldJob, settings: TrainingSettings) -> FoldFit:
    """Fit one fold on all workers and predict its test rows here.

    Early stopping, purge and refit are those of `training.model.fit`.

    Args:
        client: Of the cluster.
        dataset: The rows.
        job: The fold.
        settings: Booster parameters, seed, threads.

    Raises:
        NotEnoughDataError: As `training.model.fit`.
    """
    from training.walk_forward import tested_positions, training_positions

    rows = training_positions(dataset, job.fold)
    require_enough(dataset, rows, settings)
    with client.as_current():  # futures inside Dask arrays look for their client there
        trees = _trees_by_early_stopping(client, dataset, rows, settings)
        booster = _trained(client, settings, _matrix(client, dataset, rows), trees)["booster"]
    model = FittedModel(
        booster=booster,
        trees=trees,
        rows=len(rows),
        trained_through=dataset.label_known_at[as_index(rows)].max(),
        seen_rows=(int(rows[0]), int(rows[-1]) + 1),
    )
    tested = tested_positions(dataset, job.fold)
    probability = predict(booster, dataset.matrix[as_index(tested)]) if len(tested) else np.empty(0)
    return FoldFit(job.number, model, probability)


def _trees_by_early_stopping(
    client: Client, dataset: Dataset, rows: NDArray[np.intp], settings: TrainingSettings
) -> int:
    if settings.early_stopping_share == 0:
        return settings.max_trees
    index = as_index(rows)
    fit_mask, stop_mask = early_stopping_split(
        dataset.datetime[index], dataset.label_known_at[index], settings.early_stopping_share
    )
    if not stop_mask.any() or not has_both_directions(dataset, rows[fit_mask]):
        return settings.max_trees
    training = _matrix(client, dataset, rows[fit_mask])
    stopping = _matrix(client, dataset, rows[stop_mask], reference=training)
    trial = _trained(
        client,
        settings,
        training,
        settings.max_trees,
        evals=[(stopping, "stopping")],
        early_stopping_rounds=settings.early_stopping_rounds,
    )
    return int(trial["booster"].best_iteration) + 1


def _trained(
    client: Client, settings: TrainingSettings, matrix: Any, trees: int, **more: Any
) -> distributed_xgboost.TrainReturnT:
    result: distributed_xgboost.TrainReturnT = distributed_xgboost.train(
        client, booster_parameters(settings), matrix, num_boost_round=trees, verbose_eval=False, **more
    )
    return result


def _matrix(
    client: Client, dataset: Dataset, rows: NDArray[np.intp], reference: Any = None
) -> distributed_xgboost.DaskQuantileDMatrix:
    """One part a worker, placed there, in the order of the workers' addresses."""
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    parts = [part for part in np.array_split(rows, len(workers)) if len(part)]
    return distributed_xgboost.DaskQuantileDMatrix(
        client,
        _placed(client, dataset.matrix, parts, workers),
        _placed(client, dataset.label, parts, workers),
        feature_names=list(dataset.features),
        ref=reference,
    )


def _placed(
    client: Client, array: NDArray[np.float32], parts: Sequence[NDArray[np.intp]], workers: Sequence[str]
) -> da.Array:
    blocks = []
    for part, worker in zip(parts, workers, strict=False):
        rows = np.ascontiguousarray(array[as_index(part)])
        future = client.scatter(rows, workers=[worker], hash=False)
        blocks.append(da.from_delayed(delayed(future), shape=rows.shape, dtype=rows.dtype))
    return da.concatenate(blocks)
