"""What the engine gives: trades and the daily equity curve as frames."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from market import backtest_kernel as kernel
from market.backtest_input import DAYS_PER_YEAR, Market
from market.backtest_parameters import BacktestParameters
from market.backtest_signals import LABELS, Signals
from market.risk import VOLATILITY_BARS

ExitReason = Literal["SIGNAL_REVERSE", "STOP_LOSS", "TAKE_PROFIT", "TIME_LIMIT", "END_OF_DATA"]

EXIT_REASONS: Final[dict[int, ExitReason]] = {
    kernel.SIGNAL_REVERSE: "SIGNAL_REVERSE",
    kernel.STOP_LOSS: "STOP_LOSS",
    kernel.TAKE_PROFIT: "TAKE_PROFIT",
    kernel.TIME_LIMIT: "TIME_LIMIT",
    kernel.END_OF_DATA: "END_OF_DATA",
}

_LABEL_TYPES: Final = {
    "entry_signal": pl.String(),
    "entry_confidence": pl.String(),
    "entry_probability": pl.Float64(),
    "entry_growth_score": pl.Int64(),
    "trend_regime_at_entry": pl.String(),
}


@dataclass(frozen=True)
class Refusals:
    """Signals that opened no position, by reason; with the trades they are all signals.

    Attributes:
        in_position: The symbol had a position already.
        closing: The signal only closed a position.
        side: A long or short is not allowed.
        no_next_bar: It stood on its symbol's last bar.
        lapsed: The next bar came more than `order_days` later.
        halted: The next bar had no volume.
        no_atr: Stop or target need an ATR, and the signal's bar has none.
        no_volatility: The sizing needs a volatility, and there are too few returns or no movement.
        maximum_positions: All places were taken.
        exposure, cash, volume: This limit left less than the minimum.
        too_small: The sizing rule itself asked for less than the minimum.
    """

    in_position: int = 0
    closing: int = 0
    side: int = 0
    no_next_bar: int = 0
    lapsed: int = 0
    halted: int = 0
    no_atr: int = 0
    no_volatility: int = 0
    maximum_positions: int = 0
    exposure: int = 0
    cash: int = 0
    volume: int = 0
    too_small: int = 0

    @classmethod
    def from_counts(cls, counts: npt.NDArray[np.integer]) -> Refusals:
        """From the number of each of the kernel's verdicts, `ENTERED` first."""
        return cls(*(int(one) for one in counts[1:]))

    @property
    def total(self) -> int:
        """All of them."""
        return sum(getattr(self, one.name) for one in fields(self))


@dataclass(frozen=True)
class BacktestRun:
    """One strategy on one market.

    Attributes:
        market: What was traded.
        signals: What was asked for.
        parameters: Under which rules.
        refused: What was not done, and why.
        trade_records: The trades as records (`market.backtest_records.TRADE`), in order of entry.
        day_records: The days as records (`market.backtest_records.DAY`), one per date of the market.
    """

    market: Market
    signals: Signals
    parameters: BacktestParameters
    refused: Refusals
    trade_records: kernel.Records
    day_records: kernel.Records

    @cached_property
    def equity(self) -> npt.NDArray[np.float64]:
        """Cash plus longs minus shorts at each date's close, shape (dates,)."""
        days = self.day_records
        equity: npt.NDArray[np.float64] = days["cash"] + (days["longs"] - days["shorts"])
        return equity

    @cached_property
    def daily(self) -> pl.DataFrame:
        """One row per date, values at its close in USD.

        `date cash_usd positions_usd` (longs minus shorts) `equity_usd long_usd short_usd` (both positive)
        `gross_exposure net_exposure` (shares of equity, NULL when that is not positive) `traded_usd` (value of all
        fills) `turnover` (that over the equity before) `costs_usd positions entries exits`.
        """
        days, equity = self.day_records, self.equity
        before = np.concatenate(([self.parameters.capital_usd], equity[:-1]))
        return pl.DataFrame(
            {
                "date": self.market.dates,
                "cash_usd": days["cash"],
                "positions_usd": days["longs"] - days["shorts"],
                "equity_usd": equity,
                "long_usd": days["longs"],
                "short_usd": days["shorts"],
                "gross_exposure": _share(days["longs"] + days["shorts"], equity),
                "net_exposure": _share(days["longs"] - days["shorts"], equity),
                "traded_usd": days["traded"],
                "turnover": _share(days["traded"], before),
                "costs_usd": days["costs"],
                "positions": days["positions"],
                "entries": days["entries"],
                "exits": days["exits"],
            }
        )

    @cached_property
    def trades(self) -> pl.DataFrame:
        """One row per trade, in order of entry (of one date: the strongest first).

        The columns of `backtest_trades` but for its identifiers: `position_size` is the entry's value in USD, negative
        for a short; `return_usd` is after fees, slippage and borrow cost, `costs_usd` their sum, `return_pct` relative
        to the entry's value; `holding_days` are calendar days; `volatility_at_entry` is the yearly deviation of the
        last 20 returns before the entry, in percent. Labels that the signals did not carry are NULL, but
        `entry_signal` is then BUY or SELL. Beyond them: `units fees_usd slippage_usd borrow_usd`, the bars `entry_row`
        and `exit_row`, and `signal_index`, the place in the signals.
        """
        trades, market = self.trade_records, self.market
        value = trades["units"] * trades["entry_price"]
        days = market.keys.day
        signal_row = self.signals.row[trades["signal"]]
        frame = pl.DataFrame(
            {
                "asset_type": pl.Series(market.keys.asset_types, dtype=pl.String).gather(trades["series"]),
                "symbol": pl.Series(market.keys.symbols, dtype=pl.String).gather(trades["series"]),
                "entry_date": pl.Series(days[trades["entry_row"]]).cast(pl.Date),
                "entry_price": trades["entry_price"],
                "exit_date": pl.Series(days[trades["exit_row"]]).cast(pl.Date),
                "exit_price": trades["exit_price"],
                "exit_reason": _reasons(trades["reason"]),
                "position_size": value,
                "return_pct": trades["result"] / np.abs(value) * 100,
                "return_usd": trades["result"],
                "costs_usd": trades["fees"] + trades["slippage"] + trades["borrow"],
                "holding_days": (days[trades["exit_row"]] - days[trades["entry_row"]]).astype(np.int64),
                "is_winner": trades["result"] > 0,
                "atr_at_entry": market.atr[signal_row],
                "volatility_at_entry": self._volatility(),
                "units": trades["units"],
                "fees_usd": trades["fees"],
                "slippage_usd": trades["slippage"],
                "borrow_usd": trades["borrow"],
                "entry_row": trades["entry_row"],
                "exit_row": trades["exit_row"],
                "signal_index": trades["signal"],
            }
        )
        return frame.with_columns(*self._labels(), pl.col("atr_at_entry", "volatility_at_entry").fill_nan(None)).select(
            *_COLUMNS
        )

    def _volatility(self) -> npt.NDArray[np.float64]:
        """Yearly deviation of the last returns before each entry, in percent."""
        keys, series = self.market.keys, self.trade_records["series"]
        per_year = np.array([DAYS_PER_YEAR[one] for one in keys.asset_types], dtype=np.float64)[series]
        rows = self.signals.row[self.trade_records["signal"]]
        deviation = kernel.deviations(self.market.close, keys.start[series], rows, VOLATILITY_BARS)
        volatility: npt.NDArray[np.float64] = deviation * np.sqrt(per_year) * 100
        return volatility

    def _labels(self) -> list[pl.Series]:
        index = self.trade_records["signal"]
        given = self.signals.labels
        labels = []
        for name in LABELS:
            if given is not None and name in given.columns:
                labels.append(given[name].gather(index).cast(_LABEL_TYPES[name]).alias(name))
            elif name == "entry_signal":
                bought = pl.Series(self.signals.direction[index] > 0)
                labels.append(pl.Series(["SELL", "BUY"]).gather(bought.cast(pl.UInt32)).alias(name))
            else:
                labels.append(pl.Series(name, [None], dtype=_LABEL_TYPES[name]).new_from_index(0, index.size))
        return labels


_COLUMNS: Final = (
    "asset_type",
    "symbol",
    "entry_date",
    "entry_price",
    "entry_signal",
    "entry_confidence",
    "entry_probability",
    "entry_growth_score",
    "exit_date",
    "exit_price",
    "exit_reason",
    "position_size",
    "return_pct",
    "return_usd",
    "costs_usd",
    "holding_days",
    "is_winner",
    "atr_at_entry",
    "volatility_at_entry",
    "trend_regime_at_entry",
    "units",
    "fees_usd",
    "slippage_usd",
    "borrow_usd",
    "entry_row",
    "exit_row",
    "signal_index",
)


def _share(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> pl.Series:
    """The quotient, NULL where the whole is not positive."""
    shares = np.full(part.size, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return pl.Series(shares).fill_nan(None)


def _reasons(codes: npt.NDArray[np.int64]) -> pl.Series:
    names = pl.Series(["", *(EXIT_REASONS[code] for code in sorted(EXIT_REASONS))])
    return names.gather(codes)
