"""What messages say beside the alerts: day, source, model, advice and report of each class, out of one read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from configs.settings import Settings
from market.assets import ASSET_TYPES, AssetType
from monitoring.advice import newest_advice
from monitoring.alerts import newest_judged_days
from monitoring.conditions import Moment
from monitoring.delivery_message import ClassFacts, Letterhead
from warehouse.champions import published_champions
from warehouse.warehouse import Warehouse


def letterhead(
    warehouse: Warehouse, settings: Settings, moments: Sequence[Moment], links: Mapping[AssetType, Path | str]
) -> Letterhead:
    """The facts of every class; a report of an older day than the alerts' is none of them."""
    with warehouse.read() as read:
        champions = published_champions(read)
        sources = read.query("SELECT asset_type, prediction_source FROM `tradehits.v_performance_source`").to_pylist()
        days = newest_judged_days(read)
        advice = newest_advice(read)
    source = {row["asset_type"]: row["prediction_source"] for row in sources}
    facts: dict[AssetType, ClassFacts] = {}
    for name in ASSET_TYPES:
        champion, advised, judged = champions.get(name), advice.get(name), days.get(name)
        is_of_the_day = any((moment.asset_type, moment.date) == (name, judged) for moment in moments)
        link = links.get(name) if is_of_the_day else None
        facts[name] = ClassFacts(
            judged=judged,
            model=f"{champion.model_version}, trained through {champion.trained_through:%Y-%m-%d}" if champion else "",
            source=str(source.get(name, "")).replace("_", "-"),
            advice=advised.sentence if advised and advised.advised_date == judged else "",
            link=link_text(settings, link) if link is not None else "",
        )
    return Letterhead(settings.profile, settings.alerts.shown_alerts, facts)


def link_text(settings: Settings, link: Path | str) -> str:
    """An address as given; a file below the reports' folder at `alerts.report_base_url` where that is set."""
    if isinstance(link, str):
        return link
    base, reports = settings.alerts.report_base_url, settings.paths.reports
    if base is not None and link.is_relative_to(reports):
        return f"{base.rstrip('/')}/{quote(link.relative_to(reports).as_posix())}"
    return str(link)
