"""`tradehits audit`: what is stored now, and the newest training run's record, through every check."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from configs.settings import Settings
from flows.observing import observed_task
from flows.progress import Reporter
from market.assets import ASSET_TYPES, AssetType
from market.errors import ConfigError, TrainingError
from registry.entities import as_text
from registry.store import RunStore, is_store_made
from training.audit import AuditReport, audit_class
from training.audit_record import Record, load_record, newest_run
from training.audit_waivers import stored_waivers
from training.checks import CheckResult
from training.dataset import Dataset, load_dataset
from training.tracking import run_parameters
from warehouse.clock import wall_clock
from warehouse.engines import open_warehouse
from warehouse.features import stored_asset_types

if TYPE_CHECKING:
    from warehouse.warehouse import Warehouse

_HOW_ONLY = frozenset({"engine", "parallel_folds", "memory_gb", "dask"})
"""Training settings that change how the work is done and not what comes out."""


def audit(
    settings: Settings, reporter: Reporter, *, asset_types: Sequence[AssetType] = (), run_id: str | None = None
) -> list[AuditReport]:
    """Audit asset classes (all with bars by default); nothing is trained for the record and nothing is stored.

    Args:
        settings: The profile.
        reporter: Progress.
        asset_types: Classes to audit.
        run_id: A training run, or the run above several; None takes each class's newest run that has a record.

    Raises:
        TrainingError: There are no bars to audit.
        ConfigError: The run is of another class than the one asked for.
        RegistryError: There is no such run.
    """
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    stored = stored_asset_types(warehouse)
    store = _store(settings)
    runs = {} if run_id is None else _runs_by_class(store, run_id)
    chosen = list(asset_types) or list(runs) or stored
    missing = [name for name in chosen if name not in stored]
    if not chosen or missing:
        raise TrainingError(
            f"there are no bars{' of ' + ', '.join(missing) if missing else ''} to audit",
            remedy="run `tradehits ingest` and `tradehits features` first",
        )
    if run_id is not None and (others := [name for name in chosen if name not in runs]):
        raise ConfigError(
            f"run {run_id} trained {', '.join(runs) or 'no class'}, not {', '.join(others)}",
            remedy="leave --asset-type out, or give a run of that class",
        )
    waivers = stored_waivers(warehouse)
    reports = []
    for asset_type in chosen:
        report = _audit_class(settings, reporter, warehouse, store, asset_type, runs.get(asset_type))
        reports.append(report.waived(waivers, wall_clock()))
    return reports


def as_json(reports: Sequence[AuditReport]) -> str:
    """Every result as `{check, status, subject, detail, remedy}`, the asset class before the subject."""
    rows = [titled(report.asset_type, result).to_dict() for report in reports for result in report.results]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def titled(asset_type: AssetType, result: CheckResult) -> CheckResult:
    """The result with its asset class before the subject, where it is not there yet."""
    if result.subject.startswith(f"{asset_type} "):
        return result
    return replace(result, subject=f"{asset_type}: {result.subject}")


@observed_task("audit")
def _audit_class(
    settings: Settings,
    reporter: Reporter,
    warehouse: Warehouse,
    store: RunStore | None,
    asset_type: AssetType,
    run_id: str | None,
) -> AuditReport:
    with reporter.step(f"{asset_type}: read features"):
        dataset = load_dataset(settings, asset_type)
        record = _record(settings, store, dataset, run_id)
    with reporter.step(f"{asset_type}: audit") as advance:
        return audit_class(warehouse, settings, dataset, record, progress=advance)


def _store(settings: Settings) -> RunStore | None:
    """The profile's runs; None before the first training, which makes the store."""
    return RunStore(settings) if is_store_made(settings) else None


def _runs_by_class(store: RunStore | None, run_id: str) -> dict[AssetType, str]:
    if store is None:
        raise ConfigError(f"there is no run {run_id}: nothing was trained yet", remedy="run `tradehits train`")
    found = {}
    for run in (store.run(run_id), *store.children(run_id)):
        asset_type = run.data.tags.get("asset_type")
        if asset_type in ASSET_TYPES:
            found[asset_type] = str(run.info.run_id)
    return found


def _record(settings: Settings, store: RunStore | None, dataset: Dataset, run_id: str | None) -> Record | None:
    if store is None:
        return None
    chosen = run_id or newest_run(store, dataset.asset_type)
    if chosen is None:
        return None
    return replace(load_record(store, chosen), settings_differ=_settings_differ(settings, store, dataset, chosen))


def _settings_differ(settings: Settings, store: RunStore, dataset: Dataset, run_id: str) -> str:
    """Which settings of the run are others than today's; a fold cannot be fitted again then."""
    logged = store.run(run_id).data.params
    today = {name: as_text(value) for name, value in run_parameters(settings, dataset).items()}
    changed = sorted(name for name in today if name not in _HOW_ONLY and logged.get(name) != today[name])
    return f"the run was trained with other settings ({', '.join(changed)})" if changed else ""
