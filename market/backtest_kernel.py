"""The engine's loop, compiled. The rules are told in `market.backtest`.

Nothing that happens to other symbols or to the account can change when and where an open position ends. So its life is
settled when it opens, in one walk over its symbol's bars, which lie side by side; what it brings to later days is put
down there and taken up when their turn comes. Days in turn visit only the orders and exits due on them. Walking day by
day over all open positions instead would touch each symbol's memory anew every day, and took five times as long.

Everything that is compiled together stands in this file: the code kept on disk is renewed when this file changes.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from market.compiled import compiled, inlined

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Why a position ended. A position whose exit is not decided yet has 0.
OPEN: Final = 0
SIGNAL_REVERSE: Final = 1
STOP_LOSS: Final = 2
TAKE_PROFIT: Final = 3
TIME_LIMIT: Final = 4
END_OF_DATA: Final = 5

# What became of a signal.
ENTERED: Final = 0
IN_POSITION: Final = 1
CLOSING: Final = 2
SIDE: Final = 3
NO_NEXT_BAR: Final = 4
LAPSED: Final = 5
HALTED: Final = 6
NO_ATR: Final = 7
NO_VOLATILITY: Final = 8
MAXIMUM_POSITIONS: Final = 9
EXPOSURE: Final = 10
CASH: Final = 11
VOLUME: Final = 12
TOO_SMALL: Final = 13
VERDICTS: Final = 14

REVERSE, CLOSE, IGNORE = 0, 1, 2
EQUAL, FIXED_FRACTION, VOLATILITY_TARGET, CAPPED_KELLY = 0, 1, 2, 3

NEVER: Final = 2**62
"""A bar that no position reaches."""

Records: TypeAlias = npt.NDArray[np.void]
Record: TypeAlias = Any
"""One record of `Records`: the compiler knows its fields, mypy does not."""


# Not named tuples: code kept on disk names the classes of its arguments, and could not be read once one is renamed.
Bars: TypeAlias = tuple[Floats, Floats, Floats, Floats, Floats, Floats, npt.NDArray[np.int32]]
"""open, high, low, close, volume, atr (may hold NaN) and day of all series, one series after the other."""

Signals: TypeAlias = tuple[Integers, npt.NDArray[np.int8], Floats, Floats]
"""row (strictly ascending), direction, strength and weight."""


@compiled
def simulate(
    bars: Bars,
    signals: Signals,
    start: Integers,
    class_of: Integers,
    rules: Record,
    costs: Records,
    days: npt.NDArray[np.int32],
    accounts: Records,
    positions: Records,
    orders: Records,
    exits: Records,
    trades: Records,
    ledger: Records,
    verdict: Integers,
) -> int:
    """Run the account through all days.

    Args:
        bars: All bars.
        signals: m signals.
        start: First bar of each series, and the number of bars at the end.
        class_of: Place of each series' asset class in `costs`.
        rules: One record of `RULES` (layouts stand in `market.backtest_records`).
        costs: `COSTS`, one record per asset class.
        days: Days of the equity curve, ascending; every bar's day is among them.
        accounts: One record of `ACCOUNT`, zeros. It and the next are work space, and the caller's because their layouts
            must be part of this signature and because a record does not keep its array alive.
        positions: `POSITION`, one per series.
        orders: `ORDER`, shape (m,).
        exits: `EXIT`, shape (m,).
        trades: `TRADE`, shape (m,); overwritten from the front, in order of entry.
        ledger: `DAY`, shape (days,), zeros; filled with values at each close.
        verdict: What became of each signal, shape (m,), overwritten.

    Returns:
        Number of trades.
    """
    open, high, low, close, volume, _, day = bars
    row, direction, _, _ = signals
    account = accounts[0]
    account.cash = account.equity = rules.capital
    openings = costs[0].last_place
    _lay_out(positions, start, class_of)
    index = _index(days)
    bucket = _order_book(bars, signals, positions, rules, costs, index, days, orders, verdict)
    # Exits of a day, a chain for each of its openings and one for the rest of it.
    chains = np.full((days.size, openings + 1), -1, dtype=np.int64)
    count, opened = 0, 0
    for d in range(days.size):
        today = ledger[d]
        account.cash -= today.borrow
        for opening in range(openings):
            place = d * openings + opening
            due = orders[bucket[place] : bucket[place + 1]]
            for order in due:
                verdict[order.signal] = _judge(order, positions[order.series], trades, rules)
            count -= _apply_exits(chains[d, opening], exits, trades, positions, account)
            for at in _strongest_first(due):
                order = due[at]
                if verdict[order.signal] == ENTERED:
                    position, trade = positions[order.series], trades[opened]
                    rates = costs[position.asset_class]
                    verdict[order.signal] = _enter(order, count, position, rules, rates, trade, account, today)
                    if verdict[order.signal] == ENTERED:
                        position.trade = opened
                        position.closed_by, end, chain = _live(
                            d,
                            order,
                            position,
                            trade,
                            open,
                            high,
                            low,
                            close,
                            volume,
                            day,
                            row,
                            direction,
                            rules,
                            rates,
                            days,
                            index,
                            ledger,
                            exits[opened],
                        )
                        exits[opened].next = chains[end, chain]
                        chains[end, chain] = opened
                        count += 1
                        opened += 1
        count -= _apply_exits(chains[d, openings], exits, trades, positions, account)
        today.positions = count
        _settle(account, today)
    return opened


@compiled
def _lay_out(positions: Records, start: Integers, class_of: Integers) -> None:
    for s in range(class_of.size):
        positions[s].trade = positions[s].closed_by = -1
        positions[s].asset_class = class_of[s]
        positions[s].first_row, positions[s].last_row = start[s], start[s + 1] - 1


@compiled
def _index(days: npt.NDArray[np.int32]) -> Integers:
    """The place in `days` of each calendar day from the first on."""
    index = np.zeros(days[-1] - days[0] + 1, dtype=np.int64)
    for d in range(days.size):
        index[days[d] - days[0]] = d
    return index


@compiled
def _order_book(
    bars: Bars,
    signals: Signals,
    positions: Records,
    rules: Record,
    costs: Records,
    index: Integers,
    days: npt.NDArray[np.int32],
    orders: Records,
    verdict: Integers,
) -> Integers:
    """Signals as orders, by the day and opening at which they are due and then by series (a counting sort).

    Orders due at opening o of day d are `orders[bucket[p] : bucket[p + 1]]` with p = d * openings + o. Signals on their
    series' last bar are due never. What an order needs of its bars is read here, while both lie in the same order.
    """
    row, direction, strength, weight = signals
    openings = costs[0].last_place
    place, series = np.empty(row.size, dtype=np.int64), np.empty(row.size, dtype=np.int64)
    bucket = np.zeros(days.size * openings + 2, dtype=np.int64)
    s = 0
    for signal in range(row.size):
        while row[signal] > positions[s].last_row:
            s += 1
        series[signal], verdict[signal] = s, NO_NEXT_BAR
        if row[signal] < positions[s].last_row:
            d = index[bars[6][row[signal] + 1] - days[0]]
            place[signal] = d * openings + costs[positions[s].asset_class].opening
            bucket[place[signal] + 2] += 1
    for at in range(2, bucket.size):
        bucket[at] += bucket[at - 1]
    for signal in range(row.size):
        position = positions[series[signal]]
        if row[signal] < position.last_row:
            order = orders[bucket[place[signal] + 1]]
            bucket[place[signal] + 1] += 1
            order.signal, order.series, order.row = signal, series[signal], row[signal]
            order.direction, order.strength, order.weight = direction[signal], strength[signal], weight[signal]
            _quote(order, bars, position, rules, costs[position.asset_class])
    return bucket


@compiled
def _quote(order: Record, bars: Bars, position: Record, rules: Record, rates: Record) -> None:
    """What an order needs of its bars."""
    open, _, _, close, volume, atr, day = bars
    row = order.row
    order.wait, order.price, order.atr = day[row + 1] - day[row], open[row + 1], atr[row]
    order.volume = min(volume[row], volume[row + 1])
    if volume[row + 1] <= 0:
        order.volume = -1.0
    order.volatility = math.nan
    if rules.sizing == VOLATILITY_TARGET:
        deviation = _deviation(close, position.first_row, row, rules.volatility_bars)
        order.volatility = deviation * math.sqrt(rates.bars_per_year)


@compiled
def _strongest_first(due: Records) -> Integers:
    """Order of service, among equals that of their series. A merge sort, since numpy's takes seconds to compile."""
    places, merged = np.empty(due.size, dtype=np.int64), np.empty(due.size, dtype=np.int64)
    for at in range(due.size):
        places[at] = at
    width = 1
    while width < due.size:
        for first in range(0, due.size, 2 * width):
            middle, end = min(first + width, due.size), min(first + 2 * width, due.size)
            left, right = first, middle
            for at in range(first, end):
                if left < middle and (right >= end or due[places[left]].strength >= due[places[right]].strength):
                    merged[at] = places[left]
                    left += 1
                else:
                    merged[at] = places[right]
                    right += 1
        places, merged = merged, places
        width *= 2
    return places


@inlined
def _judge(order: Record, position: Record, trades: Records, rules: Record) -> int:
    """Whether a signal becomes an entry order, from what was known at its close."""
    closes = position.trade >= 0 and position.closed_by == order.signal
    if position.trade >= 0 and not closes:
        trade = trades[position.trade]
        decided = trade.reason == TIME_LIMIT or trade.reason == SIGNAL_REVERSE
        if not (decided and trade.exit_row == order.row + 1):
            return IN_POSITION
    if closes and rules.on_opposite == CLOSE:
        return CLOSING
    if (order.direction > 0 and not rules.longs) or (order.direction < 0 and not rules.shorts):
        return CLOSING if closes else SIDE
    return ENTERED


@inlined
def _apply_exits(trade: int, exits: Records, trades: Records, positions: Records, account: Record) -> int:
    """Let a chain of exits reach the account; how many there were."""
    count = 0
    while trade >= 0:
        exit = exits[trade]
        account.cash += exit.proceeds
        account.gross -= exit.mark_value
        if exit.gain > 0:
            account.new_wins += 1
            account.new_won += exit.gain
        else:
            account.new_losses += 1
            account.new_lost -= exit.gain
        positions[trades[trade].series].trade = -1
        trade = exit.next
        count += 1
    return count


@inlined
def _live(
    d: int,
    order: Record,
    position: Record,
    trade: Record,
    open: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    day: npt.NDArray[np.int32],
    row: Integers,
    direction: npt.NDArray[np.int8],
    rules: Record,
    rates: Record,
    days: npt.NDArray[np.int32],
    index: Integers,
    ledger: Records,
    exit: Record,
) -> tuple[int, int, int]:
    """Walk a new position to its end: put its marks and borrow cost on its days, and complete its trade.

    Returns:
        The signal that decided its end (-1: none), the day of its exit, and the place among that day's chains.
    """
    units, sign = trade.units, order.direction
    at, mark, signal = trade.entry_row, order.price, order.signal + 1
    due = at + rules.time_limit
    # Around the open, not the fill: what trading costs does not move the exits. NaN compares false: no exit.
    stop = mark - sign * rules.stop_atrs * order.atr
    target = mark + sign * rules.target_atrs * order.atr
    reason, price, closed_by, place = OPEN, mark, -1, rates.opening
    while True:
        if volume[at] > 0:
            if at > trade.entry_row:
                reason, price = _exit_at_open(open[at], sign, stop, target, at >= due, closed_by), open[at]
            if reason == OPEN:
                place = rates.last_place
                reason, price = _exit_inside(high[at], low[at], sign, stop, target)
            if reason == OPEN:
                price = mark = close[at]
        if reason == OPEN and at == position.last_row:
            reason, price, place = END_OF_DATA, mark, rates.last_place
        if reason != OPEN:
            break
        while signal < row.size and row[signal] <= at:
            against = direction[signal] * sign < 0 and rules.on_opposite != IGNORE
            if against and closed_by < 0 and at + 1 < due:
                closed_by = signal
            signal += 1
        at += 1
        d = _hold(d, index[day[at] - days[0]], units, mark, rates.borrow_per_day, days, ledger, trade)
        place = rates.opening
    _complete(trade, at, price, reason, rates, mark, ledger[d], exit)
    return closed_by, d, place


@inlined
def _exit_at_open(price: float, sign: float, stop: float, target: float, due: bool, closed_by: int) -> int:
    """Why a position leaves at an open; what was decided first gives the reason."""
    if closed_by >= 0:
        return SIGNAL_REVERSE
    if due:
        return TIME_LIMIT
    if sign * (price - stop) <= 0:
        return STOP_LOSS
    return TAKE_PROFIT if sign * (price - target) >= 0 else OPEN


@inlined
def _exit_inside(high: float, low: float, sign: float, stop: float, target: float) -> tuple[int, float]:
    """Why a position leaves inside a bar's range, and at which price: the stop came first."""
    worst, best = (low, high) if sign > 0 else (high, low)
    if sign * (worst - stop) <= 0:
        return STOP_LOSS, stop
    if sign * (best - target) >= 0:
        return TAKE_PROFIT, target
    return OPEN, 0.0


@inlined
def _hold(
    d: int,
    until: int,
    units: float,
    mark: float,
    borrow_per_day: float,
    days: npt.NDArray[np.int32],
    ledger: Records,
    trade: Record,
) -> int:
    """Keep a position at its mark from day `d` to the day before `until`; borrow cost is due on the day after each."""
    value = abs(units) * mark
    while d < until:
        if units > 0:
            ledger[d].longs += value
        else:
            ledger[d].shorts += value
            charge = value * borrow_per_day * (days[d + 1] - days[d])
            trade.borrow += charge
            ledger[d + 1].borrow += charge
            ledger[d + 1].costs += charge
        d += 1
    return d


@inlined
def _complete(
    trade: Record, row: int, price: float, reason: int, rates: Record, mark: float, day: Record, exit: Record
) -> None:
    """Sell a long or cover a short at a reference price, slippage against it."""
    units = trade.units
    fill = price * (1 - math.copysign(rates.slippage, units))
    value = abs(units) * fill
    fee, slipped = value * rates.fee, abs(units) * abs(fill - price)
    trade.exit_row, trade.exit_price, trade.reason = row, fill, reason
    trade.fees += fee
    trade.slippage += slipped
    trade.result = units * (fill - trade.entry_price) - trade.fees - trade.borrow
    exit.proceeds = units * fill - fee
    exit.mark_value = abs(units) * mark
    exit.gain = trade.result / (abs(units) * trade.entry_price)
    day.traded += value
    day.costs += fee + slipped
    day.exits += 1


@inlined
def _enter(
    order: Record,
    count: int,
    position: Record,
    rules: Record,
    rates: Record,
    trade: Record,
    account: Record,
    today: Record,
) -> int:
    """Fill an entry order at the open, or say why not."""
    verdict = _obstacle(order, position.trade >= 0, count, rules)
    if verdict != ENTERED:
        return verdict
    value = _planned_value(order.volatility, account, rules) * order.weight
    if math.isnan(value):
        return NO_VOLATILITY
    value, verdict = _within_limits(value, order, account, rules, rates)
    if value <= 0 or value < rules.minimum_position:
        return verdict
    units = value / order.price
    fill = order.price * (1 + math.copysign(rates.slippage, order.direction))
    trade.signal, trade.series, trade.entry_row = order.signal, order.series, order.row + 1
    trade.units, trade.entry_price = order.direction * units, fill
    trade.fees, trade.slippage, trade.borrow = units * fill * rates.fee, units * abs(fill - order.price), 0.0
    account.cash -= trade.units * fill + trade.fees
    account.gross += value
    today.traded += units * fill
    today.costs += trade.fees + trade.slippage
    today.entries += 1
    return ENTERED


@inlined
def _obstacle(order: Record, occupied: bool, count: int, rules: Record) -> int:
    """What stands against an entry order, whatever its size."""
    if order.wait > rules.order_days:
        return LAPSED
    if order.volume < 0:
        return HALTED
    if occupied:
        return IN_POSITION
    if not (math.isnan(rules.stop_atrs) and math.isnan(rules.target_atrs)) and not order.atr > 0:
        return NO_ATR
    return ENTERED if count < rules.maximum_positions else MAXIMUM_POSITIONS


@compiled
def _deviation(close: Floats, first_row: int, row: int, returns: int) -> float:
    """Sample deviation of the last returns up to a bar; NaN when its series has fewer."""
    if row - returns < first_row:
        return math.nan
    total = 0.0
    for at in range(row - returns, row):
        total += close[at + 1] / close[at] - 1
    mean = total / returns
    squares = 0.0
    for at in range(row - returns, row):
        squares += (close[at + 1] / close[at] - 1 - mean) ** 2
    return math.sqrt(squares / (returns - 1))


@compiled
def deviations(close: Floats, first_row: Integers, row: Integers, returns: int) -> Floats:
    """Sample deviation of the last `returns` returns up to each of some bars, as a share per bar.

    Args:
        close: Closes of all series.
        first_row: First bar of each bar's series, shape (k,).
        row: The bars, shape (k,).
        returns: How many, at least 2.

    Returns:
        Shape (k,), NaN where a series has fewer returns.
    """
    result = np.empty(row.size)
    for at in range(row.size):
        result[at] = _deviation(close, first_row[at], row[at], returns)
    return result


@inlined
def _planned_value(volatility: float, account: Record, rules: Record) -> float:
    """The position's value by the sizing rule, before limits; NaN where the rule lacks a volatility."""
    equity: float = max(account.equity, 0.0)
    value: float = rules.capital / rules.maximum_positions
    if rules.sizing == EQUAL:
        return value
    share: float = rules.fraction
    if rules.sizing == VOLATILITY_TARGET:
        share = rules.position_volatility / volatility if volatility > 0 else math.nan
    elif rules.sizing == CAPPED_KELLY and account.wins + account.losses >= rules.kelly_minimum:
        share = max(rules.kelly_share * _kelly(account), rules.kelly_floor)
    return equity * (share if math.isnan(share) else min(share, rules.maximum_fraction))


@inlined
def _kelly(account: Record) -> float:
    """Full Kelly bet on the trades closed so far, p / l - q / w: infinite without a loss, 0 without a win."""
    if account.wins == 0:
        return 0.0
    if account.lost == 0:
        return math.inf
    closed = account.wins + account.losses
    loss, gain = account.lost / account.losses, account.won / account.wins
    bet: float = account.wins / closed / loss - account.losses / closed / gain
    return bet


@inlined
def _within_limits(value: float, order: Record, account: Record, rules: Record, rates: Record) -> tuple[float, int]:
    """The value that every limit allows, and the limit that cut it last (`TOO_SMALL` for none)."""
    verdict = TOO_SMALL
    if rules.gross_exposure < math.inf:
        room = rules.gross_exposure * account.equity - account.gross
        if value > room:
            value, verdict = room, EXPOSURE
    if rules.cash_limit and order.direction > 0:
        affordable = account.cash / ((1 + rates.slippage) * (1 + rates.fee))
        if value > affordable:
            value, verdict = affordable, CASH
    capped = rates.volume_cap * order.volume * order.price
    if value > capped:
        value, verdict = capped, VOLUME
    return value, verdict


@inlined
def _settle(account: Record, today: Record) -> None:
    """Equity at the close; today's closed trades count for Kelly from tomorrow on."""
    today.cash = account.cash
    account.equity = account.cash + (today.longs - today.shorts)
    account.gross = today.longs + today.shorts
    account.wins += account.new_wins
    account.won += account.new_won
    account.losses += account.new_losses
    account.lost += account.new_lost
    account.new_wins = account.new_won = account.new_losses = account.new_lost = 0.0
