"""The real ccxt client against a stand-in that answers as Binance does: pages, faults, resuming."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

ccxt = pytest.importorskip("ccxt", reason="needs the extra `sources`")

from configs.sources import CcxtOptions  # noqa: E402
from market.bars import BAR_SCHEMA  # noqa: E402
from market.errors import BadBarsError, SourceError  # noqa: E402
from tests.integration.stand_in import Answer, StandIn, own_settings  # noqa: E402
from warehouse.sources import ccxt as source_module  # noqa: E402
from warehouse.sources._fetch import Patience  # noqa: E402
from warehouse.sources.base import open_source  # noqa: E402

NOW = datetime(2024, 3, 16, 12, tzinfo=UTC)
LISTED = date(2021, 6, 1)
DAY_MS = 86_400_000
ALL_DAYS = 1019
KLINES = "/api/v3/klines"
TOO_MANY = Answer(b'{"code":-1003,"msg":"Too many requests."}', status=429, headers={"Retry-After": "7"})
BROKEN = Answer(b"<html>oops</html>", status=500)


def stamp_ms(day):
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def kline(day, **changes):
    """One candle in Binance's recorded shape: numbers as text, twelve cells."""
    price = 100 + (day - LISTED).days / 10
    cells = {"open": price, "high": price + 2, "low": price - 2, "close": price + 1, "volume": 5.5} | changes
    texts = [f"{cells[name]:.8f}" for name in ("open", "high", "low", "close", "volume")]
    return [stamp_ms(day), *texts, stamp_ms(day) + DAY_MS - 1, "1.0", 9, "1.0", "1.0", "0"]


def market(base, quote="USDT"):
    return {
        "symbol": base + quote,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "orderTypes": ["LIMIT"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [{"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"}],
        "permissions": ["SPOT"],
    }


def as_json(value):
    return Answer(json.dumps(value).encode())


class Binance:
    """Candles from `LISTED` to today's provisional one; `cap` per answer."""

    def __init__(self):
        self.cap = 1000
        self.silent = set()
        self.changed = {}

    def __call__(self, request):
        if request.path == KLINES:
            since, limit = int(request.query["startTime"]), min(int(request.query["limit"]), self.cap)
            days = [LISTED + timedelta(days=i) for i in range((NOW.date() - LISTED).days + 1)]
            days = [day for day in days if stamp_ms(day) >= since and day not in self.silent][:limit]
            return as_json([kline(day, **self.changed.get(day, {})) for day in days])
        symbols = [market("BTC"), market("ETH")] if request.path == "/api/v3/exchangeInfo" else []
        return as_json({"timezone": "UTC", "rateLimits": [], "symbols": symbols})


@pytest.fixture
def binance():
    return Binance()


@pytest.fixture
def server(binance):
    server = StandIn(binance)
    yield server
    server.close()


@pytest.fixture
def waits(monkeypatch):
    """Seconds that were waited; nobody waits."""
    waited = []
    monkeypatch.setattr(
        source_module,
        "Patience",
        lambda attempts, deadline: Patience(attempts, deadline, sleep=waited.append),
    )
    return waited


def read(server, now=NOW, **options):
    given = {"symbols": ("BTCUSDT",), "exchange": "binance", "start": LISTED, "base_url": server.url} | options
    source = open_source("ccxt", options=CcxtOptions(**given), settings=own_settings(), now=now)
    return source.read("crypto")


def test_all_closed_days_of_every_symbol_arrive_canonical(server, waits):
    bars = read(server, symbols=("ethusdt", "BTC/USDT", "btc-usdt"))
    assert bars.schema == BAR_SCHEMA
    assert bars["symbol"].unique().sort().to_list() == ["BTC/USDT", "ETH/USDT"]
    one = bars.filter(pl.col("symbol") == "BTC/USDT")
    assert one["datetime"].dt.date().to_list() == [
        LISTED + timedelta(days=i) for i in range((date(2024, 3, 15) - LISTED).days + 1)
    ]
    assert one.row(0, named=True) | {"datetime": None} == {
        "asset_type": "crypto",
        "symbol": "BTC/USDT",
        "datetime": None,
        "open": 100.0,
        "high": 102.0,
        "low": 98.0,
        "close": 101.0,
        "volume": 5.5,
    }
    assert waits == []


def test_the_day_that_is_not_over_is_left_out_until_it_is(server, waits):
    assert read(server)["datetime"].max() == datetime(2024, 3, 15, tzinfo=UTC)
    midnight = datetime(2024, 3, 17, tzinfo=UTC)
    assert read(server, now=midnight)["datetime"].max() == datetime(2024, 3, 16, tzinfo=UTC)


def test_start_is_the_first_bar(server, waits):
    assert read(server, start=date(2023, 1, 5))["datetime"].min() == datetime(2023, 1, 5, tzinfo=UTC)


def test_years_before_the_listing_are_no_fault(server, waits):
    assert read(server, start=date(2017, 1, 1))["datetime"].min() == datetime(2021, 6, 1, tzinfo=UTC)


def test_an_exchange_that_answers_with_fewer_candles_is_asked_again(server, binance, waits):
    whole = read(server)
    binance.cap = 40
    other = StandIn(binance)
    assert_frame_equal(read(other), whole)
    assert len(other.asked(KLINES)) > 20
    other.close()


def test_a_second_run_fetches_the_newest_page_only_and_gives_the_same_bars(server, waits):
    first = read(server)
    asked = len(server.asked(KLINES))
    assert asked == 4
    assert_frame_equal(read(server), first)
    assert len(server.asked(KLINES)) - asked == 1


def test_an_interrupted_run_goes_on_where_it_stopped(server, waits):
    server.faults[KLINES] = [None, None, Answer(b'{"code":-1121,"msg":"Invalid symbol."}', status=400)]
    with pytest.raises(SourceError, match="Invalid symbol"):
        read(server)
    assert len(server.asked(KLINES)) == 3
    bars = read(server)
    assert len(server.asked(KLINES)) == 3 + 2
    assert bars.height == ALL_DAYS


def test_a_damaged_page_in_the_cache_is_fetched_again(server, waits):
    first = read(server)
    pages = sorted(own_settings().paths.cache.rglob("*.parquet"))
    assert len(pages) == 3
    pages[1].write_bytes(pages[1].read_bytes()[:100])
    assert_frame_equal(read(server), first)


@pytest.mark.parametrize("fault", [TOO_MANY, BROKEN, Answer(status=503), Answer(status=418)])
def test_a_passing_fault_is_tried_again(server, waits, fault):
    server.faults[KLINES] = [fault, fault]
    assert read(server).height == ALL_DAYS
    assert waits == ([7.0, 7.0] if fault is TOO_MANY else [1.0, 2.0])


def test_a_timeout_is_tried_again(server, waits):
    server.faults[KLINES] = [Answer(b"[]", delay_seconds=0.6)]
    assert read(server, timeout_seconds=0.3).height == ALL_DAYS
    assert waits == [1.0]


def test_a_fault_of_the_markets_request_is_tried_again(server, waits):
    server.faults["/api/v3/exchangeInfo"] = [TOO_MANY]
    assert read(server).height > 1000
    assert waits == [7.0]


def test_attempts_end(server, waits):
    server.faults[KLINES] = [BROKEN] * 3
    with pytest.raises(SourceError, match=r"BTC/USDT from 2020-12-04.*3 attempts") as caught:
        read(server, attempts=3)
    assert "what was fetched stays" in caught.value.remedy
    assert waits == [1.0, 2.0]


def test_the_deadline_ends_a_read_before_a_wait_that_it_does_not_hold(server, waits):
    server.faults[KLINES] = [Answer(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(SourceError, match="60 s are over"):
        read(server, deadline_seconds=60)
    assert waits == []


@pytest.mark.parametrize(
    "fault",
    [Answer(json.dumps([kline(LISTED)] * 50).encode(), cut=True), Answer(b'{"unexpected": true}')],
    ids=["connection lost", "object"],
)
def test_a_damaged_answer_is_an_error_at_once_and_nothing_of_it_stays(server, waits, fault):
    server.faults[KLINES] = [fault]
    with pytest.raises(SourceError, match="binance BTC/USDT from 2020-12-04") as caught:
        read(server)
    assert caught.value.remedy
    assert waits == []
    assert len(server.asked(KLINES)) == 1
    assert read(server).height == ALL_DAYS


EMPTY = {
    "empty": Answer(b"[]"),
    "null": Answer(b"null"),
    "truncated": Answer(json.dumps([kline(LISTED)] * 50).encode()[:777]),
    "no candle": Answer(b'[["no candle"]]'),
    "an older page": as_json([kline(LISTED + timedelta(days=i)) for i in range(30)]),
}
"""What the client takes for an answer without candles."""


@pytest.mark.parametrize("page", [0, 1, 3])
@pytest.mark.parametrize("fault", EMPTY)
def test_one_empty_answer_costs_no_bar(server, waits, fault, page):
    server.faults[KLINES] = [None] * page + [EMPTY["empty" if (fault, page) == ("an older page", 0) else fault]]
    assert read(server).height == ALL_DAYS
    assert len(server.asked(KLINES)) == 4 + 1


def test_two_empty_answers_between_full_pages_are_an_error_and_the_next_run_mends_it(server, waits):
    server.faults[KLINES] = [None, Answer(b"[]"), Answer(b"[]")]
    with pytest.raises(SourceError, match="no bar of BTC/USDT from 2021-09-30 to 2022-07-27, but later ones"):
        read(server)
    assert read(server).height == ALL_DAYS


def test_candles_that_come_twice_count_once(server, binance, waits):
    whole = read(server)
    days = [date(2024, 3, 1) + timedelta(days=i) for i in range(16)]
    binance_page = as_json([kline(day) for day in days for _ in range(2)])
    server.faults[KLINES] = [binance_page]
    assert_frame_equal(read(server).tail(10), whole.tail(10))


def test_an_unknown_pair_lists_near_ones(server, waits):
    with pytest.raises(SourceError, match="does not trade BTCC/USDT") as caught:
        read(server, symbols=("BTCC/USDT",))
    assert "BTC/USDT" in caught.value.remedy
    assert not server.asked(KLINES)


def test_a_bad_candle_is_refused_by_the_checks_and_does_not_stay_in_the_cache(server, binance, waits):
    binance.changed = {date(2022, 1, 1): {"high": 1.0}}
    with pytest.raises(BadBarsError) as caught:
        read(server)
    assert (caught.value.column, caught.value.file) == ("high", "ccxt binance BTC/USDT")
    binance.changed = {}
    assert read(server).height == ALL_DAYS


def test_a_symbol_without_bars_since_start_is_an_error(server, binance, waits):
    binance.silent = {LISTED + timedelta(days=i) for i in range(2000)}
    with pytest.raises(SourceError, match="no bars of BTC/USDT since 2021-06-01"):
        read(server)


def test_a_stopped_server_is_an_error_at_once(waits):
    server = StandIn(Binance())
    server.close()
    with pytest.raises(SourceError, match="binance markets") as caught:
        read(server)
    assert caught.value.remedy
    assert waits == []


def test_an_unknown_exchange_is_named_with_near_ones(server):
    with pytest.raises(SourceError, match="no exchange 'binanse'") as caught:
        read(server, exchange="binanse")
    assert "binance" in caught.value.remedy


def test_stocks_are_refused(server):
    options = CcxtOptions(symbols=("AAPL",), exchange="binance")
    with pytest.raises(SourceError, match="crypto bars, no stocks"):
        open_source("ccxt", options=options, asset_type="stocks", settings=own_settings(), now=NOW)
