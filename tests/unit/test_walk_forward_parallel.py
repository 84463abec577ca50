"""Folds at the same time give the bits of folds one after the other, within a memory budget."""

from __future__ import annotations

import threading

import pytest

from market.errors import NotEnoughDataError
from tests.training_rows import training, training_set
from training.dataset import Dataset
from training.folds import FoldFit, FoldJob
from training.local_engine import BYTES_PER_ROW, BYTES_PER_VALUE, LocalEngine, MemoryBudget
from training.model import fit
from training.walk_forward import WalkForward, run_walk_forward


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return training_set()


@pytest.fixture(scope="module")
def serial(dataset: Dataset) -> WalkForward:
    return run_walk_forward(dataset, training())


def _bits(result: WalkForward) -> list[bytes]:
    return [bytes(one.booster.save_raw("ubj")) for one in (*(fold.model for fold in result.folds), result.final)]


@pytest.mark.parametrize("folds", [2, 5])
def test_parallel_folds_give_the_same_bits(dataset: Dataset, serial: WalkForward, folds: int) -> None:
    parallel = run_walk_forward(dataset, training(parallel_folds=folds))
    assert parallel.predictions.equals(serial.predictions)
    assert _bits(parallel) == _bits(serial)


@pytest.mark.slow
def test_two_threads_a_fit_give_the_same_bits_twice_and_in_parallel() -> None:
    """52 thousand rows, so that XGBoost does share them out between its threads."""
    dataset = training_set(symbols=tuple(f"S{number:03d}/USDT" for number in range(40)))
    one, two, parallel = (run_walk_forward(dataset, training(threads=2, parallel_folds=folds)) for folds in (1, 1, 2))
    assert one.predictions.equals(two.predictions)
    assert one.predictions.equals(parallel.predictions)
    assert _bits(one) == _bits(two) == _bits(parallel)


def test_a_fit_does_not_depend_on_what_was_fitted_before_it_in_the_same_thread(dataset: Dataset) -> None:
    section = training().training
    rows = training_rows = list(range(900))
    alone = bytes(fit(dataset, _positions(rows), section).booster.save_raw("ubj"))
    fit(dataset, _positions(range(400)), section.model_copy(update={"seed": 99}))
    assert bytes(fit(dataset, _positions(training_rows), section).booster.save_raw("ubj")) == alone


def test_an_error_in_one_fold_ends_the_run_with_that_error(dataset: Dataset) -> None:
    with pytest.raises(NotEnoughDataError, match=r"crypto: \d+ training rows, at least 999999"):
        run_walk_forward(dataset, training(parallel_folds=3, min_train_rows=999_999))


def test_work_waits_until_it_fits_into_the_budget() -> None:
    budget = MemoryBudget(100)
    inside, released, order = threading.Event(), threading.Event(), []

    def second() -> None:
        with budget.holding(60):
            order.append("second")

    with budget.holding(60):
        thread = threading.Thread(target=lambda: (inside.set(), second(), released.set()))
        thread.start()
        assert inside.wait(5)
        assert not released.wait(0.1)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_work_larger_than_the_budget_is_done_alone() -> None:
    with MemoryBudget(10).holding(1e12):
        pass


def test_no_more_rows_are_at_work_than_the_budget_holds(dataset: Dataset) -> None:
    """Four jobs of 1,000 rows, room for two of them."""
    size = 1000 * (len(dataset.features) * BYTES_PER_VALUE + BYTES_PER_ROW)
    section = training(parallel_folds=4, memory_gb=2.5 * size / 1e9).training
    lock, working, most = threading.Lock(), 0, 0
    both = threading.Barrier(2)

    def work(_: Dataset, job: FoldJob, __: object) -> FoldFit:
        nonlocal working, most
        with lock:
            working += 1
            most = max(most, working)
        both.wait(5)
        with lock:
            working -= 1
        return FoldFit(job.number, None, None)  # type: ignore[arg-type]

    done = [result.number for result in LocalEngine(dataset, section, work).fit(
        [FoldJob(number, None, 1000) for number in range(4)]
    )]  # fmt: skip
    assert sorted(done) == [0, 1, 2, 3]
    assert most == 2


def test_progress_counts_training_rows_and_ends_at_all_of_them(dataset: Dataset) -> None:
    told: list[tuple[int, int]] = []
    run_walk_forward(dataset, training(), lambda done, total: told.append((done, total)))
    assert len(told) == 12, "eleven quarters from 2022 to July 2024, and the final model"
    assert [total for _, total in told] == [told[-1][0]] * 12
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def _positions(rows):
    import numpy as np

    return np.fromiter(rows, dtype=np.intp)
