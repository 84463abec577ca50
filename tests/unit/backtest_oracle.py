"""The engine's rules once more, in plain Python, day by day and position by position: slow, and written to be read.

It shares no code with `market.backtest_kernel`, which settles a position's whole life when it opens.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from market.backtest_parameters import BacktestParameters

OPENING = {"crypto": 0, "stocks": 1, "etf": 1}
YEAR = {"crypto": 365, "stocks": 252, "etf": 252}


@dataclass
class Bar:
    key: tuple[str, str]
    day: date
    open: float
    high: float
    low: float
    close: float
    volume: float
    atr: float | None


@dataclass
class Signal:
    key: tuple[str, str]
    day: date
    direction: int
    strength: float = 1.0
    weight: float = 1.0


@dataclass
class Position:
    signal: Signal
    entry_day: date
    entry_price: float
    units: float
    stop: float | None
    target: float | None
    entry_number: int
    mark: float
    costs: float
    closing: str | None = None
    closing_signal: Signal | None = None


@dataclass
class Result:
    trades: list[dict[str, Any]] = field(default_factory=list)
    days: list[dict[str, float]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


class Account:
    """Everything that changes while the days go by."""

    def __init__(self, bars: list[Bar], signals: list[Signal], rules: BacktestParameters, every_day: bool) -> None:
        self.rules = rules
        self.series: dict[tuple[str, str], list[Bar]] = {}
        for bar in sorted(bars, key=lambda one: (one.key, one.day)):
            self.series.setdefault(bar.key, []).append(bar)
        self.signals = {(one.key, one.day): one for one in signals}
        days = sorted({bar.day for bar in bars})
        if every_day:
            days = [days[0] + timedelta(n) for n in range((days[-1] - days[0]).days + 1)]
        self.days = days
        self.cash = self.equity = rules.capital_usd
        self.gross = 0.0
        self.held: dict[tuple[str, str], Position] = {}
        self.closed_gains: list[float] = []
        self.gains_today: list[float] = []
        self.result = Result()
        self.openings = sorted({OPENING[key[0]] for key in self.series})

    def run(self) -> Result:
        for one in self.signals.values():
            if one.day == self.series[one.key][-1].day:
                self.result.refused["no_next_bar"] += 1
        for number, today in enumerate(self.days):
            self.traded = self.costs_today = 0.0
            if number:
                self.night((today - self.days[number - 1]).days)
            for opening in self.openings:
                keys = [key for key in self.series if OPENING[key[0]] == opening and self.bar(key, today) is not None]
                orders = [order for key in keys if (order := self.order(key, today)) is not None]
                for key in keys:
                    self.leave_at_open(key, today)
                for order in sorted(orders, key=lambda one: (-one.strength, one.key)):
                    self.enter(order, today)
            for key in list(self.held):
                self.live(key, today)
            self.settle(today)
        return self.result

    def bar(self, key: tuple[str, str], day: date) -> Bar | None:
        return next((one for one in self.series[key] if one.day == day), None)

    def number(self, key: tuple[str, str], day: date) -> int:
        return next(n for n, one in enumerate(self.series[key]) if one.day == day)

    def before(self, key: tuple[str, str], day: date) -> Bar | None:
        n = self.number(key, day)
        return self.series[key][n - 1] if n else None

    def night(self, nights: int) -> None:
        for key, held in self.held.items():
            if held.units < 0:
                rate = self.rules.costs[key[0]].borrow_bps_per_year / 10_000 / 365
                charge = -held.units * held.mark * rate * nights
                held.costs += charge
                self.cash -= charge
                self.costs_today += charge

    def time_is_up(self, key: tuple[str, str], today: date) -> bool:
        limit = self.rules.time_limit_bars
        return limit is not None and self.number(key, today) - self.held[key].entry_number >= limit

    def order(self, key: tuple[str, str], today: date) -> Signal | None:
        """The entry order that yesterday's signal became, if it did."""
        before = self.before(key, today)
        signal = self.signals.get((key, before.day)) if before is not None else None
        if signal is None:
            return None
        held = self.held.get(key)
        decides = False
        if held is not None:
            trades_today = self.bar(key, today).volume > 0
            leaves = (held.closing is not None or self.time_is_up(key, today)) and trades_today
            against = held.units * signal.direction < 0 and self.rules.on_opposite != "ignore"
            decides = against and held.closing is None and not self.time_is_up(key, today)
            if decides:
                held.closing, held.closing_signal = "SIGNAL_REVERSE", signal
                if self.rules.on_opposite == "close":
                    self.result.refused["closing"] += 1
                    return None
            elif not leaves:
                self.result.refused["in_position"] += 1
                return None
        if (signal.direction > 0 and self.rules.sides == "short") or (
            signal.direction < 0 and self.rules.sides == "long"
        ):
            self.result.refused["closing" if decides else "side"] += 1
            return None
        return signal

    def leave_at_open(self, key: tuple[str, str], today: date) -> None:
        held, bar = self.held.get(key), self.bar(key, today)
        if held is None or bar.volume == 0:
            return
        long = held.units > 0
        if held.closing is not None:
            self.close(key, bar, bar.open, held.closing)
        elif self.time_is_up(key, today):
            self.close(key, bar, bar.open, "TIME_LIMIT")
        elif held.stop is not None and (bar.open <= held.stop if long else bar.open >= held.stop):
            self.close(key, bar, bar.open, "STOP_LOSS")
        elif held.target is not None and (bar.open >= held.target if long else bar.open <= held.target):
            self.close(key, bar, bar.open, "TAKE_PROFIT")

    def live(self, key: tuple[str, str], today: date) -> None:
        held, bar = self.held[key], self.bar(key, today)
        if bar is None:
            return None
        if bar.volume > 0:
            long = held.units > 0
            if held.stop is not None and (bar.low <= held.stop if long else bar.high >= held.stop):
                return self.close(key, bar, held.stop, "STOP_LOSS")
            if held.target is not None and (bar.high >= held.target if long else bar.low <= held.target):
                return self.close(key, bar, held.target, "TAKE_PROFIT")
            held.mark = bar.close
        if bar is self.series[key][-1]:
            self.close(key, bar, held.mark, "END_OF_DATA")
        return None

    def enter(self, signal: Signal, today: date) -> None:
        refusal = self.try_to_enter(signal, today)
        if refusal:
            self.result.refused[refusal] += 1

    def try_to_enter(self, signal: Signal, today: date) -> str | None:
        key, rules = signal.key, self.rules
        bar, before = self.bar(key, today), self.before(key, today)
        if (today - before.day).days > rules.order_days:
            return "lapsed"
        if bar.volume == 0:
            return "halted"
        if key in self.held:
            return "in_position"
        if (rules.stop_atrs or rules.target_atrs) and not (before.atr is not None and before.atr > 0):
            return "no_atr"
        if len(self.held) >= rules.limits.maximum_positions:
            return "maximum_positions"
        value = self.planned(key, before.day)
        if value is None:
            return "no_volatility"
        value, binding = self.limited(value * signal.weight, signal, bar, before)
        if value <= 0 or value < rules.limits.minimum_position_usd:
            return binding
        costs = rules.costs[key[0]]
        price = bar.open
        fill = price * (1 + signal.direction * costs.slippage_bps / 10_000)
        units = value / price
        fee, slipped = units * fill * costs.fee_bps / 10_000, units * abs(fill - price)
        self.cash -= signal.direction * units * fill + fee
        self.gross += value
        self.traded += units * fill
        self.costs_today += fee + slipped
        stop = price - signal.direction * rules.stop_atrs * before.atr if rules.stop_atrs else None
        target = price + signal.direction * rules.target_atrs * before.atr if rules.target_atrs else None
        self.held[key] = Position(
            signal, today, fill, signal.direction * units, stop, target, self.number(key, today), price, fee + slipped
        )
        return None

    def planned(self, key: tuple[str, str], day: date) -> float | None:
        sizing, equity = self.rules.sizing, max(self.equity, 0.0)
        if sizing.method == "equal":
            return self.rules.capital_usd / self.rules.limits.maximum_positions
        if sizing.method == "fixed_fraction":
            return equity * sizing.fraction
        if sizing.method == "volatility_target":
            volatility = self.volatility(key, day)
            if volatility is None or volatility == 0:
                return None
            return equity * min(sizing.position_volatility_pct / 100 / volatility, sizing.maximum_fraction)
        if len(self.closed_gains) < sizing.kelly_minimum_trades:
            return equity * sizing.fraction
        won = [gain for gain in self.closed_gains if gain > 0]
        lost = [-gain for gain in self.closed_gains if gain <= 0]
        if not won:
            bet = 0.0
        elif sum(lost) == 0:
            bet = math.inf
        else:
            p = len(won) / len(self.closed_gains)
            bet = p / statistics.fmean(lost) - (1 - p) / statistics.fmean(won)
        return equity * min(max(sizing.kelly_share * bet, sizing.kelly_floor), sizing.maximum_fraction)

    def volatility(self, key: tuple[str, str], day: date) -> float | None:
        n = self.number(key, day)
        if n < 20:
            return None
        closes = [bar.close for bar in self.series[key][n - 20 : n + 1]]
        returns = [b / a - 1 for a, b in itertools.pairwise(closes)]
        return statistics.stdev(returns) * math.sqrt(YEAR[key[0]])

    def limited(self, value: float, signal: Signal, bar: Bar, before: Bar) -> tuple[float, str]:
        limits, costs, binding = self.rules.limits, self.rules.costs[signal.key[0]], "too_small"
        if math.isfinite(limits.gross_exposure) and value > limits.gross_exposure * self.equity - self.gross:
            value, binding = limits.gross_exposure * self.equity - self.gross, "exposure"
        if limits.cash_limit and signal.direction > 0:
            affordable = self.cash / ((1 + costs.slippage_bps / 10_000) * (1 + costs.fee_bps / 10_000))
            if value > affordable:
                value, binding = affordable, "cash"
        capped = costs.volume_cap_share * min(bar.volume, before.volume) * bar.open
        return (capped, "volume") if value > capped else (value, binding)

    def close(self, key: tuple[str, str], bar: Bar, price: float, reason: str) -> None:
        held, costs = self.held.pop(key), self.rules.costs[key[0]]
        long = held.units > 0
        fill = price * (1 - costs.slippage_bps / 10_000 if long else 1 + costs.slippage_bps / 10_000)
        size = abs(held.units)
        fee, slipped = size * fill * costs.fee_bps / 10_000, size * abs(fill - price)
        self.cash += held.units * fill - fee
        self.gross -= size * held.mark
        self.traded += size * fill
        self.costs_today += fee + slipped
        held.costs += fee + slipped
        # What the prices without slippage would have given, less everything paid for trading.
        slippage = costs.slippage_bps / 10_000
        reference = held.entry_price / (1 + slippage if long else 1 - slippage)
        result = held.units * (price - reference) - held.costs
        self.gains_today.append(result / (size * held.entry_price))
        self.result.trades.append(
            {
                "asset_type": key[0],
                "symbol": key[1],
                "entry_date": held.entry_day,
                "entry_price": held.entry_price,
                "exit_date": bar.day,
                "exit_price": fill,
                "exit_reason": reason,
                "position_size": held.units * held.entry_price,
                "return_usd": result,
                "costs_usd": held.costs,
                "holding_days": (bar.day - held.entry_day).days,
            }
        )

    def settle(self, today: date) -> None:
        longs = sum(held.units * held.mark for held in self.held.values() if held.units > 0)
        shorts = -sum(held.units * held.mark for held in self.held.values() if held.units < 0)
        self.equity, self.gross = self.cash + longs - shorts, longs + shorts
        self.closed_gains += self.gains_today
        self.gains_today = []
        self.result.days.append(
            {
                "date": today,
                "cash_usd": self.cash,
                "long_usd": longs,
                "short_usd": shorts,
                "equity_usd": self.equity,
                "traded_usd": self.traded,
                "costs_usd": self.costs_today,
                "positions": len(self.held),
            }
        )


def run_slowly(bars: list[Bar], signals: list[Signal], rules: BacktestParameters, *, every_day: bool = False) -> Result:
    """Trades in order of exit, days, and refused signals by reason."""
    return Account(bars, signals, rules, every_day).run()
