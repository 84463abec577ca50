"""A training run's last step: its challenger is judged, and takes the champion's place when the rules say so."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from flows.champion_change import republish
from flows.context import Context
from market.assets import AssetType
from market.errors import IntegrityError, MixedVariantError, RegistryError
from registry.models import ModelRegistry
from registry.store import MetricRow
from registry.versions import newest_number
from training.card import CONTRIBUTIONS_ARTIFACT, DECISION_ARTIFACT, write_card
from training.contributions import contributions
from training.dataset import Dataset
from training.gate import Decision
from training.promotion import judge, promote_judged, promotion_asked, settle
from warehouse.champions import published_champions

BY = "ml_pipeline"

log = logging.getLogger("tradehits")


def challenge(
    context: Context, registry: ModelRegistry, asset_type: AssetType, model_version: str, dataset: Dataset
) -> Decision:
    """Judge a freshly registered version, keep decision and model card with its run, and promote it if it may.

    The first version of a class that passes the audit becomes champion; a later one where `promotion.automatic` is on
    and every rule holds.
    """
    settings, store = context.settings, registry.store
    champion = registry.champion_version(asset_type)
    decision = judge(context.warehouse, registry, asset_type, model_version, champion)
    bundle = registry.load_bundle(asset_type, model_version)
    run_id = bundle.info.run_id
    promotion = settings.promotion
    found = contributions(bundle, dataset, rows=promotion.contribution_rows, seed=promotion.seed)
    if found is not None:
        store.log_json(run_id, found.to_dict(), CONTRIBUTIONS_ARTIFACT)
    store.log_json(run_id, decision.to_dict(), DECISION_ARTIFACT)
    store.log_metrics(run_id, decision_metrics(decision))
    store.set_tags(
        run_id,
        {
            "promotion_against": decision.champion or "none",
            "promotion_rules": "hold" if decision.promote_automatically else "fail",
            "promotion_reasons": "; ".join(decision.reasons) or "every rule holds",
        },
    )
    write_card(registry, asset_type, model_version)
    is_first = champion is None and decision.promote
    if is_first or (promotion.automatic and decision.promote_automatically):
        why = "first model that passed the checks" if is_first else "every rule of promotion holds"
        promote_judged(registry, asset_type, promotion_asked(decision, by=BY, why=why), decision)
        settle(context.warehouse, settings, registry, asset_type)
        republish(settings, context.warehouse, registry)
    return decision


def finish_interrupted(context: Context, registry: ModelRegistry, asset_types: Sequence[AssetType]) -> None:
    """Publish the records that an interrupted command left unpublished.

    A champion whose files are gone is warned about and no more, because training is the way out.
    """
    for asset_type in asset_types:
        try:
            settle(context.warehouse, context.settings, registry, asset_type)
        except (RegistryError, MixedVariantError, IntegrityError) as error:
            log.warning("the record of %s is not its champion's: %s", asset_type, error)


def require_published_versions(context: Context, registry: ModelRegistry, asset_types: Sequence[AssetType]) -> None:
    """Refuse to train where the next version would get the name of one whose record is published.

    Raises:
        RegistryError: The warehouse knows a later version than MLflow's store, which was lost or is another one.
    """
    with context.warehouse.read() as read:
        published = published_champions(read)
    for asset_type in asset_types:
        if asset_type not in published:
            continue
        known = published[asset_type].model_version
        if newest_number(registry, asset_type) < int(known.rpartition("/")[2]):
            raise RegistryError(
                f"{known}, whose record is published, is not in MLflow's store: another model would get its name",
                remedy="bring the store back (`tradehits restore`, or mend mlflow.tracking_uri); where it is lost for "
                f"good, move {context.settings.paths.home} aside and run `tradehits run`",
            )


def decision_metrics(decision: Decision) -> Iterator[MetricRow]:
    """Metrics named `promotion_<figure>`: the paired evidence, each gain with its interval."""
    for rule in decision.rules:
        yield f"promotion_{rule.name}_holds", float(rule.passed), 0
    found = decision.comparison
    if found is None:
        return
    yield "promotion_rows", found.rows, 0
    yield "promotion_common_share", found.common_share, 0
    yield "promotion_base_rate", found.base_rate, 0
    yield "promotion_diebold_mariano_p", found.diebold_mariano_p, 0
    gains = {
        "brier_gain": (found.brier_gain, found.brier_gain_ci),
        "accuracy_gain_points": (found.accuracy_gain_points, found.accuracy_gain_ci),
    }
    for name, (value, interval) in gains.items():
        yield f"promotion_{name}", value, 0
        yield f"promotion_{name}_ci_low", None if interval is None else interval.low, 0
        yield f"promotion_{name}_ci_high", None if interval is None else interval.high, 0
