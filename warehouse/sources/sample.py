"""Source `sample`: real daily bars of AAPL, GOOG, IBM and MSFT, 2000-03-01 to 2013-03-01, in the public domain.

They come from the package `bokeh_sampledata`; its FB has 196 bars, too few to train on, and is left out. The file
holds unadjusted prices and an adjusted close. Open, high, low and close are scaled by one factor a bar, adjusted
close / close; multiplying by one positive factor cannot change their order. Volume is as traded. GOOG is Google's share
before the split of 2014. Every bar passes the checks without repair, and no session is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.resources import as_file, files

import polars as pl

from configs.settings import Settings
from configs.sources import SourceOptions
from market.assets import AssetType
from market.bars import BAR_SCHEMA, PRICES
from market.errors import SourceError
from warehouse.sources.base import Source, checked, of_class

SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")

_FILE = "stocks.csv.gz"
_COLUMNS = {
    "Ticker": "symbol",
    "Date": "datetime",
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Adj Close": "adjusted_close",
}


@dataclass(frozen=True)
class SampleSource:
    """Real bars that come with the installation; class `stocks` only."""

    settings: Settings
    now: datetime
    name: str = "sample"
    is_simulated: bool = False

    def read(self, asset_type: AssetType | None = None) -> pl.DataFrame:
        """See `Source.read`."""
        bars = checked(_adjusted_bars(), file=f"bokeh_sampledata/{_FILE}", settings=self.settings, now=self.now)
        return of_class(bars, asset_type, source=self.name)


def open_source(
    *, options: SourceOptions, settings: Settings, now: datetime, asset_type: AssetType | None = None
) -> Source:
    """Open the sample; it has no options, and every bar says its class."""
    return SampleSource(settings=settings, now=now)


def _adjusted_bars() -> pl.DataFrame:
    with as_file(files("bokeh_sampledata") / "_data" / _FILE) as path:
        if not path.is_file():
            raise SourceError(f"{_FILE} is missing from bokeh_sampledata", remedy="install bokeh-sampledata>=2025.0")
        raw = pl.read_csv(path).rename(_COLUMNS).filter(pl.col("symbol").is_in(SYMBOLS))
    factor = pl.col("adjusted_close") / pl.col("close")
    return raw.select(
        pl.lit("stocks").alias("asset_type"),
        "symbol",
        pl.col("datetime").str.to_datetime("%Y-%m-%d", time_unit="us", time_zone="UTC"),
        *(pl.col(price) * factor for price in PRICES),
        "volume",
    ).select(BAR_SCHEMA.names())
