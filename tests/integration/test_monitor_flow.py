"""Monitoring as a flow: every figure is there after it, again changes nothing, a broken part breaks no other."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from configs.settings import Settings
from flows.cli import app
from flows.context import Context
from flows.monitor import monitor, past_moment
from flows.monitor_report import MonitorReport
from flows.monitor_show import as_json, as_table
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from market.errors import ConfigError
from monitoring.alerts import newest_judged
from monitoring.performance import refresh
from tests.contract.performance_world import with_rule
from tests.contract.table_rows import scratch_warehouse
from tests.integration.inference_world import CLASSES, END, World, days_pass, settings_at, world_at
from warehouse.engines import open_warehouse
from warehouse.warehouse import Write, WriteResult

PERFORMANCE = "ml_models.model_performance_daily"
TABLES = (
    *(PERFORMANCE, "ml_models.model_drift_alerts", "ml_models.feature_distributions"),
    *("tradehits.alert_events", "tradehits.alert_judgements"),
)
OF_EACH_RUN = ("created_at", "recorded_at", "event_id", "event_at", "alert_id", "judged_at", "resolved_at", "detail")


def without_pages(settings: Settings) -> dict[str, Any]:
    """Evidently's pages are another test's matter, and slow; the rule is judged on the few rows of six symbols."""
    counted = with_rule(settings, warning=20, critical=20, days=3)
    return {"reports": settings.reports.model_copy(update={"enabled": False}), "monitoring": counted.monitoring}


def opened(home: Path, prepared: Path) -> World:
    return world_at(home, prepared, **without_pages(settings_at(home)))


@pytest.fixture(scope="module")
def predicted_home(inference_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Friday is predicted, and after the weekend Monday: a few outcomes are known."""
    home = tmp_path_factory.mktemp("predicted") / "home"
    world = opened(home, inference_home)
    world.predict()
    days_pass(world, 3)
    world.predict()
    return home


@pytest.fixture(scope="module")
def monitored(predicted_home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, MonitorReport]:
    """Monitored once; read only."""
    world = opened(tmp_path_factory.mktemp("monitored") / "home", predicted_home)
    return world, monitor(world.context)


@pytest.fixture
def own(monitored: tuple[World, MonitorReport], tmp_path: Path) -> World:
    """A copy of the monitored world, to go on with."""
    return opened(tmp_path / "own", monitored[0].settings.paths.home.parent)


def tables(world: World) -> dict[str, pl.DataFrame]:
    found = {}
    for name in TABLES:
        rows = world.ask(f"SELECT * FROM `{name}`").drop(*OF_EACH_RUN, strict=False)
        found[name] = rows.sort(rows.columns)
    return found


def command(world: World, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """`tradehits monitor` in a world's home."""
    monkeypatch.setenv("TRADEHITS_HOME", str(world.settings.paths.home.parent))
    monkeypatch.setenv("TRADEHITS__REPORTS__ENABLED", "false")
    return CliRunner().invoke(app, ["monitor", "--profile", "test", *arguments])


def test_every_figure_is_there_after_one_run(monitored: tuple[World, MonitorReport]) -> None:
    world, report = monitored
    assert report.succeeded, report
    assert [one.asset_type for one in report.classes] == list(CLASSES)
    record = world.ask(
        "SELECT asset_type, DATE(datetime) AS date, COUNT(*) AS n FROM `ml_models.walk_forward_predictions_v2` "
        "WHERE actual_direction IS NOT NULL GROUP BY asset_type, DATE(datetime) ORDER BY asset_type, date"
    )
    rows = world.ask(
        f"SELECT asset_type, date, total_predictions AS n FROM `{PERFORMANCE}` "
        "WHERE prediction_source = 'walk_forward' ORDER BY asset_type, date"
    )
    assert_frame_equal(rows, record)
    live = world.ask(
        f"SELECT asset_type, date, total_predictions AS n FROM `{PERFORMANCE}` WHERE prediction_source = 'live'"
    )
    assert set(live.rows()) == {("stocks", END, 6), ("crypto", END, 6)}, "Friday's calls, now that Monday is known"
    assert report.performance_rows == rows.height + live.height
    status = world.ask("SELECT * FROM `ml_models.v_pipeline_status`").filter(pl.col("asset_type").is_in(CLASSES))
    for name in ("model_latest_date", "accuracy_30d_avg", "accuracy_latest", "edge_30d_points"):
        assert status[name].null_count() == 0, name
    dashboard = world.ask("SELECT * FROM `ml_models.v_model_monitoring_dashboard`")
    assert set(dashboard["asset_type"]) == set(CLASSES)
    assert set(dashboard["prediction_source"]) == {"walk_forward"}
    assert dashboard["model_health_score"].null_count() == 0


def test_the_report_and_the_table_say_the_same(monitored: tuple[World, MonitorReport]) -> None:
    world, report = monitored
    for one in report.classes:
        assert one.figures is not None
        of_class = f"asset_type = '{one.asset_type}' AND prediction_source = '{one.source}'"
        row = world.ask(f"SELECT * FROM `{PERFORMANCE}` WHERE {of_class} ORDER BY date DESC LIMIT 1").to_dicts()[0]
        assert {name: row[name] for name in row if hasattr(one.figures, name)} == {
            name: getattr(one.figures, name) for name in row if hasattr(one.figures, name)
        }
        (rule,) = [found for found in one.conditions if found.metric_name == "rolling_7d_accuracy"]
        assert (rule.current_value, rule.baseline_value) == (row["rolling_7d_accuracy"], row["baseline_accuracy"])
        assert (rule.severity is not None) == row["drift_detected"]


def test_a_second_run_changes_nothing(own: World) -> None:
    before = tables(own)
    report = monitor(own.context)
    assert report.performance_rows == 0
    assert not any(one.opened or one.escalated or one.resolved for one in report.classes)
    for name, rows in tables(own).items():
        assert_frame_equal(rows, before[name])


@pytest.mark.slow
def test_a_past_day_is_judged_as_that_day_would_have(own: World) -> None:
    day = END - timedelta(days=9)
    stored = own.ask(f"SELECT * FROM `{PERFORMANCE}`")
    then = monitor(own.context, day=day)
    assert [(one.date, one.now) for one in then.classes] == [(day, past_moment("stocks", day).now)] * 2
    days_pass(own, 10)
    own.predict()
    later = monitor(own.context, day=day)
    assert [one.figures for one in later.classes] == [one.figures for one in then.classes]
    assert [one.conditions for one in later.classes] == [one.conditions for one in then.classes]
    kept = own.ask(f"SELECT * FROM `{PERFORMANCE}`").filter(pl.col("date") <= END - timedelta(days=1))
    assert_frame_equal(
        kept.sort("asset_type", "prediction_source", "date"),
        stored.filter(pl.col("date") <= END - timedelta(days=1)).sort("asset_type", "prediction_source", "date"),
    )


def test_a_day_that_has_not_come_is_told_and_judges_nothing(own: World) -> None:
    report = monitor(own.context, ["stocks"], END + timedelta(days=400))
    (one,) = report.classes
    assert (one.date, one.conditions, report.succeeded) == (None, (), True)
    assert one.notes[0].startswith("2025-07-26 is not over by the clock (2024-06-24")


@pytest.mark.parametrize(
    ("day", "classes", "said"),
    [
        (date.min, CLASSES, "no bar was known by 0001-01-01: the first one closed at 2021-01-0"),
        (date(1999, 12, 31), CLASSES, "no bar was known by 1999-12-31: the first one closed at 2021-01-0"),
        (END, ["etf"], "no bar is stored: run `tradehits ingest`"),
    ],
)
def test_a_day_before_the_first_bar_judges_nothing_and_leaves_no_page(
    monitored: tuple[World, MonitorReport], day: date, classes: Sequence[Any], said: str
) -> None:
    world, _ = monitored
    before = tables(world)
    report = monitor(world.context, classes, day)
    assert report.succeeded, report
    assert [(one.date, one.conditions) for one in report.classes] == [(None, ())] * len(classes)
    assert [one.notes[0][: len(said)] for one in report.classes] == [said] * len(classes)
    assert not (world.settings.paths.reports / str(day)).exists()
    for name, rows in tables(world).items():
        assert_frame_equal(rows, before[name])


def test_the_users_parameters_are_taken(own: World) -> None:
    figures = monitor(own.context, ["crypto"], check_drift=False)
    assert (figures.checked_drift, figures.classes, figures.performance_rows) == (False, (), 0)
    report = monitor(own.context, ["crypto"], alert_threshold=0.999)
    (one,) = report.classes
    assert one.figures is not None
    assert one.figures.baseline_accuracy is not None
    (rule,) = [found for found in one.conditions if found.metric_name == "rolling_7d_accuracy"]
    falls = one.figures.rolling_7d_accuracy < 0.999 * one.figures.baseline_accuracy
    assert (rule.severity is not None, report.alert_threshold) == (falls, 0.999)
    stored = own.ask("SELECT drift_warning_ratio FROM `tradehits.asset_settings`")["drift_warning_ratio"]
    assert set(stored) == {0.85}, "a parameter of one run is no configuration"
    for wrong in (0.75, 1.0):
        with pytest.raises(ConfigError, match="alert_threshold"):
            monitor(own.context, alert_threshold=wrong)


def test_a_model_whose_files_are_gone_fails_its_part_and_no_other_and_the_command_ends_with_1(
    own: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(own.settings.paths.mlruns / "artifacts")
    for window in ("RECENT", "BASELINE"):
        for count in ("PREDICTIONS__WARNING", "PREDICTIONS__CRITICAL"):
            monkeypatch.setenv(f"TRADEHITS__MONITORING__MIN_{window}_{count}", "20")
    done = command(own, monkeypatch, "--asset-type", "stocks", "--format", "json")
    assert done.exit_code == 1, done.output
    told = json.loads(done.stdout)
    (one,) = told["classes"]
    assert told["succeeded"] is False
    (failed,) = one["failed"]
    assert failed.startswith("feature drift failed: the files of walk_forward_stocks/1 are gone from ")
    assert one["figures"]["total_predictions"] == 6
    judged = [found["metric_name"] for found in one["conditions"]]
    assert "rolling_7d_accuracy" in judged
    assert one["distribution_rows"] == 0
    kept = own.ask(
        "SELECT conditions FROM `tradehits.alert_judgements` WHERE asset_type = 'stocks' ORDER BY judgement_id"
    )
    assert kept["conditions"][-1] == len(judged), "alerts follow what could be judged"


def test_reports_that_cannot_be_written_are_a_note(own: World) -> None:
    reporting = own.settings.model_copy(
        update={
            "reports": own.settings.reports.model_copy(update={"enabled": True, "min_rows": 10**6, "mlflow": False})
        }
    )
    shutil.rmtree(own.settings.paths.reports, ignore_errors=True)
    own.settings.paths.reports.write_text("a file where the folder belongs")
    report = monitor(replace(own.context, settings=reporting), ["stocks"])
    assert report.succeeded, report
    assert [note for note in report.classes[0].notes if note.startswith("the report failed: ")]


class Killed(BaseException):
    """No error that anybody handles."""


class Dying:
    """The warehouse, until its n-th write; then the process is gone."""

    def __init__(self, warehouse: Any, writes: int) -> None:
        self._warehouse, self._left = warehouse, writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        if not self._left:
            raise Killed
        self._left -= 1
        return self._warehouse.write(writes)


@pytest.mark.slow
def test_killed_between_any_two_writes_the_next_run_ends_the_same(
    monitored: tuple[World, MonitorReport], predicted_home: Path, tmp_path: Path
) -> None:
    expected = tables(monitored[0])
    world = opened(tmp_path / "own", predicted_home)
    died = 0
    for survived in range(30):
        try:
            monitor(replace(world.context, warehouse=Dying(world.warehouse, survived)))
            break
        except Killed:
            died += 1
    assert died >= 3
    for name, rows in tables(world).items():
        assert_frame_equal(rows, expected[name])


def test_a_day_whose_report_was_cut_off_does_not_count_as_judged(
    predicted_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = opened(tmp_path / "home", predicted_home)

    class Cut(BaseException):
        """A kill is no exception that anybody handles."""

    def cut(*_: object) -> None:
        raise Cut

    monkeypatch.setattr("monitoring.reports.write", cut)
    with pytest.raises(Cut):
        monitor(world.context, CLASSES[:1])
    with world.context.warehouse.read() as read:
        assert newest_judged(read, CLASSES[0]) is None
    monkeypatch.undo()
    monkeypatch.setenv("TRADEHITS_HOME", str(world.settings.paths.home.parent))
    monitor(world.context, CLASSES[:1])
    with world.context.warehouse.read() as read:
        assert newest_judged(read, CLASSES[0]) is not None


def test_two_refreshes_at_once_write_each_row_once(predicted_home: Path, tmp_path: Path) -> None:
    world = opened(tmp_path / "own", predicted_home)
    moments = [past_moment(name, END + timedelta(days=3)) for name in CLASSES]

    def go(_: int) -> int:
        return refresh(open_warehouse(world.settings), world.settings, moments)

    with ThreadPoolExecutor(2) as pool:
        written = list(pool.map(go, range(2)))
    rows = world.ask(f"SELECT * FROM `{PERFORMANCE}`")
    assert rows.height == max(written)
    assert not rows.select("date", "asset_type", "prediction_source").is_duplicated().any()
    assert refresh(world.warehouse, world.settings, moments) == 0


def test_a_warehouse_without_bars_is_answered(tmp_path: Path) -> None:
    settings = settings_at(tmp_path)
    report = monitor(Context(settings, scratch_warehouse(), LogReporter(), PlainTasks()))
    assert (report.succeeded, report.classes, report.performance_rows) == (True, (), 0)
    assert report.notes[-1] == "no bars are stored: run `tradehits ingest`"


def test_the_report_is_told_to_people_and_to_programs(monitored: tuple[World, MonitorReport]) -> None:
    report = monitored[1]
    values = json.loads(as_json(report))
    assert values["succeeded"] is True
    assert [one["asset_type"] for one in values["classes"]] == list(CLASSES)
    assert date.fromisoformat(values["classes"][0]["figures"]["date"]) == END
    told = as_table(report)
    assert told.startswith(f"daily performance: {report.performance_rows:,} rows written")
    for one in report.classes:
        assert f"{one.asset_type}" in told


def test_a_figure_that_is_not_finite_is_null_in_json(monitored: tuple[World, MonitorReport]) -> None:
    report = monitored[1]
    one, *others = report.classes
    values = (math.inf, math.nan)
    odd = tuple(replace(found, current_value=value) for found, value in zip(one.conditions[:2], values, strict=True))
    told = json.loads(as_json(replace(report, classes=(replace(one, conditions=odd), *others))))
    assert [found["current_value"] for found in told["classes"][0]["conditions"]] == [None, None]


def test_the_command_answers_in_json(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command(own, monkeypatch, "--date", "2024-06-10", "--asset-type", "stocks", "--format", "json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert (values["date"], values["classes"][0]["date"]) == ("2024-06-10", "2024-06-10")
    assert values["classes"][0]["notes"][0].startswith("too few to tell a drift of 7-day accuracy from chance")
    early = command(own, monkeypatch, "--alert-threshold", "0.5")
    assert isinstance(early.exception, ConfigError)
