"""A warm start proves on every run that it is no worse than exact mode, or the run is done exactly."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import xgboost as xgb

from market.errors import ConfigError
from tests.training_rows import training, training_set
from training.dataset import Dataset
from training.folds import FINAL, FoldFit
from training.model import continue_fit, fit
from training.walk_forward import WalkForward, plan_jobs, run_walk_forward
from training.warm_start import compare, folds_to_check


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return training_set()


@pytest.fixture(scope="module")
def exact(dataset: Dataset) -> WalkForward:
    return run_walk_forward(dataset, training())


@pytest.fixture(scope="module")
def warm(dataset: Dataset) -> WalkForward:
    return run_walk_forward(dataset, _warm(margin=0.5, new_trees=3))


def _warm(**section: object):
    return training(mode="warm_start", warm_start=section)


def test_each_fold_goes_on_from_the_one_before(warm: WalkForward, exact: WalkForward) -> None:
    first = exact.folds[0].model.trees
    assert warm.mode == "warm_start"
    assert [fold.model.trees for fold in warm.folds] == [first + 3 * number for number in range(11)]
    assert warm.final.trees == first + 33
    previous, later = (fold.model.booster for fold in warm.folds[4:6])
    assert later[: warm.folds[4].model.trees].get_dump() == previous.get_dump()


def test_the_first_fold_is_that_of_exact_mode(warm: WalkForward, exact: WalkForward) -> None:
    assert bytes(warm.folds[0].model.booster.save_raw("ubj")) == bytes(exact.folds[0].model.booster.save_raw("ubj"))


def test_a_continuation_learns_from_the_newest_two_quarters_only(dataset: Dataset, warm: WalkForward) -> None:
    """The twin: the rows written out, continued by hand."""
    section = _warm(margin=0.5, new_trees=3).training
    fold = warm.folds[3]
    start = np.datetime64("2022-10-01") - 2 * (np.datetime64("2023-01-01") - np.datetime64("2022-10-01"))
    chosen = (dataset.label_known_at < np.datetime64("2022-10-01")) & (dataset.datetime >= start)
    assert fold.model.rows == chosen.sum() == 3 * (184 - 2)
    parameters = {
        "objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist", "nthread": section.threads,
        "seed": section.seed + warm.folds[2].model.trees, **section.xgboost.model_dump(),
    }  # fmt: skip
    rows = xgb.QuantileDMatrix(dataset.matrix[chosen], dataset.label[chosen], feature_names=["a", "b", "c", "d"])
    previous = bytearray(warm.folds[2].model.booster.save_raw("ubj"))
    booster = xgb.train(parameters, rows, 3, xgb_model=previous)
    assert booster.get_dump(with_stats=True) == fold.model.booster.get_dump(with_stats=True)


def test_trained_through_counts_everything_the_earlier_trees_saw(dataset: Dataset) -> None:
    """A continuation on older rows does not forget what its first trees had seen."""
    section = _warm().training
    newest = fit(dataset, np.arange(600, 1500), section)
    older = continue_fit(dataset, np.arange(0, 600), section, newest)
    assert older.trained_through == newest.trained_through == dataset.label_known_at[1499]
    assert older.seen_rows == (0, 1500)


def test_no_warm_model_saw_a_label_that_became_known_after_its_fold_began(warm: WalkForward) -> None:
    record = warm.predictions
    assert (record["trained_through"] <= record["fold_start"]).all()
    assert (record["fold_start"] <= record["bar_known_at"]).all()


def test_the_future_has_no_say_in_a_warm_fold(dataset: Dataset, warm: WalkForward) -> None:
    boundary = np.datetime64("2023-07-01")
    later = dataset.datetime >= boundary
    other = replace(
        dataset,
        matrix=np.where(later[:, None], -7 * dataset.matrix, dataset.matrix),
        label=np.where(dataset.label_known_at > boundary, 1 - dataset.label, dataset.label),
    )
    before = pl.col("datetime") < datetime(2023, 7, 1, tzinfo=UTC)
    changed = run_walk_forward(other, _warm(margin=0.5, new_trees=3)).predictions.filter(before)
    assert changed["up_probability"].to_list() == warm.predictions.filter(before)["up_probability"].to_list()


def test_run_twice_it_gives_the_same_bits(dataset: Dataset, warm: WalkForward) -> None:
    again = run_walk_forward(dataset, _warm(margin=0.5, new_trees=3))
    assert again.predictions.equals(warm.predictions)
    assert again.proof == warm.proof


def test_the_proof_is_the_difference_of_brier_scores_on_the_checked_fold(warm: WalkForward, exact: WalkForward) -> None:
    assert warm.proof is not None
    assert warm.proof.folds == (9,), "the newest quarter that is over"
    losses = []
    for result in (warm, exact):
        rows = result.predictions.filter(pl.col("fold") == 9).drop_nulls("target_direction")
        losses.append(((rows["up_probability"] - rows["target_direction"]) ** 2).mean())
    assert warm.proof.brier_excess == pytest.approx(losses[0] - losses[1], abs=1e-15)
    assert warm.proof.rows == 3 * 91
    assert warm.proof.passed
    assert warm.proof.brier_excess < warm.proof.brier_excess_bound <= 0.5  # type: ignore[operator]


def test_a_worse_warm_start_falls_back_to_exact_mode_and_says_so(
    dataset: Dataset, exact: WalkForward, caplog: pytest.LogCaptureFixture
) -> None:
    """60 more trees of each quarter, with leaves as small as they like, know it by heart."""
    settings = training(
        mode="warm_start",
        warm_start={"new_trees": 60, "windows": 1},
        xgboost={"min_child_weight": 1, "learning_rate": 0.3},
    )
    with caplog.at_level(logging.WARNING, logger="tradehits"):
        result = run_walk_forward(dataset, settings)
    plain = settings.model_copy(update={"training": settings.training.with_mode("exact")})
    assert result.predictions.equals(run_walk_forward(dataset, plain).predictions)
    assert result.mode == "exact"
    assert result.proof is not None and not result.proof.passed
    assert result.proof.brier_excess > 0.01  # type: ignore[operator]
    assert result.tags()["warm_start"] == "fell back to exact"
    assert "is not proved to be as good" in caplog.text


def test_too_few_bars_to_prove_anything_are_no_proof(dataset: Dataset, exact: WalkForward) -> None:
    """Probabilities two points off, up or down by chance: 273 bars cannot show what that costs."""
    jobs, _ = plan_jobs(dataset, training())
    probability = exact.predictions.filter(pl.col("fold") == 9)["up_probability"].to_numpy()
    shifted = probability + 0.02 * np.random.default_rng(1).choice([-1, 1], len(probability))
    fits = [{9: FoldFit(9, exact.folds[9].model, values)} for values in (shifted, probability)]
    wide = compare(dataset, training(warm_start={"margin": 0.02}), [jobs[9]], *fits)
    assert wide.passed
    assert abs(wide.brier_excess) < 0.003  # type: ignore[arg-type]
    just_above = max(wide.brier_excess, 0.0) + 1e-6  # type: ignore[type-var,operator]
    narrow = compare(dataset, training(warm_start={"margin": just_above}), [jobs[9]], *fits)
    assert narrow.brier_excess == wide.brier_excess
    assert not narrow.passed, "the bound decides, not the mean"


def test_the_checked_folds_are_spread_and_end_with_the_newest_complete_one(dataset: Dataset) -> None:
    jobs, _ = plan_jobs(dataset, training())
    assert [job.number for job in jobs] == [*range(11), FINAL]
    chosen = {count: [job.number for job in folds_to_check(dataset, jobs, count)] for count in (1, 2, 4, 50)}
    assert chosen == {1: [9], 2: [4, 9], 4: [2, 4, 6, 9], 50: [1, 2, 3, 4, 5, 6, 7, 8, 9]}


def test_nothing_to_compare_is_no_proof(dataset: Dataset) -> None:
    jobs, _ = plan_jobs(dataset, training())
    assert folds_to_check(dataset, [jobs[0], jobs[-1]], 1) == []
    proof = compare(dataset, training(), [], {}, {})
    assert (proof.passed, proof.rows, proof.brier_excess) == (False, 0, None)


def test_equal_predictions_pass_with_an_excess_of_zero(dataset: Dataset, exact: WalkForward) -> None:
    jobs, _ = plan_jobs(dataset, training())
    rows = exact.predictions.filter(pl.col("fold") == 9)
    fits = {9: FoldFit(9, exact.folds[9].model, rows["up_probability"].to_numpy())}
    proof = compare(dataset, training(), [jobs[9]], fits, fits)
    assert (proof.brier_excess, proof.brier_excess_bound, proof.log_loss_excess, proof.passed) == (0.0, 0.0, 0.0, True)


def test_a_window_of_one_direction_teaches_nothing(dataset: Dataset) -> None:
    section = _warm().training
    model = fit(dataset, np.arange(0, 900), section)
    rising = np.flatnonzero(dataset.label == 1)[:50]
    assert continue_fit(dataset, rising, section, model) is model
    assert continue_fit(dataset, rising[:0], section, model) is model


def test_a_rolling_window_cannot_be_continued() -> None:
    with pytest.raises(ConfigError, match="needs window expanding"):
        training(window="rolling").training.with_mode("warm_start")
