"""No accuracy alone: the rule itself, and every surface that shows one."""

from __future__ import annotations

import dataclasses

import pytest
from sqlglot import parse_one

from flows import show
from training.audit_base_rate import base_rate_check, missing_companions
from training.evaluate import BucketReport, SplitReport
from warehouse.schema import load_schema

SCHEMA = load_schema()


def test_an_accuracy_needs_its_base_rate_and_its_interval() -> None:
    assert missing_companions(["test_accuracy"]) == {
        "test_accuracy": ["test_base_rate", "test_accuracy_ci_low and test_accuracy_ci_high"]
    }
    assert missing_companions(["test_accuracy", "test_base_rate", "test_accuracy_ci_low"]) == {
        "test_accuracy": ["test_accuracy_ci_low and test_accuracy_ci_high"]
    }
    complete = ["test_accuracy", "test_base_rate", "test_accuracy_ci_low", "test_accuracy_ci_high"]
    assert missing_companions(complete) == {}


def test_buckets_have_companions_of_their_own() -> None:
    names = ["test_accuracy_high", "test_base_rate", "test_accuracy_high_ci_low", "test_accuracy_high_ci_high"]
    assert missing_companions(names) == {"test_accuracy_high": ["test_base_rate_high"]}


@pytest.mark.parametrize("name", ["brier", "test_balanced_accuracy", "rows", "test_accuracy_ci_low"])
def test_other_numbers_need_nothing(name: str) -> None:
    assert missing_companions([name]) == {}


def test_the_check_names_the_lonely_metric() -> None:
    (result,) = base_rate_check(["auc", "fold_accuracy", "fold_accuracy_ci_low", "fold_accuracy_ci_high"])
    assert (result.check, result.status, result.subject) == ("base_rate", "failed", "metric fold_accuracy")
    assert result.detail == "stands without fold_base_rate"
    (fine,) = base_rate_check(["auc", "x_accuracy", "x_base_rate", "x_accuracy_ci_95"])
    assert (fine.status, fine.detail) == ("passed", "1 accuracies among 4 metrics, each with base rate and interval")


@pytest.mark.parametrize("report", [SplitReport, BucketReport])
def test_reports_of_accuracy_hold_base_rate_and_interval(report: type) -> None:
    """What `tradehits train` prints and `summary.json` holds are the fields of these reports."""
    assert missing_companions([field.name for field in dataclasses.fields(report)]) == {}


def columns_of(view: str) -> list[str]:
    return parse_one(SCHEMA.view_sql(view), read="bigquery").named_selects


def shows_accuracy(view: str) -> bool:
    return any("accuracy" in column for column in columns_of(view))


@pytest.mark.parametrize("view", [name for name in sorted(SCHEMA.views) if shows_accuracy(name)])
def test_a_view_with_an_accuracy_has_a_base_rate_and_an_interval(view: str) -> None:
    columns = columns_of(view)
    assert any("base_rate" in column for column in columns)
    assert any(column.endswith("_95") for column in columns)


def test_the_views_with_accuracies_are_known() -> None:
    assert [name for name in sorted(SCHEMA.views) if shows_accuracy(name)] == [
        "ml_models.v_best_performers",
        "ml_models.v_model_monitoring_dashboard",
        "ml_models.v_pipeline_status",
        "tradehits.v_edge_30d",
    ]


def test_printed_tables_show_accuracy_between_rows_interval_and_base_rate() -> None:
    for table in (show._results([]), show._signals([])):
        headers = [column.header for column in table.columns]
        assert {"accuracy", "interval", "base rate"} <= set(headers)


def test_a_level_without_rows_shows_no_number_and_one_with_rows_shows_its_interval() -> None:
    level = BucketReport(287, 67.94, 58.5, (60.1, 71.0))
    split = SplitReport(
        "TEST", 300, 290, 52.0, 50.1, (50.0, 54.0), 52.0, 0.52, 0.249, 0.69, 0.01, 0.01,
        {"HIGH": level, "MEDIUM": BucketReport(0, None, None), "LOW": BucketReport(3, 66.7, 66.7, (20.8, 93.9))},
        (0.3, 0.7), {"BUY": 1, "SELL": 2, "HOLD": 287},
    )  # fmt: skip
    assert show._signal_cells(split)[:5] == ["HIGH\nLOW", "287\n3", "67.9\n66.7", "60.1-71.0\n20.8-93.9", "58.5\n66.7"]
