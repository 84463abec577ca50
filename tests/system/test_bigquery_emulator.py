"""The project's SQL as it stands on a BigQuery emulator, through the real client, against the embedded engine.

The emulator runs on DuckDB too, so agreement shows that the statements parse, bind and load through BigQuery's
protocol; it is no proof of BigQuery's own arithmetic.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from google.cloud import bigquery

from market.assets import ASSET_TYPES, CLEAN_TABLES
from market.indicators import add_indicators
from tests.contract.table_rows import insert, midnight, rows_of, scratch_warehouse, select, utc
from tests.system.emulator import Emulator, load, run
from warehouse.features import feature_query
from warehouse.schema import load_schema
from warehouse.warehouse import Warehouse

pytestmark = pytest.mark.system

SCHEMA = load_schema()
BARS = 300
FIRST_DAY, NOW = date(2023, 9, 1), utc("2024-06-28 20:15")
CHANGES_BY_ENGINE = {"total_ml_rows", "total_ml_size_mb", "latest_table_update"}


USER_QUERIES = (
    "SELECT * FROM `aialgotradehits.ml_models.v_pipeline_status`",
    """SELECT symbol, ROUND(up_probability * 100, 1) as up_pct, growth_score, trend_regime
    FROM `aialgotradehits.ml_models.walk_forward_predictions_v2`
    WHERE data_split = 'VALIDATE' AND up_probability >= 0.65
      AND DATE(datetime) = DATE_SUB(CURRENT_DATE(), INTERVAL 1 DAY)
    ORDER BY up_probability DESC LIMIT 20""",
    """SELECT * FROM `aialgotradehits.ml_models.v_best_performers`
    WHERE rank_in_class <= 10 ORDER BY asset_type, rank_in_class""",
    """SELECT * FROM `aialgotradehits.ml_models.model_drift_alerts`
    WHERE NOT is_resolved ORDER BY alert_time DESC""",
)


@dataclass(frozen=True)
class Engines:
    """The same tables, views and rows on both engines."""

    emulator: bigquery.Client
    embedded: Warehouse


@pytest.fixture(scope="module")
def engines(emulator: Emulator) -> Engines:
    client = emulator.client()
    for dataset in sorted({name.split(".")[0] for name in SCHEMA.names}):
        client.create_dataset(dataset, exists_ok=True)
    for path in SCHEMA.tables.values():
        run(client, path.read_text(encoding="utf-8"))
    create_views(client)
    embedded = scratch_warehouse()
    for name, rows in example_rows().items():
        insert(embedded, name, rows)
        load(client, name, rows_of(name, rows))
    return Engines(client, embedded)


def create_views(client: bigquery.Client) -> None:
    """Create every view after the views that it reads."""
    waiting = {name: SCHEMA.view_sql(name) for name in SCHEMA.views}
    while waiting:
        ready = [name for name, sql in waiting.items() if not any(f"`{other}`" in sql for other in waiting)]
        assert ready, f"views that read each other: {sorted(waiting)}"
        for name in ready:
            run(client, f"CREATE OR REPLACE VIEW `{name}` AS\n{waiting.pop(name)}")


def example_rows() -> dict[str, list[dict[str, Any]]]:
    """A little of everything, dated so that all windows of a replay at `NOW` have rows."""
    rng = random.Random(3)
    days = [NOW.date() - timedelta(days=i) for i in range(40)]
    sessions = [
        {"calendar": "XNYS", "session": day, "close_at": midnight(day) + timedelta(hours=20)}
        for day in days
        if day.isoweekday() < 6
    ]
    rows: dict[str, list[dict[str, Any]]] = {
        "tradehits.asset_settings": [{"asset_type": a, "clock": "x", "now_at": NOW} for a in ASSET_TYPES],
        "tradehits.sessions": sessions,
        "ml_models.model_drift_alerts": [{"alert_id": "1", "asset_type": "etf", "severity": "WARNING"}],
        "ml_models.deployment_log": [
            {"deployment_id": "1", "component": "MODEL", "component_name": "walk_forward_etf"}
            | {"status": "SUCCESS", "version": "3"}
        ],
        "ml_models.backtest_results": [
            {"backtest_id": f"b{i}", "asset_type": "etf", "sharpe_ratio": s, "win_rate": 50.0 + i, "profit_factor": 1.3}
            for i, s in enumerate([0.2, 1.7, None, 1.7])
        ],
        "ml_models.model_performance_daily": [_performance(rng, a, day) for a in ("stocks", "etf") for day in days],
        "ml_models.realtime_predictions": [
            _live(rng, a, day, n) for a in ("stocks", "etf") for day in days for n in "ABC"
        ],
        "ml_models.walk_forward_predictions_v2": [_recorded(rng, n, day) for day in days for n in "ABC"],
    }
    for asset_type in ("stocks", "etf"):
        rows[CLEAN_TABLES[asset_type]] = _bars(asset_type)
    return rows


def _performance(rng: random.Random, asset_type: str, day: date) -> dict[str, Any]:
    tp, fp, tn, fn = (rng.randint(1, 30) for _ in range(4))
    total = tp + fp + tn + fn
    return {
        "date": day,
        "asset_type": asset_type,
        "prediction_source": "walk_forward",
        "total_predictions": total,
        "correct_predictions": tp + tn,
        "accuracy_pct": 100 * (tp + tn) / total,
        "true_positives": tp,
        "false_positives": fp,
        "true_negatives": tn,
        "false_negatives": fn,
        "precision_score": tp / (tp + fp),
        "recall_score": tp / (tp + fn),
        "drift_detected": rng.random() < 0.05,
    }


def _live(rng: random.Random, asset_type: str, day: date, symbol: str) -> dict[str, Any]:
    p = round(rng.random(), 3)
    return {
        "asset_type": asset_type,
        "symbol": symbol,
        "datetime": midnight(day),
        "close": 100.0,
        "atr": rng.choice([None, 1.0, 3.0, 7.0]),
        "ensemble_up_probability": p,
        "signal": "BUY" if p >= 0.6 else "SELL" if p <= 0.4 else "HOLD",
        "ensemble_confidence": rng.choice(["HIGH", "MEDIUM", "LOW"]),
        "signal_strength": abs(p - 0.5) * 200,
        "growth_score": rng.choice([0, 25, 50]),
        "trend_regime": rng.choice(["WEAK_UPTREND", "WEAK_DOWNTREND", "CONSOLIDATION"]),
        "in_rise_cycle": rng.random() < 0.5,
    }


def _recorded(rng: random.Random, symbol: str, day: date) -> dict[str, Any]:
    p = rng.choice([0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8])
    change = rng.gauss(0, 1)
    return {
        "asset_type": "stocks",
        "symbol": symbol,
        "datetime": midnight(day),
        "close": 10.0,
        "up_probability": p,
        "predicted_direction": int(p >= 0.5),
        "actual_direction": int(change > 0),
        "forward_return_pct": change,
        "growth_score": rng.choice([25, 50, 75]),
        "in_rise_cycle": rng.choice([0, 1]),
        "pivot_low_flag": rng.choice([0, 1]),
        "rsi": rng.uniform(20, 80),
        "data_split": "VALIDATE",
    }


def _bars(asset_type: str) -> list[dict[str, Any]]:
    """Random-walk bars with their real indicators."""
    rng = np.random.default_rng(len(asset_type))
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, BARS)))
    spread = 1 + rng.uniform(0.001, 0.03, (2, BARS))
    opened = close * (1 + rng.normal(0, 0.001, BARS))
    stamps = [midnight(FIRST_DAY + timedelta(days=i)) for i in range(BARS)]
    bars = pl.DataFrame(
        {
            "asset_type": asset_type,
            "symbol": "AAA",
            "datetime": pl.Series(stamps, dtype=pl.Datetime("us", "UTC")),
            "open": opened,
            "high": np.maximum(opened, close) * spread[0],
            "low": np.minimum(opened, close) / spread[1],
            "close": close,
            "volume": rng.uniform(1e5, 1e6, BARS),
        }
    )
    known = {"indicator_variant": "wilder", "ingested_at": NOW}
    rows = add_indicators(bars, "wilder").drop("asset_type").to_dicts()
    return [row | known | {"bar_known_at": row["datetime"] + timedelta(hours=21)} for row in rows]


def assert_same_rows(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Equal rows in any order; floats to nine digits, instants as instants."""

    def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        keys = ("asset_type", "symbol", "datetime", "date", "signal", "ensemble_confidence", "backtest_id")
        return sorted(rows, key=lambda row: [str(row[key]) for key in keys if key in row])

    assert len(found) == len(expected)
    for left, right in zip(in_order(found), in_order(expected), strict=True):
        assert list(left) == list(right)
        for name, value in right.items():
            if isinstance(value, float) and left[name] is not None:
                assert math.isclose(left[name], value, rel_tol=1e-9, abs_tol=1e-12), name
            elif isinstance(value, datetime):
                assert left[name].astimezone(UTC) == value.astimezone(UTC), name
            else:
                assert left[name] == value, name


def without_sizes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the figures that each engine has of its own."""
    return [{name: value for name, value in row.items() if name not in CHANGES_BY_ENGINE} for row in rows]


def test_the_feature_query_with_bound_parameters_gives_the_same_rows(engines: Engines) -> None:
    parameters = {
        "asset_type": "stocks",
        "first_symbol": "A",
        "last_symbol": "B",
        "train_end": date(2024, 1, 31),
        "test_end": date(2024, 3, 31),
        "created_timestamp": NOW,
    }
    found = run(engines.emulator, feature_query(), parameters)
    expected = select(engines.embedded, feature_query(), parameters)
    assert len(expected) == BARS
    assert {row["data_split"] for row in expected} == {"TRAIN", "TEST", "VALIDATE"}
    assert_same_rows(found, expected)


@pytest.mark.parametrize("view", sorted(SCHEMA.views))
def test_a_view_gives_the_same_rows(engines: Engines, view: str) -> None:
    query = f"SELECT * FROM `{view}`"
    found, expected = run(engines.emulator, query), select(engines.embedded, query)
    assert expected, "a comparison of nothing"
    assert_same_rows(without_sizes(found), without_sizes(expected))


@pytest.mark.parametrize("query", USER_QUERIES)
def test_the_users_own_queries_run_as_they_stand(engines: Engines, query: str) -> None:
    found, expected = run(engines.emulator, query), select(engines.embedded, query)
    assert_same_rows(without_sizes(found), without_sizes(expected))


@pytest.mark.parametrize("table", sorted(SCHEMA.tables))
def test_a_table_has_the_columns_types_and_key_of_its_file(engines: Engines, table: str) -> None:
    spelled = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
    fields = engines.emulator.get_table(table).schema
    found = [(field.name, spelled.get(field.field_type, field.field_type), field.mode) for field in fields]
    wanted = [(c.name, c.type, "NULLABLE" if c.nullable else "REQUIRED") for c in SCHEMA.table(table).columns]
    assert found == wanted
