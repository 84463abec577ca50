"""What commands print for people: tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from configs.settings import Settings
from flows.summary import open_next

if TYPE_CHECKING:
    from flows.asof import AsOfReport
    from flows.retrain import TrainReport
    from training.evaluate import SplitReport
    from warehouse.features import FeatureReport
    from warehouse.ingest import IngestReport

MINIMUM_WIDTH = 110
WIDTH_OF_FILES = 132
NOTE = "HIGH, MEDIUM and LOW: accuracy / base rate (rows). No BUY or SELL is an answer, not a fault."
_LEFT = ("class", "source", "data", "split")


def show_reports(settings: Settings, reports: Sequence[TrainReport]) -> None:
    """Print what training found: accuracies beside base rates, confidence and signals, models, what to open next."""
    console = _console()
    console.print(_results(reports))
    console.print()
    console.print(_signals(reports))
    console.print(Text(NOTE, style="dim"))
    console.print()
    for report in reports:
        for line in _class_lines(report):
            console.print(line, highlight=False)
    console.print()
    console.print("Open next:", style="bold")
    for line in open_next(settings).values():
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def _results(reports: Sequence[TrainReport]) -> Table:
    metrics = ("rows", "accuracy", "interval", "base rate", "bal. acc.", "AUC", "Brier", "log-loss")
    table = _table(
        ("class", "data", "split", *metrics),
        title="Out-of-sample results (percent; interval: 95% block bootstrap by date)",
    )
    for report in reports:
        for index, split in enumerate(report.splits):
            head = (report.asset_type, "simulated" if report.is_simulated else "real") if index == 0 else ("", "")
            table.add_row(*head, *_split_cells(split))
    return table


def _signals(reports: Sequence[TrainReport]) -> Table:
    columns = ("class", "split", "HIGH", "MEDIUM", "LOW", "probabilities", "BUY", "SELL", "HOLD")
    table = _table(columns, title="Confidence and signals")
    for report in reports:
        for index, split in enumerate(report.splits):
            table.add_row(report.asset_type if index == 0 else "", split.data_split, *_signal_cells(split))
    return table


def show_ingest(reports: Sequence[IngestReport]) -> None:
    """Print what an ingestion did."""
    counts = ("read", "new", "changed", "quarantined", "unchanged", "flagged", "rescaled", "stored")
    _show_rows(
        ("class", "source", "symbols", *counts, "first bar", "last bar"),
        [
            (
                r.asset_type if r.interval == "1d" else f"{r.asset_type} {r.interval}",
                r.source,
                f"{r.symbols:,}",
                *(f"{getattr(r, count):,}" for count in counts),
                "" if r.first is None else f"{r.first:%Y-%m-%d}",
                "" if r.last is None else f"{r.last:%Y-%m-%d}",
            )
            for r in reports
        ],
    )


def show_features(reports: Sequence[FeatureReport]) -> None:
    """Print what a feature build made."""
    _show_rows(
        ("class", "rows", "symbols", "newest bar"),
        [(r.asset_type, f"{r.rows:,}", f"{r.symbols:,}", f"{r.newest:%Y-%m-%d}") for r in reports],
    )


def show_as_of(reports: Sequence[AsOfReport]) -> None:
    """Print training sets of the past, each with the hash that later corrections must not change."""
    _show_rows(
        ("class", "as of", "rows", "labelled", "symbols", "newest bar", "corrected", "loaded later"),
        [
            (
                r.asset_type,
                f"{r.as_of:%Y-%m-%d %H:%M:%S} UTC",
                *(f"{count:,}" for count in (r.rows, r.labelled, r.symbols)),
                f"{r.newest:%Y-%m-%d}",
                *(f"{count:,}" for count in (r.corrected, r.loaded_later)),
            )
            for r in reports
        ],
    )
    console = _console()
    for report in reports:
        console.print(f"{report.asset_type}: sha256 {report.content_hash}", highlight=False)


def _show_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = _table(columns)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _table(columns: Sequence[str], *, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for name in columns:
        table.add_column(name, justify="left" if name in _LEFT else "right", no_wrap=True)
    return table


def _console() -> Console:
    """Standard output, wide enough that no number is cut."""
    console = Console()
    return Console(width=max(console.width if console.is_terminal else WIDTH_OF_FILES, MINIMUM_WIDTH))


def _split_cells(split: SplitReport) -> list[str]:
    low_high = "" if split.accuracy_ci_95 is None else f"{split.accuracy_ci_95[0]:.1f}-{split.accuracy_ci_95[1]:.1f}"
    name = "TRAIN (burn-in)" if split.data_split == "TRAIN" else split.data_split
    return [
        name,
        f"{split.rows:,}",
        _number(split.accuracy, 1),
        low_high,
        _number(split.base_rate, 1),
        _number(split.balanced_accuracy, 1),
        _number(split.auc, 3),
        _number(split.brier, 4),
        _number(split.log_loss, 4),
    ]


def _signal_cells(split: SplitReport) -> list[str]:
    cells = []
    for level in ("HIGH", "MEDIUM", "LOW"):
        bucket = split.by_confidence[level]
        cells.append(f"{bucket.accuracy:.1f} / {bucket.base_rate:.1f} ({bucket.rows:,})" if bucket.rows else "none")
    low, high = split.probability_range
    return [*cells, f"{low:.3f}-{high:.3f}", *(f"{split.signals[side]:,}" for side in ("BUY", "SELL", "HOLD"))]


def _class_lines(report: TrainReport) -> list[str]:
    passed = sum(check.status == "passed" for check in report.checks)
    champion = {
        "champion": "champion, record published",
        "challenger": f"challenger of {report.champion_version}",
        "study": f"as of {report.as_of}: logged, not registered",
    }[report.status]
    lines = [
        f"{report.asset_type}: {report.model_version} ({champion}), {report.folds} folds, trained through "
        f"{report.trained_through[:10]}, {passed} of {len(report.checks)} checks passed"
    ]
    oracle = report.oracle
    if oracle is not None and oracle.planted_accuracy is not None:
        lines.append(
            f"  planted symbols: accuracy {oracle.planted_accuracy:.1f}, the oracle's {oracle.oracle_accuracy:.1f} "
            f"({oracle.planted_rows:,} rows)"
        )
    if oracle is not None and oracle.noise_accuracy is not None:
        lines.append(
            f"  noise symbols: accuracy {oracle.noise_accuracy:.1f} ± {oracle.noise_standard_error:.1f} "
            f"(base rate 50 by construction, {oracle.noise_rows:,} rows)"
        )
    return lines


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
