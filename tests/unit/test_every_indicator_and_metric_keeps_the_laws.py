"""Every indicator of every variant and every metric is discovered here and held to the laws of its kind.

A new indicator or metric is tested by being listed in `INDICATOR_COLUMNS` or `METRICS`.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from market.errors import MetricError
from market.indicators import INDICATOR_COLUMNS, OUTPUT_COLUMNS, indicator_arrays
from market.metrics import METRICS

VARIANTS = ("wilder", "vendor")
PRICES = ("open", "high", "low", "close")

IN_PRICE_UNITS = {
    *("macd", "macd_signal", "macd_histogram", "sma_20", "sma_50", "sma_200", "ema_12", "ema_20", "ema_26", "ema_50"),
    *(
        "ema_200",
        "bollinger_upper",
        "bollinger_middle",
        "bollinger_lower",
        "atr",
        "momentum",
        "awesome_osc",
        "vwap_daily",
    ),
}
IN_VOLUME_UNITS = {"obv"}
CUMULATIVE = {"wilder": {"obv"}, "vendor": {"obv", "vwap_daily"}}
BOUNDS = {
    **dict.fromkeys(("rsi", "adx", "plus_di", "minus_di", "mfi", "stoch_k", "stoch_d"), (0, 100)),
    "williams_r": (-100, 0),
    "cmf": (-1, 1),
    "volume_ratio": (0, 20),
    **dict.fromkeys(("sma_20", "sma_50", "sma_200", "atr", "bollinger_middle", "bollinger_upper"), (0, np.inf)),
}


def random_bars(seed: int, bars: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    close = 30 * np.exp(np.cumsum(generator.normal(0, 0.02, bars)))
    open_ = close * np.exp(generator.normal(0, 0.01, bars))
    return {
        "open": open_,
        "high": np.maximum(open_, close) * (1 + np.abs(generator.normal(0, 0.01, bars))),
        "low": np.minimum(open_, close) * (1 - np.abs(generator.normal(0, 0.01, bars))),
        "close": close,
        "volume": generator.uniform(1, 1e6, bars),
    }


@st.composite
def awkward_bars(draw):
    """Short bars on a coarse grid: flat runs, ties, zero ranges and zero volumes are common."""
    n = draw(st.integers(1, 80))
    ticks = st.integers(0, 3)
    walk = np.cumsum(draw(hnp.arrays(np.int64, n, elements=st.integers(-2, 2))))
    close = (1000 + walk - walk.min()) * 0.01
    return {
        "open": close,
        "high": close + 0.01 * draw(hnp.arrays(np.int64, n, elements=ticks)),
        "low": close - 0.01 * draw(hnp.arrays(np.int64, n, elements=ticks)),
        "close": close,
        "volume": 100.0 * draw(hnp.arrays(np.int64, n, elements=ticks)),
    }


def head(bars, count):
    return {name: values[:count] for name, values in bars.items()}


def assert_same_bits(left, right, name):
    np.testing.assert_array_equal(left.view(np.int64), right.view(np.int64), err_msg=name)


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture(scope="module")
def bars():
    return random_bars(seed=7, bars=320)


@pytest.fixture(scope="module")
def full(variant, bars):
    return indicator_arrays(**bars, variant=variant)


@pytest.fixture(scope="module")
def cut(variant, bars):
    """Indicators of growing prefixes."""
    sizes = (1, 2, 10, 14, 15, 21, 28, 34, 35, 50, 199, 200, 201, 319)
    return {size: indicator_arrays(**head(bars, size), variant=variant) for size in sizes}


@pytest.mark.parametrize("name", OUTPUT_COLUMNS)
def test_the_past_does_not_change_when_the_future_arrives(name, full, cut):
    for size, prefix in cut.items():
        assert_same_bits(prefix[name], full[name][:size], f"{name} after {size} bars")


@settings(max_examples=60, deadline=None)
@given(bars=awkward_bars(), data=st.data())
def test_the_past_does_not_change_on_flat_and_untraded_bars_either(bars, data):
    size = data.draw(st.integers(1, bars["close"].size))
    for variant in VARIANTS:
        full = indicator_arrays(**bars, variant=variant)
        prefix = indicator_arrays(**head(bars, size), variant=variant)
        for name in OUTPUT_COLUMNS:
            assert_same_bits(prefix[name], full[name][:size], f"{variant} {name} after {size} bars")


@pytest.mark.parametrize("name", OUTPUT_COLUMNS)
def test_a_changed_future_bar_changes_no_earlier_value_and_some_later_one(name, variant, bars, full):
    changed = {column: values.copy() for column, values in bars.items()}
    for column in PRICES:
        changed[column][300] *= 1.5
    changed["volume"][300] *= 3

    after = indicator_arrays(**changed, variant=variant)[name]

    assert_same_bits(after[:300], full[name][:300], name)
    assert not np.array_equal(after[300:], full[name][300:])


@settings(max_examples=60, deadline=None)
@given(bars=awkward_bars())
def test_values_stay_inside_their_bounds_and_are_never_infinite(bars):
    for variant in VARIANTS:
        values = indicator_arrays(**bars, variant=variant)
        assert not any(np.isinf(values[name]).any() for name in OUTPUT_COLUMNS)
        for name, (low, high) in BOUNDS.items():
            known = values[name][~np.isnan(values[name])]
            assert ((known >= low - 1e-9) & (known <= high + 1e-9)).all(), f"{variant} {name}"


@pytest.mark.parametrize("factor", [0.37, 1e-14, 1e7])
@pytest.mark.parametrize("name", OUTPUT_COLUMNS)
def test_rescaled_prices_rescale_levels_and_leave_everything_else(name, factor, variant, bars, full):
    scaled = {column: values * factor if column in PRICES else values for column, values in bars.items()}

    expected = full[name] * (factor if name in IN_PRICE_UNITS else 1)

    tolerance = 1e-9 * (30 * factor if name in IN_PRICE_UNITS else 1)
    actual = indicator_arrays(**scaled, variant=variant)[name]
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("name", OUTPUT_COLUMNS)
def test_rescaled_volume_rescales_only_what_counts_volume(name, variant, bars, full):
    scaled = bars | {"volume": bars["volume"] * 1234.5}

    expected = full[name] * (1234.5 if name in IN_VOLUME_UNITS else 1)

    np.testing.assert_allclose(indicator_arrays(**scaled, variant=variant)[name], expected, rtol=1e-9, equal_nan=True)


@pytest.fixture(scope="module")
def recent_and_whole(variant):
    """The newest bars computed from 2,048 bars of history, and from all there is."""
    bars = random_bars(seed=9, bars=4000)
    recent = {column: values[-(2048 + 50) :] for column, values in bars.items()}
    whole = indicator_arrays(**bars, variant=variant)
    part = indicator_arrays(**recent, variant=variant)
    return {name: (part[name][-50:], whole[name][-50:]) for name in OUTPUT_COLUMNS}


@pytest.mark.parametrize("name", OUTPUT_COLUMNS)
def test_two_thousand_bars_of_history_give_what_all_history_gives(name, variant, recent_and_whole):
    if name in CUMULATIVE[variant]:
        pytest.skip("cumulative since the first bar: continues from a stored state")
    recent, whole = recent_and_whole[name]
    np.testing.assert_allclose(recent, whole, rtol=1e-9, atol=0)


def test_the_laws_speak_of_known_indicators_only():
    assert IN_PRICE_UNITS | IN_VOLUME_UNITS | set(BOUNDS) <= set(INDICATOR_COLUMNS)
    assert len(set(INDICATOR_COLUMNS)) == len(INDICATOR_COLUMNS) == 31


@pytest.fixture(scope="module")
def outcomes():
    generator = np.random.default_rng(3)
    probability = generator.uniform(0, 1, 500).round(2)
    return (generator.uniform(0, 1, 500) < probability).astype(int), probability


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
class TestEveryMetric:
    def test_is_a_plain_finite_number(self, metric, outcomes):
        value = metric(*outcomes)
        assert type(value) in (float, int) and np.isfinite(value)

    def test_does_not_depend_on_the_order_of_rows(self, metric, outcomes):
        shuffled = np.random.default_rng(1).permutation(500)
        assert metric(outcomes[0][shuffled], outcomes[1][shuffled]) == pytest.approx(metric(*outcomes), rel=1e-12)

    def test_takes_booleans_and_floats_like_integers(self, metric, outcomes):
        actual, probability = outcomes
        assert metric(actual.astype(bool), probability) == metric(actual.astype(float), probability)
        assert metric(actual, probability) == metric(actual.astype(float), probability)

    def test_does_not_change_its_input(self, metric, outcomes):
        actual, probability = (values.copy() for values in outcomes)
        metric(actual, probability)
        np.testing.assert_array_equal(actual, outcomes[0])
        np.testing.assert_array_equal(probability, outcomes[1])

    @pytest.mark.parametrize("bad", [np.nan, 2, -1])
    def test_refuses_labels_that_are_not_known(self, metric, bad):
        with pytest.raises(MetricError, match="actual directions"):
            metric(np.array([0, 1, bad]), np.array([0.4, 0.6, 0.5]))

    @pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1, np.inf])
    def test_refuses_probabilities_outside_the_unit_interval(self, metric, bad):
        with pytest.raises(MetricError, match="probabilities"):
            metric(np.array([0, 1, 1]), np.array([0.4, 0.6, bad]))

    @pytest.mark.parametrize("shape", [(0, 0), (2, 3), (3, 2)])
    def test_refuses_no_rows_and_unequal_lengths(self, metric, shape):
        with pytest.raises(MetricError, match="one length"):
            metric(np.zeros(shape[0]), np.full(shape[1], 0.5))

    @pytest.mark.parametrize("outcome", [0, 1])
    def test_has_an_answer_or_none_for_one_class_only(self, metric, outcome):
        value = metric(np.full(10, outcome), np.linspace(0.1, 0.9, 10))
        assert value is None or np.isfinite(value)
