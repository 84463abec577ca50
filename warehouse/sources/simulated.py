"""Source `simulated`: the seeded market of `market.simulate`, drawn anew at every read and each day a bar longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from configs.settings import Settings
from configs.sources import SourceOptions
from market.assets import ASSET_TYPES, AssetType
from market.simulate import SimulatedMarket, simulate_market
from warehouse.sources.base import checked


@dataclass(frozen=True)
class SimulatedSource:
    """Simulated bars of all three classes, and the truth behind them."""

    settings: Settings
    now: datetime
    name: str = "simulated"
    is_simulated: bool = True

    def read(self, asset_type: AssetType | None = None) -> pl.DataFrame:
        """See `Source.read`."""
        classes = ASSET_TYPES if asset_type is None else (asset_type,)
        bars = pl.concat([self._market(one).bars for one in classes])
        return checked(bars, file="simulated market", settings=self.settings, now=self.now)

    def oracle(self, asset_type: AssetType) -> pl.DataFrame:
        """True next-bar probabilities, row for row those of `read(asset_type)`; see `SimulatedMarket.oracle`."""
        return self._market(asset_type).oracle

    @property
    def end(self) -> date:
        """Last date: the configured one, or yesterday (UTC), whose bars are all closed."""
        return self.settings.simulation.end or self.now.astimezone(UTC).date() - timedelta(days=1)

    def _market(self, asset_type: AssetType) -> SimulatedMarket:
        simulation = self.settings.simulation
        calendars = self.settings.sessions.calendars
        return simulate_market(
            asset_type,
            seed=simulation.seed,
            start=simulation.start,
            end=self.end,
            planted_symbols=simulation.planted_symbols,
            noise_symbols=simulation.noise_symbols,
            calendar=calendars.etf if asset_type == "etf" else calendars.stocks,
        )


def open_source(
    *, options: SourceOptions, settings: Settings, now: datetime, asset_type: AssetType | None = None
) -> SimulatedSource:
    """Open the simulated market; it has no options, and every bar says its class."""
    return SimulatedSource(settings=settings, now=now)
