"""Calibration and thresholds as they are configured."""

from __future__ import annotations

import pytest

from configs.settings import load_settings
from market.errors import ConfigError
from market.signals import Thresholds


def test_the_users_fixed_thresholds_are_the_default_of_every_class() -> None:
    settings = load_settings("sample")
    for asset_type in ("stocks", "etf", "crypto"):
        choice = settings.thresholds.of(asset_type)
        assert choice.mode == "fixed"
        assert choice.rules() == Thresholds(buy=0.60, sell=0.40, high=0.65, medium=0.55)


def test_the_default_calibration_is_the_cautious_slope() -> None:
    calibration = load_settings("sample").calibration
    assert (calibration.method, calibration.slope_deviation) == ("slope", 0.5)
    assert (calibration.min_rows, calibration.min_days) == (500, 60)


def test_one_class_may_take_relative_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS__THRESHOLDS__ETF__MODE", "quantile")
    monkeypatch.setenv("TRADEHITS__THRESHOLDS__ETF__QUANTILES__BUY", "0.8")
    settings = load_settings("test")
    assert (settings.thresholds.etf.mode, settings.thresholds.stocks.mode) == ("quantile", "fixed")
    assert (settings.thresholds.etf.quantiles.buy, settings.thresholds.stocks.quantiles.buy) == (0.8, 0.95)


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("CALIBRATION__METHOD", "beta", "calibration.method"),
        ("CALIBRATION__SLOPE_DEVIATION", "0", "calibration.slope_deviation"),
        ("CALIBRATION__MIN_ROWS", "0", "calibration.min_rows"),
        ("CALIBRATION__CONFORMAL_LEVEL", "1", "calibration.conformal_level"),
        ("THRESHOLDS__CRYPTO__MODE", "relative", "thresholds.crypto.mode"),
        ("THRESHOLDS__CRYPTO__MEDIUM", "0.7", "medium 0.7 must not be above high 0.65"),
        ("THRESHOLDS__CRYPTO__QUANTILES__MEDIUM", "0.95", "medium 0.95 must not be above high 0.9"),
        ("THRESHOLDS__CRYPTO__QUANTILES__SELL", "0.7", "thresholds.crypto.quantiles.sell"),
    ],
)
def test_senseless_settings_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str, named: str
) -> None:
    monkeypatch.setenv(f"TRADEHITS__{key}", value)
    with pytest.raises(ConfigError, match=named):
        load_settings("test")
