"""Alerts, their events, messages and advice on the BigQuery engine: the same rules, and one of two changes at once."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from monitoring import alerts
from monitoring.advice import advise
from monitoring.delivery import deliver
from tests.alert_world import Mailbag, alerts_of, condition, day, events_of, rows, settings_with
from tests.contract.warehouse_engines import bigquery_settings
from tests.system.emulator import Emulator
from warehouse.bigquery import BigQueryWarehouse
from warehouse.schema import SQL_FOLDER

pytestmark = pytest.mark.system

NEEDED = (
    "tables/ml_models.model_drift_alerts",
    "tables/ml_models.realtime_predictions",
    "tables/ml_models.walk_forward_features_v2",
    "tables/tradehits.alert_attempts",
    "tables/tradehits.alert_deliveries",
    "tables/tradehits.alert_events",
    "tables/tradehits.alert_judgements",
    "tables/tradehits.asset_settings",
    "tables/tradehits.champions",
    "tables/tradehits.retrain_advice",
    "views/tradehits.v_live_predictions",
    "views/tradehits.v_open_alerts",
    "views/tradehits.v_performance_source",
    "views/tradehits.v_today",
)


def schema_of_alerts(folder: Path) -> Path:
    """The project's own files for alerts and what they read; making all tables takes the emulator minutes."""
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SQL_FOLDER / f"{name}.sql", folder / f"{name}.sql")
    return folder


def test_an_alert_lives_its_life_on_bigquery(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEHITS_ALERT_URL_OPS", "json://127.0.0.1:9")
    configured, sql = bigquery_settings(emulator, "alerts"), schema_of_alerts(tmp_path / "sql")
    store = BigQueryWarehouse(configured, staging=tmp_path, sql_folder=sql)
    store.ensure_schema()
    settings, bag = settings_with().model_copy(update={"warehouse": configured}), Mailbag()

    def open_at_once(name: str) -> int:
        own = BigQueryWarehouse(configured, staging=tmp_path / name, sql_folder=sql)
        return len(alerts.apply(own, settings, day(3), [condition("WARNING")]).opened)

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(open_at_once, ("one", "two"))) == [0, 1]
    assert alerts_of(store) == [("rolling_7d_accuracy", "WARNING", False)]
    [opened] = alerts.listed(store)
    alerts.acknowledge(store, opened.alert.alert_id[:6], by="Ada")
    assert len(alerts.apply(store, settings, day(4), [condition("CRITICAL", value=40.0)]).escalated) == 1
    assert advise(store, settings, day(4)) is not None
    assert advise(store, settings, day(4)) is None
    assert "newest day judged" in alerts.apply(store, settings, day(2), [condition(None)]).note
    assert deliver(store, settings, [day(4)], sender=bag).sent == 1
    assert deliver(store, settings, [day(4)], sender=bag).sent == 0
    assert "Retraining: proposed" in bag.messages[0].body
    assert len(alerts.apply(store, settings, day(5), [condition(None)]).resolved) == 1
    assert events_of(store) == ["OPENED", "ACKNOWLEDGED", "ESCALATED", "RESOLVED"]
    [told] = rows(store, "SELECT outcome FROM `tradehits.alert_attempts`")
    assert told == {"outcome": "SENT"}
