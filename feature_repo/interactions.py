"""Transformations of the on-demand feature views, the same code for training and serving.

Feast keeps each function as source text and runs that text alone: a function here uses built-ins only, nothing else of
this module. Each takes columns as lists of equal length; a missing input (None or NaN) gives None.
"""


def rsi_volume_interaction(inputs: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """The product rsi × volume_ratio."""
    pairs = zip(inputs["rsi"], inputs["volume_ratio"], strict=True)
    values = [None if a is None or b is None or a != a or b != b else float(a * b) for a, b in pairs]
    return {"rsi_volume_interaction": values}


def macd_atr_interaction(inputs: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """The product macd_histogram_pct × atr_pct."""
    pairs = zip(inputs["macd_histogram_pct"], inputs["atr_pct"], strict=True)
    values = [None if a is None or b is None or a != a or b != b else float(a * b) for a, b in pairs]
    return {"macd_atr_interaction": values}


def adx_trend_interaction(inputs: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """The adx, negative outside a rise cycle."""
    pairs = zip(inputs["adx"], inputs["in_rise_cycle"], strict=True)
    values = [None if a is None or b is None or a != a or b != b else float(a if b == 1 else -a) for a, b in pairs]
    return {"adx_trend_interaction": values}
