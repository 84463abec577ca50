from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
import xgboost as xgb

from configs.settings import Settings, load_settings
from market.errors import NotEnoughDataError
from training.dataset import Dataset
from training.model import fit
from training.walk_forward import WalkForward, run_walk_forward

START = datetime(2021, 1, 1, tzinfo=UTC)
DAYS = 1300
SYMBOLS = ("AAA/USDT", "BBB/USDT", "CCC/USDT")


@pytest.fixture(scope="module")
def settings() -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS__TRAINING__RETRAIN", "quarterly")
        return load_settings("test")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Three crypto symbols whose next direction leans on the first of four features; the newest bars have no label."""
    random = np.random.default_rng(3)
    stamps = [START + timedelta(days=day) for day in range(DAYS)]
    keys = pl.DataFrame(
        [(symbol, stamp) for stamp in stamps for symbol in SYMBOLS],
        schema={"symbol": pl.String, "datetime": pl.Datetime("us", "UTC")},
        orient="row",
    )
    count = keys.height
    matrix = random.normal(size=(count, 4)).astype(np.float32)
    matrix[random.random((count, 4)) < 0.02] = np.nan
    up = random.random(count) < 0.5 + 0.1 * np.sign(np.nan_to_num(matrix[:, 0]))
    last = (keys["datetime"] == stamps[-1]).to_numpy()
    label = np.where(last, np.nan, up).astype(np.float32)
    keys = keys.with_columns(
        asset_type=pl.lit("crypto"),
        bar_known_at=pl.col("datetime") + pl.duration(days=1),
        target_direction=pl.Series(label).fill_nan(None).cast(pl.Int64),
        forward_return_pct=pl.lit(0.0),
        label_known_at=pl.when(pl.Series(last)).then(None).otherwise(pl.col("datetime") + pl.duration(days=2)),
        data_split=pl.when(pl.col("datetime") < datetime(2023, 1, 1, tzinfo=UTC))
        .then(pl.lit("TRAIN"))
        .when(pl.col("datetime") < datetime(2024, 1, 1, tzinfo=UTC))
        .then(pl.lit("TEST"))
        .otherwise(pl.lit("VALIDATE")),
    ).select(
        "asset_type",
        "symbol",
        "datetime",
        "bar_known_at",
        "target_direction",
        "forward_return_pct",
        "label_known_at",
        "data_split",
    )

    def instants(name: str) -> np.ndarray:
        return keys[name].dt.replace_time_zone(None).to_numpy()

    return Dataset(
        "crypto", ("a", "b", "c", "d"), matrix, label, instants("datetime"), instants("bar_known_at"),
        instants("label_known_at"), keys, "hash",
    )  # fmt: skip


@pytest.fixture(scope="module")
def walk_forward(dataset: Dataset, settings: Settings) -> WalkForward:
    return run_walk_forward(dataset, settings)


def test_every_bar_since_the_burn_in_is_predicted_exactly_once(dataset: Dataset, walk_forward: WalkForward) -> None:
    record = walk_forward.predictions
    expected = dataset.keys.filter(pl.col("datetime") >= datetime(2022, 1, 1, tzinfo=UTC))
    assert record.select("symbol", "datetime").rows() == expected.select("symbol", "datetime").rows()
    newest = record.filter(pl.col("datetime") == pl.col("datetime").max())
    assert newest["target_direction"].to_list() == [None, None, None]
    assert newest["up_probability"].is_between(0, 1).all()


def test_no_model_saw_a_label_that_became_known_after_its_fold_began(walk_forward: WalkForward) -> None:
    record = walk_forward.predictions
    assert (record["trained_through"] <= record["fold_start"]).all()
    assert (record["fold_start"] <= record["bar_known_at"]).all()
    assert record["fold_start"].unique().sort().to_list()[:5] == [
        datetime(2022, 1, 1, tzinfo=UTC),
        datetime(2022, 4, 1, tzinfo=UTC),
        datetime(2022, 7, 1, tzinfo=UTC),
        datetime(2022, 10, 1, tzinfo=UTC),
        datetime(2023, 1, 1, tzinfo=UTC),
    ]


def test_trained_through_is_the_newest_label_handed_to_xgboost_not_the_plan(
    dataset: Dataset, settings: Settings
) -> None:
    rows = np.flatnonzero(dataset.label_known_at <= np.datetime64("2022-06-15"))
    assert fit(dataset, rows, settings.training).trained_through == np.datetime64("2022-06-15T00:00:00", "us")
    gap = rows[dataset.label_known_at[rows] <= np.datetime64("2022-05-01")]
    assert fit(dataset, gap, settings.training).trained_through == np.datetime64("2022-05-01T00:00:00", "us")


def test_the_future_has_no_say_in_a_fold(dataset: Dataset, settings: Settings, walk_forward: WalkForward) -> None:
    """Turning every label and feature from 2023-07 on upside down leaves all earlier predictions as they were."""
    boundary = np.datetime64("2023-07-01")
    later = dataset.datetime >= boundary
    label_later = dataset.label_known_at > boundary
    other = replace(
        dataset,
        matrix=np.where(later[:, None], -7 * dataset.matrix, dataset.matrix),
        label=np.where(label_later, 1 - dataset.label, dataset.label),
    )
    before = pl.col("datetime") < datetime(2023, 7, 1, tzinfo=UTC)
    one = walk_forward.predictions.filter(before)["up_probability"]
    two = run_walk_forward(other, settings).predictions.filter(before)["up_probability"]
    assert one.to_list() == two.to_list()


def test_the_same_data_and_seed_give_the_same_bits(
    dataset: Dataset, settings: Settings, walk_forward: WalkForward
) -> None:
    one, two = walk_forward, run_walk_forward(dataset, settings)
    assert one.predictions.equals(two.predictions)
    assert bytes(one.final.booster.save_raw("ubj")) == bytes(two.final.booster.save_raw("ubj"))


def test_a_plain_loop_with_xgboost_gives_the_same_probabilities(
    dataset: Dataset, settings: Settings, walk_forward: WalkForward
) -> None:
    """The twin: slices, DMatrix and early stopping written out for one fold."""
    training = settings.training
    parameters = {
        "objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist", "nthread": training.threads,
        "seed": training.seed, **training.xgboost.model_dump(),
    }  # fmt: skip
    start, end = np.datetime64("2023-04-01"), np.datetime64("2023-07-01")
    known = dataset.label_known_at < start
    dates = np.unique(dataset.datetime[known])
    stop_from = dates[-int(0.1 * len(dates))]
    stopping = known & (dataset.datetime >= stop_from)
    fitting = known & (dataset.label_known_at < stop_from)
    one = xgb.QuantileDMatrix(dataset.matrix[fitting], dataset.label[fitting])
    two = xgb.QuantileDMatrix(dataset.matrix[stopping], dataset.label[stopping], ref=one)
    trial = xgb.train(
        parameters, one, training.max_trees, evals=[(two, "s")],
        early_stopping_rounds=training.early_stopping_rounds, verbose_eval=False,
    )  # fmt: skip
    booster = xgb.train(
        parameters, xgb.QuantileDMatrix(dataset.matrix[known], dataset.label[known]), trial.best_iteration + 1
    )
    tested = (dataset.datetime >= start) & (dataset.datetime < end)
    expected = booster.predict(xgb.DMatrix(dataset.matrix[tested])).astype(float)
    rows = walk_forward.predictions.filter(pl.col("fold_start") == datetime(2023, 4, 1, tzinfo=UTC))
    assert rows["up_probability"].to_list() == expected.tolist()


def test_a_planted_lean_is_found(walk_forward: WalkForward) -> None:
    record = walk_forward.predictions.drop_nulls("target_direction")
    hits = (record["up_probability"] >= 0.5) == (record["target_direction"] == 1)
    assert 0.57 <= hits.mean() <= 0.63, "the law behind the labels is right 60% of the time"


def test_too_little_history_in_the_burn_in_skips_folds_and_says_which(
    dataset: Dataset, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEHITS__TRAINING__MIN_TRAIN_ROWS", "1500")
    result = run_walk_forward(dataset, load_settings("test"))
    assert [fold.test_start.date().isoformat() for fold in result.skipped] == ["2022-01-01"]
    assert result.predictions["fold_start"].min() == datetime(2023, 1, 1, tzinfo=UTC)


def test_too_little_history_for_test_is_an_error_with_a_remedy(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEHITS__TRAINING__MIN_TRAIN_ROWS", "999999")
    with pytest.raises(NotEnoughDataError, match=r"crypto: \d+ training rows, at least 999999"):
        run_walk_forward(dataset, load_settings("test"))


def test_bars_that_end_inside_train_are_an_error_with_a_remedy(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEHITS__SPLITS__CRYPTO__TEST_END", "2040-12-31")
    monkeypatch.setenv("TRADEHITS__SPLITS__CRYPTO__TRAIN_END", "2030-12-31")
    with pytest.raises(NotEnoughDataError, match="no bar after train_end 2030-12-31") as caught:
        run_walk_forward(dataset, load_settings("test"))
    assert "splits.crypto" in caught.value.remedy


def test_labels_of_one_class_only_are_refused(dataset: Dataset, settings: Settings) -> None:
    rising = replace(dataset, label=np.where(np.isnan(dataset.label), np.nan, 1).astype(np.float32))
    with pytest.raises(NotEnoughDataError, match="both 0 and 1 are needed"):
        run_walk_forward(rising, settings)
