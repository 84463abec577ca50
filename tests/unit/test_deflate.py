"""The Sharpe ratio of predicted directions, and what the number of tries leaves of it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from market.overfitting import ReturnShape, deflated_sharpe_ratio, probabilistic_sharpe_ratio
from registry.trials import Trials
from training.deflate import daily_returns, signal_sharpe

START = datetime(2023, 1, 2, tzinfo=UTC)


def record(rows: list[tuple[str, int, float, float | None]]) -> pl.DataFrame:
    """Rows of (split, day, probability, forward return in percent)."""
    return pl.DataFrame(
        {
            "datetime": [START + timedelta(days=day) for _, day, _, _ in rows],
            "data_split": [split for split, *_ in rows],
            "up_probability": [p for _, _, p, _ in rows],
            "forward_return_pct": [value for *_, value in rows],
        },
        schema_overrides={"forward_return_pct": pl.Float64},
    )


def lucky(seed: int = 3, days: int = 300) -> pl.DataFrame:
    returns = np.random.default_rng(seed).normal(0.08, 1, days)
    return record([("VALIDATE", day, 0.51, float(value)) for day, value in enumerate(returns)])


def test_each_date_holds_every_symbol_by_its_direction_and_nothing_of_train_or_the_unknown() -> None:
    rows = record(
        [
            ("TRAIN", 0, 0.9, 9.0),
            ("TEST", 1, 0.6, 2.0),  # long: +2
            ("TEST", 1, 0.4, 1.0),  # short: -1
            ("VALIDATE", 3, 0.5, -4.0),  # 0.5 is up: -4
            ("VALIDATE", 2, 0.3, -3.0),  # short: +3
            ("VALIDATE", 4, 0.3, None),
        ]
    )
    assert daily_returns(rows).tolist() == pytest.approx([0.005, 0.03, -0.04])


def test_one_trial_is_not_deflated_and_a_hundred_are() -> None:
    rows = lucky()
    shape = ReturnShape.of(daily_returns(rows))
    assert shape is not None
    alone, many = signal_sharpe(rows, "stocks", Trials(1)), signal_sharpe(rows, "stocks", Trials(100))
    assert alone.sharpe == pytest.approx(shape.sharpe * math.sqrt(252))
    assert alone.deflated == alone.probabilistic == probabilistic_sharpe_ratio(shape)
    assert many.deflated == pytest.approx(deflated_sharpe_ratio(shape, trials=100, variance=1 / 299))
    assert many.deflated < 0.5 < many.probabilistic == alone.probabilistic
    assert (many.trials, many.days) == (100, 300)


def test_the_spread_of_earlier_runs_is_used_when_it_is_larger_than_chance() -> None:
    rows = lucky()
    calm = signal_sharpe(rows, "stocks", Trials(10, (1.0, 1.1, 0.9)))
    wild = signal_sharpe(rows, "stocks", Trials(10, (-9.0, 0.0, 9.0)))
    assert wild.deflated < calm.deflated


def test_crypto_trades_every_day_of_the_year() -> None:
    rows = lucky()
    stocks, crypto = (signal_sharpe(rows, name, Trials(1)) for name in ("stocks", "crypto"))
    assert crypto.sharpe == pytest.approx(stocks.sharpe * math.sqrt(365 / 252))


def test_no_known_day_or_no_variation_has_no_ratio() -> None:
    nothing = signal_sharpe(record([("TRAIN", 0, 0.6, 1.0)]), "etf", Trials(3))
    flat = signal_sharpe(record([("TEST", day, 0.6, 1.0) for day in range(5)]), "etf", Trials(3))
    assert (nothing.days, nothing.sharpe, nothing.deflated, nothing.trials) == (0, None, None, 3)
    assert (flat.days, flat.sharpe, flat.probabilistic) == (5, None, None)
