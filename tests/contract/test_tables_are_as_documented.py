"""Names, order, types, keys and partitions of the tables, written out once more as users know them."""

from __future__ import annotations

import pytest

from market.indicators import INDICATOR_COLUMNS
from warehouse.schema import load_schema

SCHEMA = load_schema()
TABLES = sorted(set(SCHEMA.tables) - {"tradehits.table_writes"})

OHLCV = "open high low close volume percent_change"
INDICATORS = """
    rsi macd macd_signal macd_histogram sma_20 sma_50 sma_200 ema_12 ema_20 ema_26 ema_50 ema_200 bollinger_upper
    bollinger_middle bollinger_lower atr adx plus_di minus_di mfi cmf stoch_k stoch_d cci williams_r momentum roc
    obv awesome_osc volume_ratio vwap_daily
"""
CLEAN = f"symbol datetime {OHLCV} {INDICATORS} bar_known_at ingested_at indicator_variant"
COLUMNS = {
    "crypto_trading_data.stocks_daily_clean": CLEAN,
    "crypto_trading_data.etfs_daily_clean": CLEAN,
    "crypto_trading_data.crypto_daily_clean": CLEAN,
    "ml_models.walk_forward_features_v2": f"""
        asset_type symbol datetime {OHLCV} {INDICATORS} bar_known_at created_timestamp is_warm rsi_slope rsi_zscore
        rsi_overbought rsi_oversold macd_rising macd_cross_up macd_cross macd_histogram_pct pivot_high_flag
        pivot_low_flag in_rise_cycle rise_cycle_start fall_cycle_start golden_cross death_cross growth_score
        trend_regime momentum_5d momentum_10d momentum_20d atr_pct volume_ratio_clean target_direction
        forward_return_pct label_known_at data_split indicator_variant
    """,
    "ml_models.walk_forward_predictions_v2": """
        asset_type symbol datetime close atr percent_change rsi macd_histogram adx growth_score in_rise_cycle
        rise_cycle_start pivot_high_flag pivot_low_flag golden_cross trend_regime actual_direction predicted_direction
        up_probability forward_return_pct data_split fold fold_start bar_known_at label_known_at run_id model_version
        trained_through
    """,
    "ml_models.realtime_predictions": f"""
        prediction_id created_at asset_type symbol datetime {OHLCV} rsi macd macd_histogram adx atr sma_20 sma_50
        sma_200 ema_12 ema_26 bb_upper bb_lower volume_sma_20 growth_score trend_regime in_rise_cycle rise_cycle_start
        fall_cycle_start pivot_high_flag pivot_low_flag golden_cross death_cross xgb_up_probability
        xgb_predicted_direction xgb_confidence gemini_prediction gemini_confidence gemini_reasoning gemini_risk_level
        gemini_status ensemble_up_probability ensemble_direction ensemble_confidence signal signal_strength
        stop_loss_pct take_profit_pct model_version actual_direction actual_change_pct prediction_correct
    """,
    "ml_models.model_performance_daily": """
        date asset_type prediction_source total_predictions correct_predictions accuracy_pct accuracy_high_conf
        accuracy_medium_conf accuracy_low_conf base_rate_pct up_share_pct avg_up_probability brier_score log_loss
        buy_signals sell_signals hold_signals true_positives false_positives true_negatives false_negatives
        precision_score recall_score f1_score rolling_7d_accuracy rolling_30d_accuracy baseline_accuracy
        drift_detected drift_type created_at
    """,
    "ml_models.feature_distributions": """
        date asset_type feature_name mean_value std_value min_value max_value percentile_25 percentile_50
        percentile_75 null_count baseline_mean baseline_std ks_statistic ks_p_value psi drift_detected created_at
    """,
    "ml_models.model_drift_alerts": """
        alert_id alert_time asset_type alert_type severity metric_name current_value threshold_value baseline_value
        message is_resolved resolved_at resolved_by created_at
    """,
    "ml_models.backtest_results": """
        backtest_id created_at strategy_name asset_type start_date end_date total_trades winning_trades losing_trades
        win_rate avg_win_pct avg_loss_pct profit_factor total_return_pct annualized_return_pct max_drawdown_pct
        avg_trade_return_pct sharpe_ratio sortino_ratio calmar_ratio volatility_pct var_95_pct cvar_95_pct
        benchmark_return_pct alpha beta avg_position_size max_position_size deflated_sharpe_ratio trials monte_carlo
        costs_pct parameters model_version notes
    """,
    "ml_models.backtest_trades": """
        trade_id backtest_id asset_type symbol entry_date entry_price entry_signal entry_confidence entry_probability
        entry_growth_score exit_date exit_price exit_reason position_size return_pct return_usd costs_usd holding_days
        is_winner atr_at_entry volatility_at_entry trend_regime_at_entry
    """,
    "ml_models.deployment_log": """
        deployment_id deployed_at component component_name version status details deployed_by
    """,
}
KEYS = {
    "crypto_trading_data.stocks_daily_clean": "symbol datetime",
    "crypto_trading_data.etfs_daily_clean": "symbol datetime",
    "crypto_trading_data.crypto_daily_clean": "symbol datetime",
    "ml_models.walk_forward_features_v2": "asset_type symbol datetime",
    "ml_models.walk_forward_predictions_v2": "asset_type symbol datetime",
    "ml_models.realtime_predictions": "asset_type symbol datetime",
    "ml_models.model_performance_daily": "date asset_type prediction_source",
    "ml_models.feature_distributions": "date asset_type feature_name",
    "ml_models.model_drift_alerts": "alert_id",
    "ml_models.backtest_results": "backtest_id",
    "ml_models.backtest_trades": "trade_id",
    "ml_models.deployment_log": "deployment_id",
    "tradehits.version_retention": "asset_type",
    "tradehits.audit_waivers": "waiver_id",
    "tradehits.table_adoptions": "adoption_id",
    "tradehits.bar_versions": "asset_type symbol interval datetime ingested_at",
    "tradehits.bar_quarantine": "quarantine_id",
    "tradehits.sessions": "calendar session",
    "tradehits.symbol_events": "asset_type symbol event effective_at",
    "tradehits.clean_builds": "asset_type change_number",
    "tradehits.clean_changes": "asset_type change_number symbol",
    "tradehits.feature_builds": "asset_type build_number",
    "tradehits.asset_settings": "asset_type",
    "tradehits.champions": "asset_type",
    "tradehits.evidently_results": "date asset_type report metric subject",
    "tradehits.gemini_calls": "call_id",
    "tradehits.alert_events": "event_id",
    "tradehits.alert_judgements": "judgement_id",
    "tradehits.alert_deliveries": "delivery_id",
    "tradehits.alert_attempts": "attempt_id",
    "tradehits.retrain_advice": "advice_id",
}
FLAGS = "in_rise_cycle rise_cycle_start pivot_high_flag pivot_low_flag golden_cross"


def types(table: str, columns: str) -> set[str]:
    by_name = {column.name: column.type for column in SCHEMA.table(table).columns}
    return {by_name[name] for name in columns.split()}


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_a_table_has_the_documented_columns_in_their_order(name: str) -> None:
    assert [column.name for column in SCHEMA.table(name).columns] == COLUMNS[name].split()


def test_every_table_has_its_documented_key_and_says_so_in_its_grain() -> None:
    assert {name: " ".join(SCHEMA.table(name).key) for name in TABLES} == KEYS
    for name in TABLES:
        table = SCHEMA.table(name)
        assert table.grain == f"Grain: one row per ({', '.join(table.key)})."


def test_the_indicators_of_the_tables_are_those_that_are_computed() -> None:
    assert tuple(INDICATORS.split()) == INDICATOR_COLUMNS


def test_directions_and_flags_are_integers_in_walk_forward_tables() -> None:
    features = f"target_direction rsi_overbought rsi_oversold macd_rising macd_cross death_cross growth_score {FLAGS}"
    assert types("ml_models.walk_forward_features_v2", features) == {"INT64"}
    assert types("ml_models.walk_forward_features_v2", "is_warm") == {"BOOL"}
    record = f"actual_direction predicted_direction growth_score fold {FLAGS}"
    assert types("ml_models.walk_forward_predictions_v2", record) == {"INT64"}


def test_live_directions_are_strings_cycles_booleans_and_pivots_integers() -> None:
    live = "ml_models.realtime_predictions"
    assert types(live, "xgb_predicted_direction ensemble_direction actual_direction gemini_prediction") == {"STRING"}
    assert types(live, "xgb_confidence ensemble_confidence signal gemini_status") == {"STRING"}
    assert types(live, "in_rise_cycle rise_cycle_start fall_cycle_start prediction_correct") == {"BOOL"}
    assert types(live, "pivot_high_flag pivot_low_flag golden_cross death_cross growth_score") == {"INT64"}
    assert types(live, "gemini_confidence xgb_up_probability signal_strength") == {"FLOAT64"}


@pytest.mark.parametrize("name", TABLES)
def test_instants_are_timestamps_days_are_dates_and_measures_are_floats(name: str) -> None:
    columns = {column.name: column.type for column in SCHEMA.table(name).columns}
    instants = {
        c for c in columns if c.endswith(("_at", "_timestamp")) or c in ("datetime", "alert_time", "fold_start")
    }
    assert {columns[c] for c in instants} <= {"TIMESTAMP"}
    assert {columns[c] for c in columns if c == "date" or c.endswith("_date")} <= {"DATE"}
    measured = ("_pct", "_probability", "_score", "_ratio", "_rate")
    counted = ("growth_score", "entry_growth_score")
    assert {columns[c] for c in columns if c.endswith(measured) and c not in counted} <= {"FLOAT64"}


@pytest.mark.parametrize(
    ("name", "partition", "clustered"),
    [
        ("ml_models.walk_forward_features_v2", "TIMESTAMP_TRUNC(datetime, MONTH)", ("asset_type", "symbol")),
        ("ml_models.realtime_predictions", "DATE(datetime)", ("asset_type", "symbol")),
        ("ml_models.backtest_trades", "DATE_TRUNC(entry_date, MONTH)", ("backtest_id", "symbol")),
        ("tradehits.bar_versions", "TIMESTAMP_TRUNC(datetime, MONTH)", ("asset_type", "symbol", "interval")),
    ],
)
def test_large_tables_are_partitioned_and_clustered(name: str, partition: str, clustered: tuple[str, ...]) -> None:
    table = SCHEMA.table(name)
    assert (table.partition_by, table.cluster_by) == (partition, clustered)


def test_only_the_view_of_today_asks_what_time_it_is() -> None:
    clocks = ("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_DATETIME", "CURRENT_TIME")
    asking = {name for name in SCHEMA.views if any(clock in SCHEMA.view_sql(name).upper() for clock in clocks)}
    assert asking == {"tradehits.v_today"}


def test_every_view_of_the_contract_is_there_and_states_its_grain() -> None:
    public = {name.split(".")[1] for name in SCHEMA.views if name.startswith("ml_models.")}
    assert public == {
        "v_model_monitoring_dashboard",
        "v_latest_predictions",
        "v_signal_summary",
        "v_walk_forward_signals_v2",
        "v_backtest_comparison",
        "v_best_performers",
        "v_pipeline_status",
    }
    assert all(SCHEMA.view_sql(name).startswith("-- Grain: ") for name in SCHEMA.views)
