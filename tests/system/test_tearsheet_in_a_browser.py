"""The tearsheet as a reader sees it: light, dark, at a desk and on a phone, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.backtest import BacktestQuestion, backtest
from flows.context import Context
from flows.tearsheet import tearsheet
from tests.backtest_world import make_world
from tests.system.browser import Browser, Seen, open_browser

pytestmark = pytest.mark.system

DESK, TABLET, PHONE = 1280, 800, 390
PLACES = {"traded": ["equity", "rolling", "distribution", "exits", "costs", "fan"], "idle": ["equity", "rolling"]}
LOOKS = [(DESK, False), (DESK, True), (TABLET, False), (PHONE, False), (PHONE, True)]

READY = "[...document.querySelectorAll('.figure')].every(one => one.querySelector('.main-svg'))"
QUESTION = """
(() => {
  const drawn = one => [...one.querySelectorAll('.cartesianlayer path, .cartesianlayer rect')].filter(mark =>
    mark.closest('.trace, .bars, .points') && mark.getBoundingClientRect().width > 0).length;
  const style = (selector, name) => { const one = document.querySelector(selector);
    return one && getComputedStyle(one)[name]; };
  return {
    figures: [...document.querySelectorAll('.figure')].map(one => ({ id: one.id, marks: drawn(one),
      traces: one.data.filter(trace => [...trace.y].some(value => value !== null)).length,
      width: one.querySelector('.main-svg').getBoundingClientRect().width,
      room: one.getBoundingClientRect().width })),
    page: document.documentElement.scrollWidth, window: innerWidth,
    beyond: [...document.querySelectorAll('main *')].filter(one => !one.closest('.wide, svg')
      && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.tagName + ' ' + one.className),
    cut: [...document.querySelectorAll('td, th, .tile *, .badge, .wide')].filter(one => one.clientWidth
      && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline')
      .map(one => one.textContent),
    smallest: Math.min(...[...document.querySelectorAll('p, td, th, .tile span, .tile b')]
      .filter(one => one.getClientRects().length)
      .map(one => parseFloat(getComputedStyle(one).fontSize))),
    paper: style('section', 'backgroundColor'), ink: style('body', 'color'), muted: style('.muted', 'color'),
    ticks: style('.xtick text', 'fill'), legend: style('.legendtext', 'fill'), back: style('body', 'backgroundColor'),
  };
})()
"""


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A portfolio that trades, and a rule that never does."""
    world = make_world(tmp_path_factory.mktemp("world"))
    given = world.settings.backtest
    never = {"entry": "probability", "edge": 0.45, "full_edge": 0.5}
    strategies = {
        "probability_weighted": given.strategies["probability_weighted"],
        "never": given.strategies["high_confidence"].model_copy(update=never),
    }
    settings = world.settings.model_copy(update={"backtest": given.model_copy(update={"strategies": strategies})})
    context = Context(settings, world.context.warehouse, world.context.reporter, world.context.tasks)
    ids = {
        (one.report.asset_type, one.report.strategy_name): one.report.backtest_id
        for one in backtest(context, BacktestQuestion())
    }
    folder = tmp_path_factory.mktemp("sheets")
    return {
        "traded": tearsheet(settings, ids["all", "probability_weighted"], folder / "traded.html"),
        "idle": tearsheet(settings, ids["stocks", "never"], folder / "idle.html"),
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def look(browser: Browser, path: Path, width: int, dark: bool) -> Seen:
    """The page; its picture stays beside it for people."""
    seen = browser.see(path.as_uri(), width=width, dark=dark, ready=READY, question=QUESTION)
    path.with_name(f"{path.stem}_{width}{'_dark' if dark else ''}.png").write_bytes(seen.png)
    return seen


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two opaque CSS colours (WCAG 2.2)."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(one) / 255 for one in re.findall(r"\d+", colour)[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("width", "dark"), LOOKS)
@pytest.mark.parametrize("name", ["traded", "idle"])
def test_every_figure_is_drawn_nothing_is_fetched_and_nothing_scrolls_sideways(
    browser: Browser, sheets: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    seen = look(browser, sheets[name], width, dark)
    assert (seen.left, seen.faults) == ((), ())
    found: dict[str, Any] = seen.answer
    assert [one["id"] for one in found["figures"]] == PLACES[name]
    for one in found["figures"]:
        assert one["marks"] >= one["traces"] > 0, one
        assert one["width"] == pytest.approx(one["room"], abs=1), one
    assert (found["page"], found["window"], found["beyond"]) == (width, width, [])
    assert (found["cut"], found["smallest"] >= 12) == ([], True)
    for text in ("ink", "muted", "ticks", "legend"):
        assert contrast(found[text], found["paper"]) >= 4.5, (text, found[text], found["paper"])
    assert (_luminance(found["back"]) < 0.1) is dark
    assert (_luminance(found["paper"]) < 0.1) is dark


def test_the_page_follows_a_reader_who_turns_the_light_off(browser: Browser, sheets: dict[str, Path]) -> None:
    before = look(browser, sheets["traded"], DESK, dark=False).answer
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser._wait(READY)
    after = browser.ask(QUESTION)
    assert after["ticks"] != before["ticks"]
    assert contrast(after["ticks"], after["paper"]) >= 4.5
    assert [one["marks"] for one in after["figures"]] == [one["marks"] for one in before["figures"]]


def test_a_page_that_does_ask_another_host_is_found_out(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "leaky.html"
    page.write_text('<img src="http://elsewhere.example/pixel.png"><script>throw new Error("no")</script>')
    seen = browser.see(page.as_uri(), width=DESK, dark=False, ready="true", question="document.images.length")
    assert seen.answer == 1
    assert seen.left == ("http://elsewhere.example/pixel.png",)
    assert any("no" in one for one in seen.faults)
