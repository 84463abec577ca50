"""Cells and tables of the model card."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Cell = str
Row = Sequence[Cell]


def table(header: Row, rows: Sequence[Row], *, text: Sequence[int] = ()) -> str:
    """A table of texts; the columns in `text` are left-aligned."""
    return raw_table(header, [[escape(str(cell)) for cell in row] for row in rows], text=text)


def raw_table(header: Row, rows: Sequence[Row], *, text: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already."""
    if not rows:
        return '<p class="muted">None.</p>'

    def line(tag: str, cells: Row) -> str:
        kinds = [' class="text"' if place in text else "" for place in range(len(cells))]
        parts = [f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)]
        return f"<tr>{''.join(parts)}</tr>"

    head = line("th", [escape(name) for name in header]) if any(header) else ""
    return f"<table>{head}{''.join(line('td', row) for row in rows)}</table>"


def number(value: float | None, digits: int) -> Cell:
    """A number, or nothing where there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def count(value: float | None) -> Cell:
    """A whole number with thousands separated, or nothing."""
    return "" if value is None else f"{value:,.0f}"
