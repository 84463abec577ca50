"""Markets in which nothing can be known: what stays as it was, and that directions are coins."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import NotEnoughDataError
from market.simulate import simulate_market
from training.canary_bars import matched_random_walk, sampled_rows, sampled_series, shuffled_labels
from training.dataset import Dataset

FIRST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    """Two planted symbols, whose real directions can be predicted."""
    return simulate_market(
        "crypto", seed=3, start=date(2018, 1, 1), end=date(2021, 12, 31), planted_symbols=2, noise_symbols=0
    ).bars


def logs(bars: pl.DataFrame) -> pl.DataFrame:
    """Each bar in logs, as seen from the close before it; the first bar of a symbol is left out."""
    before = pl.col("close").shift().over("symbol")
    frame = bars.select(
        "symbol",
        gap=(pl.col("open") / before).log(),
        move=(pl.col("close") / before).log(),
        upper=(pl.col("high") / pl.max_horizontal("open", "close")).log(),
        lower=(pl.min_horizontal("open", "close") / pl.col("low")).log(),
    )
    return frame.filter(pl.col("move").is_not_null())


def test_a_bar_keeps_its_shape_or_is_mirrored(bars: pl.DataFrame) -> None:
    walk = matched_random_walk(bars, np.random.default_rng(1))
    old, new = logs(bars), logs(walk)
    kept = (old["move"] > 0) == (new["move"] > 0)
    assert 0.45 < kept.mean() < 0.55
    sign = np.where(kept, 1.0, -1.0)
    beside = (("move", "move", sign), ("gap", "gap", sign), ("upper", "lower", 1), ("lower", "upper", 1))
    for name, mirrored, turn in beside:
        expected = turn * np.where(kept, old[name], old[mirrored])
        np.testing.assert_allclose(new[name].to_numpy(), expected, atol=1e-9)


def test_everything_but_prices_stays(bars: pl.DataFrame) -> None:
    walk = matched_random_walk(bars, np.random.default_rng(1))
    assert walk.select("asset_type", "symbol", "datetime", "volume").equals(
        bars.select("asset_type", "symbol", "datetime", "volume")
    )
    assert (walk["high"] >= walk.select(pl.max_horizontal("open", "close")).to_series()).all()
    assert (walk["low"] <= walk.select(pl.min_horizontal("open", "close")).to_series()).all()
    assert walk.select(pl.all_horizontal(pl.col("open", "high", "low", "close").is_finite())).to_series().all()
    assert (walk["low"] > 0).all()


def test_the_next_direction_knows_nothing_of_the_past(bars: pl.DataFrame) -> None:
    """The planted symbols reverse their 5-bar change; in the walk nothing of it is left."""

    def reversals(frame: pl.DataFrame) -> float:
        change = (pl.col("close") / pl.col("close").shift(5) - 1).over("symbol")
        following = (pl.col("close").shift(-1) / pl.col("close") - 1).over("symbol")
        rows = frame.select(change=change, following=following).drop_nulls()
        return ((rows["change"] > 0) != (rows["following"] > 0)).mean()  # type: ignore[return-value]

    assert reversals(bars) > 0.55
    shares = [reversals(matched_random_walk(bars, np.random.default_rng(seed))) for seed in range(20)]
    assert abs(np.mean(shares) - 0.5) < 4 * 0.5 / np.sqrt(20 * bars.height)


def test_copies_of_one_symbol_go_their_own_ways(bars: pl.DataFrame) -> None:
    one = bars.filter(pl.col("symbol") == bars["symbol"][0])
    copies = pl.concat([one.with_columns(symbol=pl.lit(f"S~{copy}")) for copy in range(2)])
    walk = logs(matched_random_walk(copies, np.random.default_rng(2)))
    a, b = (walk.filter(pl.col("symbol") == f"S~{copy}")["move"].to_numpy() for copy in range(2))
    np.testing.assert_allclose(np.abs(a), np.abs(b), atol=1e-9)
    assert abs(np.mean(np.sign(a) == np.sign(b)) - 0.5) < 4 * 0.5 / np.sqrt(a.size)


def test_a_price_that_stood_still_gets_a_coin_too() -> None:
    flat = pl.DataFrame(
        {
            "symbol": ["F"] * 400,
            "datetime": [FIRST + timedelta(days=day) for day in range(400)],
            **dict.fromkeys(("open", "high", "low", "close"), [5.0] * 400),
            "volume": [1.0] * 400,
        }
    )
    closes = matched_random_walk(flat, np.random.default_rng(3))["close"].to_numpy()
    assert 160 < (np.diff(closes) > 0).sum() < 240
    assert (np.diff(closes) != 0).all()
    np.testing.assert_allclose(closes, 5.0, rtol=0.01)


def keys_of(lengths: dict[str, int], days: int = 400) -> pl.DataFrame:
    """Each symbol's newest bars."""
    rows = [(symbol, FIRST + timedelta(days=day)) for symbol, n in lengths.items() for day in range(days - n, days)]
    return pl.DataFrame(rows, schema={"symbol": pl.String, "datetime": pl.Datetime("us", "UTC")}, orient="row")


def test_symbols_are_drawn_until_there_are_enough_rows_and_again_when_there_are_too_few() -> None:
    keys = keys_of({"A": 400, "B": 400, "C": 30})
    first, series = sampled_series(keys, days=300, rows=250, random=np.random.default_rng(0))
    assert first == FIRST + timedelta(days=100)
    assert series.height == 1
    _, again = sampled_series(keys, days=300, rows=1300, random=np.random.default_rng(0))
    assert sorted(again["series"]) in (["A~0", "A~1", "A~2", "B~0", "B~1"], ["A~0", "A~1", "B~0", "B~1", "B~2"])
    assert "C" not in again["symbol"], "30 bars are no history"


def test_too_short_a_past_says_so() -> None:
    with pytest.raises(NotEnoughDataError, match="100 dates, at least 120"):
        sampled_series(keys_of({"A": 100}, days=100), days=300, rows=10, random=np.random.default_rng(0))
    relay = pl.concat(
        keys_of({f"S{i}": 50}, days=50).with_columns(pl.col("datetime") + timedelta(days=50 * i)) for i in range(5)
    )
    with pytest.raises(NotEnoughDataError, match="no symbol has 60 bars"):
        sampled_series(relay, days=300, rows=10, random=np.random.default_rng(0))


def dataset_of(labels: dict[str, list[float]]) -> Dataset:
    """A feature that numbers the rows of its symbol; the newest label of each symbol is unknown."""
    keys = pl.concat([keys_of({symbol: len(values)}, days=len(values)) for symbol, values in labels.items()])
    keys = keys.with_columns(
        label=pl.Series([value for values in labels.values() for value in values], dtype=pl.Float32)
    )
    keys = keys.with_columns(number=pl.int_range(pl.len()).over("symbol")).sort("datetime", "symbol")
    label = keys["label"].to_numpy()
    instants = keys["datetime"].dt.replace_time_zone(None).to_numpy()
    full = keys.select(
        pl.lit("crypto").alias("asset_type"), "symbol", "datetime",
        (pl.col("datetime") + timedelta(days=1)).alias("bar_known_at"),
        pl.col("label").fill_nan(None).cast(pl.Int64).alias("target_direction"),
        pl.col("label").fill_nan(None).cast(pl.Float64).alias("forward_return_pct"),
        (pl.col("datetime") + timedelta(days=2)).alias("label_known_at"), pl.lit("TRAIN").alias("data_split"),
    )  # fmt: skip
    matrix = keys.select("number").cast(pl.Float32).to_numpy()
    return Dataset("crypto", ("number",), matrix, label, instants, instants, instants, full, "hash")


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_labels_are_dealt_out_anew_inside_each_series_and_features_stay(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = {s: [*(random.random(149) < share).astype(float), np.nan] for s, share in (("A", 0.3), ("B", 0.8))}
    dataset = dataset_of(labels)
    sample = shuffled_labels(sampled_rows(dataset, days=200, rows=700, random=random), random)
    assert sample.rows == 750
    assert sample.keys.select("symbol", "datetime").equals(
        sample.keys.select("symbol", "datetime").sort("datetime", "symbol")
    )
    ups = dict(sample.keys.group_by("symbol").agg(pl.col("target_direction").sum()).rows())
    for name, count in ups.items():
        assert count == sum(labels[name[0]][:-1])
    newest = sample.keys.filter(pl.col("datetime") == pl.col("datetime").max())
    assert newest["target_direction"].null_count() == newest.height == 5
    day = ((sample.datetime - sample.datetime.min()) / np.timedelta64(1, "D")).astype(int)
    assert (sample.matrix[:, 0] == day).all()
    shown = sample.keys["target_direction"].cast(pl.Float32).fill_null(float("nan")).to_numpy()
    np.testing.assert_array_equal(shown, sample.label)
    real = np.array([labels[name[0]][number] for name, number in zip(sample.keys["symbol"], day, strict=True)])
    agreed = (real == sample.label)[~np.isnan(sample.label)].mean()
    assert agreed < 0.8, "the labels lie on other dates"
