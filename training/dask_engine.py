"""Fold jobs as tasks on an existing Dask cluster; a fold too large for one worker is trained by all of them together.

Workers need this project and the same XGBoost installed. A fold's task does what it does on this machine, with the
configured number of threads, so its bits are the same; Dask repeats the task elsewhere when a worker dies. Only folds
above `dask.rows_per_worker` go through `xgboost.dask` (see `training.dask_large`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import numpy as np
import xgboost as xgb
from distributed import Client, as_completed
from distributed.comm.core import CommClosedError

from configs.training import TrainingSettings
from market.assets import AssetType
from market.errors import TrainingError
from training.dask_large import fit_large_fold
from training.dataset import Dataset
from training.folds import FoldFit, FoldJob, Work

ARRAYS = ("matrix", "label", "datetime", "label_known_at")


class DaskEngine:
    """Jobs on a cluster."""

    def __init__(self, dataset: Dataset, settings: TrainingSettings, work: Work) -> None:
        """Reach the cluster, look at its workers and give them the data once.

        Raises:
            TrainingError: The scheduler does not answer, there is no worker, or workers have another XGBoost.
        """
        self._dataset = dataset
        self._settings = settings
        self._work = work
        self._folder: Path | None = None
        self._client = _connected(settings)
        try:
            _require_able_workers(self._client)
            self._data = self._shared()
        except BaseException:
            self.close()
            raise

    def fit(self, jobs: Sequence[FoldJob]) -> Iterator[FoldFit]:
        """Yield results as they come; large folds at the end, one after the other."""
        limit = self._settings.dask.rows_per_worker
        large = [job for job in jobs if limit is not None and job.rows > limit and job.previous is None]
        tasks = [
            self._client.submit(_on_worker, self._data, self._work, job, self._settings, key=_key(job), pure=False)
            for job in jobs
            if job not in large
        ]
        try:
            for _, result in as_completed(tasks, loop=self._client.loop, with_results=True):
                yield cast(FoldFit, result)
        finally:
            self._client.cancel(tasks)
        for job in large:
            yield fit_large_fold(self._client, self._dataset, job, self._settings)

    def close(self) -> None:
        """Disconnect, and remove the files written for the workers; the cluster is left as it was."""
        self._client.close()
        if self._folder is not None:
            for name in ARRAYS:
                (self._folder / f"{name}.npy").unlink(missing_ok=True)
            self._folder.rmdir()

    def _shared(self) -> Any:
        """The data as a future on every worker, or the name of the folder from which they map it."""
        if self._settings.dask.shared_folder is None:
            lean = replace(self._dataset, keys=self._dataset.keys.clear())
            return self._client.scatter(lean, broadcast=True, hash=False)
        self._folder = Path(self._settings.dask.shared_folder) / f"tradehits-{uuid4().hex}"
        self._folder.mkdir(parents=True)
        for name in ARRAYS:
            np.save(self._folder / f"{name}.npy", getattr(self._dataset, name), allow_pickle=False)
        return DatasetFiles(str(self._folder), self._dataset.asset_type, self._dataset.features)


@dataclass(frozen=True)
class DatasetFiles:
    """Arrays of a dataset in a folder, as `.npy` files."""

    folder: str
    asset_type: AssetType
    features: tuple[str, ...]


def _connected(settings: TrainingSettings) -> Client:
    address, timeout = settings.dask.address, settings.dask.timeout_seconds
    try:
        return Client(address, timeout=timeout, set_as_default=False)
    except (OSError, CommClosedError, ValueError) as error:  # OSError holds timeouts
        raise TrainingError(
            f"no Dask scheduler answers at {address} within {timeout:.0f} s: {error}",
            remedy="start the cluster, or correct training.dask.address; training.engine local needs none",
        ) from error


def _require_able_workers(client: Client) -> None:
    try:
        versions: dict[str, str] = client.run(worker_version)
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"the cluster's workers cannot import '{error.name}'",
            remedy="install this project with the extra `dask` where the workers run",
        ) from error
    if not versions:
        raise TrainingError("the cluster has no worker", remedy="start workers, or use training.engine local")
    other = sorted(f"{worker} has {found}" for worker, found in versions.items() if found != xgb.__version__)
    if other:
        raise TrainingError(
            f"workers have another XGBoost than {xgb.__version__}: {', '.join(other)}",
            remedy="install the same version everywhere, or the same data will not give the same model",
        )


def worker_version() -> str:
    """XGBoost's version on a worker, which shows that this project can be imported there."""
    return str(xgb.__version__)


def _on_worker(data: Dataset | DatasetFiles, work: Work, job: FoldJob, settings: TrainingSettings) -> FoldFit:
    return work(_mapped(data) if isinstance(data, DatasetFiles) else data, job, settings)


@lru_cache(maxsize=1)
def _mapped(files: DatasetFiles) -> Dataset:
    """The dataset on mapped files, whose memory the workers of one machine share; without keys, which no fit reads."""
    import polars as pl

    arrays = {name: np.load(Path(files.folder) / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
    return Dataset(
        asset_type=files.asset_type,
        features=files.features,
        known_at=arrays["datetime"][:0],
        keys=pl.DataFrame(),
        content_hash="",
        **arrays,
    )


def _key(job: FoldJob) -> str:
    return f"fold-{job.number}-{uuid4().hex}"
