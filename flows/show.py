"""What commands print for people: tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from configs.settings import Settings
from flows.summary import open_next
from training.checks import Status, counted, told_count

if TYPE_CHECKING:
    from flows.asof import AsOfReport
    from flows.retrain import TrainReport
    from training.evaluate import SplitReport
    from warehouse.features import FeatureReport
    from warehouse.ingest import IngestReport

MINIMUM_WIDTH = 110
WIDTH_OF_FILES = 132
NOTE = "Levels: rows whose outcome is known. No BUY or SELL is an answer, not a fault."
_LEFT = ("class", "source", "data", "split", "level")
_TOLD: tuple[Status, ...] = ("warning", "waived")


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
    measured = ("level", "rows", "accuracy", "interval", "base rate")
    columns = ("class", "split", *measured, "probabilities", "BUY", "SELL", "HOLD")
    table = _table(columns, title="Confidence and signals (percent; interval: 95%)")
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
    name = "TRAIN (burn-in)" if split.data_split == "TRAIN" else split.data_split
    return [
        name,
        f"{split.rows:,}",
        _number(split.accuracy, 1),
        _interval(split.accuracy_ci_95),
        _number(split.base_rate, 1),
        _number(split.balanced_accuracy, 1),
        _number(split.auc, 3),
        _number(split.brier, 4),
        _number(split.log_loss, 4),
    ]


def _signal_cells(split: SplitReport) -> list[str]:
    """One line a level that has rows; probabilities and signals are of the whole split."""
    levels = [(level, bucket) for level, bucket in split.by_confidence.items() if bucket.rows]
    columns = (
        [level for level, _ in levels],
        [f"{bucket.rows:,}" for _, bucket in levels],
        [_number(bucket.accuracy, 1) for _, bucket in levels],
        [_interval(bucket.accuracy_ci_95) for _, bucket in levels],
        [_number(bucket.base_rate, 1) for _, bucket in levels],
    )
    low, high = split.probability_range
    signals = (f"{split.signals[side]:,}" for side in ("BUY", "SELL", "HOLD"))
    return [*("\n".join(column) for column in columns), f"{low:.3f}-{high:.3f}", *signals]


def _class_lines(report: TrainReport) -> list[str]:
    counts = counted(report.checks)
    champion = {
        "champion": "champion, record published",
        "challenger": f"challenger of {report.champion_version}",
        "study": f"as of {report.as_of}: logged, not registered",
    }[report.status]
    lines = [
        f"{report.asset_type}: {report.model_version} ({champion}), {report.folds} folds, trained through "
        f"{report.trained_through[:10]}, {counts['passed']} of {len(report.checks)} checks passed"
        + "".join(f", {told_count(counts[status], status)}" for status in _TOLD if counts[status])
    ]
    lines += [
        f"  {check.status} {check.check}: {check.subject}: {check.detail}"
        for check in report.checks
        if check.status in ("warning", "waived")
    ]
    if report.decision is not None and report.status == "challenger":
        lines += [
            f"  stays challenger: {reason}" for reason in report.decision.reasons or ("promotion.automatic is off",)
        ]
    signal = report.signal
    if signal is not None and signal.sharpe is not None and signal.deflated is not None:
        lines.append(
            f"  every direction followed, before costs: Sharpe {signal.sharpe:.2f} over {signal.days:,} days; true one "
            f"above 0 with probability {signal.deflated:.2f}, deflated for {signal.trials} "
            f"trial{'' if signal.trials == 1 else 's'}"
        )
    oracle = report.oracle
    if oracle is not None and oracle.planted_accuracy is not None:
        lines.append(
            f"  planted symbols: accuracy {oracle.planted_accuracy:.1f} ± {oracle.planted_standard_error:.1f}, the "
            f"oracle's {oracle.oracle_accuracy:.1f} ± {oracle.oracle_standard_error:.1f} (base rate "
            f"{oracle.planted_base_rate:.1f}, {oracle.planted_rows:,} rows)"
        )
    if oracle is not None and oracle.noise_accuracy is not None:
        lines.append(
            f"  noise symbols: accuracy {oracle.noise_accuracy:.1f} ± {oracle.noise_standard_error:.1f} "
            f"(base rate 50 by construction, {oracle.noise_rows:,} rows)"
        )
    return lines


def _interval(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.1f}-{bounds[1]:.1f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
