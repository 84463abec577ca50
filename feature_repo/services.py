"""Which features a model sees: the feature services by name, in the order of the model's columns.

Plain tuples, so that training, serving and the API can ask for names without importing Feast.
"""

from __future__ import annotations

from types import MappingProxyType

from market.errors import FeatureError

FEATURE_VIEW = "walk_forward_features"
LABEL_VIEW = "walk_forward_labels"
KEYS = ("asset_type", "symbol", "datetime", "bar_known_at")

INTERACTIONS = MappingProxyType(
    {
        "rsi_volume_interaction": ("rsi", "volume_ratio"),
        "macd_atr_interaction": ("macd_histogram_pct", "atr_pct"),
        "adx_trend_interaction": ("adx", "in_rise_cycle"),
    }
)
"""On-demand features and the stored columns each is computed from."""

LABELS = ("target_direction", "forward_return_pct", "label_known_at", "data_split")

LEVEL_WARNING = (
    "Holds price levels (macd, its histogram, vwap_daily and the like). Adjusted prices carry later splits and "
    "dividends in their level, so a model may learn from the future; compare with `default` before trusting a result."
)

_DEFAULT = (
    "rsi",
    "rsi_slope",
    "rsi_overbought",
    "rsi_oversold",
    "macd_histogram_pct",
    "macd_rising",
    "macd_cross_up",
    "pivot_high_flag",
    "pivot_low_flag",
    "adx",
    "plus_di",
    "minus_di",
    "in_rise_cycle",
    "rise_cycle_start",
    "golden_cross",
    "death_cross",
    "momentum_5d",
    "momentum_10d",
    "momentum_20d",
    "atr_pct",
    "volume_ratio",
    "mfi",
    "cci",
    "stoch_k",
    "stoch_d",
    "roc",
    "growth_score",
    *INTERACTIONS,
)

SERVICES = MappingProxyType(
    {
        "default": _DEFAULT,
        "reference": tuple("macd_histogram" if name == "macd_histogram_pct" else name for name in _DEFAULT),
        "validated_16": (
            "pivot_low_flag",
            "pivot_high_flag",
            "rsi",
            "rsi_slope",
            "rsi_zscore",
            "rsi_overbought",
            "rsi_oversold",
            "macd",
            "macd_signal",
            "macd_histogram",
            "macd_cross",
            "momentum",
            "mfi",
            "cci",
            "awesome_osc",
            "vwap_daily",
        ),
    }
)
"""Service name -> feature names in the order of the model's columns."""

SCALE_FREE_SERVICES = frozenset({"default"})


def feature_names(service: str) -> tuple[str, ...]:
    """The features of a service, in the order of the model's columns.

    Raises:
        FeatureError: There is no such service.
    """
    try:
        return SERVICES[service]
    except KeyError:
        raise FeatureError(f"unknown feature service '{service}'", remedy=f"one of {', '.join(SERVICES)}") from None


def stored_columns(service: str) -> tuple[str, ...]:
    """The stored columns from which every feature of a service can be had, on-demand features included."""
    columns: dict[str, None] = {}
    for name in feature_names(service):
        columns.update(dict.fromkeys(INTERACTIONS.get(name, (name,))))
    return tuple(columns)
