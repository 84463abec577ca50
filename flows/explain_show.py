"""The explanation as its reader gets it: a table with a sentence for each step, or JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.explain import Explained
from training.explain_score import Step

WIDTH = 132


def as_json(explained: Explained) -> str:
    """A list of steps: the reported accuracy first, the honest one last."""
    return json.dumps([_plain(step) for step in explained.explanation.steps], indent=2, allow_nan=False)


def as_text(explained: Explained) -> str:
    """The waterfall as a table, and what each step means."""
    explanation = explained.explanation
    out = io.StringIO()
    console = Console(file=out, width=WIDTH)
    for line in _facts(explained):
        console.print(line, highlight=False, soft_wrap=True)
    console.print()
    console.print(_table(explanation.steps))
    console.print()
    for number, step in enumerate(explanation.steps, start=1):
        console.print(Text(f"{number}. {step.step}: {step.explanation}."), highlight=False)
    console.print()
    console.print(Text(_verdict(explanation.steps)), highlight=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _plain(step: Step) -> dict[str, object]:
    return {
        "step": step.step,
        "rows": step.rows,
        "accuracy": round(step.accuracy, 4),
        "base_rate": round(step.base_rate, 4),
        "accuracy_ci_95": [round(bound, 4) for bound in step.accuracy_ci_95],
        "change": None if step.change is None else round(step.change, 4),
        "change_ci_95": None if step.change_ci_95 is None else [round(bound, 4) for bound in step.change_ci_95],
        "is_control": step.is_control,
        "explanation": step.explanation,
    }


def _facts(explained: Explained) -> list[str]:
    explanation = explained.explanation
    splits = explanation.splits
    lines = [
        f"{explained.subject}: {explanation.bars:,} bars from {explanation.first} to {explanation.last}",
        f"trained to {splits.train_end}, tested after {splits.test_end}"
        + ("" if explanation.is_own_split else " (the profile's split dates do not fit these bars)"),
    ]
    if explained.left_out:
        lines.append(f"{explained.left_out:,} rows of the file break a rule or repeat a bar and were left out")
    return lines


def _table(steps: Sequence[Step]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("step")
    for name in ("rows", "accuracy", "95% interval", "base rate", "above base", "change", "its 95% interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, step in enumerate(steps, start=1):
        table.add_row(
            f"{number}. {step.step}",
            f"{step.rows:,}",
            f"{step.accuracy:.1f}",
            "{:.1f}-{:.1f}".format(*step.accuracy_ci_95),
            f"{step.base_rate:.1f}",
            _signed(step.accuracy - step.base_rate),
            "" if step.change is None else _signed(step.change),
            "" if step.change_ci_95 is None else " to ".join(map(_signed, step.change_ci_95)),
            style="dim" if step.is_control else None,
        )
    return table


def _signed(points: float) -> str:
    """One decimal, and no minus before zero."""
    return f"{round(points, 1) + 0.0:+.1f}"


def _verdict(steps: Sequence[Step]) -> str:
    """What remains, beside what always naming the more frequent direction scores."""
    first, last = steps[0], steps[-1]
    low, high = last.accuracy_ci_95
    where = "above" if low > last.base_rate else "below" if high < last.base_rate else "not told apart from"
    return (
        f"Reported {first.accuracy:.1f}%, honest {last.accuracy:.1f}% ({low:.1f} to {high:.1f}), {where} its base rate "
        f"of {last.base_rate:.1f}%."
    )
