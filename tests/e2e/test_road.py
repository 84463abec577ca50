"""The main job as a user runs it: the command line in a process of its own, profile `test`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)
TRADEHITS = Path(sys.executable).parent / "tradehits"
Cli = Callable[..., subprocess.CompletedProcess[str]]

SMALL = {
    "TRADEHITS__AUDIT__CANARY__TEST_ROWS": "400",
    "TRADEHITS__AUDIT__CANARY__DAYS": "200",
    "TRADEHITS__REPORTS__ENABLED": "false",
}
"""Canaries and Evidently's pages have tests of their own."""
USER_QUERIES = [
    "SELECT * FROM `aialgotradehits.ml_models.v_pipeline_status`",
    """SELECT symbol, ROUND(up_probability * 100, 1) as up_pct, growth_score, trend_regime
FROM `aialgotradehits.ml_models.walk_forward_predictions_v2`
WHERE data_split = 'VALIDATE' AND up_probability >= 0.65
  AND DATE(datetime) = DATE_SUB(CURRENT_DATE(), INTERVAL 1 DAY)
ORDER BY up_probability DESC LIMIT 20""",
    """SELECT * FROM `aialgotradehits.ml_models.v_best_performers`
WHERE rank_in_class <= 10 ORDER BY asset_type, rank_in_class""",
    """SELECT * FROM `aialgotradehits.ml_models.model_drift_alerts`
WHERE NOT is_resolved ORDER BY alert_time DESC""",
]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TRADEHITS", "PREFECT"))}
    environment |= {"TRADEHITS_HOME": str(home), "TRADEHITS_PROFILE": "test", "COLUMNS": "150"} | SMALL

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(TRADEHITS), *arguments],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=580,
            check=False,
        )

    call.home = home  # type: ignore[attr-defined]
    return call


@pytest.fixture(scope="module")
def first_run(cli: Cli) -> subprocess.CompletedProcess[str]:
    done = cli("run")
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def sql(cli: Cli, first_run: object) -> Callable[[str], list[dict[str, Any]]]:
    def ask(query: str) -> list[dict[str, Any]]:
        done = cli("sql", "--format", "json", query)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


@pytest.fixture(scope="module")
def summary(cli: Cli, first_run: object) -> dict[str, Any]:
    return json.loads((cli.home / "test" / "summary.json").read_text())  # type: ignore[attr-defined]


def test_the_run_says_what_it_found_and_what_to_open_next(first_run: subprocess.CompletedProcess[str]) -> None:
    for words in ("base rate", "simulated", "VALIDATE", "mlflow ui --backend-store-uri sqlite:///", "noise symbols"):
        assert words in first_run.stdout


def test_every_accuracy_of_the_summary_stands_beside_its_base_rate_and_interval(summary: dict[str, Any]) -> None:
    assert set(summary["asset_classes"]) == {"stocks", "etf", "crypto"}
    for values in summary["asset_classes"].values():
        assert values["data"] == "simulated"
        assert values["checks"]["failed"] == 0
        for split in values["splits"].values():
            low, high = split["accuracy_ci_95"]
            assert low <= split["accuracy"] <= high
            assert split["base_rate"] >= 50
            assert sum(split["signals"].values()) == split["rows"]
            assert sum(bucket["rows"] for bucket in split["by_confidence"].values()) == split["matured"]


def test_noise_is_not_predicted(summary: dict[str, Any]) -> None:
    for values in summary["asset_classes"].values():
        oracle = values["oracle"]
        assert abs(oracle["noise_accuracy"] - 50) <= 3 * oracle["noise_standard_error"]


def test_exactly_one_prediction_for_every_bar_since_the_burn_in(sql: Callable[[str], list[dict[str, Any]]]) -> None:
    rows = sql(
        """
        SELECT f.asset_type, COUNT(*) AS bars, COUNT(p.symbol) AS predicted, COUNT(DISTINCT p.model_version) AS versions
        FROM ml_models.walk_forward_features_v2 AS f
        LEFT JOIN ml_models.walk_forward_predictions_v2 AS p
          ON p.asset_type = f.asset_type AND p.symbol = f.symbol AND p.datetime = f.datetime
        WHERE f.datetime >= TIMESTAMP '2022-01-01'
        GROUP BY f.asset_type ORDER BY f.asset_type
        """
    )
    assert [row["asset_type"] for row in rows] == ["crypto", "etf", "stocks"]
    for row in rows:
        assert row["bars"] == row["predicted"] > 3000
        assert row["versions"] == 1


def test_every_published_row_proves_its_honesty(sql: Callable[[str], list[dict[str, Any]]]) -> None:
    broken = sql(
        """
        SELECT COUNTIF(NOT trained_through <= fold_start) AS seen_later,
          COUNTIF(NOT fold_start <= bar_known_at) AS early,
          COUNTIF(predicted_direction != IF(up_probability >= 0.5, 1, 0)) AS direction,
          COUNTIF((actual_direction IS NULL) != (label_known_at IS NULL)) AS labels, COUNT(*) > 0 AS rows_there
        FROM ml_models.walk_forward_predictions_v2
        """
    )
    assert broken == [{"seen_later": 0, "early": 0, "direction": 0, "labels": 0, "rows_there": True}]
    newest = sql(
        """
        SELECT COUNT(*) AS bars, COUNT(actual_direction) AS labelled FROM ml_models.walk_forward_predictions_v2
        WHERE asset_type = 'crypto' AND datetime = TIMESTAMP '2024-06-28'
        """
    )
    assert newest == [{"bars": 6, "labelled": 0}], (
        "the newest bars are predicted and their labels are unknown, not DOWN"
    )


@pytest.mark.parametrize("query", USER_QUERIES)
def test_the_queries_that_users_run_work_as_they_stand(cli: Cli, first_run: object, query: str) -> None:
    done = cli("sql", "--format", "csv" if query == USER_QUERIES[0] else "table", query)
    assert done.returncode == 0, done.stderr


def test_the_pipeline_status_has_three_rows_with_champions(sql: Callable[[str], list[dict[str, Any]]]) -> None:
    rows = sql("SELECT asset_type, champion_version FROM `any-project.ml_models.v_pipeline_status` ORDER BY asset_type")
    assert rows == [
        {"asset_type": name, "champion_version": f"walk_forward_{name}/1"} for name in ("crypto", "etf", "stocks")
    ]


def test_the_run_backtests_every_strategy_on_every_class_and_the_ranking_has_them(
    summary: dict[str, Any], sql: Callable[[str], list[dict[str, Any]]]
) -> None:
    ranked = sql("SELECT backtest_id, asset_type, strategy_name, grade FROM ml_models.v_backtest_comparison")
    assert {row["backtest_id"] for row in ranked} == {one["backtest_id"] for one in summary["backtests"]}
    assert {row["asset_type"] for row in ranked} == {"stocks", "etf", "crypto", "all"}
    assert len(ranked) == 12


def test_the_run_ends_with_monitoring_and_its_views_are_filled(
    summary: dict[str, Any], sql: Callable[[str], list[dict[str, Any]]]
) -> None:
    for name, monitored in summary["monitoring"].items():
        assert monitored["failed"] == [], name
        assert monitored["source"] == "walk_forward"
        assert monitored["figures"]["recent_predictions"] >= 30
    rows = sql(
        """
        SELECT COUNT(model_latest_date) AS dates, COUNT(accuracy_30d_avg) AS of_month, COUNT(accuracy_latest) AS latest,
          COUNT(edge_30d_points) AS edges
        FROM ml_models.v_pipeline_status
        """
    )
    assert rows == [{"dates": 3, "of_month": 3, "latest": 3, "edges": 3}]
    counted = (
        "SELECT asset_type, COUNT(*) > 19 AS enough FROM ml_models.v_model_monitoring_dashboard GROUP BY asset_type"
    )
    assert {(row["asset_type"], row["enough"]) for row in sql(counted)} == {
        ("crypto", True),
        ("etf", True),
        ("stocks", True),
    }


def test_mlflow_holds_one_parent_with_a_child_per_asset_class_and_no_pickle(cli: Cli, summary: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    mlruns = cli.home / "test" / "state" / "mlruns"  # type: ignore[attr-defined]
    client = MlflowClient(f"sqlite:///{mlruns / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("walk_forward")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"walk-forward", "stocks", "etf", "crypto"}
    stocks = runs["stocks"]
    assert stocks.data.tags["mlflow.parentRunId"] == runs["walk-forward"].info.run_id
    assert (
        stocks.data.metrics["validate_accuracy"] == summary["asset_classes"]["stocks"]["splits"]["VALIDATE"]["accuracy"]
    )
    assert "validate_base_rate" in stocks.data.metrics
    files = {path.name for path in mlruns.rglob("*") if path.is_file()}
    assert {"roc.png", "calibration.png", "accuracy_by_month.png", "importance.png", "out_of_sample.parquet"} <= files
    assert {"model.ubj", "bundle.json", "fold_000.ubj", "checks.json"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle"))]


COUNTS = """
    SELECT (SELECT COUNT(*) FROM tradehits.bar_versions) AS versions,
      (SELECT COUNT(*) FROM ml_models.walk_forward_features_v2) AS features,
      (SELECT COUNT(*) FROM ml_models.walk_forward_predictions_v2) AS predictions,
      (SELECT SUM(up_probability) FROM ml_models.walk_forward_predictions_v2) AS probabilities
"""


def test_ingesting_and_building_again_doubles_nothing(cli: Cli, sql: Callable[[str], list[dict[str, Any]]]) -> None:
    before = sql(COUNTS)
    for command in (["ingest", "--asset-type", "stocks"], ["features"]):
        done = cli(*command)
        assert done.returncode == 0, done.stderr[-3000:]
    assert sql(COUNTS) == before


@pytest.mark.slow
def test_training_again_leaves_the_record(cli: Cli, sql: Callable[[str], list[dict[str, Any]]]) -> None:
    before = sql(COUNTS)
    done = cli("train", "--asset-type", "stocks")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "challenger of walk_forward_stocks/1" in done.stdout
    assert sql(COUNTS) == before


def test_other_indicators_than_the_stored_ones_are_refused_until_ingested_again(cli: Cli, first_run: object) -> None:
    refused = cli("features", TRADEHITS__INDICATORS__VARIANT="vendor")
    assert refused.returncode == 1
    assert "holds 'wilder' indicators, the configuration says 'vendor'" in refused.stderr
    assert "tradehits ingest" in refused.stderr


def test_a_bad_file_is_named_with_row_and_column_and_nothing_is_written(
    cli: Cli, sql: Callable[[str], list[dict[str, Any]]], tmp_path: Path
) -> None:
    import polars as pl

    count = "SELECT COUNT(*) AS n FROM tradehits.bar_versions"
    before = sql(count)
    stamps = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 5), "1d", time_zone="UTC", eager=True)
    frame = pl.DataFrame({"datetime": stamps}).with_columns(
        asset_type=pl.lit("crypto"),
        symbol=pl.lit("BTCUSDT"),
        open=pl.lit(10.0),
        high=pl.lit(11.0),
        low=pl.lit(9.0),
        close=pl.Series([10.0, 10.0, float("nan"), 10.0, 10.0]),
        volume=pl.lit(1.0),
    )
    frame.write_parquet(tmp_path / "bad.parquet")
    done = cli("ingest", "--source", "parquet", "--path", str(tmp_path / "bad.parquet"))
    assert done.returncode == 1
    assert "bad.parquet, row 3, column 'close'" in done.stderr
    assert "remedy:" in done.stderr
    assert sql(count) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ingest", "--profile", "nowhere"], "unknown profile 'nowhere'"),
        (["train", "--asset-type", "bonds"], "bonds"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_usage_exits_with_2(cli: Cli, arguments: list[str], words: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_writing_sql_is_refused(cli: Cli, first_run: object) -> None:
    done = cli("sql", "DELETE FROM ml_models.walk_forward_predictions_v2 WHERE TRUE")
    assert done.returncode == 1
    assert "SELECT" in done.stderr
