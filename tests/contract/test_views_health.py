"""Views of health, backtests and the pipeline: numbers worked out by hand on a few rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from tests.contract.table_rows import empty, insert, midnight, scratch_warehouse, select, utc
from warehouse.schema import load_schema
from warehouse.warehouse import Warehouse

PERFORMANCE = "ml_models.model_performance_daily"
LIVE = "ml_models.realtime_predictions"
ALERTS = "ml_models.model_drift_alerts"
DEPLOYMENTS = "ml_models.deployment_log"
BACKTESTS = "ml_models.backtest_results"
SETTINGS = "tradehits.asset_settings"
SESSIONS = "tradehits.sessions"
STOCK_BARS = "crypto_trading_data.stocks_daily_clean"
CRYPTO_BARS = "crypto_trading_data.crypto_daily_clean"
TODAY = date(2024, 6, 28)
STATUS = "SELECT * FROM `ml_models.v_pipeline_status`"
DASHBOARD = "SELECT * FROM `ml_models.v_model_monitoring_dashboard` ORDER BY date"


@pytest.fixture(scope="module")
def shared() -> Warehouse:
    return scratch_warehouse()


@pytest.fixture
def warehouse(shared: Warehouse) -> Iterator[Warehouse]:
    yield shared
    empty(shared)


@pytest.fixture
def replay(warehouse: Warehouse) -> Warehouse:
    """The clock stands at 2024-06-28 20:15Z for every class."""
    classes = ("stocks", "etf", "crypto")
    insert(warehouse, SETTINGS, [{"asset_type": a, "clock": "x", "now_at": utc("2024-06-28 20:15")} for a in classes])
    return warehouse


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def day(
    days_ago: int, *, tp: int = 0, fp: int = 0, tn: int = 0, fn: int = 0, asset_type: str = "stocks", **values: Any
) -> dict[str, Any]:
    """One day of performance from its confusion counts."""
    total = tp + fp + tn + fn
    return {
        "date": ago(days_ago),
        "asset_type": asset_type,
        "prediction_source": "walk_forward",
        "total_predictions": total,
        "correct_predictions": tp + tn,
        "true_positives": tp,
        "false_positives": fp,
        "true_negatives": tn,
        "false_negatives": fn,
        "accuracy_pct": 100 * (tp + tn) / total if total else None,
        "drift_detected": False,
    } | values


def prediction(days_ago: int, symbol: str = "A", asset_type: str = "stocks", **values: Any) -> dict[str, Any]:
    stamp = midnight(ago(days_ago))
    return {"asset_type": asset_type, "symbol": symbol, "datetime": stamp, "signal": "HOLD"} | values


def alert(severity: str, *, asset_type: str = "stocks", is_resolved: bool = False, name: str = "1") -> dict[str, Any]:
    return {"alert_id": name, "asset_type": asset_type, "severity": severity, "is_resolved": is_resolved}


def stock_bar(days_ago: int = 0) -> dict[str, Any]:
    return {"symbol": "A", "datetime": midnight(ago(days_ago))}


def session(day_of: date) -> dict[str, Any]:
    closes = midnight(day_of) + timedelta(hours=20)
    return {"calendar": "XNYS", "session": day_of, "open_at": midnight(day_of), "close_at": closes}


def status(warehouse: Warehouse, asset_type: str = "stocks") -> dict[str, Any]:
    return next(row for row in select(warehouse, STATUS) if row["asset_type"] == asset_type)


@pytest.mark.parametrize("view", sorted(load_schema().views))
def test_a_view_over_empty_tables_answers(warehouse: Warehouse, view: str) -> None:
    rows = select(warehouse, f"SELECT * FROM `{view}`")
    by_class = {name for name in load_schema().views if name.startswith("tradehits.")} - {
        "tradehits.v_live_predictions"
    }
    always = {"ml_models.v_pipeline_status"} | by_class
    assert len(rows) == (3 if view in always else 0)


def test_today_is_the_wall_clock_with_default_thresholds_unless_settings_say_otherwise(warehouse: Warehouse) -> None:
    fixed = {"clock": "2013-03-01", "now_at": utc("2013-03-01 21:15"), "buy_threshold": 0.7, "medium_threshold": 0.56}
    insert(warehouse, SETTINGS, [{"asset_type": "stocks"} | fixed])
    rows = {row["asset_type"]: row for row in select(warehouse, "SELECT * FROM `tradehits.v_today`")}
    assert set(rows) == {"stocks", "etf", "crypto"}
    stocks, etf = rows["stocks"], rows["etf"]
    assert (stocks["now_at"], stocks["today"]) == (utc("2013-03-01 21:15"), date(2013, 3, 1))
    assert (stocks["buy_threshold"], stocks["medium_low_threshold"]) == (0.7, 0.44)
    assert (etf["clock"], etf["today"]) == ("wall", etf["now_at"].date())
    assert etf["now_at"] > utc("2024-01-01")
    assert [etf[f"{name}_threshold"] for name in ("buy", "sell", "high", "high_low", "medium", "medium_low")] == [
        0.6,
        0.4,
        0.65,
        0.35,
        0.55,
        0.45,
    ]
    ratios = ("min_live_predictions", "drift_warning_ratio", "drift_critical_ratio")
    assert [etf[name] for name in ratios] == [200, 0.85, 0.75]
    assert (etf["calendar"], rows["crypto"]["calendar"]) == ("XNYS", None)


@pytest.mark.parametrize(("matured", "source"), [(2, "walk_forward"), (3, "live")])
def test_live_performance_is_read_once_enough_rows_matured_in_37_days(
    warehouse: Warehouse, matured: int, source: str
) -> None:
    clock = {"clock": "x", "now_at": utc("2024-06-28 20:15"), "min_live_predictions": 3}
    insert(warehouse, SETTINGS, [{"asset_type": "stocks"} | clock])
    known = [prediction(36, f"S{i}", actual_direction="UP") for i in range(matured)]
    others = [
        prediction(37, "OLD", actual_direction="UP"),
        prediction(1, "PENDING"),
        prediction(1, "ELSE", asset_type="etf", actual_direction="UP"),
    ]
    insert(warehouse, LIVE, [*known, *others])
    rows = select(warehouse, "SELECT * FROM `tradehits.v_performance_source`")
    assert {row["asset_type"]: row["prediction_source"] for row in rows} == {
        "stocks": source,
        "etf": "walk_forward",
        "crypto": "walk_forward",
    }


def test_the_dashboard_reads_one_source_a_class_and_says_which(warehouse: Warehouse) -> None:
    clock = {"clock": "x", "now_at": utc("2024-06-28 20:15"), "min_live_predictions": 1}
    insert(warehouse, SETTINGS, [{"asset_type": a} | clock for a in ("stocks", "etf")])
    insert(warehouse, LIVE, [prediction(1, actual_direction="UP")])
    both = ("live", "walk_forward")
    insert(
        warehouse,
        PERFORMANCE,
        [day(1, tp=1, asset_type=a, prediction_source=source) for a in ("stocks", "etf") for source in both],
    )
    rows = select(warehouse, "SELECT asset_type, prediction_source AS s FROM `ml_models.v_model_monitoring_dashboard`")
    assert {(row["asset_type"], row["s"]) for row in rows} == {("stocks", "live"), ("etf", "walk_forward")}
    assert len(rows) == 2


def test_the_edge_is_pooled_and_its_interval_clustered_by_day(replay: Warehouse) -> None:
    insert(replay, PERFORMANCE, [day(1, tp=5, fp=1, tn=3, fn=1), day(2, tp=2, fp=4, tn=3, fn=1), day(3, tp=6, fn=4)])
    row = next(row for row in select(replay, "SELECT * FROM `tradehits.v_edge_30d`") if row["asset_type"] == "stocks")
    # up rows: 6, 3, 10 of 10 each: the majority of the 30 is up with 19; correct: 8, 5, 6 are 19 too
    assert (row["day_count"], row["total_predictions"]) == (3, 30)
    assert row["accuracy_pct"] == pytest.approx(100 * 19 / 30)
    assert row["base_rate_pct"] == pytest.approx(100 * 19 / 30)
    assert row["edge_points"] == pytest.approx(0.0)
    # residuals 8 - 6, 5 - 3, 6 - 10: squares 4 + 4 + 16; q = z + (z³ + z) / 8
    q = 1.959964 + (1.959964**3 + 1.959964) / 8
    margin = q * math.sqrt(3 / 2 * 24) / 30 * 100
    assert row["edge_upper_95"] == pytest.approx(margin)
    assert row["edge_lower_95"] == pytest.approx(-margin)


def test_the_majority_may_be_down(replay: Warehouse) -> None:
    insert(replay, PERFORMANCE, [day(1, tn=6, fn=2, tp=2), day(2, tn=7, fp=3)])
    row = next(row for row in select(replay, "SELECT * FROM `tradehits.v_edge_30d`") if row["asset_type"] == "stocks")
    assert row["base_rate_pct"] == pytest.approx(100 * 16 / 20)
    assert row["edge_points"] == pytest.approx(-5.0)
    # residuals 8 - 6 + 0.5 and 7 - 10 + 0.5: squares 6.25 + 6.25; q = z + (z³ + z) / 4
    q = 1.959964 + (1.959964**3 + 1.959964) / 4
    assert row["edge_upper_95"] == pytest.approx(-5.0 + q * math.sqrt(2 * 12.5) / 20 * 100)


def test_one_day_gives_an_edge_without_an_interval(replay: Warehouse) -> None:
    insert(replay, PERFORMANCE, [day(1, tp=9, fn=1), day(30, fp=50), day(-1, fp=50)])
    row = next(row for row in select(replay, "SELECT * FROM `tradehits.v_edge_30d`") if row["asset_type"] == "stocks")
    assert (row["day_count"], row["edge_points"]) == (1, pytest.approx(-10.0))
    assert (row["edge_lower_95"], row["edge_upper_95"]) == (None, None)
    assert select(replay, DASHBOARD)[0]["model_status"] == "FAIR"


def test_the_health_score_is_out_of_one_hundred(replay: Warehouse) -> None:
    insert(
        replay,
        PERFORMANCE,
        [
            day(1, tp=1, accuracy_pct=100.0, precision_score=1.0, recall_score=1.0),
            day(2, tp=1, accuracy_pct=55.0, precision_score=0.5, recall_score=0.25),
            day(3, tp=1, accuracy_pct=55.0, precision_score=0.5, recall_score=0.25, drift_detected=True),
            day(4, tn=1, accuracy_pct=50.0),
        ],
    )
    scores = {(TODAY - row["date"]).days: row["model_health_score"] for row in select(replay, DASHBOARD)}
    assert scores == pytest.approx({1: 100.0, 2: 57.0, 3: 37.0, 4: 40.0})


def test_the_dashboard_shows_thirty_days_that_end_today(replay: Warehouse) -> None:
    insert(replay, PERFORMANCE, [day(i, tp=1) for i in (-1, 0, 1, 29, 30, 31)])
    assert [row["date"] for row in select(replay, DASHBOARD)] == [ago(29), ago(1), ago(0)]


def even(points: int) -> list[dict[str, Any]]:
    """Ten days of 100 rows, half of them up, accuracy 50% + points, nearly the same every day."""
    rows = []
    for i in range(10):
        wobble = 1 if i % 2 else -1
        correct = 50 + points + wobble
        up, down = correct // 2, correct - correct // 2
        rows.append(day(i, tp=up, fn=50 - up, tn=down, fp=50 - down))
    return rows


@pytest.mark.parametrize(
    ("points", "model_status"),
    [(5, "EXCELLENT"), (2, "GOOD"), (0, "FAIR"), (-2, "NEEDS_ATTENTION")],
)
def test_model_status_follows_the_interval_of_the_edge(replay: Warehouse, points: int, model_status: str) -> None:
    # residuals of ±1 a day: margin = q · sqrt(10/9 · 10) / 1000 = 0.74 points
    insert(replay, PERFORMANCE, even(points))
    rows = select(replay, DASHBOARD)
    assert {row["model_status"] for row in rows} == {model_status}
    assert {round(row["edge_upper_95"] - row["edge_30d_points"], 2) for row in rows} == {0.74}


def test_open_alerts_outrank_the_edge_and_resolved_ones_do_not(replay: Warehouse) -> None:
    insert(replay, PERFORMANCE, even(5))
    insert(replay, ALERTS, [alert("CRITICAL", is_resolved=True), alert("CRITICAL", asset_type="etf", name="2")])
    assert {(row["model_status"], row["alert_count"]) for row in select(replay, DASHBOARD)} == {("EXCELLENT", 0)}
    insert(replay, ALERTS, [alert("WARNING", name="3")])
    assert {(row["model_status"], row["alert_count"]) for row in select(replay, DASHBOARD)} == {("WARNING", 1)}
    insert(replay, ALERTS, [alert("CRITICAL", name="4")])
    assert {(row["model_status"], row["alert_count"]) for row in select(replay, DASHBOARD)} == {("CRITICAL", 2)}


def test_a_grade_needs_every_figure(warehouse: Warehouse) -> None:
    expected = {
        (2.0, 60.0, 2.0): "A",
        (1.99, 60.0, 2.0): "B",
        (2.0, 59.9, 2.0): "B",
        (2.0, 60.0, 1.99): "B",
        (1.5, 55.0, 1.5): "B",
        (1.49, 55.0, 1.5): "C",
        (1.0, 50.0, 1.2): "C",
        (1.0, 50.0, 1.19): "D",
        (0.5, 45.0, 0.1): "D",
        (0.49, 90.0, 9.0): "F",
        (3.0, 44.9, 9.0): "F",
        (None, 90.0, 9.0): "F",
        (3.0, 90.0, None): "D",
    }
    insert(
        warehouse,
        BACKTESTS,
        [
            {"backtest_id": str(i), "sharpe_ratio": sharpe, "win_rate": win, "profit_factor": profit}
            for i, (sharpe, win, profit) in enumerate(expected)
        ],
    )
    rows = select(warehouse, "SELECT * FROM `ml_models.v_backtest_comparison`")
    assert {(r["sharpe_ratio"], r["win_rate"], r["profit_factor"]): r["grade"] for r in rows} == expected


def test_strategies_are_ranked_within_their_class_without_the_old_systems_rows(warehouse: Warehouse) -> None:
    def result(
        name: str, asset: str, sharpe: float | None, total: float, win: float, notes: str | None
    ) -> dict[str, Any]:
        figures = {"sharpe_ratio": sharpe, "total_return_pct": total, "win_rate": win}
        return {"backtest_id": name, "asset_type": asset, "notes": notes} | figures

    insert(
        warehouse,
        BACKTESTS,
        [
            result("a", "stocks", 1.0, 5.0, 40.0, None),
            result("b", "stocks", 2.0, 5.0, 50.0, "second try"),
            result("c", "stocks", None, 1.0, 60.0, "legacy-v2 settings"),
            result("d", "crypto", 0.1, 9.0, 10.0, None),
            result("old", "stocks", 9.0, 99.0, 99.0, "imported; legacy_v2"),
        ],
    )
    rows = select(warehouse, "SELECT * FROM `ml_models.v_backtest_comparison`")
    ranks = {r["backtest_id"]: (r["sharpe_rank"], r["return_rank"], r["winrate_rank"]) for r in rows}
    assert ranks == {"a": (2, 1, 3), "b": (1, 1, 2), "c": (3, 3, 1), "d": (1, 1, 1)}


def test_a_class_without_bars_has_no_data_and_three_rows_are_always_there(replay: Warehouse) -> None:
    insert(replay, STOCK_BARS, [stock_bar()])
    rows = {row["asset_type"]: row for row in select(replay, STATUS)}
    assert set(rows) == {"stocks", "etf", "crypto"}
    known = {"report_time", "total_ml_rows", "total_ml_size_mb", "latest_table_update", "asset_type", "pipeline_health"}
    assert {name for name, value in rows["etf"].items() if value is not None} <= known
    assert (rows["etf"]["pipeline_health"], rows["stocks"]["pipeline_health"]) == ("NO_DATA", "STALE")
    counts = ("predictions_7d", "buy_signals_7d", "sell_signals_7d", "high_conf_7d", "drift_days_30d", "open_alerts")
    assert [rows["stocks"][name] for name in counts] == [0] * 6
    assert rows["stocks"]["report_time"] == utc("2024-06-28 20:15")


def test_the_pipeline_status_counts_its_windows(replay: Warehouse) -> None:
    insert(replay, STOCK_BARS, [stock_bar()])
    insert(replay, SESSIONS, [session(ago(i)) for i in range(-3, 9)])
    drifting = {"drift_detected": True}
    insert(
        replay,
        PERFORMANCE,
        [day(1, tp=3, fn=1, **drifting), day(29, tp=0, fn=6), day(30, tp=99, **drifting), day(-1, tp=99)],
    )
    insert(
        replay,
        LIVE,
        [
            prediction(0, "A", signal="BUY", ensemble_confidence="HIGH", ensemble_up_probability=0.66),
            prediction(6, "A", signal="SELL", ensemble_confidence="MEDIUM", ensemble_up_probability=0.39),
            prediction(6, "B", ensemble_confidence="LOW", ensemble_up_probability=0.52),
            prediction(7, "B", signal="BUY", ensemble_confidence="HIGH", ensemble_up_probability=0.99),
            prediction(-1, "B", signal="BUY", ensemble_confidence="HIGH", ensemble_up_probability=0.99),
        ],
    )
    insert(replay, ALERTS, [alert("WARNING"), alert("WARNING", name="2", is_resolved=True)])
    row = status(replay)
    assert (row["model_latest_date"], row["latest_prediction_date"]) == (ago(1), ago(0))
    assert (row["accuracy_30d_avg"], row["accuracy_latest"]) == (pytest.approx(30.0), pytest.approx(75.0))
    assert [row[name] for name in ("drift_days_30d", "predictions_7d", "open_alerts")] == [1, 3, 1]
    assert [row[name] for name in ("buy_signals_7d", "sell_signals_7d", "high_conf_7d")] == [1, 1, 1]
    assert (row["min_up_probability_7d"], row["max_up_probability_7d"]) == (0.39, 0.66)
    assert row["pipeline_health"] == "WARNING"


def test_dataset_totals_count_tables_and_not_views(replay: Warehouse) -> None:
    before = status(replay)["total_ml_rows"]
    insert(replay, PERFORMANCE, [day(i, tp=1) for i in range(7)])
    row = status(replay)
    assert row["total_ml_rows"] - before == 7
    assert row["total_ml_size_mb"] >= 0
    assert row["latest_table_update"] > utc("2024-01-01")


@pytest.mark.parametrize(
    ("drift_days", "severity", "health"),
    [
        (1, None, "HEALTHY"),
        (2, None, "WARNING"),
        (4, None, "WARNING"),
        (5, None, "CRITICAL"),
        (0, "WARNING", "WARNING"),
        (0, "CRITICAL", "CRITICAL"),
    ],
)
def test_drift_days_and_alerts_decide_before_the_edge(
    replay: Warehouse, drift_days: int, severity: str | None, health: str
) -> None:
    insert(replay, STOCK_BARS, [stock_bar()])
    insert(replay, LIVE, [prediction(0)])
    insert(replay, PERFORMANCE, [dict(row, drift_detected=i < drift_days) for i, row in enumerate(even(5))])
    insert(replay, ALERTS, [alert(severity)] if severity else [])
    assert status(replay)["pipeline_health"] == health


@pytest.mark.parametrize(("points", "health"), [(1, "HEALTHY"), (0, "FAIR"), (-1, "NEEDS_ATTENTION")])
def test_a_quiet_pipeline_is_as_healthy_as_its_edge(replay: Warehouse, points: int, health: str) -> None:
    insert(replay, STOCK_BARS, [stock_bar()])
    insert(replay, LIVE, [prediction(0)])
    insert(replay, PERFORMANCE, even(points))
    assert status(replay)["pipeline_health"] == health


def test_a_pipeline_without_performance_is_fair(replay: Warehouse) -> None:
    insert(replay, STOCK_BARS, [stock_bar()])
    insert(replay, LIVE, [prediction(0)])
    assert status(replay)["pipeline_health"] == "FAIR"


@pytest.mark.parametrize(
    ("latest", "now", "health"),
    [
        # Thursday the 4th of July 2024 has no session and Friday's, Monday's and Tuesday's close at 20:00Z
        ("2024-07-03", "2024-07-09 01:30", "FAIR"),
        ("2024-07-03", "2024-07-09 19:59", "FAIR"),
        ("2024-07-03", "2024-07-09 20:00", "STALE"),
        ("2024-07-02", "2024-07-08 19:59", "FAIR"),
        ("2024-07-02", "2024-07-08 20:00", "STALE"),
    ],
)
def test_a_stock_prediction_is_stale_once_three_sessions_closed_after_its_bar(
    warehouse: Warehouse, latest: str, now: str, health: str
) -> None:
    insert(warehouse, SETTINGS, [{"asset_type": "stocks", "clock": "x", "now_at": utc(now)}])
    insert(warehouse, STOCK_BARS, [stock_bar()])
    insert(warehouse, LIVE, [prediction(0) | {"datetime": utc(latest)}])
    open_days = ("2024-07-01", "2024-07-02", "2024-07-03", "2024-07-05", "2024-07-08", "2024-07-09", "2024-07-10")
    insert(warehouse, SESSIONS, [session(date.fromisoformat(day_of)) for day_of in open_days])
    assert status(warehouse)["pipeline_health"] == health


@pytest.mark.parametrize(("days_ago", "health"), [(6, "FAIR"), (7, "STALE")])
@pytest.mark.parametrize("known_sessions", [[], [ago(7), ago(8)]])
def test_without_a_calendar_up_to_today_six_days_are_the_limit(
    replay: Warehouse, known_sessions: list[date], days_ago: int, health: str
) -> None:
    insert(replay, STOCK_BARS, [stock_bar()])
    insert(replay, LIVE, [prediction(days_ago)])
    insert(replay, SESSIONS, [session(day_of) for day_of in known_sessions])
    assert status(replay)["pipeline_health"] == health


@pytest.mark.parametrize(("days_ago", "health"), [(1, "FAIR"), (3, "FAIR"), (4, "STALE")])
def test_a_crypto_session_is_a_utc_day(replay: Warehouse, days_ago: int, health: str) -> None:
    insert(replay, CRYPTO_BARS, [{"symbol": "B/USDT", "datetime": midnight(ago(days_ago))}])
    insert(replay, LIVE, [prediction(days_ago, asset_type="crypto")])
    assert status(replay, "crypto")["pipeline_health"] == health


def test_the_champion_is_the_newest_successful_model_of_the_class(replay: Warehouse) -> None:
    def deployed(name: str, at: str, version: str, **values: Any) -> dict[str, Any]:
        model = {"component": "MODEL", "component_name": "walk_forward_stocks", "status": "SUCCESS"}
        return {"deployment_id": name, "deployed_at": utc(at), "version": version} | model | values

    insert(
        replay,
        DEPLOYMENTS,
        [
            deployed("1", "2024-06-01", "7"),
            deployed("2", "2024-06-08", "8"),
            deployed("3", "2024-06-15", "9", status="FAILED"),
            deployed("4", "2024-06-16", "10", component="API"),
            deployed("5", "2024-06-17", "11", component_name="walk_forward_etf"),
        ],
    )
    assert status(replay, "stocks")["champion_version"] == "8"
    assert status(replay, "etf")["champion_version"] == "11"
    assert status(replay, "crypto")["champion_version"] is None
