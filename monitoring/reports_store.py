"""Where a report's figures go: `tradehits.evidently_results`, and a run in MLflow that the champion points to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from configs.settings import Settings
from market.assets import AssetType
from monitoring.conditions import Moment
from registry.mlflow_api import ViewType
from registry.models import ModelRegistry
from registry.provenance import snapshot_tags
from registry.store import RunStore
from warehouse.warehouse import Warehouse, Write

RESULTS_TABLE: Final = "tradehits.evidently_results"
EXPERIMENT: Final = "monitoring"
KEY_TAG, DATE_TAG = "report_key", "report_date"
VERSION_RUN_TAG, VERSION_DATE_TAG = "evidently_report_run", "evidently_report_date"

_STAMP = pa.timestamp("us", tz="UTC")
_SCHEMA: Final = pa.schema(
    [("date", pa.date32())]
    + [(name, pa.string()) for name in ("asset_type", "report", "metric", "subject")]
    + [("value", pa.float64()), ("method", pa.string()), ("threshold", pa.float64())]
    + [("verdict", pa.string()), ("table_verdict", pa.string())]
    + [(name, pa.int64()) for name in ("reference_rows", "current_rows", "seed")]
    + [(name, pa.string()) for name in ("model_version", "prediction_source", "evidently_version")]
    + [("created_at", _STAMP)]
)


@dataclass(frozen=True)
class EvidentlyRow:
    """One row of `tradehits.evidently_results`; columns as there.

    Attributes:
        report: data_drift or performance.
        verdict: DRIFT, NO_DRIFT, or None where nothing is concluded.
        table_verdict: The same of the tables.
    """

    date: date
    asset_type: AssetType
    report: str
    metric: str
    subject: str
    value: float | None
    method: str | None
    threshold: float | None
    verdict: str | None
    table_verdict: str | None
    reference_rows: int
    current_rows: int
    seed: int
    model_version: str
    prediction_source: str | None
    evidently_version: str


def store_rows(warehouse: Warehouse, moment: Moment, rows: Sequence[EvidentlyRow], written_at: datetime) -> None:
    """Keep a class's rows of a day in place of those it had."""
    values: list[dict[str, Any]] = [{**row.__dict__, "created_at": written_at} for row in rows]
    table = pa.Table.from_pylist(values, schema=_SCHEMA)
    scope = {"date": moment.date, "asset_type": moment.asset_type}
    warehouse.write([Write(RESULTS_TABLE, rows=table, mode="replace", where=scope)])


class ReportLog:
    """Runs of the experiment `monitoring` in the profile's MLflow store: one a class and day."""

    def __init__(self, settings: Settings) -> None:
        """Open the store."""
        self._store = RunStore(settings, EXPERIMENT)
        self._profile = settings.profile

    def log(
        self, registry: ModelRegistry, moment: Moment, page: Path, rows: Sequence[EvidentlyRow], tags: dict[str, str]
    ) -> str:
        """Keep a page and its figures; the same class and day again renew their run. Returns its id.

        The model version gets tags with the newest day's run, so that it can be found from the champion in MLflow's UI.
        """
        key = f"{moment.asset_type}/{moment.date}"
        all_tags = {KEY_TAG: key, DATE_TAG: str(moment.date), "profile": self._profile, **snapshot_tags(), **tags}
        run_id = self._find(key)
        if run_id is None:
            with self._store.start_run(f"{moment.asset_type} {moment.date}", tags=all_tags) as run_id:
                self._fill(run_id, page, rows)
        else:
            self._store.set_tags(run_id, all_tags)
            self._fill(run_id, page, rows)
        self._point_to(registry, moment, run_id, tags["model_version"])
        return run_id

    def forget(self, asset_type: AssetType, newest: date, keep_days: int | None) -> int:
        """Delete a class's runs of days further back than `keep_days` before `newest`, and their pages; says how many.

        MLflow keeps a deleted run's name and figures until its own garbage collection; its page, which takes the room,
        is removed at once.
        """
        if keep_days is None:
            return 0
        horizon = newest - timedelta(days=keep_days)
        runs = self._store.client.search_runs(
            [self._store.experiment_id],
            f"tags.{KEY_TAG} LIKE '{asset_type}/%'",
            run_view_type=ViewType.ACTIVE_ONLY,
            max_results=5000,
        )
        old = [run for run in runs if date.fromisoformat(run.data.tags[DATE_TAG]) < horizon]
        for run in old:
            self._store.client.delete_run(run.info.run_id)
            self._store.files.forget_run(run.info.run_id)
        return len(old)

    def _fill(self, run_id: str, page: Path, rows: Sequence[EvidentlyRow]) -> None:
        self._store.log_bytes(run_id, page.read_bytes(), f"report/{page.name}")
        figures = [{name: _plain(value) for name, value in row.__dict__.items()} for row in rows]
        self._store.log_json(run_id, figures, "report/evidently_results.json")
        self._store.log_metrics(run_id, [(f"{row.metric}.{row.subject}", row.value, 0) for row in rows])

    def _find(self, key: str) -> str | None:
        runs = self._store.client.search_runs(
            [self._store.experiment_id],
            f"attributes.status = 'FINISHED' AND tags.{KEY_TAG} = '{key}'",
            max_results=1,
        )
        return str(runs[0].info.run_id) if runs else None

    def _point_to(self, registry: ModelRegistry, moment: Moment, run_id: str, model_version: str) -> None:
        stored = registry.version(moment.asset_type, model_version)
        if str(moment.date) < stored.tags.get(VERSION_DATE_TAG, ""):
            return  # a day of the past was asked for: the version keeps pointing to its newest report
        for name, value in ((VERSION_RUN_TAG, run_id), (VERSION_DATE_TAG, str(moment.date))):
            self._store.client.set_model_version_tag(stored.name, stored.version, name, value)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, date) else value
