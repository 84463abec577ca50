from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from configs.settings import load_settings
from market.signals import Thresholds
from training.evaluate import evaluate_oracle, evaluate_splits

START = datetime(2023, 1, 2, tzinfo=UTC)
THRESHOLDS = Thresholds(buy=0.60, sell=0.40, high=0.65, medium=0.55)


def record(rows: list[tuple[str, int, float, int | None]]) -> pl.DataFrame:
    """Rows of (split, day, probability, next direction)."""
    return pl.DataFrame(
        {
            "symbol": ["A"] * len(rows),
            "datetime": [START + timedelta(days=day) for _, day, _, _ in rows],
            "data_split": [split for split, *_ in rows],
            "up_probability": [probability for _, _, probability, _ in rows],
            "target_direction": [direction for *_, direction in rows],
        },
        schema_overrides={"datetime": pl.Datetime("us", "UTC"), "target_direction": pl.Int64},
    )


def test_a_split_reports_accuracy_beside_its_base_rate_and_every_bucket_with_its_own() -> None:
    rows = record(
        [
            ("TEST", 0, 0.70, 1),  # HIGH, BUY, right
            ("TEST", 1, 0.65, 0),  # HIGH, BUY, wrong
            ("TEST", 2, 0.58, 1),  # MEDIUM, HOLD, right
            ("TEST", 3, 0.50, 1),  # LOW, HOLD, right (0.5 is up)
            ("TEST", 4, 0.40, 0),  # MEDIUM, SELL, right
            ("TEST", 5, 0.52, None),  # unknown: in no metric
        ]
    )
    (report,) = evaluate_splits(rows, THRESHOLDS, load_settings("test").evaluation)
    assert (report.rows, report.matured) == (6, 5)
    assert report.accuracy == pytest.approx(80.0)
    assert report.base_rate == pytest.approx(60.0)
    assert report.balanced_accuracy == pytest.approx(100 * (3 / 3 + 1 / 2) / 2)
    assert report.brier == pytest.approx((0.3**2 + 0.65**2 + 0.42**2 + 0.5**2 + 0.4**2) / 5)
    assert report.signals == {"BUY": 2, "SELL": 1, "HOLD": 3}
    assert report.probability_range == (0.40, 0.70)
    high, medium, low = (report.by_confidence[level] for level in ("HIGH", "MEDIUM", "LOW"))
    assert (high.rows, high.accuracy, high.base_rate) == (2, 50.0, 50.0)
    assert (medium.rows, medium.accuracy, medium.base_rate) == (2, 100.0, 50.0)
    assert (low.rows, low.accuracy, low.base_rate) == (1, 100.0, 100.0)
    assert high.accuracy_ci_95 is not None and high.accuracy_ci_95[0] < 15 and high.accuracy_ci_95[1] > 85
    assert low.accuracy_ci_95 == (0.0, 100.0), "one date tells nothing about another"
    assert report.ece is not None and 0 <= report.ece <= 1
    assert report.ece_by_chance is not None and report.ece_by_chance > 0.3, "five rows show a large error by chance"
    assert report.accuracy_ci_95 is not None
    assert report.accuracy_ci_95[0] <= 80 <= report.accuracy_ci_95[1]


def test_a_split_without_matured_rows_has_no_accuracy_rather_than_a_made_up_one() -> None:
    (report,) = evaluate_splits(record([("VALIDATE", 0, 0.5, None)]), THRESHOLDS, load_settings("test").evaluation)
    assert (report.rows, report.matured) == (1, 0)
    assert report.accuracy is report.base_rate is report.accuracy_ci_95 is report.auc is report.ece is None
    assert report.by_confidence["HIGH"].accuracy is None


def test_thresholds_may_differ_from_fold_to_fold() -> None:
    rows = record([("TEST", 0, 0.58, 1), ("TEST", 1, 0.58, 1), ("TEST", 2, 0.45, None)]).with_columns(
        fold=pl.Series([3, 4, 4])
    )
    by_fold = {3: THRESHOLDS, 4: Thresholds(buy=0.56, sell=0.46, high=0.57, medium=0.54)}
    (report,) = evaluate_splits(rows, by_fold, load_settings("test").evaluation)
    assert report.signals == {"BUY": 1, "SELL": 1, "HOLD": 1}
    assert (report.by_confidence["HIGH"].rows, report.by_confidence["MEDIUM"].rows) == (1, 1)


def test_splits_come_in_time_order_and_only_those_that_exist() -> None:
    rows = record([("VALIDATE", 9, 0.5, 1), ("TRAIN", 0, 0.5, 1), ("TRAIN", 1, 0.4, 0)])
    reports = evaluate_splits(rows, THRESHOLDS, load_settings("test").evaluation)
    assert [report.data_split for report in reports] == ["TRAIN", "VALIDATE"]


def test_the_oracle_is_compared_on_planted_and_noise_symbols_apart_and_never_on_train() -> None:
    rows = record([("TRAIN", 0, 0.9, 0), ("TEST", 1, 0.6, 1), ("TEST", 2, 0.6, 0), ("VALIDATE", 3, 0.4, 0)])
    noise = rows.with_columns(symbol=pl.lit("N"), target_direction=pl.lit(1))
    truth = pl.concat(
        [
            rows.select("datetime", symbol=pl.lit("A"), up_probability=pl.lit(0.4), is_planted=pl.lit(True)),
            rows.select("datetime", symbol=pl.lit("N"), up_probability=pl.lit(0.5), is_planted=pl.lit(False)),
        ]
    )
    report = evaluate_oracle(pl.concat([rows, noise.cast({"target_direction": pl.Int64})]), truth)
    assert report.planted_rows == report.noise_rows == 3
    assert report.planted_accuracy == pytest.approx(200 / 3)
    assert report.oracle_accuracy == pytest.approx(200 / 3), "the oracle says DOWN three times and is right twice"
    assert report.noise_accuracy == pytest.approx(200 / 3)
    assert report.noise_standard_error is not None
