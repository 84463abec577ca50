"""Point-in-time reads agree with a brute-force twin that looks at every row."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from configs.settings import load_settings
from feature_repo import store as feast_store
from feature_repo.services import SERVICES, feature_names
from market.errors import FeatureError
from tests.integration.feast_rows import TIME, bars, put, with_features

TTL = timedelta(days=14)
MICROSECOND = timedelta(microseconds=1)


def rows() -> pl.DataFrame:
    """Random rows, three bars written again later (placed before and after the first writing)."""
    once = with_features(bars(), seed=5)
    again = once.filter(pl.col("datetime").dt.day().is_in([10, 11, 12]))
    again = again.with_columns(
        pl.col("rsi", "adx", "macd_histogram_pct") + 1000.0,
        pl.col("created_timestamp")
        + pl.when(pl.col("datetime").dt.day() == 11).then(timedelta(hours=-1)).otherwise(timedelta(hours=1)),
    )
    early, late = again.filter(pl.col("datetime").dt.day() == 12), again.filter(pl.col("datetime").dt.day() != 12)
    return pl.concat([early, once, late])


ROWS = rows()


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("feast_pit")))
        settings = load_settings("test")
    put(settings, ROWS)
    feast_store.apply(settings)
    return settings


@pytest.fixture(scope="module")
def store(settings):
    return feast_store.open_store(settings)


def as_known(row: dict, name: str) -> float | None:
    pairs = {
        "rsi_volume_interaction": ("rsi", "volume_ratio"),
        "macd_atr_interaction": ("macd_histogram_pct", "atr_pct"),
        "adx_trend_interaction": ("adx", "in_rise_cycle"),
    }
    if name not in pairs:
        return None if row[name] is None else float(row[name])
    left, right = (row[column] for column in pairs[name])
    if left is None or right is None:
        return None
    return left * (2 * right - 1 if name == "adx_trend_interaction" else right)


def twin(asset_type, symbol, instant, service):
    """Of all rows of the symbol known at the instant and not expired, the newest bar's newest writing."""
    candidates = [
        row
        for row in ROWS.iter_rows(named=True)
        if (row["asset_type"], row["symbol"]) == (asset_type, symbol)
        and row["bar_known_at"] <= instant <= row["bar_known_at"] + TTL
    ]
    if not candidates:
        return [None] * len(feature_names(service))
    best = max(candidates, key=lambda row: (row["bar_known_at"], row["created_timestamp"]))
    return [as_known(best, name) for name in feature_names(service)]


def entities(questions) -> pl.DataFrame:
    schema = {"asset_type": pl.String, "symbol": pl.String, "event_timestamp": TIME}
    return pl.DataFrame(questions, schema=schema, orient="row")


def answers(frame: pl.DataFrame, service: str) -> list[list[float | None]]:
    return [list(row) for row in frame.select(feature_names(service)).iter_rows()]


def questions(count: int = 250) -> list[tuple[str, str, datetime]]:
    """Instants at, just before and just after closes and expiries, and at random."""
    draw = random.Random(11)
    shifts = [timedelta(0), MICROSECOND, -MICROSECOND, TTL, TTL + MICROSECOND, TTL - MICROSECOND]
    chosen = []
    for _ in range(count):
        row = ROWS.row(draw.randrange(ROWS.height), named=True)
        shift = draw.choice([*shifts, timedelta(seconds=draw.randrange(-3_000_000, 3_000_000))])
        chosen.append((row["asset_type"], row["symbol"], row["bar_known_at"] + shift))
    return [
        *chosen,
        ("stocks", "NOPE", datetime(2013, 2, 20, tzinfo=UTC)),
        ("etf", "AAPL", datetime(2013, 2, 20, tzinfo=UTC)),
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_historical_reads_equal_the_brute_force_twin(settings, store, service):
    asked = questions()
    frame = feast_store.read_historical(settings, service, entities(asked), store=store)
    expected = [twin(*question, service) for question in asked]
    assert answers(frame, service) == expected
    assert any(value is not None for row in expected for value in row)
    assert any(all(value is None for value in row) for row in expected)
    assert {frame.schema[name] for name in feature_names(service)} == {pl.Float64}


@pytest.mark.parametrize(
    ("instant", "stamp"),
    [
        (datetime(2013, 2, 1, 21, 14, 59, 999999, tzinfo=UTC), None),
        (datetime(2013, 2, 1, 21, 15, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC)),
        (datetime(2013, 2, 2, 21, 14, 59, 999999, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC)),
        (datetime(2013, 2, 2, 21, 15, tzinfo=UTC), datetime(2013, 2, 2, tzinfo=UTC)),
        # The last bar is that of 12 March, known at 21:15; it lives 14 days to the microsecond.
        (datetime(2013, 3, 26, 21, 15, tzinfo=UTC), datetime(2013, 3, 12, tzinfo=UTC)),
        (datetime(2013, 3, 26, 21, 15, 0, 1, tzinfo=UTC), None),
    ],
)
def test_a_bar_is_seen_from_its_close_until_it_expires(settings, store, instant, stamp):
    frame = feast_store.read_historical(settings, "default", entities([("stocks", "AAPL", instant)]), store=store)
    if stamp is None:
        assert answers(frame, "default") == [[None] * len(feature_names("default"))]
    else:
        written = ROWS.filter(pl.col("symbol") == "AAPL", pl.col("datetime") == stamp)
        assert frame["cci"].to_list() == [written["cci"][0]]
        assert written["cci"][0] is not None


def test_of_two_writings_of_one_bar_the_later_created_wins_in_any_file_order(settings, store):
    instants = [datetime(2013, 2, day, 21, 15, tzinfo=UTC) for day in (10, 11, 12)]
    frame = feast_store.read_historical(
        settings, "default", entities([("stocks", "AAPL", instant) for instant in instants]), store=store
    )
    later = [10, 12]
    for day, cci, rsi in zip((10, 11, 12), frame["cci"], frame["rsi"], strict=True):
        written = ROWS.filter((pl.col("symbol") == "AAPL") & (pl.col("datetime") == datetime(2013, 2, day, tzinfo=UTC)))
        assert written.height == 2
        assert cci == written["cci"][0]
        raw = written.sort("rsi")["rsi"].to_list()
        assert rsi == (raw[1] if day in later else raw[0])


def test_rows_keep_their_order_their_repetitions_and_their_other_columns(settings, store):
    asked = [
        ("etf", "SPY", datetime(2024, 6, 3, tzinfo=UTC)),
        ("crypto", "BTC/USDT", datetime(2024, 6, 1, tzinfo=UTC)),
        ("etf", "SPY", datetime(2024, 6, 3, tzinfo=UTC)),
    ]
    frame = entities(asked).with_columns(pl.Series("weight", [3, 1, 2]))
    read = feast_store.read_historical(settings, "default", frame, store=store)
    assert read.columns == ["asset_type", "symbol", "event_timestamp", "weight", *feature_names("default")]
    assert read.select("asset_type", "symbol", "event_timestamp", "weight").equals(frame)
    assert answers(read, "default") == [twin(*question, "default") for question in asked]


def test_instants_in_another_zone_mean_the_same_instants(settings, store):
    utc = entities([("etf", "SPY", datetime(2024, 6, 3, 21, 15, tzinfo=UTC))])
    tokyo = utc.with_columns(pl.col("event_timestamp").dt.convert_time_zone("Asia/Tokyo"))
    nanoseconds = utc.with_columns(pl.col("event_timestamp").cast(pl.Datetime("ns", "UTC")))
    expected = answers(feast_store.read_historical(settings, "default", utc, store=store), "default")
    assert answers(feast_store.read_historical(settings, "default", tokyo, store=store), "default") == expected
    assert answers(feast_store.read_historical(settings, "default", nanoseconds, store=store), "default") == expected
    assert (
        tokyo.schema["event_timestamp"]
        == feast_store.read_historical(settings, "default", tokyo, store=store).schema["event_timestamp"]
    )


def test_an_empty_entity_frame_gives_an_empty_answer(settings, store):
    frame = feast_store.read_historical(settings, "validated_16", entities([]), store=store)
    assert frame.height == 0
    assert frame.columns == ["asset_type", "symbol", "event_timestamp", *feature_names("validated_16")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda frame: frame.drop("symbol"), "without symbol"),
        (lambda frame: frame.with_columns(pl.col("event_timestamp").dt.replace_time_zone(None)), "with a zone"),
        (lambda frame: frame.with_columns(pl.col("event_timestamp").cast(pl.String)), "with a zone"),
        (lambda frame: frame.with_columns(pl.lit(1.0).alias("rsi")), "already has rsi"),
        (lambda frame: frame.with_columns(pl.lit(None, pl.String).alias("symbol")), "NULL in symbol"),
    ],
)
def test_an_unusable_entity_frame_is_refused_with_a_remedy(settings, store, change, words):
    frame = change(entities([("etf", "SPY", datetime(2024, 6, 3, tzinfo=UTC))]))
    with pytest.raises(FeatureError, match=words) as caught:
        feast_store.read_historical(settings, "default", frame, store=store)
    assert caught.value.remedy
