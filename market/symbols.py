"""Canonical symbols: tickers as listed, crypto as BASE/QUOTE, so that one instrument has one name everywhere."""

from __future__ import annotations

import re

from market.assets import ASSET_TYPES, AssetType
from market.errors import BadBarsError

MAX_SYMBOL_LENGTH = 32

QUOTES = (
    "FDUSD", "BUSD", "TUSD", "USDC", "USDT", "USDP",
    "AUD", "BNB", "BRL", "BTC", "CHF", "DAI", "ETH", "EUR", "GBP", "JPY", "KRW", "TRY", "USD", "XBT",
)  # fmt: skip
"""Quote currencies recognised at the end of a crypto symbol written without a separator, longest first."""

WELL_KNOWN_BASES = frozenset(
    (  # noqa: SIM905
        "AAVE ADA ALGO APE APT ARB ATOM AVAX AXS BAT BCH BNB BTC CHZ COMP CRO CRV CTSI DAI DASH DOGE DOT EGLD "
        "ENJ EOS ETC ETH FET FIL FLOW FTM GALA GRT HBAR ICP IMX INJ KSM LDO LINK LRC LTC MANA MATIC MKR NEAR "
        "NEO OP PEPE POL QNT RUNE SAND SHIB SNX SOL STX SUI SUSHI TRX UNI USDC USDT VET WBTC WLD XBT XLM XMR "
        "XRP XTZ YFI ZEC ZRX "
    ).split()
)
"""Decides between readings when one quote ends another: QNTUSD is QNT/USD, not QN/TUSD; BTCBUSD is BTC/BUSD."""

_TICKER = re.compile(r"[A-Z0-9./^=_-]+")
_ASSET = re.compile(r"[A-Z0-9]+")
_ALPHANUMERIC = re.compile(r"[A-Z0-9]")
_SEPARATOR = re.compile(r"[/_-]")


def canonical_symbol(asset_type: AssetType, raw: str) -> str:
    """The one name of an instrument.

    Stocks and ETFs keep their ticker as listed, upper-cased (`brk-b` → `BRK-B`; `BRK.B` stays another spelling). Crypto
    becomes `BASE/QUOTE`: `BTCUSDT` → `BTC/USDT`, `btc-usd` → `BTC/USD`; USDT is not USD. Blanks around are dropped.
    Idempotent.

    Raises:
        BadBarsError: For an empty, over-long or oddly spelt symbol, an unknown asset class, and a crypto symbol that
            cannot be split in one way; file and row are the caller's to add.
    """
    if asset_type not in ASSET_TYPES:
        raise BadBarsError(
            f"unknown asset class {asset_type!r}", column="asset_type", remedy=f"one of {', '.join(ASSET_TYPES)}"
        )
    symbol = _of_bounded_length(raw.strip().upper())
    if not _TICKER.fullmatch(symbol) or not _ALPHANUMERIC.search(symbol):
        raise _bad(f"symbol {raw!r} is no ticker", "letters, digits and . - / ^ = _ only, at least one letter or digit")
    return _of_bounded_length(_canonical_pair(symbol)) if asset_type == "crypto" else symbol


def _of_bounded_length(symbol: str) -> str:
    if len(symbol) > MAX_SYMBOL_LENGTH:
        raise _bad(f"symbol {symbol[:40]!r} is longer than {MAX_SYMBOL_LENGTH} characters", "use the exchange's ticker")
    return symbol


def _canonical_pair(symbol: str) -> str:
    parts = _SEPARATOR.split(symbol)
    if len(parts) == 1:
        parts = list(_split_pair(symbol))
    if len(parts) != 2 or not all(_ASSET.fullmatch(part) for part in parts) or parts[0] == parts[1]:
        raise _bad(f"crypto symbol {symbol!r} is no pair", "write it as BASE/QUOTE, such as BTC/USDT")
    return f"{parts[0]}/{parts[1]}"


def _split_pair(symbol: str) -> tuple[str, str]:
    if symbol in WELL_KNOWN_BASES or symbol in QUOTES:
        raise _bad(f"crypto symbol {symbol!r} names an asset and no quote", "write it as BASE/QUOTE, such as BTC/USDT")
    readings = [(symbol.removesuffix(quote), quote) for quote in QUOTES if symbol.endswith(quote) and symbol != quote]
    if len(readings) > 1:
        readings = [pair for pair in readings if pair[0] in WELL_KNOWN_BASES] or readings
    if len(readings) == 1:
        return readings[0]
    if not readings:
        raise _bad(
            f"crypto symbol {symbol!r} ends with no known quote currency", "write it as BASE/QUOTE, such as BTC/USDT"
        )
    choices = " or ".join("/".join(pair) for pair in readings)
    raise _bad(f"crypto symbol {symbol!r} can be read as {choices}", "write the one you mean, with the slash")


def _bad(message: str, remedy: str) -> BadBarsError:
    return BadBarsError(message, column="symbol", remedy=remedy)
