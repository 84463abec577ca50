"""The run's summary as JSON: no accuracy without its base rate and interval."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.settings import Settings
from training.checks import counted

if TYPE_CHECKING:
    from flows.backtest import Backtested
    from flows.inference_report import PredictReport
    from flows.monitor_report import MonitorReport
    from flows.retrain import TrainReport

Summary = dict[str, Any]
_BACKTEST_FIGURES = (
    *("asset_type", "strategy_name", "total_trades", "win_rate", "total_return_pct", "benchmark_return_pct"),
    *("sharpe_ratio", "deflated_sharpe_ratio", "max_drawdown_pct", "costs_pct"),
)


def summarise(
    settings: Settings,
    reports: Sequence[TrainReport],
    predictions: PredictReport,
    monitoring: MonitorReport,
    backtests: Sequence[Backtested],
    *,
    seconds: float,
) -> Summary:
    """Everything the run found, ready for JSON."""
    from warehouse.clock import wall_clock

    return {
        "profile": settings.profile,
        "created_at": wall_clock().isoformat(),
        "seconds": round(seconds, 1),
        "indicator_variant": settings.indicators.variant,
        "feature_service": settings.training.feature_service,
        "retrain": settings.training.retrain,
        "asset_classes": {report.asset_type: _asset_class(settings, report) for report in reports},
        "predictions": {report.asset_type: asdict(report) for report in predictions.classes},
        "monitoring": {report.asset_type: asdict(report) for report in monitoring.classes},
        "backtests": [{name: one.row[name] for name in ("backtest_id", *_BACKTEST_FIGURES)} for one in backtests],
        "open_next": open_next(settings),
    }


def _asset_class(settings: Settings, report: TrainReport) -> dict[str, Any]:
    values = asdict(report)
    splits = {split["data_split"]: split for split in values.pop("splits")}
    checks = values.pop("checks")
    values.pop("decision")
    thresholds = settings.thresholds.of(report.asset_type)
    signals = [split.signals["BUY"] + split.signals["SELL"] for split in report.splits if split.data_split != "TRAIN"]
    fixed = thresholds.mode == "fixed"
    by = f"at {thresholds.buy:.2f}/{thresholds.sell:.2f}" if fixed else "by the relative thresholds"
    note = "" if sum(signals) else f"no BUY or SELL {by}: a valid answer, not a fault"
    return {
        **values,
        "data": "simulated" if report.is_simulated else "real",
        "splits": splits,
        "checks": {
            **counted(report.checks),
            "to_look_at": [check for check in checks if check["status"] in ("warning", "waived")],
        },
        "promotion": None if report.decision is None else report.decision.to_dict(),
        "note": note,
    }


def open_next(settings: Settings) -> dict[str, str]:
    """What to look at next, as lines to paste."""
    profile = "" if settings.profile == "sample" else f" --profile {settings.profile}"
    return {
        "mlflow": settings.mlflow_page
        if settings.mlflow.kind == "server"
        else f"{_command('mlflow')} ui --backend-store-uri {settings.mlflow_shown} --workers 1",
        "sql": f'{_command("tradehits")} sql{profile} "SELECT * FROM ml_models.v_pipeline_status"',
        "summary": str(settings.paths.summary_file),
    }


def _command(name: str) -> str:
    """A command of this environment, as it can be typed from the current folder."""
    import sys

    path = Path(sys.executable).parent / name
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def write_summary(settings: Settings, summary: Summary) -> None:
    """Store the summary whole: a reader sees the old file or the new one."""
    target = settings.paths.summary_file
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_suffix(f".{os.getpid()}.tmp")
    staged.write_text(json.dumps(summary, indent=2, default=str, allow_nan=False) + "\n", encoding="utf-8")
    staged.replace(target)
