"""Champions by evidence: judge a challenger, move the champion, publish its record, and finish what was interrupted.

A change is two steps. First the registry's alias moves: that is the switch, one bundle for another. Then the champion's
record is published in one transaction; until then readers have the old record whole. `settle` does the second step from
nothing but what is stored, so a process killed anywhere leaves a state that the next command completes.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from configs.settings import Settings
from market.assets import AssetType
from market.errors import IntegrityError, RegistryError
from registry.bundle import Bundle
from registry.champion import Change, new_change
from registry.models import ModelRegistry
from registry.store import RunStore
from registry.switch import switch_champion
from registry.versions import is_noted, note_change
from training.audit_waivers import stored_waivers, with_waivers
from training.checks import CheckResult
from training.evaluate import OUT_OF_SAMPLE
from training.gate import Decision, decide
from training.paired import Comparison, compare_records
from training.publication import PREDICTIONS_TABLE, log_entry, publish
from training.record import record_of, run_predictions
from warehouse.champions import published_champions
from warehouse.clock import wall_clock
from warehouse.warehouse import Warehouse

CHECKS_ARTIFACT = "audit/checks.json"
_RECORD_COLUMNS = ("asset_type", "symbol", "datetime", "data_split", "up_probability", "target_direction")

log = logging.getLogger("tradehits")


@dataclass(frozen=True)
class Settled:
    """A published record.

    Attributes:
        change: Who made this version champion, and why.
        rows: Published rows.
        appended: How many of them were scored since training.
    """

    asset_type: AssetType
    model_version: str
    change: Change
    rows: int
    appended: int


def judge(
    warehouse: Warehouse,
    registry: ModelRegistry,
    asset_type: AssetType,
    challenger_version: str,
    champion_version: str | None,
) -> Decision:
    """Decide whether a version may take a champion's place; the audit alone decides where there is none.

    Raises:
        RegistryError: The version does not exist or its run's record is gone.
    """
    settings = registry.store.settings
    challenger = registry.info(asset_type, challenger_version)
    found = run_checks(registry.store, challenger.run_id)
    checks = with_waivers(found, stored_waivers(warehouse), asset_type, wall_clock())
    comparison, champion_through = None, None
    if champion_version is not None:
        own = out_of_sample(warehouse, registry, asset_type, challenger_version)
        try:
            champion_through = registry.info(asset_type, champion_version).trained_through
            comparison = compare_records(
                own, out_of_sample(warehouse, registry, asset_type, champion_version), settings.promotion
            )
        except RegistryError as error:  # its files are gone: there is nothing to compare with, so a person decides
            log.warning("%s cannot be compared with: %s", champion_version, error.message)
            champion_through, comparison = challenger.trained_through, Comparison(0, 0, 0.0)
    return decide(
        challenger_version,
        champion_version,
        checks,
        comparison,
        settings.promotion,
        challenger_through=challenger.trained_through,
        champion_through=champion_through,
    )


def out_of_sample(
    warehouse: Warehouse, registry: ModelRegistry, asset_type: AssetType, model_version: str
) -> pl.DataFrame:
    """A version's predictions in TEST and VALIDATE: the published ones where it has them, else its run's.

    The published record reaches further than the run's: it holds the bars that daily inference added.
    """
    with warehouse.read() as read:
        champion = published_champions(read).get(asset_type)
        if champion is not None and champion.model_version == model_version:
            sql = (
                "SELECT asset_type, symbol, datetime, data_split, up_probability, actual_direction AS target_direction "
                f"FROM `{PREDICTIONS_TABLE}` WHERE asset_type = @asset_type AND model_version = @model_version"
            )
            parameters = {"asset_type": asset_type, "model_version": model_version}
            rows = pl.DataFrame(read.query(sql, parameters))
        else:
            run_id = registry.version(asset_type, model_version).run_id
            rows = run_predictions(registry.store, run_id).select(_RECORD_COLUMNS)
    return rows.filter(pl.col("data_split").is_in(OUT_OF_SAMPLE))


def run_checks(store: RunStore, run_id: str) -> list[CheckResult]:
    """What the audit of a run found; empty when it kept nothing."""
    try:
        path = store.artifact(run_id, CHECKS_ARTIFACT)
    except RegistryError:
        return []
    return [CheckResult(**values) for values in json.loads(path.read_text(encoding="utf-8"))]


def promote_judged(registry: ModelRegistry, asset_type: AssetType, change: Change, decision: Decision) -> Change:
    """Switch to a version that was judged; see `registry.switch.switch_champion`.

    Raises:
        IntegrityError: The rules say no, or a failed check stands, which no one can overrule.
        RegistryError: As the switch.
        MixedVariantError: As the switch.
    """
    _require(decision, change)
    return switch_champion(registry, asset_type, change)


def settle(warehouse: Warehouse, settings: Settings, registry: ModelRegistry, asset_type: AssetType) -> Settled | None:
    """Publish the champion's record where the published one is not its own; the caller holds the pipeline's lock.

    Returns:
        What was published; None when nothing was left to do.

    Raises:
        RegistryError: The champion's bundle or record is gone.
        IntegrityError: None of its bars is stored.
    """
    model_version = registry.champion_version(asset_type)
    if model_version is None:
        return None
    change = registry.newest_change(asset_type)
    with warehouse.read() as read:
        published = published_champions(read).get(asset_type)
    is_published = published is not None and published.model_version == model_version
    if change is None:
        if is_published:
            return None
        before = None if published is None else published.model_version
        change = new_change("repair", before, model_version, by="unknown", why="the alias was moved by other means")
    settled = None
    if published is None or not is_published or published.change_id != change.change_id:
        bundle = registry.load_bundle(asset_type, model_version)
        settled = _publish(warehouse, settings, registry, bundle, change)
    if not is_noted(registry, asset_type, change):
        note_change(registry, asset_type, change)
    return settled


def supersede(warehouse: Warehouse, asset_type: AssetType, change: Change, by: Change) -> None:
    """Log that a change was overtaken before its record was published."""
    details = f"overtaken by {by.to_version} before its record was published"
    warehouse.write([log_entry(asset_type, change, "FAILED", details)])


def promotion_asked(decision: Decision, *, by: str, why: str, against_the_rules: bool = False) -> Change:
    """What a promotion asks for: the step from the champion that the decision compared with.

    Args:
        decision: From `judge`.
        by: Who asks.
        why: Their reason.
        against_the_rules: They ask whatever the rules say; recorded only where the rules say no.
    """
    overruled = against_the_rules and not decision.promote
    return new_change("promote", decision.champion, decision.challenger, by=by, why=why, against_the_rules=overruled)


def _publish(
    warehouse: Warehouse, settings: Settings, registry: ModelRegistry, bundle: Bundle, change: Change
) -> Settled:
    started = datetime.now(change.at.tzinfo)
    record = record_of(warehouse, run_predictions(registry.store, bundle.info.run_id), bundle)
    publish(warehouse, settings, bundle, record, change)
    log.info(
        "published %s: %d rows, %d scored since training, %.1f s",
        change.to_version,
        record.rows.height,
        record.appended,
        (datetime.now(change.at.tzinfo) - started).total_seconds(),
    )
    return Settled(bundle.info.asset_type, change.to_version, change, record.rows.height, record.appended)


def _require(decision: Decision, change: Change) -> None:
    if not decision.passes_audit:
        raise IntegrityError(
            f"{decision.challenger} cannot be promoted: {decision.reasons[0]}",
            remedy="mend the cause and train again, or have the check waived by name: `tradehits audit waive`",
        )
    if not decision.promote and not change.against_the_rules:
        why_not = "; ".join(rule.detail for rule in decision.rules if rule.is_binding and not rule.passed)
        raise IntegrityError(
            f"{decision.challenger} stays challenger of {decision.champion}: {why_not}",
            remedy="look at `tradehits models compare`; --against-the-rules promotes it all the same, and is recorded",
        )
