"""One instrument has one name, and a name that could mean two instruments is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import BadBarsError
from market.symbols import MAX_SYMBOL_LENGTH, QUOTES, canonical_symbol


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("BTCUSDT", "BTC/USDT"),
        ("BTC-USD", "BTC/USD"),
        ("btc/usd", "BTC/USD"),
        ("eth_usdc", "ETH/USDC"),
        (" solusdt ", "SOL/USDT"),
        ("ETHBTC", "ETH/BTC"),
        ("BNBFDUSD", "BNB/FDUSD"),
        ("1000SATSUSDT", "1000SATS/USDT"),
        ("USDTUSD", "USDT/USD"),
        ("BTCTUSD", "BTC/TUSD"),
        ("BTCBUSD", "BTC/BUSD"),
        ("QNTUSD", "QNT/USD"),
        ("DOTUSD", "DOT/USD"),
        ("T/USD", "T/USD"),
        ("SIMCP0001/USDT", "SIMCP0001/USDT"),
    ],
)
def test_crypto_becomes_base_slash_quote(raw, canonical):
    assert canonical_symbol("crypto", raw) == canonical


def test_tether_is_not_the_dollar():
    assert canonical_symbol("crypto", "BTCUSDT") != canonical_symbol("crypto", "BTCUSD")


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        ("aapl", "AAPL"),
        ("BRK-B", "BRK-B"),
        ("BRK.B", "BRK.B"),
        ("^GSPC", "^GSPC"),
        ("BF/B", "BF/B"),
        ("BTCUSD", "BTCUSD"),
    ],
)
@pytest.mark.parametrize("asset_type", ["stocks", "etf"])
def test_tickers_stay_as_listed_in_upper_case(asset_type, raw, canonical):
    assert canonical_symbol(asset_type, raw) == canonical


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("BTC", "no quote"),
        ("WBTC", "no quote"),
        ("FDUSD", "no quote"),
        ("HELLO", "no known quote"),
        ("FOOTUSD", "FOO/TUSD or FOOT/USD"),
        ("BTC/USD/T", "no pair"),
        ("BTC/", "no pair"),
        ("/USDT", "no pair"),
        ("USDT/USDT", "no pair"),
        ("BTC/USDT:USDT", "no ticker"),
    ],
)
def test_a_crypto_symbol_without_one_reading_is_refused_with_a_remedy(raw, says):
    with pytest.raises(BadBarsError, match=says) as caught:
        canonical_symbol("crypto", raw)
    assert caught.value.column == "symbol"
    assert caught.value.remedy


@pytest.mark.parametrize("raw", ["", "  ", "A B", "AAPL;DROP", "ÄPFEL", "./-", "A" * 33])
def test_odd_spellings_are_refused(raw):
    with pytest.raises(BadBarsError):
        canonical_symbol("stocks", raw)


def test_an_unknown_class_is_refused_by_name():
    with pytest.raises(BadBarsError, match="'stock'"):
        canonical_symbol("stock", "AAPL")


@given(
    asset_type=st.sampled_from(["stocks", "etf", "crypto"]),
    raw=st.one_of(
        st.text(max_size=40),
        st.from_regex(r"[A-Za-z0-9]{1,8}[-/_]?(USDT|USD|TUSD|BTC)", fullmatch=True),
    ),
)
def test_a_canonical_symbol_is_its_own_canonical_symbol(asset_type, raw):
    try:
        once = canonical_symbol(asset_type, raw)
    except BadBarsError:
        return
    assert canonical_symbol(asset_type, once) == once
    assert once == once.upper()
    assert 0 < len(once) <= MAX_SYMBOL_LENGTH


@given(base=st.from_regex(r"[A-Z0-9]{2,6}", fullmatch=True), quote=st.sampled_from(QUOTES))
def test_with_or_without_a_separator_the_pair_is_the_same_or_refused(base, quote):
    if base == quote:
        return
    try:
        joined = canonical_symbol("crypto", base + quote)
    except BadBarsError as error:
        assert error.remedy
        return
    assert joined.replace("/", "") == base + quote


def test_quotes_are_listed_longest_first():
    assert list(map(len, QUOTES)) == sorted(map(len, QUOTES), reverse=True)
