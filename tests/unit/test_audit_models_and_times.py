"""Times, purge, overlap and refit: what a fold's model saw, against what it says it saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

import training.model
from configs.settings import Settings
from tests.audited import audit_settings, noise_dataset
from training.audit_identity import overlap_check
from training.audit_labels import purge_check, refit_check, time_check
from training.audit_record import FoldRecord, Record, record_of
from training.checks import CheckResult
from training.dataset import Dataset
from training.walk_forward import run_walk_forward


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return audit_settings(str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return noise_dataset()


@pytest.fixture(scope="module")
def record(dataset: Dataset, settings: Settings) -> Record:
    return record_of(run_walk_forward(dataset, settings), dataset.content_hash)


def failed(results: list[CheckResult]) -> list[str]:
    return [result.subject for result in results if result.status == "failed"]


def with_folds(record: Record, change: Callable[[FoldRecord], FoldRecord]) -> Record:
    return replace(record, folds=tuple(change(fold) for fold in record.folds))


def test_an_honest_record_passes(dataset: Dataset, settings: Settings, record: Record) -> None:
    results = [
        *time_check(record), *purge_check(dataset, record), *overlap_check(dataset, record),
        *refit_check(dataset, settings, record),
    ]  # fmt: skip
    assert {result.status for result in results} == {"passed"}
    assert {result.remedy for result in results} == {""}
    refit = results[-1]
    assert refit.subject == "fold 0"
    assert refit.detail == "1460 predictions are the same bits when the fold is fitted on the 1452 rows known then"


def test_a_model_that_saw_the_fold_is_told_from_a_calibration_that_did(record: Record) -> None:
    late = pl.col("fold_start") + pl.duration(days=1)
    calibrated = replace(record, predictions=record.predictions.with_columns(trained_through=late))
    assert failed(time_check(calibrated)) == [
        "trained_through <= fold_start", "labels the calibration saw < train_end"
    ]  # fmt: skip
    fitted = with_folds(calibrated, lambda fold: replace(fold, trained_through=fold.test_start + timedelta(days=1)))
    assert failed(time_check(fitted)) == ["trained_through <= fold_start", "labels the model saw < train_end"]


def test_a_record_that_hides_what_its_model_saw_is_found(record: Record) -> None:
    hidden = replace(
        record, predictions=record.predictions.with_columns(pl.col("trained_through") - pl.duration(days=9))
    )
    assert failed(time_check(hidden)) == ["trained_through counts the model"]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"bar_known_at": pl.col("fold_start") - pl.duration(days=1)}, "fold_start <= bar_known_at"),
        ({"datetime": pl.col("datetime") - pl.duration(days=400)}, "datetime in [test_start, test_end)"),
        ({"label_known_at": pl.col("bar_known_at")}, "label_known_at > bar_known_at"),
        ({"target_direction": pl.col("target_direction").fill_null(0)}, "label known exactly where there is one"),
    ],
)
def test_each_broken_rule_is_named_with_its_rows(record: Record, change: dict[str, pl.Expr], rule: str) -> None:
    broken = replace(record, predictions=record.predictions.with_columns(**change))
    named = {result.subject: result for result in time_check(broken)}
    assert named[rule].status == "failed"
    assert "rows break it, first ('crypto', 'S0" in named[rule].detail


def test_rows_beyond_the_known_labels_fail_the_purge(dataset: Dataset, record: Record) -> None:
    more = with_folds(record, lambda fold: replace(fold, train_rows=fold.train_rows + 4))
    (result,) = purge_check(dataset, more)
    assert result.status == "failed"
    assert "fold 0 on 1456, while 1452 labels were known before its train_end" in result.detail


def test_a_warm_start_may_train_on_fewer_rows_but_never_on_more(dataset: Dataset, record: Record) -> None:
    fewer = with_folds(record, lambda fold: replace(fold, train_rows=100))
    assert purge_check(dataset, replace(fewer, mode="warm_start"))[0].status == "passed"
    assert purge_check(dataset, fewer)[0].status == "failed"


def test_training_rows_among_the_tested_ones_overlap(dataset: Dataset, record: Record) -> None:
    by_position = with_folds(record, lambda fold: replace(fold, seen_rows=(0, dataset.rows)))
    assert (
        "3 of 3 folds train on bars at or after their first tested bar" in overlap_check(dataset, by_position)[0].detail
    )
    by_time = with_folds(
        record, lambda fold: replace(fold, seen_rows=None, trained_through=fold.test_start + timedelta(days=30))
    )
    assert overlap_check(dataset, by_time)[0].status == "failed"
    unknown = with_folds(record, lambda fold: replace(fold, seen_rows=None))
    assert overlap_check(dataset, unknown)[0].status == "passed"


def test_a_fit_that_reads_rows_it_was_not_given_is_found_by_the_refit(
    dataset: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = training.model.quantile_matrix

    def all_bins(data: Dataset, rows: np.ndarray, *, threads: int, reference: object = None) -> object:
        everything = honest(data, np.flatnonzero(~np.isnan(data.label)), threads=threads)
        return honest(data, rows, threads=threads, reference=reference or everything)

    monkeypatch.setattr(training.model, "quantile_matrix", all_bins)
    peeking = record_of(run_walk_forward(dataset, settings), dataset.content_hash)
    assert failed(time_check(peeking)) == [], "no label was seen too early: times alone do not show it"
    (result,) = refit_check(dataset, settings, peeking)
    assert (result.status, result.subject) == ("failed", "fold 0")
    assert "predictions differ" in result.detail
    assert "trees instead of" in result.detail


def test_a_record_of_other_bars_is_not_accused(dataset: Dataset, settings: Settings, record: Record) -> None:
    older = replace(record, data_hash="another")
    assert purge_check(dataset, older)[0].status == "warning"
    (result,) = refit_check(dataset, settings, older)
    assert (result.status, result.detail) == ("passed", "not fitted again: the bars changed since this run")
