"""The backtest engine: signals and bars in, trades and a daily equity curve out.

What happens on one date, in this order:

1. *Night.* Every short pays borrow cost for each calendar day since the date before, on its value at the last mark.
2. *Open.* A signal formed at a bar's close is due at the open of its symbol's next bar, and only there. First decided
   exits fill (a time limit that is up, an opposite signal), and stops and targets that the open has jumped over; all at
   the open. Then entries fill at the open, the strongest signal first, then by asset class and symbol, with the money
   and the places that are free by then. Crypto opens at 00:00 UTC, before stocks and ETFs, and is settled before them.
3. *Day.* A stop or target inside the bar's range fills at its price; when one bar touches both, the stop came first.
   This holds for the bar of the entry too, after its open. Money freed inside the day can be used from the next date.
4. *Close.* Positions are valued at the close. A symbol whose data end here (delisted, or the end of the window) is
   closed at its last mark: `END_OF_DATA`. So the curve ends in cash, and trade results add up to its change.

Every fill pays a fee and slippage against it (`market.costs`); stops and targets stand around the entry bar's open, so
that costs never move them. Equity is cash plus longs minus shorts, at every date. Cash earns nothing and none is lent.

*Positions.* One a symbol. A signal in the direction of the open position does nothing, neither to its size nor to its
stop or clock. Where a position leaves at an open by time or by an opposite signal, the symbol may enter again there.

*Halts.* A bar with zero volume fills nothing: entry orders lapse, decided exits wait for the next bar that trades,
stops and targets are not touched, the mark stays. It counts for the time limit. *Missing bars:* the mark stays, borrow
cost runs, orders are due at the next bar there is (entries at most `order_days` later). *Splits:* prices are adjusted
and units fractional, so a split changes nothing.

*Sizes* (`market.risk`) are decided from equity at the previous date's close and from trades closed by then. One entry
takes at most `volume_cap_share` of the smaller volume of its signal's bar and its own; exits are not capped.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from market import backtest_kernel as kernel
from market import backtest_records as records
from market.assets import ASSET_TYPES
from market.backtest_input import DAYS_PER_YEAR, Market, overlapping_market, prepare_market
from market.backtest_output import EXIT_REASONS, BacktestRun, Refusals
from market.backtest_parameters import OPPOSITE_RULES, BacktestParameters
from market.backtest_signals import Predictions, Signals, align_predictions
from market.costs import BORROW_DAYS_PER_YEAR, BPS
from market.errors import BacktestError
from market.risk import SIZING_METHODS, VOLATILITY_BARS

__all__ = [
    "EXIT_REASONS",
    "BacktestParameters",
    "BacktestRun",
    "Market",
    "Predictions",
    "Refusals",
    "Signals",
    "align_predictions",
    "overlapping_market",
    "prepare_market",
    "run_backtest",
    "run_grid",
]

_OPENS_FIRST: Final = "crypto"


def run_backtest(market: Market, signals: Signals, parameters: BacktestParameters) -> BacktestRun:
    """Trade the signals on the market.

    Args:
        market: From `prepare_market` or `overlapping_market`.
        signals: Their `row` counts the market's bars.
        parameters: With costs for every class of the market.

    Raises:
        BacktestError: A signal beyond the market's bars, a class without costs, or exits by ATR for bars without.
    """
    _refuse_mismatch(market, signals, parameters)
    trades = np.empty(signals.row.size, dtype=records.TRADE)
    days = np.zeros(market.days.size, dtype=records.DAY)
    verdict = np.empty(signals.row.size, dtype=np.int64)
    count = kernel.simulate(
        (
            _column(market.open, np.float64),
            _column(market.high, np.float64),
            _column(market.low, np.float64),
            _column(market.close, np.float64),
            _column(market.volume, np.float64),
            _column(market.atr, np.float64),
            _column(market.keys.day, np.int32),
        ),
        (
            _column(signals.row, np.int64),
            _column(signals.direction, np.int8),
            _column(signals.strength, np.float64),
            _column(signals.weight, np.float64),
        ),
        _column(market.keys.start, np.int64),
        _column([ASSET_TYPES.index(one) for one in market.keys.asset_types], np.int64),
        _rules(parameters),
        _costs(parameters, market),
        _column(market.days, np.int32),
        np.zeros(1, dtype=records.ACCOUNT),
        np.empty(len(market.keys.symbols), dtype=records.POSITION),
        np.empty(signals.row.size, dtype=records.ORDER),
        np.empty(signals.row.size, dtype=records.EXIT),
        trades,
        days,
        verdict,
    )
    return BacktestRun(
        market=market,
        signals=signals,
        parameters=parameters,
        refused=Refusals.from_counts(np.bincount(verdict, minlength=kernel.VERDICTS)),
        trade_records=trades[:count],
        day_records=days,
    )


def run_grid(
    market: Market, cells: Sequence[tuple[Signals, BacktestParameters]], *, threads: int = 2
) -> list[BacktestRun]:
    """Run many strategies on one market, in the order given; results do not depend on `threads`."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda cell: run_backtest(market, *cell), cells))


def _refuse_mismatch(market: Market, signals: Signals, parameters: BacktestParameters) -> None:
    if signals.row.size and signals.row[-1] >= market.rows:
        raise BacktestError(
            f"a signal on bar {signals.row[-1]} of {market.rows}",
            field="row",
            remedy="align the predictions with this market",
        )
    without = [one for one in market.classes if one not in parameters.costs]
    if without:
        raise BacktestError(
            f"no costs for {without[0]}", field="costs", remedy="state its fees and slippage; 0 is valid"
        )
    needs_atr = parameters.stop_atrs is not None or parameters.target_atrs is not None
    if needs_atr and not market.has_atr:
        raise BacktestError(
            "stops and targets need an ATR, and the bars came without",
            field="atr",
            remedy="give bars a column `atr`, or set stop_atrs and target_atrs to None",
        )


def _column(values: npt.ArrayLike, dtype: type[np.generic]) -> npt.NDArray[Any]:
    """The values as the kernel knows them: of one type, contiguous and read-only, or it would be compiled once more."""
    column = np.ascontiguousarray(values, dtype=dtype).view()
    column.flags.writeable = False
    return column


def _rules(parameters: BacktestParameters) -> kernel.Record:
    """The parameters as the kernel's numbers."""
    sizing, limits = parameters.sizing, parameters.limits
    values = {
        "capital": parameters.capital_usd,
        "stop_atrs": np.nan if parameters.stop_atrs is None else parameters.stop_atrs,
        "target_atrs": np.nan if parameters.target_atrs is None else parameters.target_atrs,
        "time_limit": parameters.time_limit_bars or kernel.NEVER,
        "on_opposite": OPPOSITE_RULES.index(parameters.on_opposite),
        "longs": parameters.sides != "short",
        "shorts": parameters.sides != "long",
        "order_days": parameters.order_days,
        "sizing": SIZING_METHODS.index(sizing.method),
        "fraction": sizing.fraction,
        "position_volatility": sizing.position_volatility_pct / 100,
        "maximum_fraction": sizing.maximum_fraction,
        "kelly_share": sizing.kelly_share,
        "kelly_minimum": sizing.kelly_minimum_trades,
        "kelly_floor": sizing.kelly_floor,
        "maximum_positions": limits.maximum_positions,
        "gross_exposure": limits.gross_exposure,
        "cash_limit": limits.cash_limit,
        "minimum_position": limits.minimum_position_usd,
        "volatility_bars": VOLATILITY_BARS,
    }
    return np.array([tuple(values[name] for name in records.RULES.names or ())], dtype=records.RULES)[0]


def _costs(parameters: BacktestParameters, market: Market) -> kernel.Records:
    """Rates of every asset class; those of classes without costs are never read."""
    rates = np.zeros(len(ASSET_TYPES), dtype=records.COSTS)
    first_alone = _OPENS_FIRST in market.classes and len(market.classes) > 1
    for at, name in enumerate(ASSET_TYPES):
        if name in parameters.costs:
            given = parameters.costs[name]
            rates[at] = (
                given.fee_bps * BPS,
                given.slippage_bps * BPS,
                given.borrow_bps_per_year * BPS / BORROW_DAYS_PER_YEAR,
                given.volume_cap_share,
                DAYS_PER_YEAR[name],
                int(first_alone and name != _OPENS_FIRST),
                0,
            )
    rates["last_place"] = rates["opening"].max() + 1
    return rates
