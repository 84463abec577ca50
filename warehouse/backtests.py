"""Backtests in the warehouse: the predictions and bars they start from, and the rows they leave."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal

import polars as pl

from configs.settings import Settings
from market.assets import CLEAN_TABLES, AssetType
from market.errors import BacktestError
from market.signals import Thresholds
from warehouse.champions import published_champions, thresholds_in_force
from warehouse.warehouse import ReadConnection, Warehouse, Write

Origin = Literal["walk_forward", "live"]

RESULTS_TABLE: Final = "ml_models.backtest_results"
TRADES_TABLE: Final = "ml_models.backtest_trades"

_RECORDED = """
SELECT asset_type, symbol, datetime, up_probability AS entry_probability, growth_score AS entry_growth_score,
  trend_regime AS trend_regime_at_entry, actual_direction, data_split, model_version, fold
FROM `ml_models.walk_forward_predictions_v2`
WHERE asset_type = @asset_type AND datetime >= @first AND datetime < @until
ORDER BY asset_type, symbol, datetime
"""

_LIVE = """
SELECT asset_type, symbol, datetime, ensemble_up_probability AS entry_probability,
  growth_score AS entry_growth_score, trend_regime AS trend_regime_at_entry,
  CASE actual_direction WHEN 'UP' THEN 1 WHEN 'DOWN' THEN 0 END AS actual_direction,
  'VALIDATE' AS data_split, model_version, signal AS called_signal, ensemble_confidence AS called_confidence,
  xgb_up_probability, is_backfill
FROM `tradehits.v_live_predictions`
WHERE asset_type = @asset_type AND datetime >= @first AND datetime < @until
ORDER BY asset_type, symbol, datetime
"""

_QUERIES: Final[dict[Origin, str]] = {"walk_forward": _RECORDED, "live": _LIVE}

_BARS = """
SELECT @asset_type AS asset_type, symbol, datetime, open, high, low, close, volume, atr
FROM `{table}`
WHERE datetime >= @first AND datetime < @until AND symbol IN UNNEST(@symbols)
ORDER BY symbol, datetime
"""

_TODAY = "SELECT today FROM `tradehits.v_today` WHERE asset_type = @asset_type"

_COUNTED = f"""
SELECT parameters, sharpe_ratio, created_at
FROM `{RESULTS_TABLE}`
WHERE asset_type = @asset_type AND STRPOS(COALESCE(notes, ''), 'legacy_v2') = 0
ORDER BY created_at, backtest_id
"""

_FAR = date(2200, 1, 1)


@dataclass(frozen=True)
class BacktestInputs:
    """One asset class in a window.

    Attributes:
        asset_type: The class.
        origin: Where its predictions come from.
        predictions: Sorted by key; `entry_probability entry_growth_score trend_regime_at_entry actual_direction
            data_split model_version`; of the record also `fold`, of live ones what was called: `called_signal
            called_confidence xgb_up_probability`.
        bars: Of the predicted symbols, from the first prediction to the window's end, sorted by key.
        thresholds: In force now.
        model_versions: Behind the predictions, sorted.
        backfills: Rows of `realtime_predictions` in the window that are left out, because they were written when the
            next bar could be known: nobody could have traded them.
    """

    asset_type: AssetType
    origin: Origin
    predictions: pl.DataFrame
    bars: pl.DataFrame
    thresholds: Thresholds
    model_versions: tuple[str, ...]
    backfills: int = 0


def read_inputs(
    read: ReadConnection, settings: Settings, asset_type: AssetType, origin: Origin, start: date, end: date | None
) -> BacktestInputs | None:
    """Predictions of a window and the bars they were made on; of live ones those that were made in time.

    Args:
        read: One state of the warehouse.
        settings: Thresholds.
        asset_type: The class.
        origin: The champion's record, or what was predicted live.
        start: First bar.
        end: Last bar, included; None: the newest.

    Returns:
        None when there is no prediction in the window.
    """
    window = {
        "asset_type": asset_type,
        "first": _midnight(start),
        "until": _midnight((end or _FAR) + timedelta(days=1)),
    }
    predictions, backfills = pl.DataFrame(read.query(_QUERIES[origin], window)), 0
    if origin == "live":
        stored = predictions.height
        predictions = predictions.filter(~pl.col("is_backfill")).drop("is_backfill")
        backfills = stored - predictions.height
    if predictions.is_empty():
        return None
    first: datetime = predictions["datetime"].min()  # type: ignore[assignment]
    symbols = predictions["symbol"].unique().sort().to_list()
    bars = read.query(_BARS.format(table=CLEAN_TABLES[asset_type]), {**window, "first": first, "symbols": symbols})
    return BacktestInputs(
        asset_type=asset_type,
        origin=origin,
        predictions=predictions.sort("asset_type", "symbol", "datetime"),
        bars=pl.DataFrame(bars).sort("asset_type", "symbol", "datetime"),
        thresholds=thresholds_in_force(settings, asset_type, published_champions(read)),
        model_versions=tuple(predictions["model_version"].unique().sort()),
        backfills=backfills,
    )


def today_of(read: ReadConnection, asset_type: AssetType) -> date:
    """The class's present day (UTC), as every view has it."""
    today: date = read.query(_TODAY, {"asset_type": asset_type}).to_pylist()[0]["today"]
    return today


def validate_start(settings: Settings, asset_type: AssetType) -> date:
    """First date of a class's VALIDATE."""
    return settings.splits.of(asset_type).test_end + timedelta(days=1)


@dataclass(frozen=True)
class StoredTrials:
    """Configurations that were backtested on an asset class so far: annualised Sharpe ratios by trial id.

    A ratio is None where it was undefined. The same configuration on other dates or after a retraining is one trial.
    """

    sharpes: Mapping[str, float | None]


def stored_trials(read: ReadConnection, asset_type: str) -> StoredTrials:
    """Every configuration that left a result; the newest result counts."""
    sharpes: dict[str, float | None] = {}
    for row in read.query(_COUNTED, {"asset_type": asset_type}).to_pylist():
        parameters = json.loads(row["parameters"] or "{}")
        if trial := parameters.get("trial"):
            sharpes[trial] = row["sharpe_ratio"]
    return StoredTrials(sharpes)


def backtest_writes(results: Sequence[Mapping[str, Any]], trades: pl.DataFrame) -> list[Write]:
    """The writes of finished backtests, for one transaction: the same backtest again replaces its own rows.

    Args:
        results: Rows of `backtest_results`.
        trades: Rows of `backtest_trades`; may be empty.
    """
    frame = pl.DataFrame(list(results), schema_overrides=_RESULT_TYPES, infer_schema_length=None)
    writes = [Write(RESULTS_TABLE, rows=frame.to_arrow(), mode="merge")]
    if trades.height:
        writes.append(Write(TRADES_TABLE, rows=trades.to_arrow(), mode="merge"))
    return writes


def read_result(warehouse: Warehouse, backtest_id: str) -> tuple[dict[str, Any], pl.DataFrame]:
    """One row of `backtest_results` and its trades in order of entry.

    Raises:
        BacktestError: There is no such backtest.
    """
    with warehouse.read() as read:
        rows = read.query(f"SELECT * FROM `{RESULTS_TABLE}` WHERE backtest_id = @id", {"id": backtest_id}).to_pylist()
        if not rows:
            raise BacktestError(
                f"there is no backtest {backtest_id!r}",
                field="backtest_id",
                remedy='tradehits sql "SELECT backtest_id, strategy_name, asset_type FROM ml_models.backtest_results"',
            )
        order = "ORDER BY entry_date, asset_type, symbol, trade_id"
        trades = read.query(f"SELECT * FROM `{TRADES_TABLE}` WHERE backtest_id = @id {order}", {"id": backtest_id})
    return rows[0], pl.DataFrame(trades)


_FLOATS = (
    *("win_rate", "avg_win_pct", "avg_loss_pct", "profit_factor", "total_return_pct", "annualized_return_pct"),
    *("max_drawdown_pct", "avg_trade_return_pct", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "volatility_pct"),
    *("var_95_pct", "cvar_95_pct", "benchmark_return_pct", "alpha", "beta", "avg_position_size", "max_position_size"),
    *("deflated_sharpe_ratio", "costs_pct"),
)
_RESULT_TYPES: Final = {
    **dict.fromkeys(_FLOATS, pl.Float64()),
    "created_at": pl.Datetime("us", "UTC"),
    "notes": pl.String(),
}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
