"""A seeded market with a known next-bar edge: demonstration data, and the oracle of the end-to-end tests.

Closes follow simple returns `s·m`. The size m > 0 has volatility clustering (AR(1) log-volatility of the class and of
the symbol), class-wide regimes (a Markov chain) and fat tails (Student's t). The sign s is independent of the size
given the past: planted symbols reverse their 5-bar percent change (the feature `momentum_5d`) with a probability that
depends on its direction and coarse size, noise symbols go up with probability 1/2 at every bar. Signs of one day share
a factor through a Gaussian copula, which correlates symbols and leaves each probability exact.

Symmetric simple returns drift downward in log-price by half their variance. Volatilities are tamer than the real
classes', so that a price survives 20,000 bars: the smallest of 1,000 crypto symbols was 5e-6 after 1,000 to 50,000.

Every draw comes from its own stream, keyed by seed, asset class, symbol and purpose and read in time's order: neither a
later end nor more symbols changes a bar already drawn.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from scipy.special import ndtri

from market.assets import AssetType
from market.errors import ConfigError
from market.sessions import AROUND_THE_CLOCK, UTC_INSTANT, session_close_table
from market.simulate_kernel import BAR_VALUES, SHAPES, Floats, walk

EDGES = (0.04, 0.07, 0.22)
"""How far P(up) lies from 1/2 for a small, a middling and a large 5-bar change."""

SIGN_CORRELATION = 0.2
"""Correlation of the normal variates behind two symbols' signs on one day."""

_TAIL_DEGREES = 5.0
_REGIME_FACTORS = np.array([0.7, 1.0, 1.7])
_REGIME_STAY = 0.985
_CLASS_PERSISTENCE, _CLASS_NOISE = 0.97, 0.05
_SYMBOL_PERSISTENCE, _SYMBOL_NOISE = 0.96, 0.08
_MAX_SYMBOLS = 9999
_PLANTED = "P"
_THREADS = 2


@dataclass(frozen=True)
class Character:
    """What differs between asset classes.

    Attributes:
        prefix: Start of every symbol's name.
        volatility: Typical daily volatility (0.01 is 1%).
        gap: Share of it that shows at the open.
        momentum_bounds_pct: Sizes of the 5-bar percent change at which the edge changes.
        price: Range of start prices.
        volume: Typical volume.
    """

    prefix: str
    volatility: float
    gap: float
    momentum_bounds_pct: tuple[float, float]
    price: tuple[float, float]
    volume: float


CHARACTERS: dict[AssetType, Character] = {
    "stocks": Character("SIMS", 0.012, 0.5, (1.5, 5.0), (20.0, 400.0), 2e6),
    "etf": Character("SIME", 0.008, 0.5, (1.0, 3.5), (20.0, 400.0), 5e6),
    "crypto": Character("SIMC", 0.0165, 0.05, (2.0, 7.5), (1_000.0, 50_000.0), 1e5),
}


@dataclass(frozen=True)
class SimulatedMarket:
    """One asset class's simulated bars and the truth behind them.

    Attributes:
        bars: As `market.bars.BAR_SCHEMA`, sorted and unique by key.
        oracle: `asset_type symbol datetime up_probability is_planted`, row for row the key of `bars`; `up_probability`
            is the true P(next close > this close) given everything known at this close, the last bar included.
    """

    bars: pl.DataFrame
    oracle: pl.DataFrame


def simulate_market(
    asset_type: AssetType,
    *,
    seed: int,
    start: date,
    end: date,
    planted_symbols: int,
    noise_symbols: int,
    calendar: str = "XNYS",
) -> SimulatedMarket:
    """Draw one asset class's daily bars from `start` to `end`, both included.

    Args:
        asset_type: `crypto` has a bar every day, the others one a session of `calendar`.
        seed: Any integer; the same seed gives the same bits.
        start: First date; another start is another market.
        end: Last date; a later one only adds bars.
        planted_symbols: Number of symbols with an edge, named `SIM?P0001` on.
        noise_symbols: Number without, named `SIM?N0001` on. Crypto names end with `/USDT`.
        calendar: Name in `exchange_calendars`.

    Raises:
        ConfigError: No symbols, too many, or no trading day between the dates.
    """
    names = _names(asset_type, planted_symbols, noise_symbols)
    days = _trading_days(asset_type, start, end, calendar)
    values = np.empty((len(BAR_VALUES), len(names), days.len()))
    up_probability = np.empty((len(names), days.len()))
    shared = _class_streams(asset_type, seed, days.len())

    def draw(index: int) -> None:
        _draw_symbol(asset_type, names[index], seed, shared, values[:, index], up_probability[index])

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(draw, range(len(names))))
    symbols = pl.DataFrame({"symbol": names, "is_planted": [_is_planted(name) for name in names]})
    keys = symbols.join(days.to_frame(), how="cross", maintain_order="left_right")
    key = (pl.lit(asset_type).alias("asset_type"), "symbol", "datetime")
    columns = [pl.Series(name, values[i].ravel()) for i, name in enumerate(BAR_VALUES)]
    return SimulatedMarket(
        bars=keys.select(*key, *columns),
        oracle=keys.select(*key, pl.Series("up_probability", up_probability.ravel()), "is_planted"),
    )


@dataclass(frozen=True)
class _ClassStreams:
    """What all symbols of a class share on each day: its volatility, and the factor behind the signs."""

    volatility: Floats
    factor: Floats


def _draw_symbol(
    asset_type: AssetType, name: str, seed: int, shared: _ClassStreams, bars: Floats, up_probability: Floats
) -> None:
    """Draw one symbol into `bars` (values, days) and `up_probability` (days,)."""
    character = CHARACTERS[asset_type]
    days = shared.factor.size
    own = _stream(seed, asset_type, name, "character").random(3)
    low, high = np.log(character.price)
    edges = np.array(EDGES) * _is_planted(name)
    own_sign = _stream(seed, asset_type, name, "sign").standard_normal(days)
    walk(
        sign=np.sqrt(SIGN_CORRELATION) * shared.factor + np.sqrt(1 - SIGN_CORRELATION) * own_sign,
        size=_stream(seed, asset_type, name, "size").standard_t(_TAIL_DEGREES, days) * np.sqrt(1 - 2 / _TAIL_DEGREES),
        volatility_noise=_SYMBOL_NOISE * _stream(seed, asset_type, name, "volatility").standard_normal(days),
        shape=_stream(seed, asset_type, name, "shape").standard_normal((days, SHAPES)),
        class_volatility=shared.volatility * (0.8 + 0.4 * own[0]),
        start_price=float(np.exp(low + (high - low) * own[1])),
        base_volume=character.volume * float(np.exp(2.0 * own[2] - 1.0)),
        persistence=_SYMBOL_PERSISTENCE,
        gap=character.gap,
        momentum_bounds=np.array(character.momentum_bounds_pct),
        edges=edges,
        quantiles=ndtri(0.5 + edges),
        bars=bars,
        up_probability=up_probability,
    )


def _class_streams(asset_type: AssetType, seed: int, days: int) -> _ClassStreams:
    chance = _stream(seed, asset_type, "", "regime").random(days)
    noise = _stream(seed, asset_type, "", "volatility").standard_normal(days)
    factor = _stream(seed, asset_type, "", "factor").standard_normal(days)
    regime, log_volatility = 1, 0.0
    volatility = np.empty(days)
    for t in range(days):
        if chance[t] > _REGIME_STAY:
            # The excess over the threshold, rescaled, is uniform again and picks one of the other two regimes.
            regime = (regime + 1 + int((chance[t] - _REGIME_STAY) / (1 - _REGIME_STAY) * 2)) % 3
        log_volatility = _CLASS_PERSISTENCE * log_volatility + _CLASS_NOISE * noise[t]
        volatility[t] = CHARACTERS[asset_type].volatility * _REGIME_FACTORS[regime] * np.exp(log_volatility)
    return _ClassStreams(volatility, factor)


def _stream(seed: int, asset_type: str, symbol: str, purpose: str) -> np.random.Generator:
    """An independent stream for each purpose; hashing makes neighbouring seeds and names unrelated."""
    digest = hashlib.blake2b(f"{seed}|{asset_type}|{symbol}|{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def _trading_days(asset_type: AssetType, start: date, end: date, calendar: str) -> pl.Series:
    if asset_type in AROUND_THE_CLOCK:
        days = pl.select(datetime=pl.date_range(start, end, "1d")).to_series()
    else:
        days = session_close_table(calendar, start, end)["session"].rename("datetime")
    if days.is_empty():
        raise ConfigError(
            f"no trading day between {start} and {end}", remedy="set simulation.start and simulation.end further apart"
        )
    return days.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(UTC_INSTANT)


def _names(asset_type: AssetType, planted: int, noise: int) -> list[str]:
    """Sorted names, of fixed width so that more symbols change none."""
    if min(planted, noise) < 0 or planted + noise == 0 or max(planted, noise) > _MAX_SYMBOLS:
        raise ConfigError(
            f"cannot simulate {planted} planted and {noise} noise symbols",
            remedy=f"simulation.planted_symbols and noise_symbols: together at least 1, each at most {_MAX_SYMBOLS}",
        )
    suffix = "/USDT" if asset_type == "crypto" else ""
    counts = {"N": noise, _PLANTED: planted}
    prefix = CHARACTERS[asset_type].prefix
    return [f"{prefix}{kind}{i:04d}{suffix}" for kind, count in counts.items() for i in range(1, count + 1)]


def _is_planted(name: str) -> bool:
    return name[4] == _PLANTED
