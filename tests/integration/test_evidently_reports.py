"""Reports by the real Evidently on a small registry and warehouse: figures, verdicts, pages, data it cannot take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance
from sklearn.metrics import accuracy_score, roc_auc_score

from configs.reports import ReportSettings
from configs.settings import Settings
from market.errors import ReportError
from monitoring.conditions import Condition, Moment
from monitoring.reports import ReportFiles, write
from monitoring.reports_data import DriftData, Window, drift_data, performance_data
from monitoring.reports_sample import Sample
from monitoring.reports_store import EXPERIMENT, RESULTS_TABLE
from registry.mlflow_api import MlflowException
from registry.store import RunStore
from tests.bundles import FEATURES
from tests.contract.table_rows import insert
from tests.integration.champion_world import DAYS, FIRST_DAY, SYMBOLS, V1, World, trained_through, world_at
from warehouse.features import FEATURES_TABLE
from warehouse.warehouse import Write

NOW = FIRST_DAY + timedelta(days=DAYS - 1, hours=21)
MOMENT = Moment("stocks", NOW.date(), NOW)
DISTRIBUTIONS = "ml_models.feature_distributions"
RECORD = "ml_models.walk_forward_predictions_v2"
VERDICTS = {"rsi": True, "adx": False, "momentum_5d": False}


def small(settings: Settings, **changes: Any) -> Settings:
    """Report settings for a few rows."""
    return settings.model_copy(update={"reports": settings.reports.model_copy(update={"min_rows": 10, **changes})})


@dataclass(frozen=True)
class Reported:
    """A world after its first report."""

    world: World
    settings: Settings
    files: ReportFiles

    def stored(self) -> pl.DataFrame:
        sql = f"SELECT * FROM `{RESULTS_TABLE}` WHERE date = @date ORDER BY report, metric, subject"
        return pl.DataFrame(self.world.warehouse.query(sql, {"date": MOMENT.date}))

    def again(self, moment: Moment = MOMENT, decay: Sequence[Condition] = (), **changes: Any) -> ReportFiles:
        settings = small(self.settings, **changes)
        return write(self.world.warehouse, self.world.registry, settings, moment, None, "walk_forward", decay)


@pytest.fixture(scope="module")
def reported(champion_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reported]:
    world = world_at(tmp_path_factory.mktemp("reports") / "home", champion_home)
    rows = [
        {"date": MOMENT.date, "asset_type": "stocks", "feature_name": name, "drift_detected": drifted, "psi": 0.3}
        for name, drifted in VERDICTS.items()
    ]
    insert(world.warehouse, DISTRIBUTIONS, rows)
    settings = small(world.settings)
    yield Reported(world, settings, write(world.warehouse, world.registry, settings, MOMENT, None, "walk_forward"))


def features(world: World, condition: str) -> pl.DataFrame:
    columns = ", ".join(FEATURES)
    return pl.DataFrame(
        world.warehouse.query(
            f"SELECT {columns} FROM `ml_models.walk_forward_features_v2` WHERE asset_type = 'stocks' AND {condition}"
        )
    )


def test_every_distance_is_scipys_on_the_declared_rows(reported: Reported) -> None:
    trained = features(reported.world, f"label_known_at <= TIMESTAMP '{trained_through():%Y-%m-%d %H:%M}:00+00'")
    newest = features(reported.world, f"datetime > TIMESTAMP '{NOW - timedelta(days=7):%Y-%m-%d} 00:00:00+00'")
    assert (trained.height, newest.height) == (len(SYMBOLS) * 279, len(SYMBOLS) * 7)
    found = {row["subject"]: row for row in reported.stored().filter(metric="value_drift").iter_rows(named=True)}
    assert set(found) == set(FEATURES)
    for name, row in found.items():
        before, now = trained[name].to_numpy(), newest[name].to_numpy()
        expected = ks_2samp(before, now).statistic
        assert row["value"] == pytest.approx(expected, rel=1e-9)
        assert row["verdict"] == ("DRIFT" if expected > 0.2 else "NO_DRIFT")
        assert row["table_verdict"] == ("DRIFT" if VERDICTS[name] else "NO_DRIFT")
        assert (row["method"], row["threshold"], row["seed"]) == ("ks_distance", 0.2, 23)
        assert (row["reference_rows"], row["current_rows"]) == (trained.height, newest.height)
        assert (row["model_version"], row["date"]) == (V1, MOMENT.date)


def test_performance_is_scikit_learns_on_the_days_of_the_tables(reported: Reported) -> None:
    last = MOMENT.date - timedelta(days=1)  # the newest bar has no outcome yet
    sql = f"SELECT * FROM `{RECORD}` WHERE actual_direction IS NOT NULL"
    record = pl.DataFrame(reported.world.warehouse.query(sql))
    day = record["datetime"].dt.date()
    found = {
        (row["metric"], row["subject"]): row["value"]
        for row in reported.stored().filter(report="performance").iter_rows(named=True)
    }
    for window, first, until in (("current", 6, 0), ("reference", 36, 7)):
        rows = record.filter((day >= last - timedelta(days=first)) & (day <= last - timedelta(days=until)))
        assert rows.height == len(SYMBOLS) * (first - until + 1)
        outcome, probability = rows["actual_direction"].to_numpy(), rows["up_probability"].to_numpy()
        assert found["accuracy", window] == pytest.approx(accuracy_score(outcome, probability >= 0.5))
        assert found["roc_auc", window] == pytest.approx(roc_auc_score(outcome, probability))


def test_the_page_says_verdict_sample_differences_and_names_for_people(reported: Reported) -> None:
    page = reported.files.page
    assert page == reported.settings.paths.reports / "2024-03-26" / "stocks.html"
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 10_000_000
    head = text[text.index("<header") : text.index("</header>")]
    assert "Drift in 1 of 3 features" in head
    assert "<h1>Stocks · 2024-03-26" in head
    assert "RSI" in head
    assert "all 1,116 rows of the champion&#x27;s training" in head
    assert "walk_forward_stocks/1, trained through 2024-03-06 21:00 UTC" in head
    assert " rows · known by 2024-03-26 21:00 UTC" in head
    assert "Current is all 28 rows of 2024-03-20 to 2024-03-26." in head
    assert "Some of these days were training rows too" not in head
    judged = {row[1]: row[2:4] for row in cells(head)}
    assert {name: tables for name, (tables, _) in judged.items()} == {
        name: "drift" if drifted else "no drift" for name, drifted in VERDICTS.items()
    }
    evidently = {row["subject"]: row["verdict"] for row in reported.stored().iter_rows(named=True)}
    assert {name: said for name, (_, said) in judged.items()} == {
        name: "drift" if evidently[name] == "DRIFT" else "no drift" for name in VERDICTS
    }
    assert any("differ on" in line or "agree on" in line for line in reported.files.differences)
    assert "What the next bar did" in text
    assert "Trend strength (ADX)" in text


def cells(html: str) -> list[list[str]]:
    """The body rows of the head's table."""
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    return [re.findall(r"<td>(.*?)</td>", row) for row in body.split("</tr>")[:-1]]


def test_the_run_in_mlflow_has_the_page_and_the_champion_points_to_it(reported: Reported) -> None:
    store = RunStore(reported.settings, EXPERIMENT)
    run = store.run(reported.files.run_id)
    assert run.data.tags["model_version"] == V1
    assert run.data.tags["report_key"] == "stocks/2024-03-26"
    assert (run.data.tags["verdict"], run.data.tags["verdict_level"]) == ("Drift in 1 of 3 features", "warning")
    assert run.data.tags["asset_type"] == "stocks"
    assert run.data.metrics["value_drift.rsi"] == reported.stored().filter(subject="rsi")["value"].item()
    logged = store.artifact(reported.files.run_id, "report/stocks.html")
    assert logged.read_bytes() == reported.files.page.read_bytes()
    version = reported.world.registry.version("stocks", V1)
    assert version.tags["evidently_report_run"] == reported.files.run_id
    assert version.tags["evidently_report_date"] == "2024-03-26"


def test_a_day_of_the_past_knows_nothing_later_and_leaves_the_newest_in_front(
    reported: Reported,
) -> None:
    past = Moment("stocks", date(2024, 2, 1), datetime(2024, 2, 1, 23, 59, tzinfo=UTC))
    files = reported.again(past, reference_rows=200)
    text = files.page.read_text(encoding="utf-8")
    assert "Some of these days were training rows too" in text
    known = len(SYMBOLS) * 245  # labels known by then: of the bars to 2024-01-31
    assert f"200 of {known} rows, drawn in proportion from 8 strata (months) with seed 23" in text
    assert {row.reference_rows for row in files.evidently if row.report == "data_drift"} == {200}
    assert {row.date for row in files.evidently} == {past.date}
    assert files.differences[0].startswith("The tables have no verdict on features of this day")
    version = reported.world.registry.version("stocks", V1)
    assert version.tags["evidently_report_date"] == "2024-03-26"
    index = files.index.read_text(encoding="utf-8")
    assert index.index("2024-03-26/stocks.html") < index.index("2024-02-01/stocks.html")


def test_the_same_day_again_replaces_rows_and_page_and_lets_old_pages_and_their_runs_go(reported: Reported) -> None:
    before = reported.stored().drop("created_at")
    past = Moment("stocks", date(2024, 2, 2), datetime(2024, 2, 2, 23, 59, tzinfo=UTC))
    old = reported.again(past)
    files = reported.again(keep_days=20)
    assert (files.run_id, files.paths) == (reported.files.run_id, reported.files.paths)
    assert reported.stored().drop("created_at").equals(before)
    assert not old.page.parent.exists()
    store = RunStore(reported.settings, EXPERIMENT)
    assert store.run(old.run_id).info.lifecycle_stage == "deleted"
    assert not (store.artifact_root / old.run_id).exists()
    assert files.page.exists()
    assert "2024-02-02" not in files.index.read_text(encoding="utf-8")


def test_the_samples_of_a_day_do_not_change_when_the_future_arrives(reported: Reported, tmp_path: Path) -> None:
    past = Moment("stocks", date(2024, 3, 15), datetime(2024, 3, 15, 23, 59, tzinfo=UTC))
    info = reported.world.registry.info("stocks", V1)
    settings = small(reported.settings, reference_rows=300, current_rows=20, performance_rows=20)

    def drawn(world: World) -> list[pl.DataFrame]:
        with world.warehouse.read() as read:
            drift = drift_data(read, settings, past, info)
            performance = performance_data(read, settings, past, "walk_forward", date(2024, 3, 14))
        return [one.rows for part in (drift, performance) for one in (part.reference, part.current)]

    then = world_at(tmp_path / "then", reported.settings.paths.home.parent)
    for table, outcome in ((FEATURES_TABLE, "target_direction"), (RECORD, "actual_direction")):
        rows = pl.DataFrame(then.warehouse.query(f"SELECT * FROM `{table}`")).filter(pl.col("bar_known_at") <= past.now)
        is_known = pl.col("label_known_at") <= past.now
        hidden = [pl.when(is_known).then(pl.col(name)).alias(name) for name in (outcome, "label_known_at")]
        rows = rows.with_columns(hidden)
        then.warehouse.write([Write(table, rows=rows.to_arrow(), mode="replace", where={"asset_type": "stocks"})])
    now_known, then_known = drawn(reported.world), drawn(then)
    assert [frame.height for frame in now_known] == [300, 20, 20, 20]
    for now, before in zip(now_known, then_known, strict=True):
        assert_frame_equal(now, before)


def test_without_a_champion_there_is_a_note_and_no_page(reported: Reported) -> None:
    moment = Moment("crypto", MOMENT.date, MOMENT.now)
    stale = reported.settings.paths.reports / "2024-03-26" / "crypto.html"
    stale.write_text("a page of a champion that was withdrawn")
    files = reported.again(moment)
    assert files.page is None
    assert not stale.exists()
    assert files.evidently == ()
    assert files.note == "No page: there is no champion for crypto yet."
    card = json.loads((reported.settings.paths.reports / "2024-03-26" / "crypto.json").read_text())
    assert (card["level"], card["page"]) == ("unknown", None)
    assert files.paths == (files.index,)
    worse = Condition("crypto", "ACCURACY_DRIFT", "accuracy_sequential", "CRITICAL", 48.0, 52.5, 55.0, "it fell")
    index = reported.again(moment, [worse]).index.read_text(encoding="utf-8")
    card = json.loads((reported.settings.paths.reports / "2024-03-26" / "crypto.json").read_text())
    assert (card["level"], card["headline"]) == ("critical", "The model got worse"), "no page, and yet the verdict"
    assert "The model got worse" in index


def test_without_current_rows_each_part_says_so(reported: Reported) -> None:
    later = NOW + timedelta(days=60)
    files = reported.again(Moment("stocks", later.date(), later))
    assert files.page is None
    assert files.notes == (
        "Features are not shown: 0 bars in 2024-05-19 to 2024-05-25, fewer than 10.",
        "Performance is not shown: no prediction of the last days has a known outcome.",
    )


def test_outcomes_of_one_direction_leave_performance_out(tmp_path: Path, champion_home: Path) -> None:
    world = world_at(tmp_path / "one_sided", champion_home)
    rows = pl.DataFrame(world.warehouse.query(f"SELECT * FROM `{RECORD}`"))
    up = rows.with_columns(actual_direction=pl.when(pl.col("actual_direction").is_not_null()).then(1).cast(pl.Int64))
    world.warehouse.write([Write(RECORD, rows=up.to_arrow(), mode="merge")])
    files = write(world.warehouse, world.registry, small(world.settings, mlflow=False), MOMENT, None, "walk_forward")
    assert files.page is not None
    assert {row.report for row in files.evidently} == {"data_drift"}
    assert files.notes == (
        "Performance is not shown: all 28 outcomes in 2024-03-19 to 2024-03-25 were UP, and Evidently needs both "
        "directions.",
    )


def test_reports_can_be_switched_off(reported: Reported) -> None:
    assert reported.again(enabled=False) == ReportFiles(None, None)


def test_what_evidently_cannot_digest_is_named(reported: Reported, monkeypatch: pytest.MonkeyPatch) -> None:
    import monitoring.reports_evidently as evidently

    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("a frame it never met")

    said = r"cannot report on stocks of 2024-03-26: ValueError: a frame it never met"
    for owner, step in ((evidently, "render_widgets"), (evidently.Report, "run")):
        monkeypatch.setattr(owner, step, refuse)
        with pytest.raises(ReportError, match=said):
            reported.again()


def test_an_mlflow_that_does_not_answer_is_named_and_the_page_is_there(
    reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("database is locked at sqlite:///secret", error_code=503)

    monkeypatch.setattr(RunStore, "set_tags", refuse)
    monkeypatch.setattr(RunStore, "start_run", refuse)
    reported.files.page.unlink(missing_ok=True)
    said = r"^MLflow did not take the report on stocks of 2024-03-26: [A-Z_]+"
    with pytest.raises(ReportError, match=said) as caught:
        reported.again()
    assert "secret" not in str(caught.value)
    assert reported.files.page.exists()


def sampled(rows: pl.DataFrame) -> Sample:
    return Sample(rows, rows.height, 1, "days", 1)


def synthetic(rows: int, seed: int, **changes: pl.Expr) -> pl.DataFrame:
    """Numbers and flags."""
    random = np.random.default_rng(seed)
    names = ("rsi", "adx", "roc", "mfi", "cci", "stoch_k", "stoch_d", "rsi_overbought", "golden_cross")
    flags = ("rsi_overbought", "golden_cross")
    values = {n: random.random(rows) < 0.3 if n in flags else random.normal(size=rows) for n in names}
    stamps = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=i) for i in range(rows)]
    frame = pl.DataFrame({"datetime": stamps, **{n: np.asarray(v, float) for n, v in values.items()}})
    return frame.with_columns(**changes)


def by_threshold(reported: Reported) -> ReportSettings:
    """Evidently's own distances under fixed thresholds."""
    numbers = {"method": "wasserstein", "threshold": 0.1}
    flags = {"method": "jensenshannon", "threshold": 0.1}
    return ReportSettings.model_validate(
        reported.settings.reports.model_dump() | {"numbers": numbers, "categories": flags}
    )


def test_evidently_judges_a_distance_by_the_limit_of_each_feature(reported: Reported) -> None:
    from monitoring.reports_evidently import ask_about_drift

    before, now = synthetic(600, 1), synthetic(200, 2, rsi=pl.col("rsi") + 0.5, golden_cross=pl.lit(1.0))
    data = DriftData(
        ("rsi", "adx", "golden_cross"), sampled(before), sampled(now), Window.ending(date(2024, 1, 9), 7), False, {}
    )
    asked = ask_about_drift(data, reported.settings.reports, {"rsi": 0.5, "adx": 0.001})
    found = {one.subject: one for one in asked.measured if one.metric == "value_drift"}
    expected = {name: ks_2samp(before[name], now[name]).statistic for name in found}
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected, rel=1e-9)
    assert {name: one.threshold for name, one in found.items()} == {"rsi": 0.5, "adx": 0.001, "golden_cross": 0.2}
    assert 0.1 < expected["rsi"] < 0.5
    assert {name: one.drifted for name, one in found.items()} == {"rsi": False, "adx": True, "golden_cross": True}


def test_flags_missing_and_stuck_features_are_judged_or_named(reported: Reported) -> None:
    from monitoring.reports_evidently import ask_about_drift, draw_page

    nothing, one = pl.lit(None, pl.Float64), pl.lit(1.0)
    before = synthetic(600, 1, roc=one, mfi=nothing, adx=one)
    now = synthetic(
        200,
        2,
        roc=one,
        cci=nothing,
        stoch_k=pl.lit(50.0),
        adx=pl.lit(2.0),
        rsi_overbought=pl.when(pl.int_range(pl.len()) % 2 == 0).then(1.0).otherwise(0.0),
        stoch_d=pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise(pl.col("stoch_d")),
    )
    names = tuple(now.columns[1:])
    window = Window.ending(date(2024, 1, 9), 7)
    data = DriftData(names, sampled(before), sampled(now), window, False, {})
    asked = ask_about_drift(data, by_threshold(reported), {})
    assert asked.left_out == {
        "roc": "it is always 1, then and now",
        "cci": "it has no value in the newest days",
        "mfi": "it had no value in training",
    }
    found = {one.subject: one for one in asked.measured if one.metric == "value_drift"}
    assert set(found) == set(names) - {"roc", "cci", "mfi"}
    assert found["stoch_k"].drifted
    assert found["adx"].drifted  # a feature that was constant in training and is another constant now
    shift = wasserstein_distance(before["stoch_d"], now["stoch_d"].drop_nulls()) / np.std(before["stoch_d"].to_numpy())
    assert found["stoch_d"].value == pytest.approx(shift, rel=1e-9)
    flag = found["rsi_overbought"]
    share = before["rsi_overbought"].mean()
    assert flag.value == pytest.approx(jensenshannon([1 - share, share], [0.5, 0.5]), rel=1e-9)
    assert flag.method == "jensenshannon"
    assert flag.drifted
    html = draw_page([("Data drift", asked.widgets)])
    assert '"yes"' in html
    count = next(one.value for one in asked.measured if one.metric == "drifted_columns_count")
    assert count == sum(bool(one.drifted) for one in found.values())


def test_a_p_value_is_read_the_other_way_round(reported: Reported) -> None:
    from monitoring.reports_evidently import ask_about_drift

    before, now = synthetic(600, 1), synthetic(200, 2, rsi=pl.col("rsi") + 1.0)
    rule = reported.settings.reports.numbers.model_copy(update={"method": "ks", "threshold": 0.05})
    reports = reported.settings.reports.model_copy(update={"numbers": rule})
    data = DriftData(("rsi", "adx"), sampled(before), sampled(now), Window.ending(date(2024, 1, 9), 7), False, {})
    rsi, adx = (one for one in ask_about_drift(data, reports, {}).measured if one.metric == "value_drift")
    assert rsi.value == pytest.approx(ks_2samp(before["rsi"], now["rsi"]).pvalue)
    assert rsi.drifted
    assert rsi.value < 0.05
    assert adx.value == pytest.approx(ks_2samp(before["adx"], now["adx"]).pvalue)
    assert not adx.drifted
    assert adx.value > 0.05


def test_evidently_is_told_not_to_report_about_its_users() -> None:
    import os

    import monitoring.reports_evidently  # noqa: F401

    assert os.environ["DO_NOT_TRACK"]
    assert os.environ["EVIDENTLY_DISABLE_TELEMETRY"] == "1"
