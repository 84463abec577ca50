"""Our own head of a report above Evidently's part: the verdict, the sample it shows, and why the two may differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from market.errors import ReportError
from monitoring.reports_words import Level, Verdict

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)
"""The page may fetch nothing at all."""

BADGES: Final[dict[Level, str]] = {
    "critical": "CRITICAL",
    "warning": "WARNING",
    "calm": "OK",
    "unknown": "NOT JUDGED",
}

_STYLE: Final = """
.th { font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: #16202e;
  background: #f6f7f9; padding: 22px 24px 18px; border-bottom: 1px solid #d7dce2; overflow-wrap: anywhere; }
.th h1 { font-size: 25px; line-height: 1.2; margin: 0 0 6px; } .th p { margin: 5px 0; } .th a { color: #1f5fd0; }
.th .badge { display: inline-block; padding: 1px 11px; border-radius: 999px; font-size: 13px; font-weight: 650;
  vertical-align: 3px; margin-left: 8px; color: #fff; background: #5b6675; }
.th .critical { background: #b3261e; } .th .warning { background: #a15c00; } .th .calm { background: #1b7f4b; }
.th .headline { font-size: 18px; font-weight: 650; } .th .small { font-size: 13.5px; color: #4a5563; }
.th table { border-collapse: collapse; font-size: 13.5px; margin: 8px 0; } .th .wide { overflow-x: auto; }
.th td, .th th { text-align: left; padding: 3px 14px 3px 0; border-bottom: 1px solid #e3e7ec; white-space: nowrap; }
.th summary { cursor: pointer; color: #1f5fd0; } body { margin: 0; }
"""

_HEAD, _BODY = re.compile(r"<head>"), re.compile(r"<body>")


@dataclass(frozen=True)
class Head:
    """What stands above Evidently's part.

    Attributes:
        title: Class and day.
        model: Version and what it was trained through.
        verdict: By the tables.
        samples: What is sampled, and how.
        differences: Evidently against the tables, in words.
        notes: What a reader has to know beside that.
        features: Rows of (feature, its column, tables' verdict, Evidently's verdict, Evidently's value).
    """

    title: str
    model: str
    verdict: Verdict
    samples: Sequence[str]
    differences: Sequence[str]
    notes: Sequence[str]
    features: Sequence[tuple[str, str, str, str, str]]


def with_head(page: str, head: Head) -> str:
    """Evidently's page with ours above it; every text is escaped.

    Raises:
        ReportError: Evidently's page is not built as it was.
    """
    parts = _HEAD.split(page, maxsplit=1)
    below = _BODY.split(parts[-1], maxsplit=1)
    if len(parts) != 2 or len(below) != 2:
        raise ReportError(
            "Evidently's page has no <head> or no <body> to write the verdict into",
            remedy="install the version of evidently that constraints.txt names",
        )
    meta = (
        f'<head><title>{escape(head.title)}</title><meta http-equiv="Content-Security-Policy" '
        f'content="{CONTENT_POLICY}"><style>{_STYLE}</style>'
    )
    return f"{parts[0].lstrip()}{meta}{below[0]}<body>{_banner(head)}{below[1]}"


def _banner(head: Head) -> str:
    verdict = head.verdict
    return (
        f'<header class="th"><p class="small"><a href="../index.html">All reports</a></p><h1>{escape(head.title)}'
        f'<span class="badge {verdict.level}">{BADGES[verdict.level]}</span></h1>'
        f'<p class="small">{escape(head.model)}</p><p class="headline">{escape(verdict.headline)}</p>'
        + "".join(f"<p>{escape(line)}</p>" for line in verdict.lines)
        + _listed("Evidently and the tables", head.differences)
        + _listed("What is shown below", head.samples)
        + _listed("To know", head.notes)
        + _features(head.features)
        + "</header>"
    )


def _listed(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f'<p class="small"><b>{escape(title)}.</b> {" ".join(escape(line) for line in lines)}</p>'


def _features(rows: Sequence[tuple[str, str, str, str, str]]) -> str:
    if not rows:
        return ""
    heads = "".join(f"<th>{name}</th>" for name in ("Feature", "Column", "Tables", "Evidently", "Evidently's value"))
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f"<details><summary>Every feature, both verdicts</summary>"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></details>'
    )
