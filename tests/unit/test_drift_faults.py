"""Whether a flag is stuck: what weeks of training had at times is not broken, however rare it is on the whole."""

from __future__ import annotations

import numpy as np
import pytest

from market.drift import summarize
from market.drift_faults import Judged, find_faults
from market.drift_grid import ruler
from market.drift_weeks import CodedRows, Weeks, measure_weeks

SYMBOLS, WEEKS = 12, 10
DAYS = 7 * WEEKS


def weeks_of(flags: np.ndarray) -> tuple[np.ndarray, Weeks]:
    """Training values, sorted, and their weeks, of (days, symbols) flags."""
    values = flags.ravel().astype(float)
    rows = CodedRows(
        codes=ruler(np.sort(values)).codes(values)[:, None],
        day=np.repeat(np.arange(DAYS), SYMBOLS),
        symbol=np.tile(np.arange(SYMBOLS), DAYS),
        direction=np.full(values.size, np.nan),
        volatility_pct=np.full(values.size, 2.0),
        trend=np.zeros(values.size, np.int8),
        prices=np.full((values.size, 4), np.nan),
    )
    return np.sort(values), measure_weeks(rows, [ruler(np.sort(values))], np.arange(0, DAYS, 7), 7)


def found(flags: np.ndarray, newest: float) -> list[str]:
    """Faults of a week in which every bar has one value."""
    trained, weeks = weeks_of(flags)
    now = np.full(7 * SYMBOLS, newest)
    given = Judged(
        name="in_rise_cycle",
        values=now,
        current=summarize(now, missing=0),
        baseline=summarize(trained, missing=0),
        ruler=ruler(trained),
        modal=1.0,
        repeated=1.0,
        missing=0.0,
        usual=weeks,
        column=0,
    )
    return [fault.detail for fault in find_faults(given)]


@pytest.fixture
def mixed() -> np.ndarray:
    """Two of five bars have it, in every week."""
    return np.random.default_rng(1).random((DAYS, SYMBOLS)) < 0.4


def test_a_flag_that_was_never_everywhere_is_stuck_whichever_value_it_has(mixed: np.ndarray) -> None:
    [up], [down] = found(mixed, 1.0), found(mixed, 0.0)
    assert up.startswith("stuck value: every bar has 1, which ")
    assert down.startswith("stuck value: every bar has 0, which ")


def test_a_value_that_nearly_every_bar_of_one_training_week_had_is_a_market(mixed: np.ndarray) -> None:
    mixed[14:21] = True
    mixed[14, :3] = False
    assert found(mixed, 1.0) == []
    assert len(found(mixed, 0.0)) == 1, "the other value was never everywhere"
