"""What a backtest is asked to do: a market, a strategy or one cell of its grid, and the signals this gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import polars as pl

from configs.backtest import StrategySettings
from market.backtest import Market, Predictions, Signals, align_predictions, overlapping_market, prepare_market
from market.backtest_parameters import BacktestParameters
from market.monte_carlo_null import series_starts, shifted_rows
from market.signals import Confidence
from market.strategies import Called, Decisions, decide
from warehouse.backtests import BacktestInputs

ENGINE: Final = 1
"""Raised when the engine or a rule changes results: the same inputs are another backtest then."""

_ID_LENGTH = 32
_HASHED: Final = ("open", "high", "low", "close", "volume", "atr")
_HASHED_PREDICTIONS: Final = (
    *("symbol", "datetime", "entry_probability", "entry_growth_score", "trend_regime_at_entry"),
    *("called_signal", "called_confidence"),
)
"""What decides about trades: an outcome that became known since changes nothing."""


@dataclass(frozen=True)
class Arena:
    """A market and the predictions on it: of one asset class, or of the portfolio.

    Attributes:
        inputs: Of each class in it, in the order of the market.
        market: Bars.
        predictions: Aligned with them.
        data_hash: Of bars, predictions and what was called.
    """

    inputs: tuple[BacktestInputs, ...]
    market: Market
    predictions: Predictions
    data_hash: str

    @property
    def asset_type(self) -> str:
        """The class, or `all`."""
        return self.market.asset_type

    @property
    def model_version(self) -> str:
        """Of every class, in their order."""
        return ", ".join(version for one in self.inputs for version in one.model_versions)


@dataclass(frozen=True)
class Cell:
    """One configuration of one strategy.

    Attributes:
        strategy_name: As in the settings; a grid's cell adds what differs.
        settings: Its choices.
        is_grid: Whether it is a cell of a grid.
    """

    strategy_name: str
    settings: StrategySettings
    is_grid: bool = False


def class_arena(inputs: BacktestInputs) -> Arena:
    """The market of one class.

    Raises:
        BacktestError: Bars or predictions that cannot be backtested, such as predictions without bars.
    """
    return _arena((inputs,), prepare_market(inputs.bars))


def portfolio_arena(inputs: Sequence[BacktestInputs]) -> Arena | None:
    """The market of all classes whose dates overlap; None where no two do."""
    ordered = sorted(inputs, key=lambda one: one.asset_type)
    if len(ordered) < 2:
        return None
    market = overlapping_market(pl.concat([one.bars for one in ordered]))
    if market is None:
        return None
    return _arena(tuple(one for one in ordered if one.asset_type in market.classes), market)


def _arena(inputs: tuple[BacktestInputs, ...], market: Market) -> Arena:
    inside = pl.col("datetime").dt.date().is_between(market.start, market.end)
    frame = pl.concat([one.predictions.filter(inside) for one in inputs], how="diagonal")
    return Arena(inputs, market, align_predictions(market, frame), _data_hash(market, frame))


def cells_of(name: str, strategy: StrategySettings, *, grid: bool, levels: tuple[Confidence, ...] = ()) -> list[Cell]:
    """The strategy as configured, and with `grid` every cell of its grid that differs from it.

    Args:
        name: As in the settings.
        strategy: Its settings.
        grid: Whether its grid is run.
        levels: Confidence levels instead of its own; they are told in the name and fixed in the grid.
    """
    if levels and set(levels) != set(strategy.levels):
        name = f"{name} levels={_told(list(levels))}"
        fixed = {key: values for key, values in strategy.grid.items() if key != "levels"}
        strategy = StrategySettings.model_validate({**strategy.model_dump(), "levels": levels, "grid": fixed})
    cells = [Cell(name, strategy)]
    if grid:
        own = strategy.choices()
        for cell in strategy.cells():
            choices = cell.choices()
            if choices != own:
                told = " ".join(f"{key}={_told(choices[key])}" for key in strategy.grid)
                cells.append(Cell(f"{name} {told}", cell, is_grid=True))
    return cells


def decisions_of(arena: Arena, strategy: StrategySettings) -> Decisions:
    """What the entry rule makes of every prediction, by the thresholds of its class, or as it was called live."""
    frame, parts = arena.predictions.frame, []
    for inputs in arena.inputs:
        own = frame.filter(pl.col("asset_type") == inputs.asset_type)
        called = None
        if inputs.origin == "live":
            called = Called(
                own["called_signal"].to_numpy().astype(np.str_), own["called_confidence"].to_numpy().astype(np.str_)
            )
        parts.append(decide(strategy.rule(), own["entry_probability"].to_numpy(), inputs.thresholds, called))
    return Decisions(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Decisions.__dataclass_fields__)
    )


def signals_of(arena: Arena, decisions: Decisions) -> Signals:
    """Signals for the engine, with what they stand for on each trade."""
    predictions = arena.predictions
    frame = predictions.frame.with_columns(
        entry_signal=pl.Series(decisions.entry_signal.tolist(), dtype=pl.String),
        entry_confidence=pl.Series(decisions.entry_confidence.tolist(), dtype=pl.String),
    )
    labelled = Predictions(predictions.row, frame)
    return Signals.from_directions(labelled, decisions.direction, decisions.strength, decisions.weight)


def shuffled_signals(arena: Arena, decisions: Decisions, shares: Iterable[float]) -> Iterator[Signals]:
    """The same decisions moved in time by each share (see `market.monte_carlo_null`); they carry no labels."""
    frame = arena.predictions.frame
    starts = series_starts(*(frame[name].rank("dense").to_numpy() for name in ("asset_type", "symbol")))
    bare = Predictions(arena.predictions.row, frame.select("symbol"))
    for share in shares:
        moved = shifted_rows(starts, share)
        yield Signals.from_directions(
            bare, decisions.direction[moved], decisions.strength[moved], decisions.weight[moved]
        )


def trial_id(arena: Arena, cell: Cell, parameters: BacktestParameters) -> str:
    """The same for one configuration on other dates and data: looking again at what was tried is no new trial."""
    origins = sorted({inputs.origin for inputs in arena.inputs})
    return _digest({"asset_type": arena.asset_type, "origins": origins, **told_choices(cell, parameters)})[:12]


def backtest_id(arena: Arena, cell: Cell, parameters: BacktestParameters) -> str:
    """The same for the same inputs, another for any other: engine, choices, costs, limits, thresholds, data."""
    thresholds = {inputs.asset_type: vars(inputs.thresholds) for inputs in arena.inputs}
    return _digest(
        {
            "engine": ENGINE,
            "strategy": cell.strategy_name,
            "asset_type": arena.asset_type,
            "data": arena.data_hash,
            "models": arena.model_version,
            "thresholds": thresholds,
            **told_choices(cell, parameters),
        }
    )[:_ID_LENGTH]


def told_choices(cell: Cell, parameters: BacktestParameters) -> dict[str, Any]:
    """A configuration ready for JSON: the strategy's choices, costs, limits and capital."""
    return {
        "choices": cell.settings.choices(),
        "costs": {name: vars(costs) for name, costs in sorted(parameters.costs.items())},
        "limits": vars(parameters.limits),
        "capital_usd": parameters.capital_usd,
        "order_days": parameters.order_days,
    }


def _data_hash(market: Market, predictions: pl.DataFrame) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([market.keys.asset_types, market.keys.symbols]).encode())
    for values in (market.keys.start, market.keys.day, *(getattr(market, name) for name in _HASHED)):
        digest.update(np.ascontiguousarray(values).tobytes())
    for column in predictions.select(
        name for name in _HASHED_PREDICTIONS if name in predictions.columns
    ).iter_columns():
        digest.update(column.name.encode())
        if column.dtype == pl.String:
            digest.update("\x1f".join(column.fill_null("\x00")).encode())
        else:
            digest.update(column.cast(pl.Float64).fill_null(np.nan).to_numpy().tobytes())
    return digest.hexdigest()


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=_iso).encode(), digest_size=16).hexdigest()


def _iso(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _told(value: Any) -> str:
    return "+".join(value) if isinstance(value, list) else str(value)
