"""The folder of reports: one card a class and day, the index made of all cards, and what is thrown away.

A card is a small JSON file beside its page. The index is made of the cards that are there, so a killed run or a deleted
folder leaves it wrong until the next report at most. Every file is written whole: under another name, then renamed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from html import escape
from pathlib import Path
from typing import Final

from market.assets import ASSET_TYPES, AssetType
from monitoring.reports_names import CLASS_TITLES
from monitoring.reports_page import BADGES
from monitoring.reports_words import Level

INDEX: Final = "index.html"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

_STYLE: Final = """
:root { color-scheme: light dark; --page: #f6f7f9; --surface: #fff; --ink: #16202e; --muted: #566170; --line: #e3e7ec;
  --accent: #1f5fd0; --critical: #b3261e; --warning: #a15c00; --calm: #1b7f4b; --unknown: #5b6675; --on: #fff; }
@media (prefers-color-scheme: dark) { :root { --page: #0e131a; --surface: #161d27; --ink: #e8edf4; --muted: #9aa7b8;
  --line: #2a3442; --accent: #7fb0ff; --critical: #ff8a80; --warning: #ffb95c; --calm: #6fdba3; --unknown: #9aa7b8;
  --on: #0e131a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); -webkit-text-size-adjust: 100%;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 28px 0 10px; } p { margin: 6px 0; }
.muted { color: var(--muted); font-size: 14px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 290px), 1fr)); gap: 12px; }
.card { background: var(--surface); border: 1px solid var(--line); border-left: 5px solid var(--level);
  border-radius: 12px; padding: 14px 16px; overflow-wrap: anywhere; min-width: 0; }
.critical { --level: var(--critical); } .warning { --level: var(--warning); } .calm { --level: var(--calm); }
.unknown { --level: var(--unknown); }
.card h3 { font-size: 16px; margin: 0; display: flex; justify-content: space-between; gap: 8px; align-items: center; }
.badge { background: var(--level); color: var(--on); border-radius: 999px; padding: 1px 10px; font-size: 12px;
  font-weight: 650; white-space: nowrap; }
.headline { font-weight: 650; font-size: 17px; } a { color: var(--accent); }
.open { display: inline-block; margin-top: 6px; padding: 6px 0; font-weight: 600; }
details { font-size: 14px; } summary { cursor: pointer; color: var(--muted); padding: 4px 0; }
"""


@dataclass(frozen=True)
class Card:
    """What the index says about one class on one day.

    Attributes:
        page: File name of the page beside the card; None when there is no page.
        lines: The verdict's sentences.
        differences: Evidently against the tables.
        notes: Why something is missing.
    """

    date: str
    asset_type: AssetType
    level: Level
    headline: str
    lines: tuple[str, ...]
    differences: tuple[str, ...]
    notes: tuple[str, ...]
    model_version: str | None
    prediction_source: str | None
    page: str | None
    made_at: str


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader, or a process that was killed, finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        staged.write_text(text, encoding="utf-8")
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def write_card(reports: Path, card: Card) -> Path:
    """Keep a card beside its page."""
    path = reports / card.date / f"{card.asset_type}.json"
    write_whole(path, json.dumps(asdict(card), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def write_index(reports: Path, profile: str) -> Path:
    """Make the index of all cards, the newest day first."""
    path = reports / INDEX
    write_whole(path, _page(list(_cards(reports)), profile))
    return path


def forget_old(reports: Path, asset_type: AssetType, newest: date, keep_days: int | None) -> list[date]:
    """Delete a class's pages and cards of days further back than `keep_days` before its newest one.

    Each class counts by its own days: one that replays the past lives years before one that follows the wall clock.

    Args:
        reports: The folder of reports.
        asset_type: The class.
        newest: A day that is kept in any case.
        keep_days: None keeps everything.

    Returns:
        Days that were deleted.
    """
    if keep_days is None:
        return []
    days = {day: folder for day, folder in _days(reports) if (folder / f"{asset_type}.json").exists()}
    horizon = max([newest, *days]) - timedelta(days=keep_days)
    old = sorted(day for day in days if day < horizon and day != newest)
    for day in old:
        for kind in ("html", "json"):
            (days[day] / f"{asset_type}.{kind}").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another class's files are in it
            days[day].rmdir()
    return old


def _days(reports: Path) -> Iterator[tuple[date, Path]]:
    for folder in sorted(reports.glob("*")) if reports.is_dir() else []:
        if folder.is_dir() and _DAY.fullmatch(folder.name):
            yield date.fromisoformat(folder.name), folder


def _cards(reports: Path) -> Iterator[Card]:
    """Every card that is there and can be read; one that was damaged is as good as none."""
    for _, folder in _days(reports):
        for asset_type in ASSET_TYPES:
            card = _read(folder / f"{asset_type}.json")
            if card is not None:
                yield card


def _read(path: Path) -> Card | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        lists = {name: tuple(values[name]) for name in ("lines", "differences", "notes")}
        card = Card(**{**values, **lists})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return card if card.level in BADGES and card.asset_type in CLASS_TITLES else None


def _page(cards: Sequence[Card], profile: str) -> str:
    by_day: dict[str, list[Card]] = {}
    for card in sorted(cards, key=lambda one: one.date, reverse=True):
        by_day.setdefault(card.date, []).append(card)
    sections = "".join(
        f'<section><h2>{escape(day)}</h2><div class="cards">{"".join(map(_card, found))}</div></section>'
        for day, found in by_day.items()
    )
    empty = "<p>No report yet: <code>tradehits monitor</code> makes the first one.</p>"
    title = f"TradeHits reports · {profile}"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n"
        '<p class="muted">Is the model still working? Verdicts come from the tables, which see every row; the pages '
        "show Evidently's view of a sample. Newest day first.</p>\n"
        f"{sections or empty}\n</main>\n</body>\n</html>\n"
    )


def _card(card: Card) -> str:
    link = (
        f'<a class="open" href="{escape(card.date)}/{escape(card.page)}">Open the report</a>'
        if card.page
        else '<p class="muted">No page for this class.</p>'
    )
    told = [*card.differences, *card.notes]
    more = (
        f"<details{'' if card.page else ' open'}><summary>Notes</summary>"
        + "".join(f"<p>{escape(line)}</p>" for line in told)
        + "</details>"
        if told
        else ""
    )
    known = (card.model_version, f"{card.prediction_source} predictions" if card.prediction_source else None)
    return (
        f'<article class="card {card.level}"><h3>{escape(CLASS_TITLES[card.asset_type])}'
        f'<span class="badge">{BADGES[card.level]}</span></h3><p class="headline">{escape(card.headline)}</p>'
        + "".join(f"<p>{escape(line)}</p>" for line in card.lines)
        + f'<p class="muted">{escape(" · ".join(part for part in known if part) or "no champion")}</p>{link}{more}'
        "</article>"
    )
