"""Folds as tasks on a cluster of real processes give the bits that this process gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from configs.settings import Settings
from market.errors import NotEnoughDataError, TrainingError
from tests.training_rows import training, training_set
from training.dataset import Dataset
from training.walk_forward import WalkForward, run_walk_forward

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=40
    ) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return training_set()


def _on(address: str, *, dask: dict[str, object] | None = None, **changes: object) -> Settings:
    return training(engine="dask", dask={"address": address, **(dask or {})}, **changes)


def _bits(result: WalkForward) -> list[bytes]:
    return [bytes(one.booster.save_raw("ubj")) for one in (*(fold.model for fold in result.folds), result.final)]


@pytest.fixture(scope="module")
def local(dataset: Dataset) -> WalkForward:
    return run_walk_forward(dataset, training())


def test_folds_as_tasks_give_the_bits_of_local_folds(address: str, dataset: Dataset, local: WalkForward) -> None:
    told: list[tuple[int, int]] = []
    remote = run_walk_forward(dataset, _on(address), lambda done, total: told.append((done, total)))
    assert remote.predictions.equals(local.predictions)
    assert _bits(remote) == _bits(local)
    assert [fold.model.trained_through for fold in remote.folds] == [fold.model.trained_through for fold in local.folds]
    assert len(told) == 12


def test_workers_may_map_the_arrays_from_a_shared_folder(
    address: str, dataset: Dataset, local: WalkForward, tmp_path: Path
) -> None:
    remote = run_walk_forward(dataset, _on(address, dask={"shared_folder": str(tmp_path)}))
    assert remote.predictions.equals(local.predictions)
    assert list(tmp_path.iterdir()) == [], "the files are gone afterwards"


def test_a_warm_start_gives_the_same_bits_there(address: str, dataset: Dataset) -> None:
    section = {"margin": 0.5, "new_trees": 3}
    here = run_walk_forward(dataset, training(mode="warm_start", warm_start=section))
    there = run_walk_forward(dataset, _on(address, mode="warm_start", warm_start=section))
    assert there.mode == here.mode == "warm_start"
    assert there.predictions.equals(here.predictions)
    assert there.proof == here.proof


def test_an_error_on_a_worker_is_the_error_of_the_run(address: str, dataset: Dataset) -> None:
    with pytest.raises(NotEnoughDataError, match="training rows, at least 999999 are needed") as caught:
        run_walk_forward(dataset, _on(address, min_train_rows=999_999))
    assert "give more history" in caught.value.remedy


def test_a_run_resumes_there_too(address: str, dataset: Dataset, local: WalkForward, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        if done > total / 3:
            raise Killed

    with pytest.raises(Killed):
        run_walk_forward(dataset, _on(address), stop, cache=tmp_path)
    resumed = run_walk_forward(dataset, _on(address), cache=tmp_path)
    assert resumed.resumed > 0
    assert resumed.predictions.equals(local.predictions)


def test_folds_too_large_for_a_worker_are_trained_by_all_of_them(
    address: str, dataset: Dataset, local: WalkForward
) -> None:
    """The late folds go through `xgboost.dask`: near the local ones, not their bits; small folds stay exact."""
    remote = run_walk_forward(dataset, _on(address, dask={"rows_per_worker": 2000}, early_stopping_share=0.0))
    here = run_walk_forward(dataset, training(early_stopping_share=0.0))
    small = [fold.fold.index for fold in remote.folds if fold.model.rows <= 2000]
    assert small == [0, 1, 2, 3]
    exact = here.predictions["fold"].is_in(small).to_numpy()
    difference = np.abs((here.predictions["up_probability"] - remote.predictions["up_probability"]).to_numpy())
    assert difference[exact].max() == 0
    assert 0 < difference[~exact].max() < 0.05
    assert difference[~exact].mean() < 0.01
    assert [fold.model.trained_through for fold in remote.folds] == [fold.model.trained_through for fold in here.folds]
    assert [fold.model.trees for fold in remote.folds] == [12] * 11


@pytest.mark.slow
def test_a_large_fold_stops_early_like_a_small_one(address: str, dataset: Dataset, local: WalkForward) -> None:
    remote = run_walk_forward(dataset, _on(address, dask={"rows_per_worker": 2800}))
    assert remote.folds[-1].model.rows > 2800
    assert 1 <= remote.folds[-1].model.trees <= 12
    assert remote.folds[-1].model.trained_through == local.folds[-1].model.trained_through


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    settings = _on("tcp://127.0.0.1:9", dask={"timeout_seconds": 0.5})
    with pytest.raises(TrainingError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9") as caught:
        run_walk_forward(training_set(days=1200), settings)
    assert "training.dask.address" in caught.value.remedy
