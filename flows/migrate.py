"""`tradehits migrate`: tables that were there before the platform, and what becomes of them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from configs.settings import Settings
from market.errors import ConfigError
from warehouse.clock import wall_clock

if TYPE_CHECKING:
    from warehouse.adoption import Proposal
    from warehouse.adoption_bigquery import Applied

Step = Literal["plan", "apply", "undo"]

WIDTH = 132
NOTHING = "There is nothing to migrate: the embedded engine keeps its tables in a file of its own."
_STYLES = {"create": "green", "keep": "dim", "adopt": "bold green", "shadow": "bold yellow", "leave": "default"}


def run_migrate(settings: Settings, step: Step, output: str, dataset: str | None = None) -> str:
    """Plan, carry out, or take back; returns text to print.

    Args:
        settings: Name project, datasets and sources.
        step: `plan` reads only; `apply` carries out the plan of all datasets; `undo` takes back what was applied.
        output: `table` or `json`.
        dataset: Of a plan: this dataset only.

    Raises:
        ConfigError: For another output, or one dataset and another step.
        WarehouseError: BigQuery cannot be asked, or a step failed.
    """
    if output not in ("table", "json"):
        raise ConfigError(f"migrate has no output '{output}'", remedy="table or json")
    if dataset is not None and step != "plan":
        raise ConfigError("--dataset goes with --plan", remedy="leave it out: --apply and --undo treat all datasets")
    if settings.warehouse.engine == "duckdb":
        return "[]" if output == "json" else NOTHING
    from warehouse.adoption_bigquery import apply, undo
    from warehouse.adoption_found import plan

    staging = settings.paths.cache / "staging"
    if step == "undo":
        return _applied(undo(settings, wall_clock()), settings, output)
    proposals = plan(settings, dataset)
    if step == "plan":
        return _as_json(proposals) if output == "json" else _as_text(proposals, settings)
    return _applied(apply(settings, proposals, wall_clock(), staging), settings, output)


def configuration_lines(settings: Settings, moved: Sequence[tuple[str, str]]) -> list[str]:
    """What the profile must say about datasets that are shadowed."""
    lines = [f"configs/{settings.profile}.yaml needs:", "  warehouse:", "    datasets:"]
    return [*lines, *(f"      {logical}: {dataset}" for logical, dataset in moved)]


def _as_json(proposals: Sequence[Proposal]) -> str:
    return json.dumps([asdict(one) for one in proposals], indent=2, ensure_ascii=False)


def _as_text(proposals: Sequence[Proposal], settings: Settings) -> str:
    from warehouse.adoption import shadow_dataset

    table = Table(box=None, pad_edge=False)
    table.add_column("proposal", no_wrap=True)
    table.add_column("table", overflow="fold", max_width=62)
    table.add_column("why", overflow="fold", ratio=1)
    for one in proposals:
        table.add_row(Text(one.action, style=_STYLES[one.action]), Text(one.path), Text("\n".join(one.reasons)))
    out = io.StringIO()
    Console(file=out, width=WIDTH).print(table)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    names = dict(settings.warehouse.datasets)
    shadowed = sorted({one.logical for one in proposals if one.action == "shadow"})
    if shadowed:
        lines += ["", *configuration_lines(settings, [(name, shadow_dataset(names[name])) for name in shadowed])]
    if any(one.action in ("adopt", "shadow") for one in proposals):
        lines += ["", "Nothing was changed. `tradehits migrate --apply` does it, `--undo` takes it back."]
    return "\n".join(lines)


def _applied(applied: Applied, settings: Settings, output: str) -> str:
    if output == "json":
        return json.dumps({**asdict(applied), "datasets": dict(applied.datasets)}, indent=2, ensure_ascii=False)
    lines = list(applied.done)
    if applied.datasets:
        lines += ["", *configuration_lines(settings, list(applied.datasets.items()))]
    return "\n".join([*lines, *applied.way_back])
