"""Entry rules: which probabilities become signals, on which side, how strongly; and strategies as settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.backtest import ClassSettings, StrategySettings
from configs.settings import load_settings
from market.errors import BacktestError, ConfigError, SignalError
from market.signals import Thresholds, confidence, signal
from market.strategies import Called, EntryRule, decide

P = np.array([0.30, 0.35, 0.36, 0.40, 0.41, 0.45, 0.499, 0.5, 0.55, 0.59, 0.60, 0.64, 0.65, 0.9])
RULES = Thresholds()


def test_the_users_rule_trades_high_confidence_in_the_predicted_direction() -> None:
    found = decide(EntryRule("confidence"), P, RULES)
    assert found.direction.tolist() == [-1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert set(found.weight) == {1.0}


def test_medium_confidence_can_be_added() -> None:
    found = decide(EntryRule("confidence", levels=("HIGH", "MEDIUM")), P, RULES)
    assert found.direction.tolist() == [-1, -1, -1, -1, -1, -1, 0, 0, 1, 1, 1, 1, 1, 1]


def test_signals_are_those_of_the_views_and_the_service() -> None:
    found = decide(EntryRule("signal"), P, RULES)
    assert found.direction.tolist() == [-1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_strong_means_high_confidence() -> None:
    found = decide(EntryRule("signal"), np.array([0.3, 0.4, 0.6, 0.65]), RULES)
    assert found.entry_signal.tolist() == ["STRONG_SELL", "SELL", "BUY", "STRONG_BUY"]
    assert found.entry_confidence.tolist() == ["HIGH", "MEDIUM", "MEDIUM", "HIGH"]


def test_weights_grow_with_the_distance_and_both_sides_are_alike() -> None:
    found = decide(
        EntryRule("probability", edge=0.05, full_edge=0.10), np.array([0.45, 0.55, 0.549, 0.575, 0.7, 0.5]), RULES
    )
    assert found.direction.tolist() == [-1, 1, 0, 1, 1, 0]
    assert found.weight[[0, 1, 3, 4]] == pytest.approx([0.5, 0.5, 0.75, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(["confidence", "signal", "probability"]))
def test_a_mirrored_probability_is_the_mirrored_decision(values: list[float], kind: Any) -> None:
    p = np.round(np.array(values), 6)
    mirrored = np.round(1 - p, 6)
    p, mirrored = p[p != 0.5], mirrored[p != 0.5]
    first, second = decide(EntryRule(kind), p, RULES), decide(EntryRule(kind), mirrored, RULES)
    assert (first.direction == -second.direction).all()
    assert first.weight == pytest.approx(second.weight)
    assert ((first.weight > 0) & (first.weight <= 1)).all()
    assert ((first.strength >= 0) & (first.strength <= 1)).all()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_rules_agree_with_the_domains(values: list[float]) -> None:
    p = np.array(values)
    expected = {"BUY": 1, "SELL": -1, "HOLD": 0}
    assert decide(EntryRule("signal"), p, RULES).direction.tolist() == [expected[signal(v, RULES)] for v in values]
    assert decide(EntryRule("signal"), p, RULES).entry_confidence.tolist() == [confidence(v, RULES) for v in values]


def test_a_replay_acts_on_what_was_called_and_not_on_todays_thresholds() -> None:
    called = Called(np.array(["BUY", "HOLD", "SELL"]), np.array(["HIGH", "LOW", "MEDIUM"]))
    p = np.array([0.56, 0.9, 0.49])
    assert decide(EntryRule("signal"), p, RULES, called).direction.tolist() == [1, 0, -1]
    assert decide(EntryRule("confidence"), p, RULES, called).direction.tolist() == [1, 0, 0]


def test_thresholds_are_those_of_the_class() -> None:
    own = Thresholds(buy=0.52, sell=0.48, high=0.53, medium=0.51)
    assert decide(EntryRule("signal"), np.array([0.52, 0.48, 0.51]), own).direction.tolist() == [1, -1, 0]


def test_no_prediction_is_no_decision() -> None:
    assert decide(EntryRule("probability"), np.array([]), RULES).direction.size == 0


def test_a_probability_that_is_none_is_refused() -> None:
    with pytest.raises(SignalError, match=r"nan is not in \[0, 1\]"):
        decide(EntryRule("signal"), np.array([0.5, np.nan]), RULES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "guess"},
        {"kind": "confidence", "levels": ()},
        {"kind": "confidence", "levels": ("SURE",)},
        {"kind": "probability", "edge": 0.1, "full_edge": 0.1},
        {"kind": "probability", "edge": -0.1},
    ],
)
def test_rules_nobody_could_follow_are_refused_by_field(wrong: dict[str, Any]) -> None:
    with pytest.raises(BacktestError) as raised:
        EntryRule(**wrong)
    assert raised.value.field in ("kind", "levels", "edge")


def test_a_grid_is_every_combination_and_its_cells_have_none() -> None:
    strategy = StrategySettings(
        entry="signal", stop_atrs=2.0, grid={"stop_atrs": (1.0, 2.0, None), "sides": ("long", "both")}
    )
    cells = strategy.cells()
    assert [(cell.stop_atrs, cell.sides) for cell in cells] == [
        (1.0, "long"),
        (1.0, "both"),
        (2.0, "long"),
        (2.0, "both"),
        (None, "long"),
        (None, "both"),
    ]
    assert all(not cell.grid for cell in cells)
    assert StrategySettings(entry="signal").cells() == []


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ({"stop": (1.0,)}, "grid of stop"),
        ({"stop_atrs": ()}, "grid of stop_atrs has no value"),
        ({"stop_atrs": (-1.0,)}, "stop_atrs"),
        ({"edge": (0.3,)}, "full_edge"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused_when_it_is_read(grid: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        StrategySettings(entry="probability", grid=grid)


def test_the_configured_strategies_are_the_three_and_state_their_costs() -> None:
    settings = load_settings("test").backtest
    assert list(settings.strategies) == ["high_confidence", "threshold", "probability_weighted"]
    rule = settings.strategies["high_confidence"]
    assert (rule.entry, rule.levels, rule.time_limit_bars, rule.stop_atrs) == ("confidence", ("HIGH",), 1, None)
    rule = settings.strategies["threshold"]
    assert (rule.entry, rule.stop_atrs, rule.target_atrs) == ("signal", 2.0, 3.0)
    assert settings.parameters("crypto", rule).costs["crypto"].round_trip_bps == 40
    assert set(settings.parameters("all", rule).costs) == {"stocks", "etf", "crypto"}


@pytest.mark.parametrize("name", ["fee_bps", "slippage_bps", "borrow_bps_per_year"])
def test_negative_costs_are_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"TRADEHITS__BACKTEST__STOCKS__{name.upper()}", "-1")
    with pytest.raises(ConfigError, match=f"backtest.stocks.{name}"):
        load_settings("test")


def test_a_volume_cap_beyond_the_volume_is_refused() -> None:
    given = load_settings("test").backtest.stocks.model_dump()
    with pytest.raises(ValidationError, match="volume_cap_share"):
        ClassSettings(**{**given, "volume_cap_share": 1.5})
