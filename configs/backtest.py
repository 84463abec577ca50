"""Settings of backtests: what trading costs in each class, what may be held, the strategies, and their simulations."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from market.assets import ASSET_TYPES, AssetType
from market.backtest_parameters import BacktestParameters, OnOpposite, Sides
from market.costs import ClassCosts
from market.errors import BacktestError
from market.risk import Limits, Sizing, SizingMethod
from market.signals import Confidence
from market.strategies import EntryKind, EntryRule

Portfolio = Literal["all"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]

ALL: Final[Portfolio] = "all"
_IN_A_GRID: Final = frozenset(
    {"stop_atrs", "target_atrs", "time_limit_bars", "on_opposite", "sides", "levels", "edge", "full_edge"}
)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LimitSettings(_Section):
    """What an account starts with and may hold at most; see `market.risk.Limits`."""

    capital_usd: float = Field(gt=0, allow_inf_nan=False)
    maximum_positions: int = Field(ge=1)
    gross_exposure: float = Field(gt=0)
    minimum_position_usd: float = Field(ge=0, allow_inf_nan=False)

    def limits(self) -> Limits:
        """As the engine reads them."""
        return Limits(
            maximum_positions=self.maximum_positions,
            gross_exposure=self.gross_exposure,
            minimum_position_usd=self.minimum_position_usd,
        )


class ClassSettings(LimitSettings):
    """One asset class: its account, and what trading costs in it; see `market.costs.ClassCosts`."""

    fee_bps: float = Field(ge=0, lt=10_000)
    slippage_bps: float = Field(ge=0, lt=10_000)
    borrow_bps_per_year: float = Field(ge=0, allow_inf_nan=False)
    volume_cap_share: float = Field(gt=0, le=1)

    def costs(self) -> ClassCosts:
        """As the engine reads them."""
        return ClassCosts(
            fee_bps=self.fee_bps,
            slippage_bps=self.slippage_bps,
            borrow_bps_per_year=self.borrow_bps_per_year,
            volume_cap_share=self.volume_cap_share,
        )


class SizingSettings(_Section):
    """The rule for a position's value; see `market.risk.Sizing`."""

    method: SizingMethod = "fixed_fraction"
    fraction: float = 0.05
    position_volatility_pct: float = 1.0
    maximum_fraction: float = 0.10
    kelly_share: float = 0.5
    kelly_minimum_trades: int = 30
    kelly_floor: float = 0.005

    @model_validator(mode="after")
    def _can_be_followed(self) -> SizingSettings:
        _tried(self.sizing)
        return self

    def sizing(self) -> Sizing:
        """As the engine reads it."""
        return Sizing(**self.model_dump())


class StrategySettings(_Section):
    """One strategy: when it enters, when it leaves, how much it holds, and which variants are tried with it.

    Attributes:
        entry: Kind of entry rule; see `market.strategies.EntryRule`, also for the next three.
        levels: Confidence levels of `confidence`.
        edge: Smallest distance from 0.5 of `probability`.
        full_edge: Distance at which its position is whole.
        stop_atrs: Of exits see `market.backtest_parameters.BacktestParameters`; None: no stop.
        target_atrs: None: no target.
        time_limit_bars: 1 leaves at the open after the entry's; None: no limit.
        on_opposite: What a signal against an open position does.
        sides: Which positions may be opened.
        sizing: The rule for a position's value.
        grid: Values of these settings to be tried in every combination. Every one counts as a trial.
    """

    entry: EntryKind
    levels: tuple[Confidence, ...] = ("HIGH",)
    edge: float = 0.02
    full_edge: float = 0.10
    stop_atrs: float | None = Field(default=None, gt=0)
    target_atrs: float | None = Field(default=None, gt=0)
    time_limit_bars: int | None = Field(default=None, ge=1)
    on_opposite: OnOpposite = "reverse"
    sides: Sides = "both"
    sizing: SizingSettings = Field(default_factory=SizingSettings)
    grid: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_followed(self) -> StrategySettings:
        _tried(self.rule)
        unknown = set(self.grid) - _IN_A_GRID
        if unknown:
            raise ValueError(f"grid of {sorted(unknown)[0]}: one of {', '.join(sorted(_IN_A_GRID))}")
        for name, values in self.grid.items():
            if not values:
                raise ValueError(f"grid of {name} has no value")
        self.cells()
        return self

    def rule(self) -> EntryRule:
        """When it enters."""
        return EntryRule(self.entry, self.levels, self.edge, self.full_edge)

    def cells(self) -> list[StrategySettings]:
        """Every combination of the grid, without a grid of its own; this strategy itself is not among them."""
        plain = {**self.model_dump(), "grid": {}}
        chosen = (
            [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())] if self.grid else []
        )
        return [type(self).model_validate({**plain, **cell}) for cell in chosen]

    def choices(self) -> dict[str, Any]:
        """Everything that makes it differ from another strategy, ready for JSON; the grid is no part of it."""
        return self.model_dump(mode="json", exclude={"grid"})


class MonteCarloSettings(_Section):
    """Simulations behind every backtest; see `market.monte_carlo`.

    Attributes:
        paths: Paths of days, and orders of trades.
        days: Length of a path; None: as long as the backtest.
        block_days: Days drawn together.
        ruin_loss_pct: Share of the capital whose loss counts as ruin.
        shuffles: Runs with shuffled signals, the null; 0: none.
        seed: Of every draw.
    """

    paths: int = Field(ge=100)
    days: int | None = Field(ge=1)
    block_days: int = Field(ge=1)
    ruin_loss_pct: float = Field(gt=0, le=100)
    shuffles: int = Field(ge=0)
    seed: int


class BacktestSettings(_Section):
    """All of them.

    Attributes:
        stocks, etf, crypto: Account, limits and costs of each class.
        all: Account and limits of the portfolio of several classes; costs are those of the classes.
        order_days: An entry order lapses when its symbol's next bar is more than so many calendar days away.
        strategies: By name; all of them are run when none is asked for.
        monte_carlo: Simulations.
    """

    stocks: ClassSettings
    etf: ClassSettings
    crypto: ClassSettings
    all: LimitSettings
    order_days: int = Field(ge=1)
    strategies: dict[Name, StrategySettings] = Field(min_length=1)
    monte_carlo: MonteCarloSettings

    def parameters(self, asset_type: AssetType | Portfolio, strategy: StrategySettings) -> BacktestParameters:
        """What the engine needs to know of a strategy on an asset class or on the portfolio."""
        account: LimitSettings = getattr(self, asset_type)
        classes = ASSET_TYPES if asset_type == ALL else (asset_type,)
        return BacktestParameters(
            costs={name: getattr(self, name).costs() for name in classes},
            sizing=strategy.sizing.sizing(),
            limits=account.limits(),
            capital_usd=account.capital_usd,
            stop_atrs=strategy.stop_atrs,
            target_atrs=strategy.target_atrs,
            time_limit_bars=strategy.time_limit_bars,
            on_opposite=strategy.on_opposite,
            sides=strategy.sides,
            order_days=self.order_days,
        )


def _tried(build: Any) -> None:
    """A rule that the domain refuses is a bad setting."""
    try:
        build()
    except BacktestError as error:
        raise ValueError(error.message) from error
