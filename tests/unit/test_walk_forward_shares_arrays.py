"""Rows go to XGBoost without copies, bins come from training rows alone, and neither changes a bit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training_rows import only, training, training_set, without
from training import matrix as matrix_module
from training.dataset import Dataset
from training.matrix import RowBatches, as_index, is_contiguous, quantile_matrix
from training.model import fit, predict
from training.walk_forward import run_walk_forward


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return training_set()


def _cuts(data: xgb.QuantileDMatrix) -> tuple[list[int], list[float]]:
    starts, values = data.get_quantile_cut()
    return starts.tolist(), values.tolist()


def test_a_prefix_of_the_rows_is_a_view_and_scattered_rows_are_a_copy(dataset: Dataset) -> None:
    prefix = as_index(np.arange(0, 700))
    assert prefix == slice(0, 700)
    assert np.shares_memory(dataset.matrix[prefix], dataset.matrix)
    scattered = np.array([0, 1, 3])
    assert as_index(scattered) is scattered


@pytest.mark.parametrize(
    ("rows", "expected"),
    [([4, 5, 6], True), ([7], True), ([], False), ([4, 6], False), ([4, 6, 5, 7], False), ([1, 1, 3], False)],
)
def test_only_positions_that_rise_one_by_one_are_contiguous(rows: list[int], expected: bool) -> None:
    assert is_contiguous(np.array(rows, dtype=np.intp)) is expected


@settings(max_examples=25, deadline=None)
@given(step=st.integers(1, 900), seed=st.integers(0, 1000), share=st.sampled_from([0.2, 0.9, 1.0]))
def test_bins_and_model_do_not_depend_on_how_rows_are_batched(
    dataset: Dataset, step: int, seed: int, share: float
) -> None:
    """The oracle is XGBoost's own matrix of one copied slice."""
    rows = np.flatnonzero(np.random.default_rng(seed).random(900) < share)
    expected = xgb.QuantileDMatrix(
        dataset.matrix[rows], dataset.label[rows], feature_names=list(dataset.features), nthread=1
    )
    batches = RowBatches(dataset, rows)
    batches._step = step
    found = xgb.QuantileDMatrix(batches, nthread=1)
    assert _cuts(found) == _cuts(expected)
    assert found.get_label().tolist() == expected.get_label().tolist()
    parameters = {"objective": "binary:logistic", "tree_method": "hist", "subsample": 0.8, "seed": 3, "nthread": 1}
    models = [xgb.train(parameters, data, 5).save_raw("json") for data in (found, expected)]
    assert models[0] == models[1]


def test_a_hole_in_the_training_rows_changes_nothing_but_the_hole(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Symbols that ended leave rows without a label inside the window; batches of 100 rows go around them."""
    settings = training()
    holes = without(dataset, np.array([10, 500, 501, 777]))
    whole = run_walk_forward(holes, settings).predictions
    monkeypatch.setattr(matrix_module, "BATCH_ROWS", 100)
    assert run_walk_forward(holes, settings).predictions.equals(whole)
    kept = np.ones(dataset.rows, dtype=bool)
    kept[[10, 500, 501, 777]] = False
    removed = run_walk_forward(only(dataset, kept), settings).predictions
    assert removed["up_probability"].to_list() == whole["up_probability"].to_list()


@pytest.mark.parametrize("change", ["removed", "multiplied", "constant"])
def test_later_rows_have_no_say_in_the_bins_or_trees_of_a_fold(dataset: Dataset, change: str) -> None:
    settings = training()
    boundary = np.datetime64("2023-07-01")
    later = dataset.datetime >= boundary
    if change == "removed":
        other = only(dataset, ~later | (dataset.datetime < np.datetime64("2023-07-03")))
    else:
        matrix = dataset.matrix.copy()
        matrix[later] = matrix[later] * 1000 if change == "multiplied" else 3.5
        other = replace(dataset, matrix=matrix)
    one, two = (
        result.predictions.filter(pl.col("datetime") < datetime(2023, 7, 1, tzinfo=UTC))
        for result in (run_walk_forward(dataset, settings), run_walk_forward(other, settings))
    )
    assert one.height == 3 * (365 + 181)
    assert one["up_probability"].to_list() == two["up_probability"].to_list()


def test_bins_of_a_fold_that_saw_the_future_would_be_noticed(dataset: Dataset) -> None:
    """The test above can fail: with bins taken from all rows the trees differ."""
    rows = np.arange(0, 1200)
    honest = quantile_matrix(dataset, rows, threads=1)
    everything = replace(dataset, matrix=dataset.matrix * np.where(np.arange(dataset.rows) < 1200, 1, 1000)[:, None])
    leaking = quantile_matrix(
        everything, rows, threads=1, reference=quantile_matrix(everything, np.arange(dataset.rows - 3), threads=1)
    )
    parameters = {"objective": "binary:logistic", "tree_method": "hist", "nthread": 1}
    models = [xgb.train(parameters, data, 3).save_raw("json") for data in (honest, leaking)]
    assert models[0] != models[1]


def test_the_model_says_which_rows_it_was_handed(dataset: Dataset) -> None:
    model = fit(dataset, np.arange(30, 1230), training().training)
    assert model.seen_rows == (30, 1230)
    assert model.rows == 1200


def test_without_a_stopping_share_every_tree_is_grown(dataset: Dataset) -> None:
    settings = training(early_stopping_share=0.0, max_trees=7)
    model = fit(dataset, np.arange(0, 900), settings.training)
    assert (model.trees, model.booster.num_boosted_rounds()) == (7, 7)


def test_prediction_in_slices_equals_prediction_at_once(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    booster = fit(dataset, np.arange(0, 900), training().training).booster
    expected = predict(booster, dataset.matrix)
    monkeypatch.setattr("training.model.PREDICT_ROWS", 7)
    assert predict(booster, dataset.matrix).tolist() == expected.tolist()
    assert predict(booster, dataset.matrix[:0]).shape == (0,)
