"""The section `detectors` as it is configured."""

from __future__ import annotations

import pytest

from configs.settings import load_settings
from market.errors import ConfigError


def test_a_false_alarm_of_a_test_is_promised_to_come_at_most_once_in_400_asset_class_months():
    rule = load_settings("sample").detectors
    assert rule.days_between_false_alarms / 30 == 400
    assert (rule.baseline_days, rule.min_baseline_days, rule.min_predictions) == (250, 100, 50)
    assert rule.critical_edge_loss == 0.5


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("BASELINE_DAYS", "10", "detectors.baseline_days"),
        ("MIN_BASELINE_DAYS", "300", "min_baseline_days 300 must not be above 250"),
        ("DAYS_BETWEEN_FALSE_ALARMS", "10", "detectors.days_between_false_alarms"),
        ("CRITICAL_EDGE_LOSS", "0", "detectors.critical_edge_loss"),
        ("ESTIMATE__DEVIATIONS", "0", "detectors.estimate.deviations"),
    ],
)
def test_senseless_settings_are_refused_by_name(monkeypatch, key, value, named):
    monkeypatch.setenv(f"TRADEHITS__DETECTORS__{key}", value)
    with pytest.raises(ConfigError, match=named):
        load_settings("test")
