"""Identity, truncation and scale on stored bars: each finds what is planted, and accuses nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import training.dataset
import warehouse.features
from configs.settings import Settings
from tests.audited import add_class, audit_settings, stored_market
from training.audit_identity import identity_check
from training.audit_labels import label_check
from training.dataset import Dataset, as_dataset, stored_training_set
from training.scale import scale_check
from training.truncation import recompute, truncation_check
from training.truncation_compare import Finding
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.warehouse import Write


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return audit_settings(str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def stored(settings: Settings) -> DuckDBWarehouse:
    return stored_market(settings)


def dataset_of(warehouse_: DuckDBWarehouse, settings: Settings) -> Dataset:
    """Looked up in the module, so that what a test plants there is what runs."""
    return training.dataset.as_dataset(settings, "crypto", stored_training_set(warehouse_, settings, "crypto"))


def findings(warehouse_: DuckDBWarehouse, settings: Settings, dataset: Dataset) -> list[Finding]:
    return truncation_check(warehouse_, settings, "crypto", dataset)


def planted(monkeypatch: pytest.MonkeyPatch, step: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """One more step between the feature table and the matrix."""

    def dishonest(settings: Settings, asset_type: object, joined: pl.DataFrame) -> Dataset:
        return as_dataset(settings, "crypto", step(joined))

    monkeypatch.setattr(training.dataset, "as_dataset", dishonest)


def rewritten_sql(monkeypatch: pytest.MonkeyPatch, folder: Path, *changes: tuple[str, str]) -> None:
    text = warehouse.features.feature_query()
    for honest, dishonest in changes:
        assert honest in text
        text = text.replace(honest, dishonest)
    path = folder / "features.sql"
    path.write_text(text)
    monkeypatch.setattr(warehouse.features, "FEATURES_SQL", path)


def test_honest_data_passes_every_proof(stored: DuckDBWarehouse, settings: Settings) -> None:
    dataset = dataset_of(stored, settings)
    (finding,) = findings(stored, settings, dataset)
    assert finding.column == ""
    assert "no past value changed, from indicators to the 30 columns of the training matrix" in finding.detail
    assert {result.status for result in identity_check(stored, dataset, None)} == {"passed"}
    (scale,) = scale_check(settings, recompute(stored, settings, "crypto"))
    assert (scale.status, scale.subject) == ("passed", "service default")
    assert scale.detail.startswith("30 columns on 546 bars do not move")


@pytest.mark.parametrize(
    ("step", "column"),
    [
        (lambda rows: rows.with_columns(rsi=(pl.col("rsi") - pl.col("rsi").mean()) / pl.col("rsi").std()), "rsi"),
        (lambda rows: rows.with_columns(cci=pl.col("target_direction").cast(pl.Float64)), "cci"),
        (lambda rows: rows.with_columns(roc=pl.col("target_direction").mean().over("symbol")), "roc"),
        (lambda rows: rows.with_columns(mfi=pl.col("mfi").rank() / pl.col("mfi").count()), "mfi"),
        (
            lambda rows: (
                rows.sort("symbol", "datetime")
                .with_columns(pl.col("momentum_20d").fill_null(strategy="backward").over("symbol"))
                .sort("datetime", "symbol")
            ),
            "momentum_20d",
        ),
    ],
    ids=["scaled by all rows", "the label itself", "target encoding", "quantiles of all rows", "filled backwards"],
)
def test_what_is_done_to_the_matrix_with_later_rows_is_named_by_column(
    stored: DuckDBWarehouse, settings: Settings, monkeypatch: pytest.MonkeyPatch,
    step: Callable[[pl.DataFrame], pl.DataFrame], column: str,
) -> None:  # fmt: skip
    planted(monkeypatch, step)
    found = findings(stored, settings, dataset_of(stored, settings))
    assert [finding.subject for finding in found] == [f"matrix column {column}"]
    if column == "cci":
        assert "up to 1 bars before the cut;" in found[0].detail


def test_a_matrix_that_is_changed_after_it_was_made_is_found(stored: DuckDBWarehouse, settings: Settings) -> None:
    honest = dataset_of(stored, settings)
    column = honest.features.index("atr_pct")
    matrix = honest.matrix.copy()
    matrix[:, column] *= 1.001
    found = findings(stored, settings, replace(honest, matrix=matrix))
    assert [finding.subject for finding in found] == ["matrix column atr_pct"]
    assert "a statistic of the whole sample" in found[0].detail


def test_values_filled_backwards_in_the_warm_up_are_found(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_close = "FIRST_VALUE(close) OVER (PARTITION BY symbol ORDER BY datetime DESC)"
    honest = "LAG(close, 20) OVER past"
    rewritten_sql(monkeypatch, tmp_path, (f"{honest} AS close_20", f"COALESCE({honest}, {first_close}) AS close_20"))
    market = stored_market(settings)
    found = truncation_check(market, settings, "crypto")
    assert [finding.column for finding in found] == ["momentum_20d"]


SAME_DATE = "SELECT datetime, AVG(percent_change) AS change FROM `crypto_trading_data.{}_daily_clean` GROUP BY datetime"


@pytest.mark.parametrize(
    ("own", "other", "table", "honest"),
    [("crypto", "stocks", "stocks", True), ("stocks", "crypto", "crypto", False)],
    ids=["stocks close before crypto does", "crypto closes after stocks do"],
)
def test_another_class_may_be_read_as_far_as_it_was_known_and_no_farther(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, other: str, table: str, honest: bool
) -> None:
    rewritten_sql(
        monkeypatch, tmp_path,
        ("FROM looked_back", f"FROM looked_back LEFT JOIN ({SAME_DATE.format(table)}) AS same_day USING (datetime)"),
        ("SAFE_DIVIDE(close - close_20, close_20) * 100 AS momentum_20d", "same_day.change AS momentum_20d"),
    )  # fmt: skip
    market = DuckDBWarehouse.scratch(settings.warehouse)
    for asset_type in (other, own):
        add_class(market, settings, asset_type, end=date(2021, 12, 31))  # type: ignore[arg-type]
    build_features(market, settings, [own, other])  # type: ignore[list-item]
    found = truncation_check(market, settings, own)  # type: ignore[arg-type]
    if honest:
        assert [finding.column for finding in found] == [""]
    else:
        assert [finding.column for finding in found] == ["momentum_20d"]
        assert "up to 1 bars before the cut;" in found[0].detail


def test_a_price_level_among_scale_free_features_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten_sql(
        monkeypatch, tmp_path,
        ("SAFE_DIVIDE(macd_histogram, close) * 100 AS macd_histogram_pct", "macd_histogram AS macd_histogram_pct"),
    )  # fmt: skip
    (result,) = scale_check(settings, recompute(stored_market(settings), settings, "crypto"))
    assert (result.status, result.subject) == ("failed", "feature macd_histogram_pct")
    assert "when prices are multiplied by 8" in result.detail


def test_a_service_with_levels_is_warned_of_by_name(stored: DuckDBWarehouse, tmp_path: Path) -> None:
    levels = audit_settings(str(tmp_path), training__feature_service="validated_16")
    (result,) = scale_check(levels, recompute(stored, levels, "crypto"))
    assert (result.status, result.subject) == ("warning", "service validated_16")
    assert "6 of 16 features depend on the price level: macd, macd_signal, macd_histogram, momentum" in result.detail


def test_rows_that_a_step_multiplies_are_named_by_the_step(stored: DuckDBWarehouse, settings: Settings) -> None:
    honest = dataset_of(stored, settings)
    twice = np.repeat(np.arange(honest.rows), 2)
    doubled = replace(
        honest, keys=honest.keys[twice], matrix=honest.matrix[twice], label=honest.label[twice],
        steps=(("Feast features", honest.rows), ("joined", 2 * honest.rows)),
    )  # fmt: skip
    failed = {result.subject: result for result in identity_check(stored, doubled, None) if result.status == "failed"}
    assert set(failed) == {"training set", "rows from bars to training set"}
    rows = honest.rows
    assert failed["training set"].detail.startswith(f"{2 * rows} rows, {rows} keys: {rows} duplicates")
    assert "from Feast features to joined a step multiplies rows" in failed["rows from bars to training set"].detail


def test_copies_with_stamps_of_their_own_are_counted_by_day(settings: Settings) -> None:
    market = stored_market(settings, end=date(2021, 6, 30))
    rows = pl.DataFrame(market.query("SELECT * FROM `crypto_trading_data.crypto_daily_clean`"))
    copies = [rows.with_columns(pl.col("datetime") + pl.duration(minutes=minute)) for minute in range(1, 7)]
    market.write([Write("crypto_trading_data.crypto_daily_clean", rows=pl.concat(copies).to_arrow(), mode="append")])
    failed = {result.subject: result for result in identity_check(market, dataset_of(market, settings), None)
              if result.status == "failed"}  # fmt: skip
    own = failed["crypto_trading_data.crypto_daily_clean, bars of one day"]
    assert "7.0 a day: between copies the close does not rise, so about 86% of labels become DOWN" in own.detail
    assert "a step multiplies rows" in failed["rows from bars to training set"].detail


def test_one_instrument_under_two_names_or_in_two_classes_is_a_warning(settings: Settings) -> None:
    market = stored_market(settings, end=date(2021, 6, 30))
    bars = pl.DataFrame(market.query("SELECT * FROM `crypto_trading_data.crypto_daily_clean`"))
    one = bars.filter(pl.col("symbol") == bars["symbol"].min())
    prices = pl.col("open", "high", "low", "close") * 3.0
    renamed = one.with_columns(prices, symbol=pl.lit("ZZZ/USDT"))
    market.write(
        [
            Write("crypto_trading_data.crypto_daily_clean", rows=renamed.to_arrow(), mode="append"),
            Write("crypto_trading_data.etfs_daily_clean", rows=one.to_arrow(), mode="append"),
        ]
    )
    build_features(market, settings, ["crypto"])
    found = {result.subject: result for result in identity_check(market, dataset_of(market, settings), None)}
    assert found["symbols with equal series"].status == "warning"
    assert f"{one['symbol'][0]} and ZZZ/USDT" in found["symbols with equal series"].detail
    assert found["bars that are also in etf"].status == "warning"
    assert "181 bars of 1 symbols" in found["bars that are also in etf"].detail
    assert "181 of them with the same close" in found["bars that are also in etf"].detail


def test_labels_are_checked_as_the_model_gets_them(stored: DuckDBWarehouse, settings: Settings) -> None:
    honest = dataset_of(stored, settings)
    assert {result.status for result in label_check(stored, honest)} == {"passed"}
    turned = replace(honest, label=np.nan_to_num(honest.label, nan=0.0))
    failed = [result for result in label_check(stored, turned) if result.status == "failed"]
    assert [result.subject for result in failed] == ["label array"]
    assert failed[0].detail.startswith("3 of 1638 labels differ"), "the newest bar of each of three symbols"
