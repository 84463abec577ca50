"""Reports in a browser without a network: Evidently draws its plots, the index fits a phone, by day and by night."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from market.assets import AssetType
from monitoring.conditions import Moment
from monitoring.reports import ReportFiles, write
from monitoring.reports_index import Card, write_card, write_index
from tests.integration.champion_world import DAYS, FIRST_DAY, prepare_home, world_at
from tests.system.browser import Browser, open_browser

pytestmark = pytest.mark.system

NOW = FIRST_DAY + timedelta(days=DAYS - 1, hours=21)
DRAWN = "document.querySelectorAll('.main-svg').length >= 6"
CLASSES: tuple[AssetType, ...] = ("stocks", "crypto")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    world = world_at(prepare_home(tmp_path_factory.mktemp("reports")))
    reports = world.settings.reports.model_copy(update={"min_rows": 10, "mlflow": False})
    settings = world.settings.model_copy(update={"reports": reports})
    pages = [
        write(world.warehouse, world.registry, settings, Moment(name, NOW.date(), NOW), None, "walk_forward")
        for name in CLASSES
    ]
    return pages[0]


def test_a_report_draws_its_plots_and_asks_nobody(browser: Browser, files: ReportFiles) -> None:
    assert files.page is not None
    question = """(() => {
      const traces = [...document.querySelectorAll('.js-plotly-plot')].map(plot => (plot.data || []).length);
      const rows = [...document.querySelectorAll('td')].map(cell => cell.innerText);
      return {plots: traces.length, empty: traces.filter(count => count === 0).length,
        named: rows.includes('Trend strength (ADX)'), head: document.querySelector('.th h1').innerText};
    })()"""
    seen = browser.see(files.page.as_uri(), width=1280, dark=False, ready=DRAWN, question=question)
    assert seen.left == ()
    assert seen.faults == ()
    assert seen.answer["plots"] >= 3
    assert seen.answer["empty"] == 0
    assert seen.answer["named"]
    assert seen.answer["head"].startswith("Stocks · 2024-03-26")
    files.page.with_suffix(".png").write_bytes(seen.png)


def test_a_feature_opens_into_its_distribution(browser: Browser, files: ReportFiles) -> None:
    assert files.page is not None
    opened = """new Promise(done => {
      const row = [...document.querySelectorAll('tr')].find(one => one.innerText.includes('Trend strength (ADX)'));
      const before = document.querySelectorAll('.js-plotly-plot').length;
      row.querySelector('button').click();
      const look = setInterval(() => {
        const now = document.querySelectorAll('.js-plotly-plot').length;
        if (now > before) { clearInterval(look); done(now - before); }
      }, 100);
      setTimeout(() => { clearInterval(look); done(0); }, 20000);
    })"""
    seen = browser.see(files.page.as_uri(), width=1280, dark=False, ready=DRAWN, question=opened)
    assert seen.answer >= 1
    assert (seen.left, seen.faults) == ((), ())


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_index_fits_the_window_by_day_and_by_night(
    browser: Browser, files: ReportFiles, width: int, dark: bool
) -> None:
    reports = files.page.parent.parent if files.page else Path()
    long = Card(
        date="2024-03-25",
        asset_type="stocks",
        level="critical",
        headline="Drift in 29 of 30 features, accuracy fell, the market changed",
        lines=("A" * 90 + " sentence with a word that no line of a phone can hold.",),
        differences=("Evidently and the tables agree on every one of 30 features.",),
        notes=("RSI is not shown: it has no value in the newest days.",),
        model_version="walk_forward_stocks/1",
        prediction_source="live",
        page=None,
        made_at="2024-03-25T21:00:00+00:00",
    )
    write_card(reports, long)
    write_card(reports, replace(long, asset_type="etf", level="warning"))
    index = write_index(reports, "test")
    question = """[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor,
      document.querySelectorAll('.card').length, document.querySelector('a.open').getAttribute('href')]"""
    seen = browser.see(index.as_uri(), width=width, dark=dark, ready="true", question=question)
    assert (seen.left, seen.faults) == ((), ())
    background = "rgb(14, 19, 26)" if dark else "rgb(246, 247, 249)"
    assert seen.answer == [width, background, 4, "2024-03-26/stocks.html"]
    index.with_name(f"index-{width}-{'dark' if dark else 'light'}.png").write_bytes(seen.png)
