"""The main job with `--profile bigquery`: their tables in, the same features, folds and predictions as on DuckDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from google.cloud import bigquery

from tests.system.emulator import PROJECT, run, running_emulator
from tests.system.their_tables import CONFLICTS, COPIES, contents, make_their_tables, market

pytestmark = [pytest.mark.system, pytest.mark.timeout(3000)]

TRADEHITS = Path(sys.executable).parent / "tradehits"
SMALL = {
    "TRADEHITS__TRAINING__RETRAIN": "yearly",
    "TRADEHITS__TRAINING__MAX_TREES": "40",
    "TRADEHITS__TRAINING__THREADS": "1",
    "TRADEHITS__TRAINING__EARLY_STOPPING_ROUNDS": "10",
    "TRADEHITS__TRAINING__MIN_TRAIN_ROWS": "200",
    "TRADEHITS__EVALUATION__BOOTSTRAP_SAMPLES": "200",
    "TRADEHITS__AUDIT__TRUNCATION_SYMBOLS": "1",
    "TRADEHITS__AUDIT__TRUNCATION_CUTS": "4",
    "TRADEHITS__BACKTEST__MONTE_CARLO__PATHS": "500",
    "TRADEHITS__BACKTEST__MONTE_CARLO__SHUFFLES": "10",
    "TRADEHITS__REPORTS__ENABLED": "false",
    **{f"TRADEHITS__CLOCK__{name}": "end_of_data" for name in ("STOCKS", "ETF", "CRYPTO")},
}
ETF = {
    "source": "bigquery",
    "dataset": "crypto_trading_data",
    "columns": {"datetime": "trade_day", "close": "last_price"},
}
OF_EACH_RUN = {"created_timestamp", "run_id", "ingested_at"}


@dataclass(frozen=True)
class Runs:
    """Both runs are done; `ask` reads the tables of a profile."""

    client: bigquery.Client
    ask: Callable[[str, str], pl.DataFrame]
    output: str
    theirs: dict[str, Any]
    given: dict[str, int]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    home = tmp_path_factory.mktemp("home")
    bars = market()
    bars.write_parquet(home / "bars.parquet")
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        client = emulator.client()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("TRADEHITS", "PREFECT"))
        }
        environment |= {**SMALL, "TRADEHITS_HOME": str(home), "TRADEHITS__SOURCES__ETF": json.dumps(ETF)}
        environment |= {
            "BIGQUERY_EMULATOR_HOST": emulator.host,
            "BIGQUERY_STORAGE_EMULATOR_HOST": emulator.storage_host,
        }

        def call(*arguments: str) -> str:
            done = subprocess.run(
                [str(TRADEHITS), *arguments], env=environment, capture_output=True, text=True, timeout=2700, check=False
            )
            assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
            return done.stdout

        def ask(profile: str, sql: str) -> pl.DataFrame:
            rows = json.loads(call("sql", "--profile", profile, "--format", "json", sql))
            return pl.DataFrame(rows, infer_schema_length=None)

        given = make_their_tables(client, bars)
        theirs = contents(client)
        call("run", "--profile", "local", "--source", "parquet", "--path", str(home / "bars.parquet"))
        output = call("run", "--profile", "bigquery")
        yield Runs(client, ask, output, theirs, given)


def assert_same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    """Equal rows; numbers to nine digits, everything else exactly."""
    assert found.columns == expected.columns
    assert found.height == expected.height > 0
    for name in found.columns:
        one, other = found[name], expected[name]
        if one.dtype.is_float() or other.dtype.is_float():
            one, other = one.cast(pl.Float64), other.cast(pl.Float64)
            scale = pl.DataFrame([one.abs(), other.abs().alias("b")]).max_horizontal()
            equal = ((one - other).abs() <= 1e-9 * scale + 1e-12) | (one.is_null() & other.is_null())
            assert equal.fill_null(value=False).all(), name
        else:
            assert one.eq_missing(other).all(), name


@pytest.mark.parametrize(
    "table",
    ["ml_models.walk_forward_features_v2", "ml_models.walk_forward_predictions_v2"],
)
def test_features_folds_and_predictions_are_those_of_the_embedded_engine(runs: Runs, table: str) -> None:
    query = f"SELECT * FROM `{table}` ORDER BY asset_type, symbol, datetime"
    found, expected = runs.ask("bigquery", query), runs.ask("local", query)
    assert_same(found.drop(OF_EACH_RUN, strict=False), expected.drop(OF_EACH_RUN, strict=False))


def test_both_runs_say_the_same_of_accuracy_and_signals(runs: Runs, tmp_path: Path) -> None:
    query = "SELECT * FROM `ml_models.v_best_performers` ORDER BY asset_type, rank_in_class"
    columns = "asset_type, data_split, COUNT(*) AS n, SUM(actual_direction) AS ups, COUNT(DISTINCT fold) AS folds"
    folds = (
        f"SELECT {columns} FROM `ml_models.walk_forward_predictions_v2` GROUP BY asset_type, data_split ORDER BY 1, 2"
    )
    assert_same(runs.ask("bigquery", folds), runs.ask("local", folds))
    assert runs.ask("bigquery", query).height == runs.ask("local", query).height


def test_copies_are_counted_and_left_out_and_conflicting_ones_are_in_quarantine(runs: Runs) -> None:
    found = runs.ask(
        "bigquery",
        "SELECT asset_type, rule, COUNT(*) AS n, ANY_VALUE(detail) AS detail FROM `tradehits.bar_quarantine` "
        "WHERE rule LIKE 'duplicate%' GROUP BY asset_type, rule",
    )
    told = {(row["asset_type"], row["rule"]): row for row in found.to_dicts()}
    for asset_type in ("stocks", "etf"):
        bars = (runs.given[asset_type] - CONFLICTS[asset_type]) // COPIES[asset_type]
        identical = runs.given[asset_type] - bars - CONFLICTS[asset_type]
        assert (
            told[asset_type, "duplicate_identical"]["detail"] == f"{identical:,} identical copies of rows were left out"
        )
    assert told["stocks", "duplicate_conflicting"]["n"] == 20
    assert told["crypto", "duplicate_conflicting"]["n"] == 7
    assert ("etf", "duplicate_conflicting") not in told
    assert ("crypto", "duplicate_identical") not in told


def test_their_tables_are_as_they_were(runs: Runs) -> None:
    assert contents(runs.client) == runs.theirs


def test_everything_the_platform_made_carries_its_label(runs: Runs) -> None:
    made = [item for dataset in runs.client.list_datasets() for item in runs.client.list_tables(dataset.reference)]
    others = {f"{item.dataset_id}.{item.table_id}" for item in made if item.labels.get("app") != "tradehits"}
    assert {name.split(".")[0] for name in others} <= {"crypto_trading_data", "tradehits_staging"}


def test_the_users_own_query_runs_as_it_stands(runs: Runs) -> None:
    rows = run(runs.client, f"SELECT * FROM `{PROJECT}.ml_models.v_pipeline_status`")
    assert sorted(row["champion_version"] for row in rows) == [
        f"walk_forward_{name}/1" for name in ("crypto", "etf", "stocks")
    ]
