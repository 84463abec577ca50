"""What a tearsheet shows, computed from a backtest's row, its days and its trades; nothing here draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

ROLLING_DAYS: Final = 63
"""A quarter of trading days; shorter backtests use a third of theirs."""

MINIMUM_KNOWN: Final = 20
"""Known outcomes in a window below which its accuracy says nothing."""

BINS: Final = 48


@dataclass(frozen=True)
class TearsheetData:
    """One backtest, ready to be shown.

    Attributes:
        report: As `flows.backtest_report.full_report` made it.
        daily: As `BacktestReport.daily`.
        trades: Rows of `backtest_trades`.
    """

    report: Mapping[str, Any]
    daily: pl.DataFrame
    trades: pl.DataFrame

    @property
    def result(self) -> Mapping[str, Any]:
        """The row of `backtest_results`, JSON columns decoded."""
        return self.report["result"]  # type: ignore[no-any-return]

    @property
    def capital(self) -> float:
        """Cash before the first day."""
        return float(self.result["parameters"]["capital_usd"])

    @property
    def days_per_year(self) -> int:
        """As the ratios have it."""
        return 252 if self.result["asset_type"] in ("stocks", "etf") else 365

    @property
    def window(self) -> int:
        """Days of the rolling figures."""
        return max(2, min(ROLLING_DAYS, self.daily.height // 3))


def monthly_returns(daily: pl.DataFrame) -> pl.DataFrame:
    """Compounded returns in percent: columns `year month return_pct`, where month 0 is the whole year."""
    growth = (1 + pl.col("return_pct") / 100).product()
    stamped = daily.with_columns(year=pl.col("date").dt.year(), month=pl.col("date").dt.month().cast(pl.Int32))
    months = stamped.group_by("year", "month").agg(return_pct=100 * (growth - 1))
    years = stamped.group_by("year").agg(return_pct=100 * (growth - 1)).with_columns(month=pl.lit(0, dtype=pl.Int32))
    return pl.concat([months, years.select(months.columns)]).sort("year", "month")


def rolling(data: TearsheetData) -> pl.DataFrame:
    """Over the last `window` days: `date sharpe accuracy accuracy_all base_rate`, NULL where undefined.

    `accuracy` is that of the strategy's signals, `accuracy_all` of every prediction, `base_rate` the share of the more
    frequent direction among all; percent, by the date of the bar.
    """
    window, daily = data.window, data.daily
    r = pl.col("return_pct")
    deviation = r.rolling_std(window)
    sums = {
        name: pl.col(name).rolling_sum(window)
        for name in ("predictions", "predictions_right", "predictions_up", "signals", "signals_right")
    }
    up_share = 100 * sums["predictions_up"] / sums["predictions"]
    enough = sums["predictions"] >= MINIMUM_KNOWN
    return daily.select(
        "date",
        sharpe=pl.when(deviation > 1e-12).then(r.rolling_mean(window) / deviation * data.days_per_year**0.5),
        accuracy=pl.when(sums["signals"] >= MINIMUM_KNOWN).then(100 * sums["signals_right"] / sums["signals"]),
        accuracy_all=pl.when(enough).then(100 * sums["predictions_right"] / sums["predictions"]),
        base_rate=pl.when(enough).then(pl.max_horizontal(up_share, 100 - up_share)),
    )


def by_exit_reason(trades: pl.DataFrame) -> pl.DataFrame:
    """`exit_reason trades winners return_usd avg_return_pct`, the most frequent first."""
    return (
        trades.group_by("exit_reason")
        .agg(
            trades=pl.len(),
            winners=pl.col("is_winner").sum(),
            return_usd=pl.col("return_usd").sum(),
            avg_return_pct=pl.col("return_pct").mean(),
        )
        .sort(["trades", "exit_reason"], descending=[True, False])
    )


def by_symbol(trades: pl.DataFrame) -> pl.DataFrame:
    """`asset_type symbol trades long winners avg_return_pct return_usd costs_usd`, the best first."""
    return (
        trades.group_by("asset_type", "symbol")
        .agg(
            trades=pl.len(),
            long=(pl.col("position_size") > 0).sum(),
            winners=pl.col("is_winner").sum(),
            avg_return_pct=pl.col("return_pct").mean(),
            return_usd=pl.col("return_usd").sum(),
            costs_usd=pl.col("costs_usd").sum(),
        )
        .sort(["return_usd", "asset_type", "symbol"], descending=[True, False, False])
    )


def verdict(data: TearsheetData) -> list[str]:
    """What the figures say, in sentences; the reader should not have to know what a deflated Sharpe ratio is."""
    result = data.result
    if not result["total_trades"]:
        return ["Nothing was traded, and that is an answer: " + (result["notes"] or "no signal in this window") + "."]
    told = [_against_benchmark(result)]
    interval = result["monte_carlo"]["intervals_95"]["sharpe_ratio"]
    if interval is not None:
        held = interval["low"] <= 0 <= interval["high"]
        told.append(
            f"The Sharpe ratio lies between {interval['low']:.2f} and {interval['high']:.2f} (95%): "
            + ("it is not told apart from zero." if held else "zero is outside.")
        )
    deflated = result["deflated_sharpe_ratio"]
    if deflated is not None:
        told.append(
            f"Given {result['trials']:,} trials, the chance that it is real is {100 * deflated:.0f}%"
            + (" (95% is the usual demand)." if deflated < 0.95 else ", which meets the usual demand of 95%.")
        )
    null = result["monte_carlo"]["null"]
    if null is not None:
        told.append(
            f"The same signals at shuffled times did at least as well in {100 * null['p_value']:.0f}% of "
            f"{null['shuffles']:,} runs."
        )
    return told


def _against_benchmark(result: Mapping[str, Any]) -> str:
    own, held = result["total_return_pct"], result["benchmark_return_pct"]
    way = "less" if own > held else "more"
    return (
        f"It earned {own:+.1f}% after costs of {result['costs_pct']:.1f}% of the capital; holding the same symbols "
        f"earned {held:+.1f}%, {abs(own - held):.1f} points {way}."
    )
