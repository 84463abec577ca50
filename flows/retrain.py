"""Walk-forward training of one or several asset classes, from Feast to a registered model and its published record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from flows.champions import challenge, finish_interrupted, require_published_versions
from flows.context import Context
from market.assets import AssetType
from market.errors import IntegrityError, TrainingError
from registry.models import ModelRegistry
from registry.provenance import snapshot_tags
from registry.store import RunStore
from registry.trials import TUNING_TRIALS_METRIC, count_trials
from training.audit import CheckResult, audit_training, require_passed
from training.audit_report import log_audit
from training.audit_waivers import log_waived, stored_waivers
from training.calibrate import calibrate_walk_forward
from training.dataset import as_dataset, load_dataset, stored_training_set
from training.deflate import SHARPE_METRIC, SignalSharpe, signal_sharpe
from training.evaluate import OracleReport, SplitReport, evaluate_oracle, evaluate_splits
from training.evaluate_conformal import evaluate_conformal
from training.tracking import log_training, make_bundle, register, training_metrics
from training.walk_forward import run_walk_forward
from warehouse.asof import warehouse_as_of
from warehouse.clock import wall_clock
from warehouse.features import stored_asset_types
from warehouse.ingest import stored_sources

if TYPE_CHECKING:
    from configs.settings import Settings
    from training.dataset import Dataset
    from training.gate import Decision
    from warehouse.warehouse import Warehouse

SIMULATED = "simulated"


@dataclass(frozen=True)
class TrainReport:
    """What a training run of one asset class found and what became of it.

    Attributes:
        status: `champion` when it was promoted, `challenger` when another champion stands, `study` when it was trained
            on what was known at an earlier time: it is logged and neither registered nor published.
        model_version: `none` for a study.
        sources: Sources of its bars; `simulated` among them marks simulated data.
        decision: How it compared with the champion, rule by rule; None for a study.
    """

    asset_type: AssetType
    status: str
    model_version: str
    champion_version: str | None
    run_id: str
    sources: tuple[str, ...]
    symbols: int
    bars: int
    folds: int
    trees: int
    trained_through: str
    splits: tuple[SplitReport, ...]
    oracle: OracleReport | None
    checks: tuple[CheckResult, ...]
    data_hash: str
    as_of: str | None = None
    calibration: str = "none"
    signal: SignalSharpe | None = None
    decision: Decision | None = None

    @property
    def is_simulated(self) -> bool:
        """Whether any of its bars were drawn, not traded."""
        return SIMULATED in self.sources


def train(
    context: Context,
    asset_types: Sequence[AssetType] = (),
    *,
    as_of: datetime | None = None,
    refused: dict[AssetType, IntegrityError] | None = None,
) -> list[TrainReport]:
    """Train asset classes (all with bars by default) under one MLflow parent run.

    Args:
        context: Settings, warehouse, progress.
        asset_types: Classes to train.
        as_of: Train on what was known at this instant, as a study that is never promoted; None: on what is known now.
        refused: Filled with classes whose checks failed, while the others are trained; None: the first ends all.

    Raises:
        KnowledgeTimeError: Nobody can say what was known at `as_of`.
        TrainingError: There is nothing to train on.
        IntegrityError: A check failed and `refused` is None; the run is kept, nothing of it is published.
        RegistryError: MLflow's store does not hold the published champion's version.
    """
    chosen = list(asset_types) or stored_asset_types(context.warehouse)
    if not chosen:
        raise TrainingError(
            "there are no bars to train on", remedy="run `tradehits ingest` and `tradehits features` first"
        )
    with context.reporter.step("open MLflow"):
        store = RunStore(context.settings)
    registry = ModelRegistry(store)
    tags = {**snapshot_tags(), "profile": context.settings.profile, **_as_of_tags(as_of)}
    if as_of is None:
        require_published_versions(context, registry, chosen)
        finish_interrupted(context, registry, chosen)
    reports = []
    with store.start_run("walk-forward", tags=tags) as parent:
        for name in chosen:
            try:
                given = (context, store, registry, parent, name, as_of)
                reports.append(context.tasks.run(f"train-{name}", _train_class, *given))
            except IntegrityError as error:
                if refused is None:
                    raise
                refused[name] = error
    return reports


def _train_class(
    context: Context,
    store: RunStore,
    registry: ModelRegistry,
    parent: str,
    asset_type: AssetType,
    as_of: datetime | None,
) -> TrainReport:
    settings = context.settings
    with ExitStack() as opened:
        with context.reporter.step(f"{asset_type}: read features{' as of ' + as_of.isoformat() if as_of else ''}"):
            warehouse, dataset = opened.enter_context(_data(context, asset_type, as_of))
        sources = stored_sources(warehouse)[asset_type]
        data = "simulated" if SIMULATED in sources else "real"
        tags = {**snapshot_tags(), "asset_type": asset_type, "data": data, **_as_of_tags(as_of)}
        run_id = opened.enter_context(store.start_run(asset_type, parent=parent, tags=tags))
        dataset, settings = _chosen(context, store, run_id, dataset)
        with context.reporter.step(f"{asset_type}: walk-forward") as advance:
            walk_forward = run_walk_forward(dataset, settings, advance, cache=settings.paths.cache / "walk_forward")
        with context.reporter.step(f"{asset_type}: calibrate"):
            walk_forward, calibration = calibrate_walk_forward(dataset, walk_forward, settings)
        with context.reporter.step(f"{asset_type}: evaluate"):
            record = walk_forward.predictions
            splits = evaluate_splits(record, calibration.thresholds, settings.evaluation)
            promised = settings.calibration.conformal_level
            conformal = evaluate_conformal(record, calibration, settings.evaluation, level=promised)
            sharpe = signal_sharpe(record, asset_type, count_trials(store, asset_type, SHARPE_METRIC))
            oracle = _oracle(context, dataset, walk_forward.predictions) if SIMULATED in sources else None
            metrics = training_metrics(settings, walk_forward, splits, oracle, conformal, sharpe)
        with context.reporter.step(f"{asset_type}: audit") as advance:
            named = {name for name, value, _ in metrics if value is not None}
            audit = audit_training(warehouse, settings, dataset, walk_forward, metrics=named, progress=advance)
            audit = audit.waived(stored_waivers(context.warehouse), wall_clock())
        with context.reporter.step(f"{asset_type}: log run{'' if as_of else ' and register'}"):
            log_training(
                store,
                run_id,
                settings,
                dataset,
                walk_forward,
                metrics,
                sources,
                calibration=calibration,
                is_simulated=oracle is not None,
            )
            log_audit(store, run_id, audit, {"run": run_id, "data": f"{data}, hash {dataset.content_hash[:12]}"})
            require_passed(audit.results)
            bundle = make_bundle(settings, run_id, dataset, walk_forward, calibration)
            if as_of is not None:
                registry.log_bundle(run_id, bundle, dataset.matrix[-5:])
                status, model_version = "study", "none"
            else:
                model_version = register(registry, run_id, bundle, dataset.matrix[-5:])
                log_waived(context.warehouse, asset_type, model_version, audit.results)
                status = "challenger"
        decision = None
        if as_of is None:
            with context.reporter.step(f"{asset_type}: compare with the champion"):
                decision = challenge(context, registry, asset_type, model_version, dataset)
            status = "champion" if registry.champion_version(asset_type) == model_version else "challenger"
        store.set_tags(run_id, {"model_version": model_version, "status": status})
    return TrainReport(
        asset_type=asset_type,
        status=status,
        model_version=model_version,
        champion_version=registry.champion_version(asset_type),
        run_id=run_id,
        sources=sources,
        symbols=dataset.keys["symbol"].n_unique(),
        bars=dataset.rows,
        folds=len(walk_forward.folds),
        trees=walk_forward.final.trees,
        trained_through=bundle.info.trained_through.isoformat(),
        splits=tuple(splits),
        oracle=oracle,
        checks=audit.results,
        data_hash=dataset.content_hash,
        as_of=_as_of_tags(as_of).get("as_of"),
        calibration=calibration.final.method,
        signal=sharpe,
        decision=decision,
    )


def _chosen(context: Context, store: RunStore, run_id: str, dataset: Dataset) -> tuple[Dataset, Settings]:
    """Features and booster parameters as chosen inside the first training window; as configured where nothing is."""
    if not context.settings.training.makes_choices:
        return dataset, context.settings
    from training.tuning import tune

    with context.reporter.step(f"{dataset.asset_type}: tune") as advance:
        tuned = tune(dataset, context.settings, advance)
    store.log_json(run_id, tuned.to_dict(), "tuning/choice.json")
    store.log_metrics(run_id, [(TUNING_TRIALS_METRIC, tuned.trial_count, 0)])
    return tuned.dataset, tuned.settings


@contextmanager
def _data(context: Context, asset_type: AssetType, as_of: datetime | None) -> Iterator[tuple[Warehouse, Dataset]]:
    """The training set, and the warehouse it must agree with: today's out of Feast, or that of an earlier time."""
    if as_of is None:
        yield context.warehouse, load_dataset(context.settings, asset_type)
        return
    with warehouse_as_of(context.warehouse, context.settings, asset_type, as_of) as past:
        rows = stored_training_set(past.warehouse, context.settings, asset_type)
        yield past.warehouse, as_dataset(context.settings, asset_type, rows)


def _as_of_tags(as_of: datetime | None) -> dict[str, str]:
    return {} if as_of is None else {"as_of": as_of.astimezone(UTC).isoformat().replace("+00:00", "Z")}


def _oracle(context: Context, dataset: Dataset, predictions: pl.DataFrame) -> OracleReport | None:
    from warehouse.sources.simulated import SimulatedSource

    source = SimulatedSource(context.settings, now=wall_clock())
    return evaluate_oracle(predictions, source.oracle(dataset.asset_type))
