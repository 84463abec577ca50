"""The guard finds what is planted: columns that look ahead, duplicated keys, labels of their own making."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import training.truncation
import warehouse.clean
import warehouse.features
from configs.settings import Settings, load_settings
from market.errors import IntegrityError
from market.simulate import simulate_market
from training.audit import CheckResult, label_check, require_passed
from training.dataset import join_labels
from training.truncation import truncation_check
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.ingest import ingest_asset_type
from warehouse.warehouse import Warehouse


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("home")))
        return load_settings("test")


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    market = simulate_market(
        "crypto", seed=5, start=date(2021, 1, 1), end=date(2022, 6, 30), planted_symbols=2, noise_symbols=1
    )
    return market.bars


def built(settings: Settings, bars: pl.DataFrame) -> Warehouse:
    warehouse = DuckDBWarehouse.scratch(settings.warehouse)
    warehouse.ensure_schema()
    ingest_asset_type(warehouse, settings, bars, source="simulated")
    build_features(warehouse, settings, ["crypto"])
    return warehouse


def test_honest_columns_pass(settings: Settings, bars: pl.DataFrame) -> None:
    findings = truncation_check(built(settings, bars), settings, "crypto")
    assert [finding.column for finding in findings] == [""]
    assert "no past value changed" in findings[0].detail


@pytest.mark.parametrize(
    ("honest", "looking_ahead", "column"),
    [
        ("LAG(rsi) OVER past", "LEAD(rsi) OVER past", "rsi_slope"),
        ("LAG(high, 4) OVER past", "LEAD(high, 2) OVER past", "pivot_high_flag"),
    ],
)
def test_a_feature_that_looks_ahead_is_named(
    settings: Settings, bars: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    honest: str, looking_ahead: str, column: str,
) -> None:  # fmt: skip
    text = warehouse.features.feature_query()
    assert honest in text
    dishonest = tmp_path / "features.sql"
    dishonest.write_text(text.replace(honest, looking_ahead))
    monkeypatch.setattr(warehouse.features, "FEATURES_SQL", dishonest)
    findings = truncation_check(built(settings, bars), settings, "crypto")
    assert [finding.column for finding in findings] == [column]
    reach = 2 if column == "pivot_high_flag" else 1
    assert f"up to {reach} bars before the cut" in findings[0].detail


def test_an_indicator_that_looks_ahead_is_named(
    settings: Settings, bars: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = warehouse.clean.add_indicators
    monkeypatch.setattr(warehouse.clean, "add_indicators", lambda f, v: _centred(original, f, v))
    monkeypatch.setattr(training.truncation, "add_indicators", lambda f, v: _centred(original, f, v))
    findings = truncation_check(built(settings, bars), settings, "crypto")
    assert "sma_20" in [finding.column for finding in findings]
    named = next(finding for finding in findings if finding.column == "sma_20")
    assert "up to 2 bars before the cut" in named.detail
    assert "indicator" in named.subject


def _centred(original, frame: pl.DataFrame, variant: str) -> pl.DataFrame:  # type: ignore[no-untyped-def]
    mean = pl.col("close").rolling_mean(5, center=True, min_samples=1).over("symbol")
    return original(frame, variant).with_columns(sma_20=mean)


def keyed(symbols: list[str], **columns: list) -> pl.DataFrame:  # type: ignore[type-arg]
    return pl.DataFrame(
        {
            "asset_type": ["crypto"] * len(symbols),
            "symbol": symbols,
            "datetime": [datetime(2024, 1, 1, tzinfo=UTC)] * len(symbols),
        }
        | columns
    )


LABELS = {
    "target_direction": [1, 0],
    "forward_return_pct": [1.0, -1.0],
    "label_known_at": [None, None],
    "data_split": ["TEST", "TEST"],
}


def test_a_duplicated_key_stops_the_join_of_features_and_labels() -> None:
    with pytest.raises(IntegrityError, match="features: 1 of 2 rows repeat a key"):
        join_labels(keyed(["A/USD", "A/USD"], rsi=[1.0, 2.0]), keyed(["A/USD", "B/USD"], **LABELS))


def test_a_bar_without_a_partner_stops_the_join() -> None:
    with pytest.raises(IntegrityError, match="features have 2 rows, labels 2, joined by key 1"):
        join_labels(keyed(["A/USD", "C/USD"], rsi=[1.0, 2.0]), keyed(["A/USD", "B/USD"], **LABELS))


def test_labels_that_do_not_come_from_the_next_bar_are_counted(settings: Settings, bars: pl.DataFrame) -> None:
    from training.dataset import Dataset

    warehouse_ = built(settings, bars)
    keys = pl.DataFrame(
        warehouse_.query(
            "SELECT asset_type, symbol, datetime, bar_known_at, target_direction, forward_return_pct, label_known_at, "
            "data_split FROM ml_models.walk_forward_features_v2 ORDER BY datetime, symbol"
        )
    )
    empty = np.empty(0)
    dataset = Dataset("crypto", ("rsi",), empty, empty, empty, empty, empty, keys, "")
    assert {result.status for result in label_check(warehouse_, dataset)} == {"passed"}
    filled = replace(dataset, keys=keys.with_columns(pl.col("target_direction").fill_null(0)))
    by_subject = {result.subject: result for result in label_check(warehouse_, filled)}
    assert by_subject["target_direction"].status == "failed"
    assert "3 of" in by_subject["target_direction"].detail, "one newest bar of each of three symbols"
    assert by_subject["label_known_at"].status == "passed"


def test_failed_checks_stop_publication_and_say_why() -> None:
    results = [
        CheckResult("identity", "passed", "bars", "fine"),
        CheckResult(
            "truncation", "failed", "feature rsi_slope", "changes on 4 of 900 past bars", "let it use the past only"
        ),
    ]
    require_passed(results[:1])
    with pytest.raises(
        IntegrityError, match="1 of 2 checks failed, nothing is published: truncation of feature rsi_slope"
    ) as caught:
        require_passed(results)
    assert caught.value.remedy == "let it use the past only"
