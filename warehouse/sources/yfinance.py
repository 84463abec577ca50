"""Source `yfinance`: daily bars of Yahoo Finance, through the client library yfinance.

Prices are adjusted for splits and dividends, so every dividend changes the past: a symbol's history is always one
answer, never pieced together from several days. It is kept in the cache until a bar closes that it cannot hold; an
interrupted run goes on with the symbols it lacks. The bar of a session that is not over is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import polars as pl
import yfinance
from curl_cffi import requests
from yfinance.config import YfConfig
from yfinance.data import YfData
from yfinance.exceptions import YFException, YFRateLimitError, YFTickerMissingError

from configs.settings import Settings
from configs.sources import YFinanceOptions
from market.assets import AssetType
from market.errors import SourceError
from market.inspection import RawBars
from market.sessions import session_close_table
from warehouse.sources._fetch import (
    PAGE_SCHEMA,
    PageStore,
    Patience,
    TransientError,
    closed_bars,
    file_name,
    retry_after_seconds,
)
from warehouse.sources.base import RawSource, of_class, raw_of_class, read_strictly

_COLUMNS = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
_PRICES_PATH = "/v8/finance/chart/"
_SPELLING = "check the symbol's spelling on finance.yahoo.com"
_DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError)
"""What the client raises on answers of another shape than it expects."""

_LONGEST_CLOSURE = timedelta(days=14)


@dataclass(frozen=True)
class YFinanceSource:
    """Daily bars of the configured symbols of one class; fetched and checked once, at the first `read`."""

    options: YFinanceOptions
    settings: Settings
    now: datetime
    asset_type: AssetType
    patience: Patience
    name: str = "yfinance"
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
        yfinance.set_tz_cache_location(str(self._folder))
        with _Session(self.options) as session:
            return [self._history(symbol, session) for symbol in self.options.canonical_symbols(self.asset_type)]

    def _history(self, symbol: str, session: _Session) -> RawBars:
        store, name = PageStore(self._folder / self.asset_type), file_name(symbol)
        notes = {"start": str(self.options.start), "newest": str(self._newest_closed())}
        kept = store.read(name)
        if kept and notes.items() <= kept[1].items():
            return self._closed(kept[0], symbol)
        fetch = partial(_fetched, symbol, self.asset_type, self.options, session, self.now)
        page = self.patience.call(fetch, what=f"Yahoo {symbol}")
        bars = self._closed(page, symbol)
        store.write(name, page, notes)
        return bars

    def _closed(self, page: pl.DataFrame, symbol: str) -> RawBars:
        key = pl.lit(self.asset_type).alias("asset_type"), pl.lit(symbol).alias("symbol")
        bars = page.select(*key, *PAGE_SCHEMA.names())
        bars = closed_bars(bars, settings=self.settings, now=self.now)
        if bars.is_empty():
            raise SourceError(
                f"Yahoo has no bars of {symbol} since {self.options.start}",
                remedy=f"{_SPELLING}, or set an earlier start",
            )
        return RawBars(f"{self.name} {symbol}", bars)

    def _newest_closed(self) -> datetime:
        """When the newest bar that can be had now was known."""
        if self.asset_type == "crypto":
            return self.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        sessions = self.settings.sessions
        calendar = sessions.calendars.by_asset_type()[self.asset_type]
        today = self.now.astimezone(UTC).date()
        closes = session_close_table(calendar, today - _LONGEST_CLOSURE, today)["close_at"]
        known = closes + timedelta(minutes=sessions.publication_delay_minutes)
        return cast(datetime, known.filter(known <= self.now).max())

    @property
    def _folder(self) -> Path:
        host = file_name(urlsplit(self.options.base_url).netloc) if self.options.base_url else "yahoo"
        return self.settings.paths.cache / "fetch" / self.name / host


def open_source(
    *, options: YFinanceOptions, settings: Settings, now: datetime, asset_type: AssetType | None = None
) -> RawSource:
    """Open Yahoo Finance.

    Raises:
        SourceError: No class was named: Yahoo's symbols do not say theirs.
    """
    if asset_type is None:
        raise SourceError(
            "source 'yfinance' needs the class of its symbols",
            remedy="name it under sources.<asset_type> in configs/, or give --asset-type",
        )
    patience = Patience(options.attempts, options.deadline_seconds, options.pause_seconds)
    return YFinanceSource(options=options, settings=settings, now=now, asset_type=asset_type, patience=patience)


class _Session(requests.Session):  # type: ignore[misc]
    """The client's HTTP session: it goes to `base_url` when one is set, and names faults that the client mixes up.

    Raises:
        TransientError: Prices were answered with 429 or 5xx, or not in time.
    """

    def __init__(self, options: YFinanceOptions) -> None:
        super().__init__(impersonate="chrome")
        self._options = options

    def request(self, method: Any, url: str, **arguments: Any) -> Any:
        """Send one request; the client manages without its cookie requests, so their faults are left to it."""
        if self._options.base_url:
            url = self._options.base_url + urlsplit(url)._replace(scheme="", netloc="").geturl()
        arguments["timeout"] = self._options.timeout_seconds
        asks_prices = _PRICES_PATH in url
        try:
            response = super().request(method, url, **arguments)
        except requests.exceptions.Timeout as error:
            if asks_prices:
                raise TransientError(f"no answer within {self._options.timeout_seconds:g} s") from error
            raise
        status = response.status_code
        if asks_prices and (status == 429 or status >= 500):
            raise TransientError(f"HTTP {status}", retry_after_seconds=retry_after_seconds(response.headers))
        return response


def _fetched(
    symbol: str, asset_type: AssetType, options: YFinanceOptions, session: _Session, now: datetime
) -> pl.DataFrame:
    """The whole history as `PAGE_SCHEMA`; a bar without a price is NULL, or left out when it has none at all."""
    YfConfig.debug.hide_exceptions = False
    YfData.cache_get.cache_clear()
    name = symbol.replace("/", "-") if asset_type == "crypto" else symbol
    end = now.astimezone(UTC).date() + timedelta(days=1)
    try:
        frame = yfinance.Ticker(name, session=session).history(start=str(options.start), end=str(end), actions=False)
    except YFRateLimitError as error:
        raise TransientError("HTTP 429") from error
    except YFTickerMissingError as error:
        raise SourceError(f"Yahoo has no bars of {symbol}: {error}", remedy=_SPELLING) from error
    except requests.exceptions.RequestException as error:
        raise SourceError(
            f"Yahoo {symbol}: {error}", remedy="check the network and base_url; what was fetched stays"
        ) from error
    except (YFException, *_DAMAGE) as error:
        raise SourceError(
            f"Yahoo {symbol}: the answer cannot be read ({type(error).__name__}: {str(error)[:200]})",
            remedy="run again: what was fetched stays; if it remains, a newer yfinance may know the answer's new shape",
        ) from error
    # The index is midnight in the exchange's own zone: its date is the session's.
    stamps = (
        pl.Series("datetime", list(frame.index.date), dtype=pl.Date).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    )
    prices = pl.DataFrame({ours: frame[theirs].to_numpy() for theirs, ours in _COLUMNS.items()})
    return prices.cast(pl.Float64()).fill_nan(None).insert_column(0, stamps)
