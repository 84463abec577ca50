"""The real yfinance client against a stand-in that answers as Yahoo's chart API does: adjustment, faults, resuming."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

yfinance = pytest.importorskip("yfinance", reason="needs the extra `sources`")

from configs.sources import YFinanceOptions  # noqa: E402
from market.bars import BAR_SCHEMA  # noqa: E402
from market.errors import BadBarsError, SourceError  # noqa: E402
from market.sessions import session_close_table  # noqa: E402
from tests.integration.stand_in import Answer, StandIn, own_settings  # noqa: E402
from warehouse.sources import yfinance as source_module  # noqa: E402
from warehouse.sources._fetch import Patience  # noqa: E402
from warehouse.sources.base import open_source  # noqa: E402

NEW_YORK = ZoneInfo("America/New_York")
DURING_SESSION = datetime(2024, 3, 15, 18, tzinfo=UTC)
AFTER_SESSION = datetime(2024, 3, 15, 21, tzinfo=UTC)
START = date(2023, 11, 1)
CHART = "/v8/finance/chart/"
HISTORY = "period1="
SESSIONS = session_close_table("XNYS", START, date(2024, 3, 15))["session"].to_list()
DIVIDEND_DAY = date(2024, 2, 9)


class Yahoo:
    """Charts in Yahoo's recorded shape: stamps at the session's open, adjusted closes apart; the last bar is live."""

    def __init__(self):
        self.factor = 0.5
        self.null_on = {}
        self.changed = {}

    def __call__(self, request):
        if CHART not in request.path:
            return Answer(b"crumb" if "getcrumb" in request.path else b"{}")
        symbol = request.path.rsplit("/", 1)[1]
        if symbol not in ("AAPL", "MSFT", "BTC-USD"):
            gone = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
            return Answer(json.dumps({"chart": {"result": None, "error": gone}}).encode(), status=404)
        return Answer(json.dumps(self.chart(symbol, request.query)).encode())

    def chart(self, symbol, query):
        crypto = symbol == "BTC-USD"
        zone, hour = (UTC, 0) if crypto else (NEW_YORK, 9)
        days = [START + timedelta(days=i) for i in range(136)] if crypto else SESSIONS
        stamps = [datetime.combine(day, time(hour, 30 * (not crypto)), zone).timestamp() for day in days]
        first, end = float(query.get("period1", 0)), float(query.get("period2", 4e9))
        rows = [(day, stamp) for day, stamp in zip(days, stamps, strict=True) if first <= stamp < end]
        quotes = [self.quote(day, i) for i, (day, _) in enumerate(rows)]
        adjusted = [
            quote["close"] and quote["close"] * (self.factor if day < DIVIDEND_DAY else 1.0)
            for quote, (day, _) in zip(quotes, rows, strict=True)
        ]
        meta = {
            "currency": "USD",
            "symbol": symbol,
            "instrumentType": "CRYPTOCURRENCY" if crypto else "EQUITY",
            "exchangeTimezoneName": str(zone),
            "timezone": "UTC" if crypto else "EST",
            "gmtoffset": 0 if crypto else -18000,
            "regularMarketTime": 1710532801,
            "dataGranularity": "1d",
            "range": "",
            "validRanges": ["1d", "5d", "max"],
            "priceHint": 2,
        }
        indicators = {
            "quote": [{name: [quote[name] for quote in quotes] for name in ("open", "high", "low", "close", "volume")}],
            "adjclose": [{"adjclose": adjusted}],
        }
        chart = {"meta": meta, "timestamp": [int(stamp) for _, stamp in rows], "indicators": indicators}
        return {"chart": {"result": [chart], "error": None}}

    def quote(self, day, i):
        sound = {"open": 100.0 + i, "high": 102.0 + i, "low": 98.0 + i, "close": 101.0 + i, "volume": 1000 + i}
        return sound | dict.fromkeys(self.null_on.get(day, ()), None) | self.changed.get(day, {})


@pytest.fixture
def yahoo():
    return Yahoo()


@pytest.fixture
def server(yahoo):
    server = StandIn(yahoo)
    yield server
    server.close()


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Seconds that were waited; nobody waits."""
    waited = []
    monkeypatch.setattr(
        source_module, "Patience", lambda attempts, deadline, pause: Patience(attempts, deadline, sleep=waited.append)
    )
    return waited


def read(server, asset_type="stocks", now=AFTER_SESSION, **options):
    given = {"symbols": ("AAPL",), "start": START, "base_url": server.url} | options
    source = open_source(
        "yfinance", options=YFinanceOptions(**given), asset_type=asset_type, settings=own_settings(), now=now
    )
    return source.read()


def histories(server):
    """Requests for prices, without the client's question for the exchange's time zone."""
    return [request for request in server.asked(CHART) if "period1" in request.query]


def test_every_session_arrives_with_its_date_adjusted_by_one_factor_a_bar(server):
    bars = read(server, symbols=("msft", "AAPL", "aapl"))
    assert bars.schema == BAR_SCHEMA
    assert bars["symbol"].unique().sort().to_list() == ["AAPL", "MSFT"]
    one = bars.filter(pl.col("symbol") == "AAPL")
    assert one["datetime"].dt.date().to_list() == SESSIONS
    assert one["datetime"].dt.time().unique().to_list() == [time(0)]
    first, last = one.row(0, named=True), one.row(-1, named=True)
    assert [first[name] for name in ("open", "high", "low", "close", "volume")] == [50.0, 51.0, 49.0, 50.5, 1000.0]
    assert last["close"] == 101.0 + len(SESSIONS) - 1


def test_crypto_is_dated_in_utc_and_canonical(server):
    bars = read(server, "crypto", symbols=("BTCUSD",), now=DURING_SESSION)
    assert bars["symbol"].unique().to_list() == ["BTC/USD"]
    assert bars["datetime"].min() == datetime(2023, 11, 1, tzinfo=UTC)
    assert bars["datetime"].max() == datetime(2024, 3, 14, tzinfo=UTC)


def test_the_bar_of_a_session_that_is_not_over_is_left_out(server):
    assert read(server, now=DURING_SESSION)["datetime"].max() == datetime(2024, 3, 14, tzinfo=UTC)
    assert read(server, now=AFTER_SESSION)["datetime"].max() == datetime(2024, 3, 15, tzinfo=UTC)


def test_a_history_is_fetched_again_only_when_a_new_bar_can_be_in_it(server):
    first = read(server, now=DURING_SESSION)
    assert len(histories(server)) == 1
    assert_frame_equal(read(server, now=DURING_SESSION + timedelta(hours=1)), first)
    assert len(histories(server)) == 1
    read(server, now=AFTER_SESSION)
    assert len(histories(server)) == 2


def test_a_dividend_changes_the_whole_history_at_once(server, yahoo):
    before = read(server, now=DURING_SESSION)
    yahoo.factor = 0.25
    after = read(server, now=AFTER_SESSION)
    assert before["close"][0] == 50.5
    assert after["close"][0] == 25.25
    assert after.filter(pl.col("datetime").dt.date() < DIVIDEND_DAY)["close"].to_list() == [
        value / 2 for value in before.filter(pl.col("datetime").dt.date() < DIVIDEND_DAY)["close"]
    ]


def test_an_interrupted_run_goes_on_with_the_symbols_it_lacks(server):
    with pytest.raises(SourceError, match="NOSUCH"):
        read(server, symbols=("AAPL", "NOSUCH", "MSFT"))
    read(server, symbols=("AAPL", "MSFT"))
    assert [request.path.rsplit("/", 1)[1] for request in histories(server) if "NOSUCH" not in request.path] == [
        "AAPL",
        "MSFT",
    ]


def test_another_start_is_another_history(server):
    read(server)
    bars = read(server, start=date(2024, 1, 2))
    assert bars["datetime"].min() == datetime(2024, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fault", "waited"),
    [
        (Answer(b"Too Many Requests", status=429, headers={"Retry-After": "9"}), [9.0, 9.0]),
        (Answer(b"Too Many Requests", status=429), [1.0, 2.0]),
        (Answer(b"<html>", status=500), [1.0, 2.0]),
        (Answer(status=502), [1.0, 2.0]),
    ],
)
def test_a_passing_fault_is_tried_again(server, waits, fault, waited):
    server.faults[CHART] = [fault, fault]
    assert read(server).height == len(SESSIONS)
    assert waits == waited


def test_a_fault_of_the_history_itself_is_tried_again(server, waits):
    server.faults[HISTORY] = [Answer(status=500)]
    assert read(server).height == len(SESSIONS)
    assert waits == [1.0]


def test_a_timeout_is_tried_again(server, waits):
    server.faults[CHART] = [Answer(b"{}", delay_seconds=1.0)]
    assert read(server, timeout_seconds=0.5).height == len(SESSIONS)
    assert waits == [1.0]


def test_attempts_end(server, waits):
    server.faults[CHART] = [Answer(status=500)] * 9
    with pytest.raises(SourceError, match=r"Yahoo AAPL: HTTP 500 \(3 attempts\)") as caught:
        read(server, attempts=3)
    assert "what was fetched stays" in caught.value.remedy
    assert waits == [1.0, 2.0]


def test_the_deadline_ends_a_read_before_a_wait_that_it_does_not_hold(server, waits):
    server.faults[CHART] = [Answer(status=429, headers={"Retry-After": "3600"})]
    with pytest.raises(SourceError, match="60 s are over"):
        read(server, deadline_seconds=60)
    assert waits == []


@pytest.mark.parametrize(
    "fault",
    [
        Answer(b'{"chart": {"result": [{"meta": {"exch', cut=False),
        Answer(b'{"chart": {"result": [{"meta": {"exchangeTimezoneName": "UTC"}}], "error": null}}', cut=True),
        Answer(b'{"finance": {}}'),
        Answer(b"[1, 2, 3]"),
        Answer(b""),
    ],
    ids=["truncated", "connection lost", "other object", "list", "nothing"],
)
@pytest.mark.parametrize("part", [CHART, HISTORY], ids=["first", "history"])
def test_a_damaged_answer_is_an_error_at_once_and_the_next_run_is_sound(server, waits, fault, part):
    server.faults[part] = [fault]
    with pytest.raises(SourceError, match="AAPL") as caught:
        read(server)
    assert caught.value.remedy
    assert waits == []
    assert read(server).height == len(SESSIONS)


def test_an_unknown_symbol_is_named(server, waits):
    with pytest.raises(SourceError, match="no bars of NOSUCH") as caught:
        read(server, symbols=("NOSUCH",))
    assert "spelling" in caught.value.remedy
    assert waits == []


def test_a_history_without_bars_is_an_error(server):
    server.faults[HISTORY] = [Answer(json.dumps(Yahoo().chart("AAPL", {"period1": "4e9"})).encode())]
    with pytest.raises(SourceError, match="AAPL"):
        read(server)


def test_a_day_without_any_price_is_no_bar_and_one_without_a_close_is_a_fault(server, yahoo):
    yahoo.null_on = {date(2024, 1, 3): ("open", "high", "low", "close", "volume")}
    assert read(server, now=DURING_SESSION).height == len(SESSIONS) - 2
    yahoo.null_on = {date(2024, 1, 3): ("high",)}
    with pytest.raises(BadBarsError) as caught:
        read(server)
    assert (caught.value.file, caught.value.column) == ("yfinance AAPL", "high")


def test_a_stopped_server_is_an_error_at_once(waits):
    server = StandIn(Yahoo())
    server.close()
    with pytest.raises(SourceError, match="AAPL") as caught:
        read(server)
    assert caught.value.remedy
    assert waits == []


def test_the_class_of_the_symbols_must_be_said():
    with pytest.raises(SourceError, match="needs the class"):
        open_source("yfinance", options=YFinanceOptions(symbols=("AAPL",)), settings=own_settings(), now=AFTER_SESSION)


def test_no_request_leaves_for_another_host(server, monkeypatch):
    from curl_cffi import requests

    hosts = []
    send = requests.Session.request
    monkeypatch.setattr(
        requests.Session,
        "request",
        lambda self, method, url, **rest: hosts.append(url) or send(self, method, url, **rest),
    )
    read(server)
    assert hosts
    assert all(url.startswith(server.url) for url in hosts)
