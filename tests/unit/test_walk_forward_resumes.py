"""A killed run goes on where it was; nothing stale is ever used, and nothing stays behind a run that succeeded."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training_rows import training, training_set
from training import walk_forward as module
from training.dataset import Dataset
from training.fold_cache import FoldCache, question_hash
from training.walk_forward import WalkForward, fit_fold, run_walk_forward


class Killed(BaseException):
    """Ends a run like Ctrl-C does."""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return training_set()


@pytest.fixture(scope="module", params=["exact", "warm_start"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def whole(dataset: Dataset, mode: str) -> WalkForward:
    return run_walk_forward(dataset, _settings(mode))


def _settings(mode: str = "exact", **changes: object):
    return training(mode=mode, warm_start={"margin": 0.5}, **changes)


def _killed_after(monkeypatch: pytest.MonkeyPatch, count: int) -> list[int]:
    """Fold jobs end in a kill after so many; the result lists the numbers of those begun."""
    begun: list[int] = []

    def fit(dataset, job, settings):
        begun.append(job.number)
        if len(begun) > count:
            raise Killed
        return fit_fold(dataset, job, settings)

    monkeypatch.setattr(module, "fit_fold", fit)
    return begun


def _same(one: WalkForward, two: WalkForward) -> bool:
    return one.predictions.equals(two.predictions) and bytes(one.final.booster.save_raw("ubj")) == bytes(
        two.final.booster.save_raw("ubj")
    )


def test_a_killed_run_goes_on_with_the_folds_it_had(
    dataset: Dataset, whole: WalkForward, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _killed_after(monkeypatch, 4)
    with pytest.raises(Killed):
        run_walk_forward(dataset, _settings(mode), cache=tmp_path)
    second = _killed_after(monkeypatch, 999)
    resumed = run_walk_forward(dataset, _settings(mode), cache=tmp_path)
    assert first == [0, 1, 2, 3, 4]
    assert second[0] == 4
    assert resumed.resumed == 4
    assert resumed.tags()["folds_resumed"] == "4"
    assert _same(resumed, whole)
    assert [fold.model.trained_through for fold in resumed.folds] == [
        fold.model.trained_through for fold in whole.folds
    ]
    assert [fold.model.seen_rows for fold in resumed.folds] == [fold.model.seen_rows for fold in whole.folds]


def test_a_process_killed_for_real_leaves_whole_folds_only(dataset: Dataset, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run_and_kill_itself, args=(str(tmp_path), 3))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    resumed = run_walk_forward(dataset, _settings(), cache=tmp_path)
    assert resumed.resumed == 3
    assert _same(resumed, run_walk_forward(dataset, _settings()))


def _run_and_kill_itself(cache: str, count: int) -> None:
    from tests.training_rows import training_set as rows

    done = 0

    def tell(_: int, __: int) -> None:
        nonlocal done
        done += 1
        if done == count:
            os.kill(os.getpid(), signal.SIGKILL)

    run_walk_forward(rows(), _settings(), tell, cache=Path(cache))


def test_after_success_nothing_is_kept(dataset: Dataset, tmp_path: Path) -> None:
    assert run_walk_forward(dataset, _settings(), cache=tmp_path).resumed == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"max_trees": 39},
        {"xgboost": {"max_depth": 3}},
        {"retrain": "yearly"},
        {"threads": 2},
    ],
)
def test_results_of_other_settings_are_not_used(
    dataset: Dataset, change: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _killed_after(monkeypatch, 3)
    with pytest.raises(Killed):
        run_walk_forward(dataset, _settings(), cache=tmp_path)
    monkeypatch.setattr(module, "fit_fold", fit_fold)
    changed = run_walk_forward(dataset, _settings(**change), cache=tmp_path)
    assert changed.resumed == 0
    assert list((tmp_path / "crypto").iterdir()) == [], "the stale folds are gone"


@pytest.mark.parametrize("array", ["matrix", "label", "datetime", "label_known_at"])
def test_one_changed_value_is_another_question(dataset: Dataset, array: str) -> None:
    changed = getattr(dataset, array).copy()
    changed[5] = changed[5] + np.timedelta64(1, "us") if changed.dtype.kind == "M" else 1 - changed[5]
    other = replace(dataset, **{array: changed})
    assert question_hash(other, _settings()) != question_hash(dataset, _settings())


def test_what_does_not_change_results_does_not_change_the_question(dataset: Dataset) -> None:
    one, two = _settings(), _settings(parallel_folds=3, memory_gb=1.0)
    assert question_hash(dataset, one) == question_hash(dataset, two)
    assert question_hash(dataset, one) == question_hash(training_set(), one)


def test_another_xgboost_is_another_question(dataset: Dataset) -> None:
    settings = _settings()
    hashes = {question_hash(dataset, settings, {"xgboost": version}) for version in ("3.2.0", "3.2.1")}
    assert len(hashes) == 2


def test_a_damaged_result_is_fitted_again(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _killed_after(monkeypatch, 3)
    with pytest.raises(Killed):
        run_walk_forward(dataset, _settings(), cache=tmp_path)
    monkeypatch.setattr(module, "fit_fold", fit_fold)
    stored = sorted(tmp_path.rglob("*.npz"))
    assert len(stored) == 3
    stored[0].write_bytes(stored[0].read_bytes()[:200])
    stored[1].write_bytes(b"")
    resumed = run_walk_forward(dataset, _settings(), cache=tmp_path)
    assert resumed.resumed == 1
    assert _same(resumed, run_walk_forward(dataset, _settings()))


def test_without_a_folder_nothing_is_written(dataset: Dataset, tmp_path: Path) -> None:
    cache = FoldCache.open(None, dataset, _settings())
    assert cache.load(0) is None
    cache.clear()
    assert list(tmp_path.iterdir()) == []
