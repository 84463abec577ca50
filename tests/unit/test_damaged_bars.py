"""Every damaged bar ends as documented: which rule finds it, at which row, and what becomes of the row.

Each case damages one sound file. The undamaged file must give no finding at all, so no rule finds its neighbours.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from configs.settings import load_settings
from market.bars import BAR_KEY, BAR_SCHEMA, check_bars
from market.check_rules import RULES, Treatment
from market.errors import BadBarsError, ConfigError, RejectedShareError
from market.findings import FINDING_SCHEMA
from market.inspection import InspectionRules, RawBars, inspect_bars
from market.sessions import session_close_table

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
CALENDARS = {"stocks": "XNYS", "etf": "XNYS"}
SESSIONS = [
    datetime(day.year, day.month, day.day, tzinfo=UTC)
    for day in session_close_table("XNYS", date(2024, 1, 1), date(2024, 5, 30))["session"]
]
DAYS = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(152)]
DEFAULTS = load_settings("test").checks.treatments()
REJECTED, KEPT = "rejected", "kept"


def bar(asset_type, symbol, at, number=0, **values):
    close = round(100 + (number * 7 % 11) / 10, 2)
    sound = {"open": close - 0.2, "high": close + 1, "low": close - 1, "close": close, "volume": 1000.0 + number % 13}
    return {"asset_type": asset_type, "symbol": symbol, "datetime": at, **sound, **values}


def sound_rows():
    """104 stock bars (rows 1 to 104), then 152 crypto bars (rows 105 to 256)."""
    return [
        *(bar("stocks", "AAPL", at, number) for number, at in enumerate(SESSIONS)),
        *(bar("crypto", "BTC/USDT", at, number) for number, at in enumerate(DAYS)),
    ]


def rules(limit=0.05, **policies):
    treatments = {**DEFAULTS, **{name: Treatment(DEFAULTS[name].severity, policy) for name, policy in policies.items()}}
    shares = dict.fromkeys(("stocks", "etf", "crypto"), limit)
    return InspectionRules(treatments, shares, stale_run_bars=5, calendars=CALENDARS, delay_minutes=15)


def frame_of(rows):
    return pl.DataFrame(rows, schema=BAR_SCHEMA)


def inspect(rows, *, limit=0.05, earlier_bars=None, now=NOW, **policies):
    frames = rows if isinstance(rows[0], RawBars) else [RawBars("bars.csv", frame_of(rows))]
    return inspect_bars(frames, rules=rules(limit, **policies), now=now, earlier_bars=earlier_bars)


def found(inspection):
    return inspection.findings.select("rule", "source_row", "action").rows()


def change(row, **values):
    def damage(rows):
        rows[row - 1] |= values
        return rows

    return damage


def drop(*numbers):
    return lambda rows: [row for number, row in enumerate(rows, start=1) if number not in numbers]


def add(row, **values):
    return lambda rows: [*rows, rows[row - 1] | values]


def scale_from(row, price, volume=1.0, until=104):
    def damage(rows):
        for number in range(row - 1, until):
            for name in ("open", "high", "low", "close"):
                rows[number][name] *= price
            rows[number]["volume"] *= volume
        return rows

    return damage


def repeat(row, times):
    def damage(rows):
        for number in range(row, row + times - 1):
            rows[number] |= {name: rows[row - 1][name] for name in ("open", "high", "low", "close")}
        return rows

    return damage


SATURDAY = datetime(2024, 3, 9, tzinfo=UTC)
CASES = {
    "no class": (change(3, asset_type=None), [("key_missing", 3, REJECTED)]),
    "no symbol": (change(3, symbol=None), [("key_missing", 3, REJECTED)]),
    "no stamp": (change(104, datetime=None), [("key_missing", 104, REJECTED)]),
    "unknown class": (change(3, asset_type="bond"), [("asset_type_unknown", 3, REJECTED)]),
    "symbol of no alphabet": (change(104, symbol="A B"), [("symbol_unreadable", 104, REJECTED)]),
    "pair without a quote": (change(256, symbol="BTC"), [("symbol_unreadable", 256, REJECTED)]),
    "seconds taken for microseconds": (
        change(1, datetime=datetime(1890, 1, 2, tzinfo=UTC)),
        [("stamp_implausible", 1, REJECTED)],
    ),
    "daily bar stamped at its open": (
        change(104, datetime=SESSIONS[103] + timedelta(hours=13, minutes=30)),
        [("stamp_off_grid", 104, REJECTED)],
    ),
    "stamp of the next year": (
        change(104, datetime=datetime(2025, 6, 2, tzinfo=UTC)),
        [("stamp_in_future", 104, REJECTED)],
    ),
    "stamp of the year 9999": (
        change(256, datetime=datetime(9999, 1, 1, tzinfo=UTC)),
        [("stamp_in_future", 256, REJECTED)],
    ),
    "provisional last bar": (
        add(256, datetime=datetime(2024, 6, 1, tzinfo=UTC)),
        [("not_closed", 257, REJECTED)],
    ),
    "stock bar on a Saturday": (add(1, datetime=SATURDAY), [("not_a_session", 257, REJECTED)]),
    "stock bar on Good Friday": (
        add(1, datetime=datetime(2024, 3, 29, tzinfo=UTC)),
        [("not_a_session", 257, REJECTED)],
    ),
    "no close": (change(104, close=None), [("price_missing", 104, REJECTED)]),
    "NaN high": (change(104, high=math.nan), [("price_not_finite", 104, REJECTED)]),
    "infinite low": (
        change(104, low=-math.inf),
        [("price_not_finite", 104, REJECTED), ("price_not_positive", 104, REJECTED)],
    ),
    "zero close": (
        change(104, close=0.0),
        [("price_not_positive", 104, REJECTED), ("outside_range", 104, REJECTED)],
    ),
    "negative prices, as of an oil future": (
        change(104, low=-3.0),
        [("price_not_positive", 104, REJECTED)],
    ),
    "high and low swapped": (
        change(104, high=99.0, low=101.0, open=100.0, close=100.0),
        [("high_below_low", 104, REJECTED), ("outside_range", 104, REJECTED), ("outside_range", 104, REJECTED)],
    ),
    "open above high": (change(104, open=120.0), [("outside_range", 104, REJECTED)]),
    "close below low": (change(104, close=90.0), [("outside_range", 104, REJECTED)]),
    "no volume known": (change(104, volume=None), [("volume_missing", 104, REJECTED)]),
    "NaN volume": (change(104, volume=math.nan), [("volume_not_finite", 104, REJECTED)]),
    "negative volume": (change(104, volume=-1.0), [("volume_negative", 104, REJECTED)]),
    "a row twice": (add(256), [("duplicate_identical", 256, REJECTED)]),
    "a row four times": (
        lambda rows: [*rows, *[rows[255]] * 3],
        [("duplicate_identical", 256 + copy, REJECTED) for copy in range(3)],
    ),
    "a corrected row below": (add(256, volume=7.0), [("duplicate_conflicting", 256, REJECTED)]),
    "newest first": (
        lambda rows: list(reversed(rows)),
        [("unordered", 2, KEPT), ("unordered", 154, KEPT)],
    ),
    "a missing session": (drop(50), [("calendar_gap", 50, KEPT)]),
    "three missing days": (drop(120, 121, 122), [("calendar_gap", 120, KEPT)]),
    "a 4:1 split": (scale_from(60, 0.25, 4.0), [("split_suspected", 60, KEPT)]),
    "a 2:1 split whose volume the vendor adjusted": (scale_from(60, 0.5, 1.0), [("split_suspected", 60, KEPT)]),
    "a 1:10 reverse split": (scale_from(60, 10.0, 0.1), [("split_suspected", 60, KEPT)]),
    "dollars become cents": (scale_from(60, 100.0), [("unit_change_suspected", 60, KEPT)]),
    "cents become dollars": (scale_from(60, 0.01), [("unit_change_suspected", 60, KEPT)]),
    "one bar in another unit": (scale_from(60, 10.0, until=60), [("unit_change_suspected", 60, KEPT)]),
    "five bars alike": (repeat(60, 5), [("stale_run", 61, KEPT)]),
    "three days without trade": (
        lambda rows: change(5, volume=0.0)(change(9, volume=0.0)(change(7, volume=0.0)(rows))),
        [("zero_volume", 5, KEPT)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_bar_is_found_at_its_row_and_treated_as_configured(name):
    damage, expected = CASES[name]
    inspection = inspect(damage(sound_rows()))
    # The hole that a rejected row leaves is a gap of its own.
    holes = {("calendar_gap", row + 1, KEPT) for _, row, action in expected if action == REJECTED}
    assert sorted(set(found(inspection)) - holes) == sorted(set(expected))
    assert len(found(inspection)) - len(holes.intersection(found(inspection))) == len(expected)


def test_the_cases_leave_no_rule_out():
    assert {rule for _, expected in CASES.values() for rule, _, _ in expected} == set(RULES)


def test_sound_bars_give_no_finding():
    inspection = inspect(sound_rows())
    assert inspection.findings.is_empty()
    assert (inspection.read, inspection.rejected) == ({"stocks": 104, "crypto": 152}, {})
    strict = check_bars(frame_of(sound_rows()), file="x", now=NOW, calendars=CALENDARS, delay_minutes=15)
    assert_frame_equal(inspection.bars.drop("bar_known_at"), strict)


@pytest.mark.parametrize(
    "damage",
    [
        scale_from(60, 0.8, 1.25),
        scale_from(60, 0.5, 12.0),
        scale_from(60, 2.6, 1 / 2.6),
        repeat(60, 4),
        scale_from(60, 1.3, until=60),
    ],
    ids=["a bad night", "a crash in panic", "no simple ratio", "four alike", "a spike"],
)
def test_what_honest_markets_do_is_not_flagged(damage):
    assert found(inspect(damage(sound_rows()))) == []


def test_details_say_what_is_wrong():
    rows = drop(50)(scale_from(60, 0.25, 4.0)(sound_rows()))
    rows[2]["close"] = math.nan
    details = dict(inspect(rows).findings.select("rule", "detail").rows())
    assert details["price_not_finite"] == "close is NaN"
    assert details["split_suspected"].endswith("is 0.2485 times the close before, 101.0")
    assert details["calendar_gap"] == "sessions missing since 2024-03-12 00:00:00 UTC: 1"


def test_a_bar_with_two_faults_is_recorded_twice_and_rejected_once():
    rows = sound_rows()
    rows[103] |= {"close": math.nan, "volume": -1.0}
    inspection = inspect(rows)
    assert found(inspection) == [("price_not_finite", 104, REJECTED), ("volume_negative", 104, REJECTED)]
    assert inspection.rejected == {"stocks": 1}
    assert inspection.bars.height == 255


def test_mixed_faults_in_two_files_keep_file_and_line():
    first, second = sound_rows()[:104], sound_rows()[104:]
    first[103]["close"] = None
    second[151]["volume"] = math.inf
    numbered = frame_of(second).with_columns(source_row=pl.int_range(2, 154, dtype=pl.UInt32))
    inspection = inspect([RawBars("a.csv", frame_of(first)), RawBars("b.csv", numbered)])
    assert inspection.findings.select("file", "source_row", "rule").rows() == [
        ("a.csv", 104, "price_missing"),
        ("b.csv", 153, "volume_not_finite"),
    ]
    assert inspection.findings.schema == FINDING_SCHEMA


def test_of_two_files_with_one_key_the_later_file_is_the_newer_one():
    old = sound_rows()
    new = [old[50] | {"volume": 5.0}]
    inspection = inspect([RawBars("old.csv", frame_of(old)), RawBars("new.csv", frame_of(new))])
    assert inspection.bars.filter(pl.col("datetime") == old[50]["datetime"], pl.col("symbol") == "AAPL")[
        "volume"
    ].to_list() == [5.0]
    assert inspection.findings.select("file", "source_row", "rule").rows() == [("old.csv", 51, "duplicate_conflicting")]


def test_a_damaged_copy_does_not_push_out_the_sound_one():
    inspection = inspect([*sound_rows(), sound_rows()[255] | {"close": math.nan}])
    assert found(inspection) == [("price_not_finite", 257, REJECTED)]
    assert inspection.bars.height == 256


def test_conflicting_copies_can_be_rejected_altogether():
    inspection = inspect([*sound_rows(), sound_rows()[255] | {"volume": 7.0}], duplicate_conflicting="reject")
    assert found(inspection) == [("duplicate_conflicting", 256, REJECTED), ("duplicate_conflicting", 257, REJECTED)]
    assert inspection.bars.height == 255


@pytest.mark.parametrize("rule", ["split_suspected", "zero_volume", "stale_run", "outside_range"])
@pytest.mark.parametrize(("policy", "bars"), [("flag", 256), ("reject", None), ("fail", None)])
def test_a_soft_rule_follows_its_policy(rule, policy, bars):
    damages = {
        "split_suspected": (scale_from(60, 0.25, 4.0), 1),
        "zero_volume": (change(5, volume=0.0), 1),
        "stale_run": (repeat(60, 5), 4),
        "outside_range": (change(104, open=120.0), 1),
    }
    damage, rejected = damages[rule]
    if policy == "fail":
        with pytest.raises(BadBarsError, match="policy of") as caught:
            inspect(damage(sound_rows()), **{rule: policy})
        assert caught.value.file == "bars.csv"
        assert caught.value.row
    else:
        inspection = inspect(damage(sound_rows()), **{rule: policy})
        assert inspection.bars.height == (bars or 256 - rejected)
        assert rule in inspection.findings["rule"].to_list()


def test_more_rejected_rows_than_allowed_stop_the_run_and_are_counted_by_rule():
    rows = sound_rows()
    rows[2]["close"] = math.nan
    rows[3]["volume"] = -1.0
    rows[4]["volume"] = -1.0
    with pytest.raises(RejectedShareError) as caught:
        inspect(rows, limit=0.02)
    assert caught.value.message == (
        "bars.csv, row 3, column 'close': close is NaN; stocks: 3 of 104 rows rejected (2.9%, at most 2.0%): "
        "volume_negative 2, price_not_finite 1"
    )
    assert "checks.max_rejected_share.stocks" in caught.value.remedy


def test_exactly_the_allowed_share_passes():
    rows = sound_rows()[:100]
    rows[98]["close"] = math.nan
    assert inspect(rows, limit=0.01).rejected == {"stocks": 1}
    rows[99]["close"] = math.nan
    with pytest.raises(RejectedShareError):
        inspect(rows, limit=0.01)


def test_each_class_has_its_own_share():
    rows = sound_rows()
    rows[0]["close"] = math.nan
    with pytest.raises(RejectedShareError, match="stocks: 1 of 104"):
        inspect(rows, limit=0.009)


def test_rows_of_no_class_count_against_the_whole_file():
    rows = sound_rows()
    for row in rows[:30]:
        row["asset_type"] = "bond"
    with pytest.raises(RejectedShareError, match="no asset class: 30 of 256 rows"):
        inspect(rows)


@pytest.mark.parametrize("values", [{"asset_type": None}, {"symbol": "A B"}, {"close": None}, {"datetime": SATURDAY}])
def test_a_file_with_no_sound_row_at_all_is_treated_like_any_other(values):
    rows = [row | values for row in sound_rows()[:2]]
    with pytest.raises(RejectedShareError, match="2 of 2 rows rejected"):
        inspect(rows)
    inspection = inspect(rows, limit=1.0)
    assert inspection.bars.is_empty()
    assert inspection.findings.height == 2


def test_many_unreadable_symbols_say_each_why():
    rows = [*sound_rows(), *(sound_rows()[0] | {"symbol": f"A {number}"} for number in range(5))]
    details = (
        inspect(rows).findings.filter(pl.col("rule") == "symbol_unreadable").select("symbol", "source_row", "detail")
    )
    assert details.rows() == [(f"A {place}", 257 + place, f"symbol 'A {place}' is no ticker") for place in range(5)]


def test_provisional_bars_and_copies_do_not_count_as_errors():
    rows = [*sound_rows()[-2:], sound_rows()[-1], sound_rows()[-1] | {"datetime": datetime(2024, 6, 1, tzinfo=UTC)}]
    inspection = inspect(rows, limit=0.0)
    assert inspection.bars.height == 2
    assert inspection.rejected == {"crypto": 2}


def test_a_file_written_seven_times_is_taken_once():
    inspection = inspect(sound_rows() * 7)
    assert inspection.bars.height == 256
    assert inspection.findings.filter(pl.col("rule") == "duplicate_identical").height == 6 * 256


@pytest.mark.parametrize(
    ("frame", "column"),
    [
        (frame_of(sound_rows()).drop("close"), "close"),
        (frame_of(sound_rows()).with_columns(pl.col("datetime").dt.replace_time_zone(None)), "datetime"),
        (frame_of(sound_rows()).with_columns(pl.col("open").cast(pl.String)), "open"),
        (frame_of([]), ""),
    ],
    ids=["a column is missing", "naive times", "text for numbers", "no rows"],
)
def test_a_file_that_is_no_table_of_bars_is_refused_whatever_the_policies(frame, column):
    with pytest.raises(BadBarsError) as caught:
        inspect([RawBars("bars.csv", frame)], limit=1.0)
    assert (caught.value.file, caught.value.column) == ("bars.csv", column)


def test_stored_bars_are_neighbours_of_the_first_incoming_one():
    stored = frame_of(sound_rows()[:60])
    incoming = scale_from(1, 0.25, 4.0, until=1)([bar("stocks", "AAPL", SESSIONS[60], 60)])
    asked = []

    def earlier_bars(firsts):
        asked.append(firsts.rows())
        return stored

    inspection = inspect(incoming, earlier_bars=earlier_bars)
    assert asked == [[("stocks", "AAPL", SESSIONS[60])]]
    assert found(inspection) == [("split_suspected", 1, KEPT)]
    assert inspection.bars.height == 1
    later = [bar("stocks", "AAPL", SESSIONS[62], 62)]
    assert found(inspect(later, earlier_bars=lambda firsts: stored)) == [("calendar_gap", 1, KEPT)]


def test_every_default_is_stated_and_every_wrong_policy_refused(monkeypatch):
    assert set(DEFAULTS) == set(RULES)
    assert all(treatment.policy in RULES[name].policies for name, treatment in DEFAULTS.items())
    monkeypatch.setenv("TRADEHITS__CHECKS__PRICE_MISSING__POLICY", "flag")
    with pytest.raises(ConfigError, match=r"price_missing.policy is flag; the rule knows reject, fail"):
        load_settings("test")
    monkeypatch.setenv("TRADEHITS__CHECKS__PRICE_MISSING__POLICY", "fail")
    assert load_settings("test").checks.treatments()["price_missing"] == Treatment("error", "fail")


@hypothesis_settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_one_damaged_number_anywhere_is_found_at_its_row_and_all_other_bars_stay(data):
    rows = sound_rows()
    number = data.draw(st.integers(1, 256))
    column = data.draw(st.sampled_from(["open", "high", "low", "close", "volume"]))
    rows[number - 1][column] = data.draw(st.sampled_from([None, math.nan, math.inf, -1.0]))
    inspection = inspect(rows)
    rejected = inspection.findings.filter(pl.col("action") == REJECTED)
    assert set(rejected["source_row"]) == {number}
    others = frame_of([row for place, row in enumerate(sound_rows(), start=1) if place != number])
    assert_frame_equal(inspection.bars.drop("bar_known_at"), others.sort(BAR_KEY))


@hypothesis_settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(256)))
def test_the_order_of_rows_never_changes_what_is_stored(order):
    rows = sound_rows()
    assert_frame_equal(inspect([rows[place] for place in order]).bars, inspect(rows).bars)
