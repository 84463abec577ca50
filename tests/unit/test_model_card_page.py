"""The card's page: everything a reader must know, escaped, self-contained, and no accuracy without its base rate."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from registry.calibration import PlattCalibration
from tests.bundles import info
from training.card import CardFacts
from training.card_html import render_card

METRICS = {
    **{f"validate_{name}": value for name, value in {"rows": 1200.0, "accuracy": 53.21, "base_rate": 51.13}.items()},
    "validate_accuracy_ci_low": 50.02,
    "validate_accuracy_ci_high": 56.34,
    "validate_brier": 0.2491,
    "validate_ece": 0.0123,
    "validate_ece_by_chance": 0.0101,
    "validate_rows_high": 20.0,
    "validate_accuracy_high": 61.7,
    "validate_accuracy_high_ci_low": 40.3,
    "validate_accuracy_high_ci_high": 80.8,
    "validate_base_rate_high": 58.9,
    "validate_signals_buy": 3.0,
    "validate_signals_sell": 4.0,
    "validate_signals_hold": 1193.0,
}
FACTS = CardFacts(
    model_version="walk_forward_stocks/3",
    info=info(model_version="walk_forward_stocks/3"),
    parameters={"max_trees": "400"},
    metrics=METRICS,
    tags={"data": "real", "profile": "local", "xgboost": "3.2.0", "git_dirty": "false"},
    data={"rows": 4000, "symbols": 4, "first": "2000-01-03", "last": "2013-03-01", "content_hash": "d"},
    sources=("sample",),
    folds=(
        {
            "fold": 0,
            "train_end": "2010-12-31T00:00:00+00:00",
            "test_start": "2011-01-01T00:00:00+00:00",
            "test_end": "2011-04-01T00:00:00+00:00",
            "trained_through": "2010-12-31T21:15:00+00:00",
            "train_rows": 2000,
            "tested_rows": 252,
            "trees": 17,
            "calibrated": True,
        },
    ),
    checks=(
        {"check": "labels", "status": "passed", "subject": "target_direction", "detail": "equal", "remedy": ""},
        {"check": "canary", "status": "waived", "subject": "stocks", "detail": "<b>known</b>", "remedy": ""},
    ),
    decision={
        "champion": "walk_forward_stocks/2",
        "promote_automatically": False,
        "rules": [{"name": "gain", "passed": False, "detail": "neither better nor non-inferior"}],
    },
    contributions={
        "rows": 500,
        "features": [
            {"feature": "rsi", "mean_absolute": 0.02, "share": 0.8, "direction": 0.5},
            {"feature": "adx", "mean_absolute": 0.005, "share": 0.2, "direction": None},
        ],
    },
    pictures={"calibration": "data:image/png;base64,AAAA"},
    limits=("Accuracy is no profit & more.",),
)


def text_of(page: str) -> str:
    """What a reader sees."""

    class Text(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.parts: list[str] = []
            self.hidden = False

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.hidden = tag == "style"

        def handle_data(self, data: str) -> None:
            if not self.hidden:
                self.parts.append(data)

    parser = Text()
    parser.feed(page)
    return " ".join(" ".join(parser.parts).split())


def test_a_card_says_data_folds_results_calibration_contributions_audit_limits_and_how_to_do_it_again() -> None:
    text = text_of(render_card(FACTS))
    for words in (
        "walk_forward_stocks/3",
        "real bars",
        "VALIDATE 1,200 53.2 50.0–56.3 51.1",
        "VALIDATE HIGH 20 61.7 40.3–80.8 58.9",
        "3 BUY, 4 SELL, 1,193 HOLD",
        "VALIDATE 0.0123 (chance alone: 0.0101)",
        "rsi 0.0200 80% +0.50",
        "sources sample",
        "first 2000-01-03",
        "0 2010-12-31 2011-01-01 2011-04-01 2010-12-31 21:15 2,000 252 17 yes",
        "1 passed 1 waived",
        "canary stocks <b>known</b>",
        "Compared with walk_forward_stocks/2 at registration, it does not keep every rule.",
        "fails gain neither better nor non-inferior",
        "Accuracy is no profit & more.",
        "tradehits train --profile local --asset-type stocks --as-of 2024-01-03T00:00:00Z",
        "max_trees 400",
    ):
        assert words in text


def test_a_card_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    page = render_card(FACTS)
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:)", page)
    assert "<script" not in page
    assert "url(" not in page


def test_texts_from_outside_are_escaped() -> None:
    page = render_card(FACTS)
    assert "&lt;b&gt;known&lt;/b&gt;" in page
    assert "<b>known</b>" not in page


def test_simulated_bars_are_marked_at_the_top() -> None:
    page = text_of(render_card(replace(FACTS, tags={"data": "simulated"})))
    assert page.index("SIMULATED bars") < page.index("Results")


def test_an_accuracy_whose_interval_or_base_rate_is_missing_is_not_shown() -> None:
    for missing in ("validate_base_rate", "validate_accuracy_ci_low", "validate_accuracy_ci_high"):
        metrics = {name: value for name, value in METRICS.items() if name != missing}
        assert "53.2" not in text_of(render_card(replace(FACTS, metrics=metrics)))


def test_a_run_that_kept_less_gives_a_card_that_says_so() -> None:
    bare = replace(FACTS, metrics={}, folds=(), checks=(), decision=None, contributions=None, pictures={}, data={})
    text = text_of(render_card(bare))
    for words in ("No comparison was kept", "No contributions were kept", "No check was kept", "No figure of"):
        assert words in text


@pytest.mark.parametrize("method", ["none", "platt"])
def test_the_method_of_calibration_is_named(method: str) -> None:
    calibration = None
    if method == "platt":
        calibration = PlattCalibration(rows=10, labels_through=info().trained_through, slope=1.0, intercept=0.0)
    facts = replace(FACTS, info=info(calibration=calibration))
    assert f"Method: {method}." in text_of(render_card(facts))
