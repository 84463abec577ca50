"""Backtests in MLflow: an experiment of their own, one run for what was asked at once of one class."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from configs.settings import Settings
from flows.backtest_report import full_report, plain
from market.errors import RegistryError
from registry.provenance import snapshot_tags
from registry.store import RunStore

if TYPE_CHECKING:
    from flows.backtest import Backtested

EXPERIMENT: Final = "backtests"
_KEY_TAG, _IDS_TAG = "backtest_key", "backtest_ids"
_METRICS: Final = (
    *("total_trades", "win_rate", "profit_factor", "total_return_pct", "annualized_return_pct", "max_drawdown_pct"),
    *("sharpe_ratio", "sortino_ratio", "calmar_ratio", "volatility_pct", "var_95_pct", "cvar_95_pct"),
    *("benchmark_return_pct", "alpha", "beta", "deflated_sharpe_ratio", "trials", "costs_pct"),
)


class BacktestLog:
    """Runs of the experiment of backtests in the profile's store."""

    def __init__(self, settings: Settings) -> None:
        """Open the store, making it when it is not there."""
        self._store = RunStore(settings, EXPERIMENT)
        self._profile = settings.profile

    def log(self, finished: Sequence[Backtested]) -> str:
        """Log the backtests of one class; the same backtests again renew their own run. Returns its id."""
        ids = [one.report.backtest_id for one in finished]
        key = hashlib.blake2b(" ".join(sorted(ids)).encode(), digest_size=16).hexdigest()
        found = self._search(f"tags.{_KEY_TAG} = '{key}'")
        if found is not None:
            self._fill(found, finished)
            return found
        first = finished[0].report
        tags = {
            **snapshot_tags(),
            _KEY_TAG: key,
            _IDS_TAG: " ".join(ids),
            "profile": self._profile,
            "backtest_class": first.asset_type,
            "data": "simulated" if first.is_simulated else "real",
            "model_version": first.model_version,
        }
        name = f"{first.asset_type} {first.strategy_name}" if len(finished) == 1 else first.asset_type
        with self._store.start_run(name, tags=tags) as run_id:
            self._store.log_params(
                run_id,
                {
                    "strategies": sorted({one.report.strategy_name.split()[0] for one in finished}),
                    "start": str(first.start),
                    "end": str(first.end),
                    "origin": first.origin,
                    "data_hash": first.parameters["data_hash"],
                },
            )
            self._fill(run_id, finished)
        return run_id

    def report(self, backtest_id: str) -> tuple[dict[str, Any], pl.DataFrame]:
        """What was logged of a backtest: its full report and its days.

        Raises:
            RegistryError: It was not logged in this store.
        """
        run_id = self._search(f"tags.{_IDS_TAG} LIKE '%{backtest_id}%'")
        if run_id is None:
            raise RegistryError(
                f"backtest {backtest_id} has no run in MLflow",
                remedy="run the backtest again: the same inputs give the same backtest",
            )
        report = json.loads(self._store.artifact(run_id, f"{backtest_id}/report.json").read_text(encoding="utf-8"))
        return report, pl.read_parquet(self._store.artifact(run_id, f"{backtest_id}/daily.parquet"))

    def _fill(self, run_id: str, finished: Sequence[Backtested]) -> None:
        metrics = [
            (f"{name}.{metric}" if len(finished) > 1 else metric, one.row[metric], 0)
            for one in finished
            for name in [_metric_name(one.report.strategy_name)]
            for metric in _METRICS
        ]
        self._store.log_metrics(run_id, metrics)
        summary = [{name: plain(value) for name, value in one.row.items() if name != "monte_carlo"} for one in finished]
        self._store.log_json(run_id, summary, "results.json")
        for one in finished:
            folder = one.report.backtest_id
            self._store.log_json(run_id, full_report(one.report, one.row), f"{folder}/report.json")
            self._store.log_table(run_id, one.report.daily, f"{folder}/daily.parquet")

    def _search(self, condition: str) -> str | None:
        runs = self._store.client.search_runs(
            [self._store.experiment_id],
            filter_string=f"attributes.status = 'FINISHED' AND {condition}",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        return str(runs[0].info.run_id) if runs else None


def _metric_name(strategy_name: str) -> str:
    """MLflow allows letters, digits, and _ - . space / in names of metrics."""
    return strategy_name.replace("=", " ").replace("+", "-")
