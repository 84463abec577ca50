"""Every indicator of both variants against plain loops written from the formulas, without TA-Lib or rolling sums."""

import math
from itertools import pairwise

import numpy as np
import pytest

from market.indicators import INDICATOR_COLUMNS, OUTPUT_COLUMNS, indicator_arrays

Series = list[float | None]


def walk(seed: int, bars: int = 420, decimals: int | None = None) -> dict[str, list[float]]:
    generator = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(generator.normal(0, 0.02, bars)))
    open_ = close * np.exp(generator.normal(0, 0.01, bars))
    high = np.maximum(open_, close) * (1 + np.abs(generator.normal(0, 0.01, bars)))
    low = np.minimum(open_, close) * (1 - np.abs(generator.normal(0, 0.01, bars)))
    volume = generator.integers(1_000, 1_000_000, bars).astype(float)
    series = {"open": open_, "high": high, "low": low, "close": close}
    if decimals is not None:
        series = {name: np.round(values, decimals) for name, values in series.items()}
    return {name: values.tolist() for name, values in series.items()} | {"volume": volume.tolist()}


def windowed(values: Series, length: int, rule) -> Series:
    """`rule` of each full window; None while a value of it is missing."""
    result: Series = []
    for i in range(len(values)):
        window = values[max(0, i - length + 1) : i + 1]
        result.append(rule(window) if len(window) == length and None not in window else None)
    return result


def mean(window: list[float]) -> float:
    return math.fsum(window) / len(window)


def deviation(window: list[float], divisor: int) -> float:
    centre = mean(window)
    return math.sqrt(math.fsum((x - centre) ** 2 for x in window) / divisor)


def minus(left: Series, right: Series) -> Series:
    return [None if a is None or b is None else a - b for a, b in zip(left, right, strict=True)]


def seeded_ema(values: Series, span: int, first: int) -> Series:
    """EMA that starts on bar `first` with the mean of the `span` values up to it."""
    result: Series = [None] * len(values)
    level = mean(values[first - span + 1 : first + 1])
    result[first] = level
    for i in range(first + 1, len(values)):
        level += 2 / (span + 1) * (values[i] - level)
        result[i] = level
    return result


def ewm(values: Series, span: int) -> Series:
    """Seeded with the first value there is; shown once `span` values were seen."""
    result: Series = []
    level, seen = None, 0
    for value in values:
        if value is not None:
            seen += 1
            level = value if level is None else level * (1 - 2 / (span + 1)) + value * 2 / (span + 1)
        result.append(level if seen >= span else None)
    return result


def wilder_mean(values: list[float], first: int) -> Series:
    """Mean of the 14 values from `first` on, then Wilder's smoothing."""
    result: Series = [None] * len(values)
    level = mean(values[first : first + 14])
    result[first + 13] = level
    for i in range(first + 14, len(values)):
        level = level * 13 / 14 + values[i] / 14
        result[i] = level
    return result


def wilder_total(values: list[float]) -> Series:
    """Sum of the 13 values after the first bar; from then on it shrinks by a fourteenth before each addition."""
    result: Series = [None] * len(values)
    level = math.fsum(values[1:14])
    for i in range(14, len(values)):
        level = level * 13 / 14 + values[i]
        result[i] = level
    return result


def share(part: Series, whole: Series) -> Series:
    return [None if a is None or b is None else 100 * a / b for a, b in zip(part, whole, strict=True)]


def twin(bars: dict[str, list[float]], variant: str) -> dict[str, Series]:
    high, low, close, volume = (bars[name] for name in ("high", "low", "close", "volume"))
    n = len(close)
    wilder = variant == "wilder"
    typical = [(h + lo + c) / 3 for h, lo, c in zip(high, low, close, strict=True)]
    change = [0.0] + [after - before for before, after in pairwise(close)]
    gain, loss = [max(x, 0.0) for x in change], [max(-x, 0.0) for x in change]
    true_range = [high[0] - low[0]] + [max(high[i], close[i - 1]) - min(low[i], close[i - 1]) for i in range(1, n)]
    up, down = [0.0], [0.0]
    for i in range(1, n):
        rise, fall = high[i] - high[i - 1], low[i - 1] - low[i]
        up.append(rise if rise > fall and rise > 0 else 0.0)
        down.append(fall if fall > 0 and (fall > rise or (not wilder and fall == rise)) else 0.0)
    result: dict[str, Series] = {"percent_change": [None] + [100 * (b - a) / a for a, b in pairwise(close)]}
    middle = windowed(close, 20, mean)
    spread = windowed(close, 20, lambda w: deviation(w, 20 if wilder else 19))
    if wilder:
        gains, losses = wilder_mean(gain, 1), wilder_mean(loss, 1)
        ranges, ups, downs = wilder_total(true_range), wilder_total(up), wilder_total(down)
        result["atr"] = wilder_mean(true_range, 1)
        macd = minus(seeded_ema(close, 12, 25), seeded_ema(close, 26, 25))
        signal = seeded_ema(macd, 9, 33)
        macd = [None] * 33 + macd[33:]
        result |= {f"ema_{span}": seeded_ema(close, span, span - 1) for span in (12, 20, 26, 50, 200)}
        result["vwap_daily"] = list(typical)
    else:
        gains, losses = windowed(gain, 14, mean), windowed(loss, 14, mean)
        ranges, ups, downs = (windowed(values, 14, math.fsum) for values in (true_range, up, down))
        result["atr"] = windowed(true_range, 14, mean)
        macd = minus(ewm(close, 12), ewm(close, 26))
        signal = ewm(macd, 9)
        result |= {f"ema_{span}": ewm(close, span) for span in (12, 20, 26, 50, 200)}
        result["vwap_daily"] = [
            math.fsum(p * v for p, v in zip(typical[: i + 1], volume[: i + 1], strict=True))
            / math.fsum(volume[: i + 1])
            for i in range(n)
        ]
    result["rsi"] = [None if g is None else 100 - 100 / (1 + g / l_) for g, l_ in zip(gains, losses, strict=True)]
    result["macd"], result["macd_signal"], result["macd_histogram"] = macd, signal, minus(macd, signal)
    result["plus_di"], result["minus_di"] = share(ups, ranges), share(downs, ranges)
    dx = share(
        [None if a is None else abs(a - b) for a, b in zip(ups, downs, strict=True)],
        [None if a is None else a + b for a, b in zip(ups, downs, strict=True)],
    )
    result["adx"] = wilder_mean(dx, 14) if wilder else windowed(dx, 14, mean)
    result |= {f"sma_{length}": windowed(close, length, mean) for length in (20, 50, 200)}
    result["bollinger_middle"] = middle
    result["bollinger_upper"] = [None if m is None else m + 2 * s for m, s in zip(middle, spread, strict=True)]
    result["bollinger_lower"] = [None if m is None else m - 2 * s for m, s in zip(middle, spread, strict=True)]

    def flow(wanted: int) -> list[float]:
        signs = [0] + [int(math.copysign(round(abs(b - a), 9) > 0, b - a)) for a, b in pairwise(typical)]
        return [t * v if s == wanted else 0.0 for t, v, s in zip(typical, volume, signs, strict=True)]

    inflow, outflow = windowed(flow(1), 14, math.fsum), windowed(flow(-1), 14, math.fsum)
    result["mfi"] = [None if a is None else 100 - 100 * b / (a + b) for a, b in zip(inflow, outflow, strict=True)]
    placed = [
        0.0 if h == lo else v * (2 * c - h - lo) / (h - lo)
        for h, lo, c, v in zip(high, low, close, volume, strict=True)
    ]
    result["cmf"] = [
        None if a is None else a / b
        for a, b in zip(windowed(placed, 20, math.fsum), windowed(volume, 20, math.fsum), strict=True)
    ]
    top, bottom = windowed(high, 14, max), windowed(low, 14, min)
    stoch_k = [None if t is None else 100 * (c - b) / (t - b) for t, b, c in zip(top, bottom, close, strict=True)]
    result["stoch_d"] = windowed(stoch_k, 3, mean)
    result["williams_r"] = [None if k is None else k - 100 for k in stoch_k]
    result["stoch_k"] = [None] * 15 + stoch_k[15:] if wilder else stoch_k
    if wilder:
        result["mfi"][13] = None
    result["cci"] = windowed(typical, 20, lambda w: (w[-1] - mean(w)) / (0.015 * mean([abs(x - mean(w)) for x in w])))
    result["momentum"] = [None] * 10 + [close[i] - close[i - 10] for i in range(10, n)]
    result["roc"] = [None] * 12 + [100 * (close[i] - close[i - 12]) / close[i - 12] for i in range(12, n)]
    balance = [volume[0]]
    for i in range(1, n):
        balance.append(balance[-1] + volume[i] * ((close[i] > close[i - 1]) - (close[i] < close[i - 1])))
    result["obv"] = balance
    median = [(h + lo) / 2 for h, lo in zip(high, low, strict=True)]
    result["awesome_osc"] = minus(windowed(median, 5, mean), windowed(median, 34, mean))
    result["volume_ratio"] = [None if i < 9 else volume[i] / mean(volume[max(0, i - 19) : i + 1]) for i in range(n)]
    return result


WALKS = {"smooth": walk(1), "two decimals, with ties": walk(2, decimals=2), "cheap": walk(3, decimals=4)}


@pytest.fixture(scope="module", params=WALKS)
def bars(request):
    return WALKS[request.param]


@pytest.mark.parametrize("variant", ["wilder", "vendor"])
def test_every_column_equals_its_formula_in_plain_loops(bars, variant):
    ours = indicator_arrays(**{name: np.array(values) for name, values in bars.items()}, variant=variant)
    expected = twin(bars, variant)

    assert tuple(ours) == OUTPUT_COLUMNS and set(expected) == set(OUTPUT_COLUMNS)
    for name in OUTPUT_COLUMNS:
        reference = np.array(expected[name], dtype=float)
        np.testing.assert_array_equal(np.isnan(ours[name]), np.isnan(reference), err_msg=f"{name}: undefined bars")
        np.testing.assert_allclose(ours[name], reference, rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_variants_differ_exactly_where_their_definitions_do():
    bars = {name: np.array(values) for name, values in WALKS["smooth"].items()}
    wilder, vendor = indicator_arrays(**bars, variant="wilder"), indicator_arrays(**bars, variant="vendor")

    equal = {name for name in INDICATOR_COLUMNS if np.array_equal(wilder[name], vendor[name], equal_nan=True)}

    assert equal == {
        *("sma_20", "sma_50", "sma_200", "bollinger_middle", "cmf", "stoch_d", "cci", "williams_r", "momentum", "roc"),
        *("obv", "awesome_osc", "volume_ratio"),
    }
    for name in ("mfi", "stoch_k"):  # only the first defined bars
        np.testing.assert_array_equal(wilder[name][15:], vendor[name][15:], err_msg=name)


def test_wilder_equals_the_library_that_traders_compare_with():
    import talib

    bars = {name: np.array(values) for name, values in WALKS["smooth"].items()}
    _, high, low, close, volume = bars.values()
    ours = indicator_arrays(**bars, variant="wilder")
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    stoch_k, stoch_d = talib.STOCHF(high, low, close, 14, 3, 0)
    theirs = {
        **{"rsi": talib.RSI(close, 14), "atr": talib.ATR(high, low, close, 14), "adx": talib.ADX(high, low, close, 14)},
        **{"plus_di": talib.PLUS_DI(high, low, close, 14), "minus_di": talib.MINUS_DI(high, low, close, 14)},
        **{"sma_20": talib.SMA(close, 20), "sma_50": talib.SMA(close, 50), "sma_200": talib.SMA(close, 200)},
        **{"bollinger_upper": upper, "bollinger_middle": middle, "bollinger_lower": lower},
        **{"stoch_k": stoch_k, "stoch_d": stoch_d, "williams_r": talib.WILLR(high, low, close, 14)},
        **{"cci": talib.CCI(high, low, close, 20), "mfi": talib.MFI(high, low, close, volume, 14)},
    }

    for name, reference in theirs.items():
        np.testing.assert_array_equal(np.isnan(ours[name]), np.isnan(reference), err_msg=name)
        np.testing.assert_allclose(ours[name], reference, rtol=1e-9, atol=1e-9, err_msg=name)
