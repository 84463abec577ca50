"""`tradehits predict` for people and for programs."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.inference_report import ClassReport, PredictReport

WIDTH = 132
TOLD_UNSCORED = 5
_COLUMNS = (
    "class",
    "bar",
    "model",
    "predicted",
    "new",
    "BUY",
    "SELL",
    "HOLD",
    "HIGH",
    "probabilities",
    "outcomes",
    "record",
)
_LEFT = ("class", "bar", "model")


def as_json(report: PredictReport) -> str:
    """The whole report; times as ISO text."""
    return json.dumps(asdict(report), indent=2, default=_plain, allow_nan=False, ensure_ascii=False)


def as_table(report: PredictReport) -> str:
    """One line a class, then what each of them has to say."""
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in _LEFT else "right", no_wrap=True)
    for one in report.classes:
        table.add_row(*_cells(one))
    out = io.StringIO()
    console = Console(file=out, width=WIDTH)
    console.print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    lines += [line for one in report.classes for line in _said(one)]
    if report.snapshot is not None:
        lines.append(f"snapshot published: {report.snapshot}")
    return "\n".join(lines)


def _cells(one: ClassReport) -> list[str]:
    if one.bar is None:
        return [one.asset_type, "", one.champion or "", *([""] * 7), *_written(one)]
    low, high = one.probability_range or (None, None)
    return [
        one.asset_type,
        f"{one.bar:%Y-%m-%d}",
        ", ".join(one.model_versions) or "none",
        f"{one.predicted:,} of {one.symbols:,}",
        f"{one.written.predictions:,}",
        *(f"{one.signals[name]:,}" for name in ("BUY", "SELL", "HOLD")),
        f"{one.confidence['HIGH']:,}",
        "" if low is None else f"{low:.3f}-{high:.3f}",
        *_written(one),
    ]


def _written(one: ClassReport) -> list[str]:
    done = one.written
    return [f"+{done.outcomes:,}", f"+{done.record_rows:,}"]


def _said(one: ClassReport) -> list[str]:
    lines = [f"{one.asset_type}: {one.note}"] if one.note else []
    if one.strongest:
        told = (f"{symbol} {signal} {level} {p:.3f}" for symbol, signal, level, p in one.strongest)
        lines.append(f"{one.asset_type}: strongest: {', '.join(told)}")
    if one.checked:
        lines.append(f"{one.asset_type}: {one.checked:,} symbols as served equal the stored rows, bit for bit")
    if one.replayed is not None:
        lines.append(
            f"{one.asset_type}: {one.replayed.equal:,} stored predictions replayed to the same bits"
            + (f", {one.replayed.corrected:,} left out: bars corrected since" if one.replayed.corrected else "")
        )
    if one.recomputed:
        lines.append(f"{one.asset_type}: computed anew from what was known then: {len(one.recomputed):,} symbols")
    for missing in one.unscored[:TOLD_UNSCORED]:
        lines.append(f"{one.asset_type}: not scored: {missing.symbol}: {missing.reason}: {missing.detail}")
    if len(one.unscored) > TOLD_UNSCORED:
        lines.append(
            f"{one.asset_type}: not scored: {len(one.unscored) - TOLD_UNSCORED:,} more (--format json names all)"
        )
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
