"""The names and order of the feature services are an interface: models and clients address features by position."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo import interactions
from feature_repo.services import INTERACTIONS, LEVEL_WARNING, SERVICES, feature_names, stored_columns
from market.errors import FeatureError

DEFAULT = (
    "rsi rsi_slope rsi_overbought rsi_oversold macd_histogram_pct macd_rising macd_cross_up pivot_high_flag "
    "pivot_low_flag adx plus_di minus_di in_rise_cycle rise_cycle_start golden_cross death_cross momentum_5d "
    "momentum_10d momentum_20d atr_pct volume_ratio mfi cci stoch_k stoch_d roc growth_score "
    "rsi_volume_interaction macd_atr_interaction adx_trend_interaction"
)
REFERENCE = (
    "rsi rsi_slope rsi_overbought rsi_oversold macd_histogram macd_rising macd_cross_up pivot_high_flag "
    "pivot_low_flag adx plus_di minus_di in_rise_cycle rise_cycle_start golden_cross death_cross momentum_5d "
    "momentum_10d momentum_20d atr_pct volume_ratio mfi cci stoch_k stoch_d roc growth_score "
    "rsi_volume_interaction macd_atr_interaction adx_trend_interaction"
)
VALIDATED_16 = (
    "pivot_low_flag pivot_high_flag rsi rsi_slope rsi_zscore rsi_overbought rsi_oversold macd macd_signal "
    "macd_histogram macd_cross momentum mfi cci awesome_osc vwap_daily"
)

maybe_number = st.one_of(st.none(), st.just(math.nan), st.floats(-1e6, 1e6, allow_nan=False))
maybe_flag = st.one_of(st.none(), st.just(math.nan), st.sampled_from([0, 1, 0.0, 1.0]))


@pytest.mark.parametrize(
    ("service", "names"), [("default", DEFAULT), ("reference", REFERENCE), ("validated_16", VALIDATED_16)]
)
def test_a_service_lists_its_features_in_the_order_of_the_contract(service, names):
    assert feature_names(service) == tuple(names.split())


def test_there_are_three_services():
    assert tuple(SERVICES) == ("default", "reference", "validated_16")


def test_an_unknown_service_is_an_error_that_names_the_known_ones():
    with pytest.raises(FeatureError, match="default, reference, validated_16"):
        feature_names("defualt")


def test_reference_reads_the_percentage_histogram_for_its_interaction_though_it_shows_the_level():
    assert "macd_histogram_pct" in stored_columns("reference")
    assert "macd_histogram" in stored_columns("reference")
    assert "macd_histogram" not in stored_columns("default")


def test_stored_columns_hold_no_on_demand_feature_and_no_column_twice():
    for service in SERVICES:
        columns = stored_columns(service)
        assert len(columns) == len(set(columns))
        assert not set(columns) & set(INTERACTIONS)


def test_names_are_had_without_importing_feast():
    code = "import sys, feature_repo.services; raise SystemExit('feast' in sys.modules or 'pandas' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_level_warning_says_where_the_future_hides():
    assert "Adjusted prices" in LEVEL_WARNING


def missing(*values):
    return any(value is None or math.isnan(value) for value in values)


@given(st.lists(st.tuples(maybe_number, maybe_number), max_size=20))
def test_rsi_volume_interaction_is_the_product_or_none(pairs):
    inputs = {"rsi": [a for a, _ in pairs], "volume_ratio": [b for _, b in pairs]}
    expected = [None if missing(a, b) else a * b for a, b in pairs]
    assert interactions.rsi_volume_interaction(inputs) == {"rsi_volume_interaction": expected}


@given(st.lists(st.tuples(maybe_number, maybe_number), max_size=20))
def test_macd_atr_interaction_is_the_product_or_none(pairs):
    inputs = {"macd_histogram_pct": [a for a, _ in pairs], "atr_pct": [b for _, b in pairs]}
    expected = [None if missing(a, b) else a * b for a, b in pairs]
    assert interactions.macd_atr_interaction(inputs) == {"macd_atr_interaction": expected}


@given(st.lists(st.tuples(maybe_number, maybe_flag), max_size=20))
def test_adx_trend_interaction_carries_the_sign_of_the_cycle_or_none(pairs):
    inputs = {"adx": [a for a, _ in pairs], "in_rise_cycle": [b for _, b in pairs]}
    expected = [None if missing(a, b) else {1: a, 0: -a}[b] for a, b in pairs]
    assert interactions.adx_trend_interaction(inputs) == {"adx_trend_interaction": expected}


def test_interactions_by_hand():
    assert interactions.rsi_volume_interaction({"rsi": [50.0], "volume_ratio": [1.5]}) == {
        "rsi_volume_interaction": [75.0]
    }
    assert interactions.macd_atr_interaction({"macd_histogram_pct": [-0.5], "atr_pct": [4.0]}) == {
        "macd_atr_interaction": [-2.0]
    }
    assert interactions.adx_trend_interaction({"adx": [30.0, 30.0, None], "in_rise_cycle": [1, 0, 1]}) == {
        "adx_trend_interaction": [30.0, -30.0, None]
    }


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        interactions.rsi_volume_interaction({"rsi": [1.0, 2.0], "volume_ratio": [1.0]})
