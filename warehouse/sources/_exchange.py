"""A crypto exchange behind the client library ccxt: its pairs and its daily candles, and its faults told apart."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import ccxt
import polars as pl

from configs.sources import CcxtOptions
from market.errors import SourceError
from warehouse.sources._fetch import PAGE_SCHEMA, Patience, TransientError, retry_after_seconds

_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000
_Candle = tuple[int, float, float, float, float, float]
_AGAIN = "run again: what was fetched stays"
_CHECK = "check the network, exchange and base_url; what was fetched stays"

_PASSING = (ccxt.RequestTimeout, ccxt.ExchangeNotAvailable, ccxt.DDoSProtection, ccxt.RateLimitExceeded)
_DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError)
"""What the client raises on answers of another shape than it expects."""


def client(options: CcxtOptions) -> Any:
    """The client of one exchange.

    Raises:
        SourceError: ccxt does not know it, or it offers no daily candles.
    """
    if options.exchange not in ccxt.exchanges:
        near = difflib.get_close_matches(options.exchange, ccxt.exchanges, n=3)
        raise SourceError(
            f"ccxt knows no exchange '{options.exchange}'",
            remedy=f"did you mean {', '.join(near)}?" if near else "see ccxt's list of exchanges",
        )
    built = getattr(ccxt, options.exchange)({"enableRateLimit": True, "timeout": int(options.timeout_seconds * 1000)})
    if not built.has["fetchOHLCV"] or "1d" not in (built.timeframes or {"1d": ""}):
        raise SourceError(f"{options.exchange} offers no daily candles", remedy="name another exchange")
    if options.base_url:
        built.urls["api"] = _moved(built.urls["api"], options.base_url)
    return built


def _moved(urls: Any, base_url: str) -> Any:
    """The client's addresses with their host replaced."""
    if isinstance(urls, dict):
        return {name: _moved(url, base_url) for name, url in urls.items()}
    return base_url + urlsplit(urls).path


@dataclass(frozen=True)
class Exchange:
    """The client, with its faults told apart: those that pass, and those that do not."""

    client: Any
    patience: Patience

    def require(self, symbols: tuple[str, ...]) -> None:
        """Refuse symbols that the exchange does not trade."""
        markets = self._call(self.client.load_markets, what=f"{self.client.id} markets")
        for symbol in symbols:
            if symbol not in markets:
                near = difflib.get_close_matches(symbol, markets, n=3)
                raise SourceError(
                    f"{self.client.id} does not trade {symbol}",
                    remedy=f"did you mean {', '.join(near)}?" if near else "name a pair of this exchange",
                )

    def page(self, symbol: str, begin: date, end: date) -> pl.DataFrame:
        """Candles of [begin, end). An empty answer is asked for twice: it would pass for a pair not traded yet."""
        page = self.candles(symbol, begin, end)
        return page if page.height else self.candles(symbol, begin, end)

    def candles(self, symbol: str, begin: date, end: date) -> pl.DataFrame:
        """Candles of [begin, end), asked for again from where an answer ends; `PAGE_SCHEMA`, empty when there are none.

        Raises:
            SourceError: The answer is no list of candles.
        """
        what = f"{self.client.id} {symbol} from {begin}"
        since, stop = _ms(begin), _ms(end)
        rows: list[_Candle] = []
        while since < stop:
            ask = partial(self.client.fetch_ohlcv, symbol, "1d", since, (stop - since) // _DAY_MS)
            answer = _sound(self._call(ask, what=what), what=what)
            fresh = [row for row in answer if since <= row[0] < stop]
            rows += fresh
            if not fresh or answer[-1][0] >= stop - _DAY_MS:
                break
            since = fresh[-1][0] + _DAY_MS
        return _page(rows)

    def _call(self, request: Callable[[], Any], *, what: str) -> Any:
        def attempt() -> Any:
            self.client.last_response_headers = {}
            try:
                return request()
            except _PASSING as error:
                headers = self.client.last_response_headers or {}
                raise TransientError(_brief(error), retry_after_seconds=retry_after_seconds(headers)) from error
            except ccxt.BaseError as error:
                raise SourceError(f"{what}: {_brief(error)}", remedy=_CHECK) from error
            except _DAMAGE as error:
                raise SourceError(f"{what}: the answer cannot be read ({_brief(error)})", remedy=_AGAIN) from error

        return self.patience.call(attempt, what=what)


def _ms(day: date) -> int:
    return (day - _EPOCH).days * _DAY_MS


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"


def _sound(answer: Any, *, what: str) -> list[_Candle]:
    """Candles, sorted as ccxt promises, equal ones once."""
    shape = isinstance(answer, list) and all(
        isinstance(row, list) and len(row) >= 6 and isinstance(row[0], int) for row in answer
    )
    if not shape:
        raise SourceError(f"{what}: the answer is no list of candles", remedy=_AGAIN)
    return sorted(dict.fromkeys(tuple(row[:6]) for row in answer))


def _page(rows: list[_Candle]) -> pl.DataFrame:
    page = pl.DataFrame(rows, {**PAGE_SCHEMA, "datetime": pl.Int64()}, orient="row", strict=False)
    return page.with_columns(pl.from_epoch("datetime", time_unit="ms").dt.replace_time_zone("UTC")).cast(PAGE_SCHEMA)
