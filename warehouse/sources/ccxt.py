"""Source `ccxt`: daily candles of a crypto exchange, through the client library ccxt.

A symbol's history is fetched in pages of fixed dates. A page whose last day is over is kept in the cache and never
fetched again, so an interrupted run goes on where it stopped; the newest page is always fetched. The day that is not
over is left out. ccxt keeps the exchange's rate limit; 429, 5xx and timeouts are tried again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from urllib.parse import urlsplit

import polars as pl

from configs.settings import Settings
from configs.sources import CcxtOptions
from market.assets import AssetType
from market.errors import BadBarsError, SourceError
from market.inspection import RawBars
from warehouse.sources._exchange import Exchange, client
from warehouse.sources._fetch import PAGE_SCHEMA, PageStore, Patience, closed_bars, file_name
from warehouse.sources.base import RawSource, checked, of_class, raw_of_class, read_strictly

PAGE_DAYS = 300
"""Most exchanges answer with at least so many candles; those that answer with fewer are asked again."""

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class CcxtSource:
    """Daily candles of the configured symbols; fetched and checked once, at the first `read`."""

    options: CcxtOptions
    settings: Settings
    now: datetime
    patience: Patience
    name: str = "ccxt"
    is_simulated: bool = False

    def read(self, asset_type: AssetType | None = None) -> pl.DataFrame:
        """See `Source.read`."""
        return of_class(self._bars, asset_type, source=self.name)

    def raw(self, asset_type: AssetType | None = None) -> list[RawBars]:
        """See `RawSource.raw`."""
        return raw_of_class(self._raw, asset_type)

    @cached_property
    def _bars(self) -> pl.DataFrame:
        return read_strictly(self._raw, settings=self.settings, now=self.now)

    @cached_property
    def _raw(self) -> list[RawBars]:
        exchange = Exchange(client(self.options), self.patience)
        symbols = self.options.canonical_symbols("crypto")
        exchange.require(symbols)
        return [self._history(exchange, symbol) for symbol in symbols]

    def _history(self, exchange: Exchange, symbol: str) -> RawBars:
        bars = pl.concat([self._keyed(PAGE_SCHEMA.to_frame(), symbol), *self._pages(exchange, symbol)])
        bars = bars.filter(pl.col("datetime").dt.date() >= self.options.start)
        if bars.is_empty():
            raise SourceError(
                f"{self.options.exchange} has no bars of {symbol} since {self.options.start}",
                remedy="check the symbol, or set an earlier start",
            )
        return RawBars(self._place(symbol), bars)

    def _pages(self, exchange: Exchange, symbol: str) -> Iterator[pl.DataFrame]:
        """Closed bars by page, from the page that holds `start` to the newest.

        Raises:
            SourceError: A page between two others is empty.
        """
        store = self._store(symbol)
        today = self.now.astimezone(UTC).date()
        hole: date | None = None
        begun = False
        for begin in _page_starts(self.options.start, today):
            end = begin + timedelta(days=PAGE_DAYS)
            kept = store.read(f"{begin}")
            page = kept[0] if kept else exchange.page(symbol, begin, min(end, today + timedelta(days=1)))
            bars = closed_bars(self._keyed(page, symbol), settings=self.settings, now=self.now)
            if bars.is_empty():
                hole = hole or (begin if begun else None)
                continue
            if hole is not None:
                raise SourceError(
                    f"{self.options.exchange} has no bar of {symbol} from {hole} to {begin}, but later ones",
                    remedy=f"run again: what was fetched stays; if it was not traded then, set start: {begin}",
                )
            begun = True
            if kept is None and end <= today and self._is_sound(bars):
                store.write(f"{begin}", page)
            yield bars

    def _keyed(self, page: pl.DataFrame, symbol: str) -> pl.DataFrame:
        return page.select(pl.lit("crypto").alias("asset_type"), pl.lit(symbol).alias("symbol"), *PAGE_SCHEMA.names())

    def _is_sound(self, bars: pl.DataFrame) -> bool:
        """A page with a bad bar is not kept, so that the exchange's correction is seen."""
        try:
            checked(bars, file=self.name, settings=self.settings, now=self.now)
        except BadBarsError:
            return False
        return True

    def _place(self, symbol: str) -> str:
        return f"{self.name} {self.options.exchange} {symbol}"

    def _store(self, symbol: str) -> PageStore:
        """Pages of one exchange, host and symbol."""
        host = self.options.base_url and file_name(urlsplit(self.options.base_url).netloc)
        exchange = f"{self.options.exchange}@{host}" if host else self.options.exchange
        return PageStore(self.settings.paths.cache / "fetch" / self.name / exchange / file_name(symbol))


def open_source(
    *, options: CcxtOptions, settings: Settings, now: datetime, asset_type: AssetType | None = None
) -> RawSource:
    """Open an exchange.

    Raises:
        SourceError: For another class than crypto.
    """
    if asset_type not in (None, "crypto"):
        raise SourceError(f"source 'ccxt' has crypto bars, no {asset_type}", remedy="name it under sources.crypto")
    patience = Patience(options.attempts, options.deadline_seconds)
    return CcxtSource(options=options, settings=settings, now=now, patience=patience)


def _page_starts(start: date, today: date) -> list[date]:
    """First days of all pages, counted from 1970, so that they stay the same when `start` moves."""
    first = (start - _EPOCH).days // PAGE_DAYS * PAGE_DAYS
    return [_EPOCH + timedelta(days=day) for day in range(first, (today - _EPOCH).days + 1, PAGE_DAYS)]
