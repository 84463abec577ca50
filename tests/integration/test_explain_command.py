"""`tradehits audit explain` as a user calls it: pure JSON, a table, a picture, and errors that say what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import typer
from click.testing import Result
from matplotlib.image import imread
from typer.testing import CliRunner

from flows.explain_command import explain_command
from market.errors import BadBarsError, ConfigError, NotEnoughDataError, SourceError
from market.simulate import simulate_market

Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("TRADEHITS_PROFILE", "test")
    return caller()


def caller() -> Call:
    app = typer.Typer()
    app.callback()(lambda: None)
    app.command("explain")(explain_command)
    return lambda *arguments: CliRunner().invoke(app, ["explain", *map(str, arguments)])


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return simulate_market(
        "etf", seed=2, start=date(2020, 1, 1), end=date(2025, 3, 31), planted_symbols=0, noise_symbols=2
    ).bars


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def vendor_result(bars: pl.DataFrame, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A file as vendors write it: no class, and columns of their own, flags that look ahead among them."""
    file = tmp_path_factory.mktemp("vendor") / "vendor.parquet"
    bars.drop("asset_type").with_columns(
        pl.col("volume").cast(pl.Int64), rsi=pl.lit(50.0), pivot_high_flag=pl.lit(1), note=pl.lit("x")
    ).write_parquet(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        patch.setenv("TRADEHITS_PROFILE", "test")
        return caller()("--path", file, "--duplicates", 7, "--format", "json")


def test_json_is_the_whole_standard_output_and_lists_the_steps(vendor_result: Result) -> None:
    assert vendor_result.exit_code == 0, vendor_result.output
    steps = json.loads(vendor_result.stdout)
    assert len(steps) == 7
    for step in steps:
        assert {"step", "rows", "accuracy", "base_rate", "accuracy_ci_95"} <= step.keys()
        low, high = step["accuracy_ci_95"]
        assert 0 <= low <= step["accuracy"] <= high <= 100
        assert step["base_rate"] >= 50
    assert steps[0]["base_rate"] == pytest.approx(100 - 50 / 7, abs=1.0)
    assert steps[1]["accuracy"] > steps[-1]["accuracy"] + 4


def test_the_picture_lies_in_the_profile_s_reports_and_nothing_else_is_written_but_the_log(
    vendor_result: Result, home: Path
) -> None:
    picture = home / "test" / "reports" / "explain_etf.png"
    assert f"picture: {picture}" in vendor_result.stderr
    assert imread(picture).shape[:2] == (560, 900)
    written = {str(path.relative_to(home / "test")) for path in home.rglob("*") if path.is_file()}
    assert {name for name in written if not name.startswith("logs/")} == {"reports/explain_etf.png"}


def test_a_folder_of_csv_files_gives_the_same_steps_and_duplicates_only_add_the_first(
    call: Call, vendor_result: Result, bars: pl.DataFrame, tmp_path: Path
) -> None:
    for (symbol,), rows in bars.partition_by("symbol", as_dict=True).items():
        plain = rows.with_columns(pl.col("datetime").dt.date()).drop("asset_type", "symbol")
        plain.write_csv(tmp_path / f"{symbol}.csv")
    shown = [json.loads(vendor_result.stdout)[1:], json.loads(call("--path", tmp_path, "--format", "json").stdout)]
    of_vendor, of_csv = ([(step["rows"], step["base_rate"], step["accuracy"]) for step in steps] for steps in shown)
    assert of_csv == of_vendor


def test_the_table_names_the_bars_the_dates_what_was_left_out_and_what_is_left(
    call: Call, bars: pl.DataFrame, tmp_path: Path
) -> None:
    stocks = bars.with_columns(asset_type=pl.lit("stocks"))
    pl.concat([bars, stocks, stocks.head(500)]).write_parquet(tmp_path / "both.parquet")
    picture = tmp_path / "deep" / "waterfall.png"
    result = call("--path", tmp_path / "both.parquet", "--asset-type", "stocks", "--picture", picture)
    assert result.exit_code == 0, result.output
    assert f"stocks · SIMEN0001, SIMEN0002: {bars.height:,} bars from 2020-01-02 to 2025-03-31\n" in result.stdout
    assert "trained to 2022-12-31, tested after 2023-12-31\n" in result.stdout
    assert "500 rows of the file break a rule or repeat a bar and were left out\n" in result.stdout
    assert "1. as reported: look-ahead pivots, one split" in result.stdout
    assert "6. honest: scale-free features" in result.stdout
    assert "base rate of" in result.stdout.splitlines()[-1]
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 132
    assert picture.exists()


def test_a_file_of_several_classes_asks_for_one_and_one_of_another_class_is_refused(
    call: Call, bars: pl.DataFrame, tmp_path: Path
) -> None:
    stocks = bars.with_columns(asset_type=pl.lit("stocks"))
    pl.concat([bars, stocks]).write_parquet(tmp_path / "both.parquet")
    undecided = call("--path", tmp_path / "both.parquet").exception
    assert isinstance(undecided, ConfigError)
    assert "holds bars of stocks, etf" in undecided.message
    assert "--asset-type" in undecided.remedy
    absent = call("--path", tmp_path / "both.parquet", "--asset-type", "crypto").exception
    assert isinstance(absent, SourceError)
    assert "holds no daily crypto bars" in absent.message


def test_what_cannot_be_explained_is_refused_by_name(call: Call, bars: pl.DataFrame, tmp_path: Path) -> None:
    bars.drop("close").write_parquet(tmp_path / "columns.parquet")
    bars.head(30).write_parquet(tmp_path / "short.parquet")
    bars.clear().write_parquet(tmp_path / "empty.parquet")
    (tmp_path / "folder").mkdir()
    for name, error, message in (
        ("columns.parquet", BadBarsError, "column 'close': the column is missing"),
        ("short.parquet", NotEnoughDataError, "30 bars"),
        ("empty.parquet", BadBarsError, "no rows"),
        ("absent.parquet", SourceError, "absent.parquet"),
        ("folder", SourceError, "holds no"),
    ):
        found = call("--path", tmp_path / name).exception
        assert isinstance(found, error), name
        assert message in found.message
        assert found.remedy


def test_bad_usage_is_told_before_anything_is_read(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "absent.parquet"
    assert call("--path", file, "--asset-type", "bonds").exit_code == 2
    assert call("--path", file, "--duplicates", 0).exit_code == 2
    assert call().exit_code == 2
    refused = call("--path", file, "--picture", tmp_path / "a.svg").exception
    assert isinstance(refused, ConfigError)
    assert "a.svg" in refused.message
    (tmp_path / "blocked").write_text("a file where a folder would have to be")
    unwritable = call("--path", file, "--picture", tmp_path / "blocked" / "a.png").exception
    assert isinstance(unwritable, ConfigError)
    assert "cannot be written" in unwritable.message


def test_the_command_line_knows_the_command_without_loading_what_it_needs() -> None:
    heavy = "{'polars', 'duckdb', 'xgboost', 'matplotlib'}"
    code = f"import sys, flows.explain_command; print(sorted({heavy} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
