"""Every query and request that users of the earlier system run, kept as they run it, and what each must return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

USERS_BASE_URL = "https://trading-api-1075463475276.us-central1.run.app"


@dataclass(frozen=True)
class Example:
    """One of them.

    Attributes:
        name: What a person calls it.
        kind: A GoogleSQL query, or a `curl` command line of which only the host may change.
        text: Word for word.
        columns: What it returns: the first columns of a query in their order, keys of an answer; more may follow.
        rows_in: The answer's key that holds a list ...
        row_keys: ... and the keys of each of its entries.
        why_empty: A query whose one row explains why there may be nothing.
        exactly: So many rows, always; None: any number.
    """

    name: str
    kind: Literal["sql", "curl"]
    text: str
    columns: tuple[str, ...]
    rows_in: str = ""
    row_keys: tuple[str, ...] = ()
    why_empty: str = ""
    exactly: int | None = None


EXAMPLES = (
    Example(
        "pipeline status",
        "sql",
        "SELECT * FROM `aialgotradehits.ml_models.v_pipeline_status`",
        (
            *("report_time", "total_ml_rows", "total_ml_size_mb", "latest_table_update", "asset_type"),
            *("model_latest_date", "accuracy_30d_avg", "accuracy_latest", "drift_days_30d", "predictions_7d"),
            *("latest_prediction_date", "buy_signals_7d", "sell_signals_7d", "high_conf_7d", "open_alerts"),
            *("champion_version", "pipeline_health"),
        ),
        exactly=3,
    ),
    Example(
        "yesterday's strongest predictions",
        "sql",
        """SELECT symbol, ROUND(up_probability * 100, 1) as up_pct, growth_score, trend_regime
FROM `aialgotradehits.ml_models.walk_forward_predictions_v2`
WHERE data_split = 'VALIDATE' AND up_probability >= 0.65
  AND DATE(datetime) = DATE_SUB(CURRENT_DATE(), INTERVAL 1 DAY)
ORDER BY up_probability DESC LIMIT 20""",
        ("symbol", "up_pct", "growth_score", "trend_regime"),
        why_empty="""SELECT CONCAT('the newest bar is of ', COALESCE(CAST(MAX(DATE(datetime)) AS STRING), 'no day'),
  '; the highest VALIDATE probability on any day is ',
  COALESCE(CAST(ROUND(MAX(IF(data_split = 'VALIDATE', up_probability, NULL)), 4) AS STRING), 'unknown')) AS reason
FROM `ml_models.walk_forward_predictions_v2`""",
    ),
    Example(
        "best performers",
        "sql",
        """SELECT * FROM `aialgotradehits.ml_models.v_best_performers`
WHERE rank_in_class <= 10 ORDER BY asset_type, rank_in_class""",
        (
            *("asset_type", "symbol", "total_signals", "correct_signals", "accuracy", "base_rate", "accuracy_lower_95"),
            *("total_return", "avg_return", "rank_in_class"),
        ),
        why_empty="""SELECT CONCAT('a symbol needs 10 HIGH signals of known outcome; all symbols together have ',
  CAST(COUNTIF(confidence_level = 'HIGH' AND actual_direction IS NOT NULL) AS STRING)) AS reason
FROM `ml_models.v_walk_forward_signals_v2`""",
    ),
    Example(
        "open alerts",
        "sql",
        """SELECT * FROM `aialgotradehits.ml_models.model_drift_alerts`
WHERE NOT is_resolved ORDER BY alert_time DESC""",
        (
            *("alert_id", "alert_time", "asset_type", "alert_type", "severity", "metric_name", "current_value"),
            *(
                "threshold_value",
                "baseline_value",
                "message",
                "is_resolved",
                "resolved_at",
                "resolved_by",
                "created_at",
            ),
        ),
        why_empty="SELECT CONCAT('no alert is open; ', CAST(COUNT(*) AS STRING), ' were raised so far') AS reason"
        " FROM `ml_models.model_drift_alerts`",
    ),
    Example(
        "high-confidence crypto buys",
        "curl",
        f'curl "{USERS_BASE_URL}/api/ml/high-confidence-signals?asset_type=crypto&signal_type=buy"',
        ("status", "confidence", "accuracy_note", "count", "note", "signals"),
        rows_in="signals",
        row_keys=(
            *("asset_type", "symbol", "date", "price", "up_pct", "signal", "growth_score", "trend_regime"),
            *("pivot_low", "rise_start", "golden_cross_flag"),
        ),
    ),
    Example(
        "one symbol",
        "curl",
        f'curl "{USERS_BASE_URL}/api/ml/symbol-prediction/NVDA?asset_type=stocks"',
        ("status", "symbol", "asset_type", "latest_prediction", "history"),
        rows_in="history",
        row_keys=(
            *("asset_type", "symbol", "datetime", "price", "up_probability", "predicted_direction", "actual_direction"),
            *("rsi", "macd_histogram", "adx", "growth_score", "in_rise_cycle", "rise_cycle_start", "pivot_high_flag"),
            *("pivot_low_flag", "golden_cross", "trend_regime"),
        ),
    ),
)
