"""Rows of the scheduled flows' tables, and the addresses they link to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from flows.context import Context
from flows.scheduled_outcome import Cell
from market.assets import AssetType
from warehouse.clock import newest_known_at, now_of
from warehouse.ingest import IngestReport

if TYPE_CHECKING:
    from flows.backtest import Backtested
    from flows.inference_report import ClassReport, PredictReport
    from flows.monitor_report import ClassReport as MonitoredClass
    from flows.retrain import TrainReport

_RECENT = """
SELECT COUNT(*) AS matured, COUNTIF(predicted_direction = actual_direction) AS right_ones,
  COUNTIF(actual_direction = 1) AS ups
FROM `ml_models.walk_forward_predictions_v2`
WHERE asset_type = @asset_type AND actual_direction IS NOT NULL AND datetime >= @since
"""


def links(context: Context) -> dict[str, str]:
    """The pages that `tradehits up` shows."""
    up, serving = context.settings.up, context.settings.serving
    return {
        "MLflow": f"{context.settings.mlflow_page}/#/experiments",
        "reports": up.reports_url,
        "API": f"http://{serving.host}:{serving.port}",
    }


def ingested(one: IngestReport) -> dict[str, Cell]:
    """A class and interval of an ingestion."""
    kept = ("asset_type", "interval", "source", "symbols", "read", "new", "changed", "quarantined", "unchanged")
    values = asdict(one)
    return {**{name: values[name] for name in kept}, "last bar": "" if one.last is None else f"{one.last:%Y-%m-%d}"}


def inferred(one: ClassReport) -> dict[str, Cell]:
    """A class of an inference."""
    low, high = one.probability_range or (None, None)
    return {
        "class": one.asset_type,
        "bar": "" if one.bar is None else f"{one.bar:%Y-%m-%d}",
        "model": ", ".join(one.model_versions) or one.champion or "",
        "symbols": one.symbols,
        "predicted": one.predicted,
        "new": one.written.predictions,
        **{name: one.signals.get(name, 0) for name in ("BUY", "SELL", "HOLD")},
        "probabilities": "" if low is None else f"{low:.3f}-{high:.3f}",
        "outcomes filled": one.written.outcomes,
    }


def signals(report: PredictReport) -> str:
    """Today in one sentence; no signal is an answer."""
    buys, sells = (sum(one.signals.get(side, 0) for one in report.classes) for side in ("BUY", "SELL"))
    predicted = sum(one.predicted for one in report.classes)
    if predicted and not buys + sells:
        return f"no signal today, from {predicted:,} predictions: a valid answer, not a fault"
    return f"{buys:,} BUY and {sells:,} SELL from {predicted:,} predictions"


def monitored(one: MonitoredClass) -> dict[str, Cell]:
    """A class of monitoring; percent."""
    figures = one.figures
    return {
        "class": one.asset_type,
        "date": str(one.date or ""),
        "read from": one.source or "",
        "accuracy": None if figures is None else f"{figures.accuracy_pct:.1f}",
        "base rate": None if figures is None else f"{figures.base_rate_pct:.1f}",
        "7 days": None if figures is None else f"{figures.rolling_7d_accuracy:.1f}",
        "judged": len(one.conditions),
        "opened": len(one.opened),
        "resolved": len(one.resolved),
    }


def trained(context: Context, one: TrainReport, days: int) -> dict[str, Cell]:
    """A trained model beside the champion that stands now."""
    matured, accuracy, base_rate = recent_record(context, one.asset_type, days)
    validate = next((split for split in one.splits if split.data_split == "VALIDATE"), None)
    return {
        "class": one.asset_type,
        "version": one.model_version,
        "status": one.status,
        "champion": one.champion_version or "",
        "VALIDATE": None if validate is None or validate.accuracy is None else f"{validate.accuracy:.1f}",
        "base rate": None if validate is None or validate.base_rate is None else f"{validate.base_rate:.1f}",
        f"champion, {days} days": None if accuracy is None else f"{accuracy:.1f} of {matured:,}",
        f"base rate, {days} days": None if base_rate is None else f"{base_rate:.1f}",
    }


def recent_record(context: Context, asset_type: AssetType, days: int) -> tuple[int, float | None, float | None]:
    """Matured rows of the champion's record in the last days of the class's clock, percent right, and the base rate."""
    with context.warehouse.read() as read:
        now: datetime = now_of(asset_type, context.settings, newest_known_at(read)[asset_type])
        asked = {"asset_type": asset_type, "since": now - timedelta(days=days)}
        (row,) = read.query(_RECENT, asked).to_pylist()
    matured = row["matured"]
    if not matured:
        return 0, None, None
    ups = row["ups"] / matured
    return matured, 100.0 * row["right_ones"] / matured, 100.0 * max(ups, 1 - ups)


def decisions(reports: Sequence[TrainReport]) -> list[str]:
    """Why challengers stay challengers."""
    return [
        f"{one.model_version} stays a challenger: {'; '.join(one.decision.reasons) or 'every rule holds'}"
        for one in reports
        if one.status != "champion" and one.decision is not None
    ]


def tested(one: Backtested) -> dict[str, Cell]:
    """A stored backtest."""
    row = one.row

    def shown(name: str, decimals: int) -> str | None:
        return None if row[name] is None else f"{row[name]:.{decimals}f}"

    return {
        "class": row["asset_type"],
        "strategy": row["strategy_name"],
        "from": str(row["start_date"]),
        "to": str(row["end_date"]),
        "trades": row["total_trades"],
        "return %": shown("total_return_pct", 2),
        "buy & hold %": shown("benchmark_return_pct", 2),
        "Sharpe": shown("sharpe_ratio", 2),
        "deflated": shown("deflated_sharpe_ratio", 2),
        "backtest_id": row["backtest_id"],
    }


def run_url(context: Context, one: TrainReport) -> str:
    """A training run's page in MLflow."""
    return f"{context.settings.mlflow_page}/#/runs/{one.run_id}"


def report_url(context: Context, page: Path) -> str:
    """A page of the reports folder, as the report index serves it."""
    settings = context.settings
    inside = page.relative_to(settings.paths.reports).as_posix() if page.is_relative_to(settings.paths.reports) else ""
    return f"{settings.up.reports_url}/{inside}"
