"""The model card's facts, gathered from MLflow alone, and the card as an artifact of its run."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_repo.services import LEVEL_WARNING, SCALE_FREE_SERVICES
from market.assets import AssetType
from market.errors import RegistryError
from registry.bundle import BundleInfo
from registry.models import ModelRegistry
from registry.store import RunStore
from training.card_html import render_card

CARD_ARTIFACT = "card/model_card.html"
CONTRIBUTIONS_ARTIFACT = "card/contributions.json"
DECISION_ARTIFACT = "promotion/decision.json"
PICTURES = {"calibration": "plots/calibration.png", "accuracy_by_month": "plots/accuracy_by_month.png"}
FEW_SYMBOLS = 30
"""Below so many symbols, the class is hardly represented."""


@dataclass(frozen=True)
class CardFacts:
    """Everything a card shows.

    Attributes:
        model_version: The registered name.
        info: What the bundle says about itself.
        parameters: Of the run.
        metrics: Of the run.
        tags: Of the run.
        data: Profile of the training rows: counts, first and last date, content hash, columns.
        sources: Where the bars came from.
        folds: One entry a fold.
        checks: One entry a check of the audit.
        decision: How it compared with the champion; None when no decision was kept.
        contributions: Of its features; None when none were kept.
        pictures: Name -> `data:` address of the image.
        limits: Known limits, as sentences.
    """

    model_version: str
    info: BundleInfo
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    data: Mapping[str, Any]
    sources: tuple[str, ...]
    folds: tuple[Mapping[str, Any], ...]
    checks: tuple[Mapping[str, Any], ...]
    decision: Mapping[str, Any] | None
    contributions: Mapping[str, Any] | None
    pictures: Mapping[str, str]
    limits: tuple[str, ...]

    @property
    def is_simulated(self) -> bool:
        """Whether any of its bars were drawn, not traded."""
        return self.tags.get("data") == "simulated"


def write_card(registry: ModelRegistry, asset_type: AssetType, model_version: str) -> None:
    """Make a version's card and keep it with its run.

    Raises:
        RegistryError: The version or its run is gone.
    """
    facts = card_facts(registry, asset_type, model_version)
    registry.store.log_text(facts.info.run_id, render_card(facts), CARD_ARTIFACT)


def card_facts(registry: ModelRegistry, asset_type: AssetType, model_version: str) -> CardFacts:
    """Gather a card's facts from MLflow."""
    info, store = registry.info(asset_type, model_version), registry.store
    run = store.run(info.run_id)
    dataset = run.inputs.dataset_inputs[0].dataset if run.inputs.dataset_inputs else None
    data = {} if dataset is None else json.loads(dataset.profile)
    sources = () if dataset is None else tuple(json.loads(dataset.source).get("sources", ()))
    checks = tuple(_json(store, info.run_id, "audit/checks.json") or ())
    return CardFacts(
        model_version=model_version,
        info=info,
        parameters=run.data.params,
        metrics=run.data.metrics,
        tags=run.data.tags,
        data=data,
        sources=sources,
        folds=tuple(_json(store, info.run_id, "folds/folds.json") or ()),
        checks=checks,
        decision=_json(store, info.run_id, DECISION_ARTIFACT),
        contributions=_json(store, info.run_id, CONTRIBUTIONS_ARTIFACT),
        pictures=dict(_pictures(store, info.run_id)),
        limits=tuple(_limits(info, run.data.metrics, run.data.tags, data, checks)),
    )


def _limits(
    info: BundleInfo,
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    data: Mapping[str, Any],
    checks: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    if tags.get("data") == "simulated":
        yield "The bars were drawn by a simulator with a planted edge: nothing here says anything about a real market."
    low, base = metrics.get("validate_accuracy_ci_low"), metrics.get("validate_base_rate")
    if low is not None and base is not None and low <= base:
        yield (
            f"No edge is shown: the 95% interval of VALIDATE accuracy begins at {low:.1f}, its base rate is {base:.1f}."
        )
    if not metrics.get("validate_signals_buy", 0) + metrics.get("validate_signals_sell", 0):
        yield "At its thresholds it gave no BUY and no SELL in VALIDATE: no signal is a valid, common answer."
    yield "Accuracy is no profit: costs, slippage and the size of moves are not in these figures."
    yield (
        "The record was made by one model a fold, each blind to its future. The registered model is refit on every "
        "label known at training time: it has no record of its own yet."
    )
    if info.calibration.method == "none":
        yield "Its probabilities are the model's own; they are not calibrated."
    elif tags.get("folds_calibrated") not in (None, tags.get("folds")):
        calibrated, folds = tags.get("folds_calibrated"), tags.get("folds")
        yield f"{calibrated} of {folds} folds are calibrated: the first ones had nothing to learn from."
    if info.feature_service not in SCALE_FREE_SERVICES:
        yield LEVEL_WARNING
    symbols = data.get("symbols")
    if symbols is not None and int(symbols) < FEW_SYMBOLS:
        yield f"{symbols} symbols: they stand for themselves rather than for their asset class."
    yield from (
        f"Audit, {check['status']}: {check['check']} of {check['subject']}: {check['detail']}"
        for check in checks
        if check["status"] in ("warning", "waived")
    )


def _pictures(store: RunStore, run_id: str) -> Iterator[tuple[str, str]]:
    for name, artifact_file in PICTURES.items():
        path = _artifact(store, run_id, artifact_file)
        if path is not None:
            yield name, "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _json(store: RunStore, run_id: str, artifact_file: str) -> Any:
    path = _artifact(store, run_id, artifact_file)
    return None if path is None else json.loads(path.read_text(encoding="utf-8"))


def _artifact(store: RunStore, run_id: str, artifact_file: str) -> Path | None:
    """The artifact's path; None when the run kept none, which an older run may not have."""
    try:
        return store.artifact(run_id, artifact_file)
    except RegistryError:
        return None
