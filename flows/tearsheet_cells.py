"""Cells, tables and numbers of the tearsheet's HTML; every text is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

NOTHING: Final = "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, text: bool = False) -> str:
    """A table; `text` sets every cell as text, else as numbers. An empty header leaves its line out."""
    head = (
        "<thead><tr>" + "".join(f"<th>{escape(name)}</th>" for name in header) + "</tr></thead>" if any(header) else ""
    )
    lines = "".join("<tr>" + "".join(_cell(value, text) for value in row) + "</tr>" for row in rows)
    return f"<table>{head}<tbody>{lines}</tbody></table>"


def _cell(value: str, text: bool) -> str:
    style = ' class="text"' if text else ' class="down"' if value.startswith("−") else ""
    return f"<td{style}>{escape(value)}</td>"


def told(value: Any) -> str:
    """A setting in words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count:,}" for name, count in value.items())
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def minus(text: str) -> str:
    """True minus signs before numbers; dates and names keep their hyphens."""
    return re.sub(r"(?<![\w-])-(?=\d)", "−", text)


def times_100(value: float | None) -> float | None:
    """A fraction in percent."""
    return None if value is None else 100 * value


def interval_text(interval: Mapping[str, float] | None, decimals: int, unit: str = "") -> str:
    """Its two ends."""
    if interval is None:
        return "no interval"
    return f"{signed(interval['low'], decimals, plus=False)} to {signed(interval['high'], decimals, plus=False)}{unit}"


def percent(value: float | None, decimals: int, *, sign: bool = False) -> str:
    """A number in percent, or a dash."""
    return NOTHING if value is None else f"{signed(value, decimals, plus=sign)}%"


def number(value: float | None, decimals: int) -> str:
    """A number, or a dash."""
    return NOTHING if value is None else signed(value, decimals, plus=False)


def signed(value: float, decimals: int, *, plus: bool = True) -> str:
    """With a true minus, and no sign for what rounds to nothing."""
    shown = f"{abs(value):,.{decimals}f}"
    if not any(digit in shown for digit in "123456789"):
        return shown
    return f"−{shown}" if value < 0 else f"+{shown}" if plus else shown
