"""The simulated market keeps its promises: stable bits, the stated odds, and bars that look like a market's."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from market.assets import ASSET_TYPES
from market.bars import BAR_SCHEMA, check_bars
from market.errors import ConfigError
from market.sessions import session_close_table
from market.simulate import CHARACTERS, EDGES, simulate_market

START = date(2015, 1, 1)


def draw(
    asset_type="stocks", *, seed=7, start=START, end=date(2016, 12, 31), planted_symbols=3, noise_symbols=2, **kwargs
):
    return simulate_market(
        asset_type,
        seed=seed,
        start=start,
        end=end,
        planted_symbols=planted_symbols,
        noise_symbols=noise_symbols,
        **kwargs,
    )


@pytest.fixture(scope="module")
def large():
    """20 planted and 20 noise symbols over 8,000 days."""
    return draw("crypto", seed=3, start=date(1995, 1, 1), end=date(2016, 11, 25), planted_symbols=20, noise_symbols=20)


def joined(market):
    """Bars beside the oracle, with the next close."""
    truth = market.oracle.select("up_probability", "is_planted")
    return pl.concat([market.bars, truth], how="horizontal").with_columns(
        went_up=(pl.col("close").shift(-1) > pl.col("close")).over("symbol"),
        simple_return=pl.col("close").pct_change().over("symbol"),
    )


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_market():
    assert_frame_equal(draw().bars, draw().bars, check_exact=True)
    assert_frame_equal(draw().oracle, draw().oracle, check_exact=True)
    assert not (draw(seed=8).bars["close"] == draw().bars["close"]).any()


@pytest.mark.parametrize("asset_type", ASSET_TYPES)
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(-(2**70), 2**70),
    days=st.integers(30, 400),
    more_days=st.integers(0, 400),
    planted=st.integers(0, 3),
    noise=st.integers(1, 3),
    more_planted=st.integers(0, 3),
    more_noise=st.integers(0, 3),
)
def test_a_later_end_and_more_symbols_change_no_bar(
    asset_type, seed, days, more_days, planted, noise, more_planted, more_noise
):
    end = START + timedelta(days=days)
    early = draw(asset_type, seed=seed, end=end, planted_symbols=planted, noise_symbols=noise)
    late = draw(
        asset_type,
        seed=seed,
        end=end + timedelta(days=more_days),
        planted_symbols=planted + more_planted,
        noise_symbols=noise + more_noise,
    )
    known = pl.col("symbol").is_in(early.bars["symbol"].unique().to_list())
    until = pl.col("datetime") <= early.bars["datetime"].max()
    assert_frame_equal(late.bars.filter(known, until), early.bars, check_exact=True)
    assert_frame_equal(late.oracle.filter(known, until), early.oracle, check_exact=True)


def test_symbols_and_classes_do_not_share_their_draws():
    closes = draw().bars.pivot(on="symbol", index="datetime", values="close").drop("datetime").to_numpy()
    returns = np.diff(np.log(closes), axis=0)
    assert np.unique(returns.round(12)).size == returns.size
    etf = draw("etf").bars["close"].log().diff().drop_nulls()
    assert not np.isin(returns.ravel().round(12), etf.to_numpy().round(12)).any()


@pytest.mark.parametrize(
    ("asset_type", "names"),
    [
        ("stocks", ["SIMSN0001", "SIMSN0002", "SIMSP0001"]),
        ("etf", ["SIMEN0001", "SIMEN0002", "SIMEP0001"]),
        ("crypto", ["SIMCN0001/USDT", "SIMCN0002/USDT", "SIMCP0001/USDT"]),
    ],
)
def test_names_start_with_sim_and_say_which_are_planted(asset_type, names):
    market = draw(asset_type, planted_symbols=1, noise_symbols=2)
    assert market.bars["symbol"].unique().sort().to_list() == names
    planted = market.oracle.filter("is_planted")["symbol"].unique().to_list()
    assert planted == [names[2]]


@pytest.mark.parametrize("asset_type", ASSET_TYPES)
def test_simulated_bars_pass_every_check_unchanged(asset_type):
    bars = draw(asset_type).bars
    assert bars.schema == BAR_SCHEMA
    calendars = {"stocks": "XNYS", "etf": "XNYS"}
    now = datetime(2017, 1, 1, tzinfo=UTC)
    checked = check_bars(bars, file="simulated", now=now, calendars=calendars, delay_minutes=15)
    assert_frame_equal(checked, bars, check_exact=True)


def test_stocks_trade_in_sessions_and_crypto_every_day():
    sessions = session_close_table("XNYS", START, date(2016, 12, 31))["session"].to_list()
    stocks = draw("stocks", planted_symbols=1, noise_symbols=0).bars["datetime"].dt.date().to_list()
    crypto = draw("crypto", planted_symbols=1, noise_symbols=0).bars["datetime"].dt.date().to_list()
    assert stocks == sessions
    assert crypto == [START + timedelta(days=i) for i in range(731)]


def test_the_oracle_is_keyed_like_the_bars():
    market = draw()
    key = ["asset_type", "symbol", "datetime"]
    assert_frame_equal(market.oracle.select(key), market.bars.select(key))
    assert market.oracle.columns == [*key, "up_probability", "is_planted"]


def probability_from_closes(closes, t, asset_type):
    """The stated law, from the closes alone."""
    if t < 5:
        return 0.5
    momentum_5d = (closes[t] / closes[t - 5] - 1.0) * 100.0
    small, large_move = CHARACTERS[asset_type].momentum_bounds_pct
    size = abs(momentum_5d)
    edge = EDGES[0] if size <= small else EDGES[1] if size <= large_move else EDGES[2]
    return 0.5 - math.copysign(edge, momentum_5d)


@pytest.mark.parametrize("asset_type", ASSET_TYPES)
def test_the_oracle_can_be_recomputed_from_past_closes_alone(asset_type):
    market = draw(asset_type)
    for _, symbol in joined(market).group_by("symbol"):
        closes = symbol["close"].to_list()
        planted = symbol["is_planted"][0]
        expected = [probability_from_closes(closes, t, asset_type) if planted else 0.5 for t in range(len(closes))]
        assert symbol["up_probability"].to_list() == expected


def test_observed_frequencies_follow_the_oracle_in_every_bucket(large):
    rows = joined(large).filter("is_planted").drop_nulls("went_up")
    buckets = rows.group_by("up_probability").agg(pl.len(), pl.col("went_up").mean()).sort("up_probability")
    assert buckets["up_probability"].round(2).to_list() == [0.28, 0.43, 0.46, 0.5, 0.54, 0.57, 0.72]
    for probability, count, share in buckets.rows():
        # Symbols share a daily factor, so 20 of them on one day count as fewer; 3 is the design effect for ρ = 0.2.
        standard_error = math.sqrt(3 * probability * (1 - probability) / count)
        assert abs(share - probability) < 4 * standard_error, probability


def test_every_size_of_move_is_equally_likely_up(large):
    """Sign and size are independent given the past, so simple returns of noise symbols are symmetric as a whole."""
    noise = joined(large).filter(~pl.col("is_planted")).drop_nulls("simple_return")
    deciles = noise.with_columns(decile=(pl.col("simple_return").abs().rank() / pl.len() * 10).floor().clip(0, 9))
    for _, count, share in deciles.group_by("decile").agg(pl.len(), (pl.col("simple_return") > 0).mean()).rows():
        assert abs(share - 0.5) < 4 * 0.5 * math.sqrt(3 / count)
    mean_by_day = noise.group_by("datetime").agg(pl.col("simple_return").mean())["simple_return"]
    assert abs(mean_by_day.mean()) < 4 * mean_by_day.std() / math.sqrt(mean_by_day.len())


def test_noise_symbols_close_up_half_of_the_time(large):
    noise = joined(large).filter(~pl.col("is_planted")).drop_nulls("went_up")
    by_day = noise.group_by("datetime").agg(pl.col("went_up").mean())["went_up"]
    assert abs(by_day.mean() - 0.5) < 3 * by_day.std() / math.sqrt(by_day.len())


def test_noise_symbols_cannot_be_told_from_their_past(large):
    noise = (
        joined(large)
        .filter(~pl.col("is_planted"))
        .with_columns(momentum_5d=(pl.col("close") / pl.col("close").shift(5) - 1).over("symbol"))
    )
    shares = noise.drop_nulls().with_columns(reverses=(pl.col("momentum_5d") > 0) != pl.col("went_up"))
    by_day = shares.group_by("datetime").agg(pl.col("reverses").mean())["reverses"]
    assert abs(by_day.mean() - 0.5) < 3 * by_day.std() / math.sqrt(by_day.len())


def test_nothing_in_a_bar_gives_away_the_next_sign_of_a_noise_symbol(large):
    """The oracle is the truth given everything known at the close: open, wicks, volume and sizes included."""
    noise = (
        joined(large)
        .filter(~pl.col("is_planted"))
        .with_columns(
            body=pl.col("close") / pl.col("open"),
            upper=pl.col("high") / pl.max_horizontal("open", "close"),
            lower=pl.min_horizontal("open", "close") / pl.col("low"),
            gap=(pl.col("open") / pl.col("close").shift()).over("symbol"),
            activity=(pl.col("volume") / pl.col("volume").shift()).over("symbol"),
            market=pl.col("simple_return").mean().over("datetime"),
        )
    )
    known = ["simple_return", "body", "upper", "lower", "gap", "activity", "market"]
    rows = noise.drop_nulls([*known, "went_up"])
    for name in known:
        correlation = rows.select(pl.corr(name, pl.col("went_up").cast(pl.Float64), method="spearman")).item()
        assert abs(correlation) < 4 * math.sqrt(3 / rows.height), name


@pytest.mark.parametrize("asset_type", ASSET_TYPES)
def test_the_best_possible_accuracy_is_56_to_58_percent(asset_type):
    market = draw(asset_type, seed=20240217, end=date(2024, 12, 31), planted_symbols=24, noise_symbols=0)
    best = market.oracle.select((pl.col("up_probability") - 0.5).abs().mean() + 0.5).item()
    assert 0.56 < best < 0.58


def test_signs_of_one_day_agree_more_often_than_chance(large):
    rows = joined(large).filter(~pl.col("is_planted")).drop_nulls("simple_return")
    signs = rows.with_columns(pl.col("simple_return").sign()).pivot(
        on="symbol", index="datetime", values="simple_return"
    )
    correlation = np.corrcoef(signs.drop("datetime").drop_nulls().to_numpy().T)
    expected = 2 / math.pi * math.asin(0.2)
    assert correlation[np.triu_indices(20, 1)].mean() == pytest.approx(expected, abs=0.02)


def test_volatility_clusters_and_tails_are_fat(large):
    for _, symbol in joined(large).drop_nulls("simple_return").group_by("symbol"):
        size = symbol["simple_return"].abs().to_numpy()
        for lag, least in ((1, 0.05), (10, 0.03)):
            assert np.corrcoef(size[lag:], size[:-lag])[0, 1] > least
        assert symbol["simple_return"].kurtosis(fisher=False) > 4


def test_volatility_has_regimes_that_all_symbols_share(large):
    rows = joined(large).drop_nulls("simple_return")
    size = rows.with_columns(pl.col("simple_return").abs()).pivot(on="symbol", index="datetime", values="simple_return")
    monthly = size.drop("datetime").drop_nulls().to_numpy()[: 8000 // 21 * 21].reshape(-1, 21, 40).mean(axis=1)
    between = np.corrcoef(monthly.T)[np.triu_indices(40, 1)]
    assert between.min() > 0.1
    assert np.quantile(monthly.mean(axis=1), 0.95) > 2 * np.quantile(monthly.mean(axis=1), 0.05)


def test_bars_have_gaps_wicks_and_volume_that_follows_moves():
    rows = joined(draw("stocks", planted_symbols=5, noise_symbols=5)).with_columns(
        gap=(pl.col("open") / pl.col("close").shift() - 1).over("symbol"), size=pl.col("simple_return").abs()
    )
    rows = rows.drop_nulls(["gap", "size"])
    assert (rows["high"] >= rows.select(pl.max_horizontal("open", "close")).to_series()).all()
    assert (rows["low"] <= rows.select(pl.min_horizontal("open", "close")).to_series()).all()
    assert rows["gap"].std() > 0.002
    assert (rows["volume"] >= 1).all()
    assert (rows["volume"] == rows["volume"].round()).all()
    relative = rows.with_columns(pl.col("volume").log() - pl.col("volume").log().mean().over("symbol"))
    assert relative.select(pl.corr("volume", "size", method="spearman")).item() > 0.2


@pytest.mark.parametrize("asset_type", ASSET_TYPES)
def test_prices_of_20000_bars_are_positive_finite_and_never_tie(asset_type):
    # 54 years of crypto days; the older sessions of the exchange are those of the calendar's rules.
    start = date(1970, 1, 1) if asset_type == "crypto" else date(1945, 1, 1)
    days = 20_000 if asset_type == "crypto" else 29_000
    market = draw(asset_type, start=start, end=start + timedelta(days=days - 1), planted_symbols=5, noise_symbols=5)
    bars = market.bars
    assert bars.height >= 199_000
    assert bars.select(pl.col("open", "high", "low", "close").min() > 1e-6).row(0) == (True,) * 4
    assert bars.select(pl.col("open", "high", "low", "close").is_finite().all()).row(0) == (True,) * 4
    assert bars.select((pl.col("close") == pl.col("close").shift()).over("symbol").sum()).item() == 0
    assert joined(market)["simple_return"].abs().max() <= 0.5


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"planted_symbols": 0, "noise_symbols": 0}, "0 planted and 0 noise"),
        ({"planted_symbols": -1}, "-1 planted"),
        ({"noise_symbols": 10_000}, "10000 noise"),
        ({"end": START - timedelta(days=1)}, "no trading day"),
        ({"start": date(2024, 3, 9), "end": date(2024, 3, 10)}, "no trading day"),
        ({"calendar": "XXXX"}, "XXXX"),
    ],
)
def test_impossible_markets_are_configuration_errors_with_a_remedy(change, says):
    with pytest.raises(ConfigError, match=says) as caught:
        draw(**change)
    assert caught.value.remedy
