"""The tearsheet: its numbers, and a page that needs nobody else."""

from __future__ import annotations

import json
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest
from typer.testing import CliRunner

from flows.backtest import BacktestQuestion, backtest
from flows.backtest_log import BacktestLog
from flows.tearsheet import tearsheet
from flows.tearsheet_cells import minus, signed
from flows.tearsheet_data import TearsheetData, by_exit_reason, by_symbol, monthly_returns, rolling, verdict
from flows.tearsheet_figures import figures
from flows.tearsheet_page import render
from market.errors import BacktestError
from tests.backtest_world import BacktestWorld, make_world
from warehouse.backtests import read_result

PLACES = {"equity", "rolling", "distribution", "exits", "costs", "fan"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> BacktestWorld:
    return make_world(tmp_path_factory.mktemp("tearsheet"))


@pytest.fixture(scope="module")
def pages(world: BacktestWorld) -> dict[str, TearsheetData]:
    """The portfolio, which trades, and a class whose rule never does."""
    never = world.settings.backtest.strategies["high_confidence"].model_copy(
        update={"entry": "probability", "edge": 0.45, "full_edge": 0.5}
    )
    strategies = {"probability_weighted": world.settings.backtest.strategies["probability_weighted"], "never": never}
    given = world.settings.backtest.model_copy(update={"strategies": strategies})
    settings = world.settings.model_copy(update={"backtest": given})
    context = type(world.context)(settings, world.context.warehouse, world.context.reporter, world.context.tasks)
    finished = backtest(context, BacktestQuestion())
    found = {}
    for one in finished:
        name = {("all", "probability_weighted"): "traded", ("stocks", "never"): "idle"}.get(
            (one.report.asset_type, one.report.strategy_name)
        )
        if name is not None:
            report, daily = BacktestLog(settings).report(one.report.backtest_id)
            _, trades = read_result(world.context.warehouse, one.report.backtest_id)
            found[name] = TearsheetData(report, daily, trades)
    return found


class Page(HTMLParser):
    """Ids, text, and every address in attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.open.append(tag)
        self.ids += [given["id"]] if given.get("id") else []  # type: ignore[list-item]
        self.addresses += [str(given[name]) for name in ("src", "href", "action", "data", "poster") if name in given]

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def page_of(data: TearsheetData) -> tuple[str, Page]:
    text = render(data, "/* plotly */")
    return text, Page(text)


def test_months_compound_to_years_and_years_to_the_whole(pages: dict[str, TearsheetData]) -> None:
    data = pages["traded"]
    table = monthly_returns(data.daily)
    months, years = table.filter(pl.col("month") > 0), table.filter(pl.col("month") == 0)
    assert months["month"].to_list() == [1, 2, 3, 4, 5]
    assert (1 + months["return_pct"] / 100).product() == pytest.approx(float(1 + years["return_pct"][0] / 100))
    assert years["return_pct"][0] == pytest.approx(data.result["total_return_pct"])


def test_rolling_figures_are_those_of_their_window(pages: dict[str, TearsheetData]) -> None:
    data = pages["traded"]
    window, frame = data.window, rolling(data)
    assert window == data.daily.height // 3
    last = data.daily.tail(window)
    returns = last["return_pct"].to_numpy()
    assert frame["sharpe"][-1] == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(365))
    assert frame["accuracy_all"][-1] == pytest.approx(100 * last["predictions_right"].sum() / last["predictions"].sum())
    assert frame["accuracy"][-1] == pytest.approx(100 * last["signals_right"].sum() / last["signals"].sum())
    share = last["predictions_up"].sum() / last["predictions"].sum()
    assert frame["base_rate"][-1] == pytest.approx(100 * max(share, 1 - share))
    assert frame["sharpe"].head(window - 1).null_count() == window - 1


def test_accuracies_of_days_are_those_of_the_record(world: BacktestWorld, pages: dict[str, TearsheetData]) -> None:
    daily = pages["traded"].daily
    inside = world.record.filter(pl.col("datetime").dt.date().is_between(date(2024, 1, 2), date(2024, 5, 31)))
    right = (inside["up_probability"] >= 0.5).cast(pl.Int64) == inside["actual_direction"]
    known = inside["actual_direction"].is_not_null()
    assert daily["predictions"].sum() == known.sum()
    assert daily["predictions_right"].sum() == (right & known).sum()
    acted = (inside["up_probability"] - 0.5).abs().round(12) >= 0.01
    assert daily["signals"].sum() == (acted & known).sum()


def test_tables_hold_every_trade_and_dollar(pages: dict[str, TearsheetData]) -> None:
    trades = pages["traded"].trades
    for table in (by_exit_reason(trades), by_symbol(trades)):
        assert table["trades"].sum() == trades.height
        assert table["return_usd"].sum() == pytest.approx(float(trades["return_usd"].sum()))
    assert by_symbol(trades)["costs_usd"].sum() == pytest.approx(float(trades["costs_usd"].sum()))


def test_the_verdict_says_in_words_what_the_figures_do(pages: dict[str, TearsheetData]) -> None:
    told = verdict(pages["traded"])
    assert told[0].startswith("It earned ")
    assert any("95% is the usual demand" in line or "meets the usual demand" in line for line in told)
    assert told[-1].endswith("of 20 runs.")
    (idle,) = verdict(pages["idle"])
    assert idle.startswith("Nothing was traded, and that is an answer: ")


def test_the_verdict_compares_with_the_benchmark_the_right_way_round(pages: dict[str, TearsheetData]) -> None:
    data = pages["traded"]
    row = {**data.result, "total_return_pct": 3.0, "benchmark_return_pct": 5.0, "costs_pct": 1.0}
    told = verdict(TearsheetData({**data.report, "result": row}, data.daily, data.trades))
    assert told[0] == (
        "It earned +3.0% after costs of 1.0% of the capital; holding the same symbols earned +5.0%, 2.0 points more."
    )


def test_every_figure_has_its_place_and_plotly_accepts_it(pages: dict[str, TearsheetData]) -> None:
    made = figures(pages["traded"])
    assert set(made) == PLACES
    _, page = page_of(pages["traded"])
    assert set(made) <= set(page.ids)
    for figure in made.values():
        text = re.sub(r'"\$[a-z]+(/[0-9.]+)?"', '"#123456"', json.dumps(figure, allow_nan=False))
        go.Figure(json.loads(text))


def test_figures_draw_what_the_tables_hold(pages: dict[str, TearsheetData]) -> None:
    data = pages["traded"]
    made = figures(data)
    held, own, below = made["equity"]["data"]
    assert own["y"][-1] == pytest.approx(data.result["total_return_pct"], abs=1e-3)
    assert held["y"][-1] == pytest.approx(data.result["benchmark_return_pct"], abs=1e-3)
    assert min(below["y"]) == pytest.approx(data.result["max_drawdown_pct"], abs=1e-3)
    assert sum(made["distribution"]["data"][0]["y"]) == (data.daily["return_pct"] != 0).sum()
    assert [shape["x0"] for shape in made["distribution"]["layout"]["shapes"]] == [
        data.result["var_95_pct"],
        data.result["cvar_95_pct"],
    ]
    net, gross = made["costs"]["data"]
    assert gross["y"][-1] - net["y"][-1] == pytest.approx(1e4 * data.result["costs_pct"], abs=2)
    assert sum(made["exits"]["data"][0]["x"]) == pytest.approx(float(data.trades["return_usd"].sum()), abs=0.01)
    happened = made["fan"]["data"][-1]
    assert (happened["y"][0], happened["y"][-1]) == (0.0, own["y"][-1])


def test_a_strategy_without_trades_has_a_page_too(pages: dict[str, TearsheetData]) -> None:
    text, page = page_of(pages["idle"])
    assert set(figures(pages["idle"])) == {"equity", "rolling"}
    assert "Nothing was traded" in page.text
    assert "nan" not in page.text.lower()
    assert "None" not in page.text
    assert "SIMULATED bars" in text


def test_the_page_is_self_contained_and_may_fetch_nothing(pages: dict[str, TearsheetData]) -> None:
    text, page = page_of(pages["traded"])
    assert page.addresses == []
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text
    assert "http:" not in text
    assert "https:" not in text


def test_the_page_knows_light_and_dark_and_a_phone(pages: dict[str, TearsheetData]) -> None:
    text, _ = page_of(pages["traded"])
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in text
    assert "prefers-color-scheme: dark" in text
    assert "max-width: 480px" in text
    colours = set(re.findall(r'"\$([a-z]+)', text))
    assert colours <= set(re.findall(r"--([a-z]+):", text))


def test_texts_from_outside_are_escaped(pages: dict[str, TearsheetData]) -> None:
    data = pages["traded"]
    evil = "</script><img src=x onerror=alert(1)>"
    row = {**data.result, "strategy_name": evil, "notes": evil, "model_version": evil}
    trades = data.trades.with_columns(symbol=pl.lit(evil), exit_reason=pl.lit(evil))
    text = render(TearsheetData({**data.report, "result": row}, data.daily, trades), "")
    assert "<img" not in text
    assert text.count("</script>") == 3


def test_numbers_have_true_minus_signs_and_no_signed_nothing() -> None:
    assert [signed(v, 1) for v in (1.25, -3.0, 0.0, -0.04)] == ["+1.2", "−3.0", "0.0", "0.0"]
    assert minus("between -0.39 and 4.7 on 2024-01-02") == "between −0.39 and 4.7 on 2024-01-02"


def test_the_command_writes_one_file_that_holds_plotly(
    world: BacktestWorld, pages: dict[str, TearsheetData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.cli import app

    monkeypatch.setenv("TRADEHITS_HOME", str(world.settings.paths.home.parent))
    out = tmp_path / "deep" / "sheet.html"
    given = ["--backtest-id", pages["traded"].result["backtest_id"], "--out", str(out)]
    done = CliRunner().invoke(app, ["report", "tearsheet", "--profile", "test", *given])
    assert done.exit_code == 0, done.output
    text = out.read_text(encoding="utf-8")
    assert "plotly.js v" in text
    assert "probability_weighted · all" in text
    assert [path.name for path in out.parent.iterdir()] == ["sheet.html"]


@pytest.mark.parametrize("wrong", ["f" * 32, "", "x'; DROP TABLE", "../../etc"])
def test_a_backtest_that_is_not_there_is_named(world: BacktestWorld, wrong: str, tmp_path: Path) -> None:
    with pytest.raises(BacktestError, match="backtest"):
        tearsheet(world.settings, wrong, tmp_path / "x.html")
    assert list(tmp_path.glob("*.html")) == []


def test_trials_counted_since_are_shown(world: BacktestWorld, pages: dict[str, TearsheetData], tmp_path: Path) -> None:
    data = pages["traded"]
    again = BacktestQuestion(strategies=("threshold",))
    backtest(world.context, again)
    backtest(world.context, BacktestQuestion(strategies=("probability_weighted",)))
    path = tearsheet(world.settings, data.result["backtest_id"], tmp_path)
    assert path.name == f"tearsheet_{data.result['backtest_id'][:12]}.html"
    row, _ = read_result(world.context.warehouse, data.result["backtest_id"])
    assert row["trials"] == data.result["trials"] + 1
    assert f"probability, {row['trials']} trials" in path.read_text(encoding="utf-8")
