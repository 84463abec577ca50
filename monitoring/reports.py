"""Evidently's reports: one page a class and day, its figures in a table, and an index of all pages.

The verdict on a page is that of the tables, which see every row. Evidently shows a declared sample of them and draws
its own conclusions; every difference between the two is said in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from configs.settings import Settings
from market.errors import ReportError
from monitoring.conditions import Condition, Moment
from monitoring.performance import Source
from monitoring.reports_ask import EVIDENTLYS_ERRORS, Answers, Gathered, ask, gather, indigestible
from monitoring.reports_index import Card, forget_old, write_card, write_index, write_whole
from monitoring.reports_names import CLASS_TITLES, title_of
from monitoring.reports_page import Head, with_head
from monitoring.reports_store import EvidentlyRow, ReportLog, store_rows
from monitoring.reports_words import DRIFT, NO_DRIFT, Verdict, told_verdict
from registry.bundle import BundleInfo
from registry.mlflow_api import MlflowException
from warehouse.clock import wall_clock

if TYPE_CHECKING:
    from monitoring.drift import DriftFound
    from registry.models import ModelRegistry
    from warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class ReportFiles:
    """What was written for a class and day.

    Attributes:
        page: The report; None when there was nothing to show.
        index: The index of all reports.
        evidently: The rows that were stored.
        differences: Evidently against the tables, in words.
        notes: Why something is missing.
        run_id: The run in MLflow that keeps the page; None without one.
    """

    page: Path | None
    index: Path | None
    evidently: tuple[EvidentlyRow, ...] = ()
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    run_id: str | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """What there is to open, the page first."""
        return tuple(path for path in (self.page, self.index) if path is not None)

    @property
    def note(self) -> str:
        """Why something is missing, in one text; empty when nothing is."""
        return " ".join(self.notes)


def write(
    warehouse: Warehouse,
    registry: ModelRegistry,
    settings: Settings,
    moment: Moment,
    drift: DriftFound | None,
    source: Source | None,
    decay: Sequence[Condition] = (),
) -> ReportFiles:
    """Make a class's report of a day, and bring the index up to date.

    The same moment again writes the same page and the same rows. Nothing here judges: what cannot be shown is noted,
    and the index shows the verdict without a page.

    Args:
        warehouse: Features, predictions and verdicts in; Evidently's figures out.
        registry: Knows the champion.
        settings: Section `reports`, and the rule about accuracy.
        moment: The class, its day, and what was known.
        drift: What was measured in this run; None: the tables' rows of the day are read alone.
        source: Whose predictions performance is read from; None: it could not be judged.
        decay: What the detectors of decay said in this run.

    Raises:
        ReportError: Evidently cannot digest the data, its page is not built as it was, or MLflow does not take it.
    """
    if not settings.reports.enabled:
        return ReportFiles(None, None)
    gathered = gather(warehouse, registry, settings, moment, source)
    verdict = told_verdict(gathered.drift, drift, gathered.accuracy, decay)
    answers = ask(gathered, settings, moment, drift)
    page = _write_page(settings, moment, gathered, answers, verdict)
    store_rows(warehouse, moment, answers.rows, wall_clock())
    write_card(settings.paths.reports, _card(moment, gathered.info, source, answers, verdict, page))
    forget_old(settings.paths.reports, moment.asset_type, moment.date, settings.reports.keep_days)
    index = write_index(settings.paths.reports, settings.profile)
    run_id = None
    if page is not None and gathered.info is not None and settings.reports.mlflow:
        run_id = _log(registry, settings, moment, page, answers, verdict, gathered.info)
    return ReportFiles(page, index, answers.rows, answers.differences, answers.notes, run_id)


def _write_page(
    settings: Settings, moment: Moment, gathered: Gathered, answers: Answers, verdict: Verdict
) -> Path | None:
    """The page; a page that the same day had before goes when there is nothing to show any more."""
    page = settings.paths.reports / str(moment.date) / f"{moment.asset_type}.html"
    if not answers.parts or gathered.info is None:
        page.unlink(missing_ok=True)
        return None
    write_whole(page, _html(gathered, gathered.info, answers, verdict, moment))
    return page


def _card(
    moment: Moment,
    info: BundleInfo | None,
    source: Source | None,
    answers: Answers,
    verdict: Verdict,
    page: Path | None,
) -> Card:
    return Card(
        date=str(moment.date),
        asset_type=moment.asset_type,
        level=verdict.level,
        headline=verdict.headline,
        lines=verdict.lines,
        differences=answers.differences,
        notes=answers.notes,
        model_version=info.model_version if info else None,
        prediction_source=source,
        page=page.name if page else None,
        made_at=wall_clock().isoformat(),
    )


def _html(gathered: Gathered, info: BundleInfo, answers: Answers, verdict: Verdict, moment: Moment) -> str:
    from monitoring.reports_evidently import draw_page

    head = Head(
        title=f"{CLASS_TITLES[moment.asset_type]} · {moment.date}",
        model=(
            f"{info.model_version}, trained through {info.trained_through:%Y-%m-%d %H:%M} UTC on "
            f"{info.trained_rows:,} rows · known by {moment.now:%Y-%m-%d %H:%M} UTC"
        ),
        verdict=verdict,
        samples=_samples(gathered),
        differences=answers.differences,
        notes=answers.notes,
        features=_feature_table(answers.rows),
    )
    try:
        page = draw_page(answers.parts)
    except EVIDENTLYS_ERRORS as error:
        raise indigestible(moment, error) from error
    return with_head(page, head)


def _samples(gathered: Gathered) -> list[str]:
    lines = []
    if (data := gathered.drift) is not None:
        lines.append(f"Features: reference is {data.reference.words()} of the champion's training.")
        lines.append(f"Current is {data.current.words()} of {data.window}.")
        if data.seen_in_training:
            lines.append("Some of these days were training rows too, which hides a part of any drift.")
    if (performance := gathered.performance) is not None:
        lines.append(
            f"Predictions ({performance.source}): current is {performance.current.words()} of {performance.window}, "
            f"reference {performance.reference.words()} of {performance.baseline}."
        )
    return lines


def _feature_table(rows: tuple[EvidentlyRow, ...]) -> list[tuple[str, str, str, str, str]]:
    said = {DRIFT: "drift", NO_DRIFT: "no drift", None: "not judged"}
    return [
        (
            title_of(row.subject),
            row.subject,
            said[row.table_verdict],
            said[row.verdict],
            f"{row.value:.4f} ({row.method}, limit {row.threshold:.3g})" if row.value is not None else "none",
        )
        for row in rows
        if row.metric == "value_drift"
    ]


def _log(
    registry: ModelRegistry,
    settings: Settings,
    moment: Moment,
    page: Path,
    answers: Answers,
    verdict: Verdict,
    info: BundleInfo,
) -> str:
    log = ReportLog(settings)
    tags = {
        "asset_type": moment.asset_type,
        "model_version": info.model_version or "",
        "verdict": verdict.headline,
        "verdict_level": verdict.level,
    }
    try:
        run_id = log.log(registry, moment, page, answers.rows, tags)
        log.forget(moment.asset_type, moment.date, settings.reports.keep_days)
    except MlflowException as error:
        raise ReportError(
            f"MLflow did not take the report on {moment.asset_type} of {moment.date}: {error.error_code}",
            remedy=f"the page is there: {page}; the next report of the day is tried again",
        ) from error
    return run_id
