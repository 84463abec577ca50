"""The audit for people and for MLflow: one self-contained page, its results as JSON, counts and seconds as metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

from registry.store import MetricRow, RunStore
from training.audit import AuditReport
from training.checks import STATUSES, CheckResult, Status, counted, told_count

CHECKS_FILE, REPORT_FILE = "audit/checks.json", "audit/report.html"

_ORDER: tuple[Status, ...] = ("failed", "waived", "warning", "passed")

WHAT_IS_CHECKED = {
    "identity": "Every bar stands once, in every table and after every join, under one name and in one asset class.",
    "overlap": "No bar trains the model that is tested on it.",
    "time": "What a model and its calibration saw was known when the fold began, and each row lies in its own fold.",
    "purge": "No fold was fitted on more rows than had a known label when it began.",
    "labels": "Labels made anew from the stored bars are the labels that were used; the newest bar has none.",
    "truncation": "Indicators, features, on-demand features and the training matrix, recomputed on histories cut at "
    "sampled bars, are what was stored.",
    "scale": "Features do not move when prices are multiplied: adjusted prices carry the future in their level.",
    "refit": "A fold fitted again on what was known at its start, and on nothing else, predicts the same bits.",
    "too_good": "What looks better than next-bar directions are known to be.",
    "base_rate": "No accuracy is logged without its base rate and interval.",
    "population": "Who is in the data, and who may be missing.",
    "canary": "The same pipeline, trained where nothing can be known, does not beat its base rate.",
    "record": "There is a training run whose record can be checked.",
}
"""One sentence a check, shown above its results."""

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1c2430; }
h1 { font-size: 1.5rem; margin-bottom: .25rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .1rem; }
p { margin: .2rem 0 .5rem; color: #55606e; } .facts { color: #55606e; }
.chip { border-radius: .6rem; padding: .1rem .55rem; font-size: .85rem; white-space: nowrap; font-weight: 600; }
.passed { background: #dff3e4; color: #14532d; } .warning { background: #fdf0cf; color: #713f12; }
.failed { background: #fbdcdc; color: #7f1d1d; } .waived { background: #e4e0fb; color: #3b2a86; }
table { border-collapse: collapse; width: 100%; } td { text-align: left; vertical-align: top; padding: .35rem .5rem; }
tr { border-top: 1px solid #e3e7ec; } td.subject { width: 24%; overflow-wrap: anywhere; } td.status { width: 6rem; }
.remedy { color: #55606e; } .counts .chip { margin-right: .4rem; }
@media print { body { margin: 0; max-width: none; } }
"""


def report_html(report: AuditReport, facts: Mapping[str, str]) -> str:
    """A page that needs nothing else: what was checked, the evidence, and what to do.

    Args:
        report: The audit.
        facts: Where it comes from, such as run, data and date; shown below the title.
    """
    counts = counted(report.results)
    chips = "".join(_chip(status, told_count(counts[status], status)) for status in _ORDER if counts[status])
    told = " · ".join(f"{escape(name)} {escape(value)}" for name, value in facts.items())
    sections = "".join(
        _section(check, WHAT_IS_CHECKED.get(check, ""), list(results), report.seconds.get(check))
        for check, results in groupby(report.results, lambda result: result.check)
    )
    remarkable = report.of("failed", "waived", "warning")
    if remarkable:
        sections = _section("To look at", "What did not simply pass, from all checks.", remarkable, None) + sections
    title = f"Audit of {report.asset_type}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="facts">{told}</p><p class="counts">{chips}</p>{sections}</body></html>\n'
    )


def log_audit(store: RunStore, run_id: str, report: AuditReport, facts: Mapping[str, str]) -> None:
    """Keep the audit with its training run: results, page, metrics, and tags to filter by."""
    store.log_json(run_id, [result.to_dict() for result in report.results], CHECKS_FILE)
    store.log_text(run_id, report_html(report, facts), REPORT_FILE)
    store.log_metrics(run_id, audit_metrics(report))
    store.set_tags(run_id, audit_tags(report.results))


def audit_metrics(report: AuditReport) -> Iterator[MetricRow]:
    """Results by status, and seconds by check."""
    counts = counted(report.results)
    for status in STATUSES:
        yield f"audit_{'warnings' if status == 'warning' else status}", counts[status], 0
    yield "audit_seconds", sum(report.seconds.values()), 0
    for check, seconds in report.seconds.items():
        yield f"audit_seconds_{check}", seconds, 0


def audit_tags(results: Sequence[CheckResult]) -> dict[str, str]:
    """`audit` is failed, waived or passed; what was waived or warned of is named."""
    counts = counted(results)
    outcome = "failed" if counts["failed"] else "waived" if counts["waived"] else "passed"
    tags = {"audit": outcome}
    for status in ("failed", "waived", "warning"):
        if counts[status]:
            named = [f"{result.check}: {result.subject}" for result in results if result.status == status]
            tags[f"audit_{status}_checks"] = "; ".join(named)
    if counts["waived"]:
        waived = [result.detail for result in results if result.status == "waived"]
        tags["audit_waivers"] = json.dumps(waived, ensure_ascii=False)
    return tags


def _section(title: str, what: str, results: Sequence[CheckResult], seconds: float | None) -> str:
    took = "" if seconds is None else f" <small>{seconds:.1f} s</small>"
    rows = "".join(
        f'<tr><td class="status">{_chip(result.status, result.status)}</td>'
        f'<td class="subject">{escape(result.subject)}</td><td>{escape(result.detail)}{_remedy(result)}</td></tr>'
        for result in results
    )
    return f"<h2>{escape(title)}{took}</h2><p>{escape(what)}</p><table>{rows}</table>"


def _remedy(result: CheckResult) -> str:
    return f'<div class="remedy">→ {escape(result.remedy)}</div>' if result.remedy else ""


def _chip(status: Status, text: str) -> str:
    return f'<span class="chip {status}">{escape(text)}</span>'
