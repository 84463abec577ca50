"""Walk-forward folds by literal dates, and the laws that no schedule may break."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import ConfigError
from market.splits import Fold, data_split, early_stopping_split, test_rows, train_rows, walk_forward_folds


def utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def folds(**changes) -> list[Fold]:
    standard = {
        "train_end": date(2022, 12, 31),
        "test_end": date(2023, 12, 31),
        "last": utc(2024, 2, 15),
        "retrain": "quarterly",
        "window": "expanding",
        "rolling_years": 5,
        "embargo_days": 0,
        "burn_in_years": 1,
    }
    return walk_forward_folds(**(standard | changes))


def starts(made: list[Fold]) -> list[str]:
    return [fold.test_start.date().isoformat() for fold in made]


def days(first: str, count: int) -> np.ndarray:
    return np.datetime64(first, "us") + np.arange(count) * np.timedelta64(1, "D")


def test_quarterly_folds_step_from_the_first_test_day_through_burn_in_and_up_to_the_newest_bar():
    made = folds()

    assert starts(made) == [
        *("2022-01-01", "2022-04-01", "2022-07-01", "2022-10-01"),
        *("2023-01-01", "2023-04-01", "2023-07-01", "2023-10-01", "2024-01-01"),
    ]
    assert [fold.index for fold in made] == list(range(9))
    assert made[-1] == Fold(8, None, utc(2024, 1, 1), utc(2024, 1, 1), utc(2024, 4, 1))


def test_yearly_monthly_and_weekly_folds():
    assert starts(folds(retrain="yearly", burn_in_years=2)) == [f"{y}-01-01" for y in (2021, 2022, 2023, 2024)]
    monthly = starts(folds(retrain="monthly", last=utc(2023, 3, 31)))
    assert monthly == [f"2022-{m:02d}-01" for m in range(1, 13)] + ["2023-01-01", "2023-02-01", "2023-03-01"]
    weekly = starts(folds(retrain="weekly", last=utc(2023, 1, 15)))
    # 365 days hold 52 whole weeks, so the burn-in begins a day later than a year before the first test day
    assert (weekly[0], len(weekly), weekly[51:]) == (
        "2022-01-02",
        55,
        ["2022-12-25", "2023-01-01", "2023-01-08", "2023-01-15"],
    )


def test_months_counted_from_a_31st_fall_on_month_ends_and_return_to_the_31st():
    made = folds(train_end=date(2023, 1, 30), retrain="monthly", last=utc(2023, 5, 31), burn_in_years=0)

    assert starts(made) == ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30", "2023-05-31"]


def test_a_leap_day_is_a_first_test_day_like_another():
    made = folds(train_end=date(2020, 2, 28), test_end=date(2021, 1, 1), retrain="yearly", last=utc(2024, 3, 1))

    assert starts(made) == ["2019-02-28", "2020-02-29", "2021-02-28", "2022-02-28", "2023-02-28", "2024-02-29"]


def test_the_last_window_holds_the_newest_bar_even_on_its_first_day():
    assert starts(folds(last=utc(2023, 12, 31)))[-1] == "2023-10-01"
    assert starts(folds(last=utc(2024, 1, 1)))[-1] == "2024-01-01"


def test_bars_that_end_inside_train_have_burn_in_folds_only_and_earlier_ones_none():
    assert starts(folds(last=utc(2022, 5, 1))) == ["2022-01-01", "2022-04-01"]
    assert folds(last=utc(2021, 12, 31)) == []


def test_embargo_moves_only_the_end_of_training():
    (fold,) = folds(embargo_days=10, burn_in_years=0, last=utc(2023, 1, 5))

    assert (fold.train_end, fold.test_start, fold.test_end) == (utc(2022, 12, 22), utc(2023, 1, 1), utc(2023, 4, 1))


def test_a_rolling_window_starts_its_years_before_the_end_of_training():
    (fold,) = folds(window="rolling", rolling_years=3, embargo_days=1, burn_in_years=0, last=utc(2023, 1, 5))

    assert fold.train_start == utc(2019, 12, 31)


@pytest.mark.parametrize(
    "changes",
    [
        {"test_end": date(2022, 12, 31)},
        {"embargo_days": -1},
        {"burn_in_years": -1},
        {"last": datetime(2024, 1, 1)},  # noqa: DTZ001
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ConfigError):
        folds(**changes)


schedules = st.fixed_dictionaries(
    {
        "train_end": st.dates(date(2005, 1, 1), date(2022, 12, 31)),
        "retrain": st.sampled_from(["weekly", "monthly", "quarterly", "yearly"]),
        "window": st.sampled_from(["expanding", "rolling"]),
        "rolling_years": st.integers(1, 5),
        "embargo_days": st.integers(0, 40),
        "burn_in_years": st.integers(0, 3),
    }
)


@st.composite
def planned(draw):
    schedule = draw(schedules)
    test_end = schedule["train_end"] + timedelta(days=draw(st.integers(1, 500)))
    first_test = datetime.combine(schedule["train_end"], datetime.min.time(), UTC) + timedelta(days=1)
    last = first_test + timedelta(days=draw(st.integers(0, 900)))
    return schedule, first_test, last, walk_forward_folds(**schedule, test_end=test_end, last=last)


@settings(max_examples=150, deadline=None)
@given(planned())
def test_windows_are_contiguous_numbered_in_time_and_cover_everything_up_to_the_newest_bar(plan):
    _, first_test, last, made = plan

    assert [fold.index for fold in made] == list(range(len(made)))
    assert all(before.test_end == after.test_start for before, after in pairwise(made))
    assert all(fold.test_start < fold.test_end for fold in made)
    assert made[-1].test_start <= last < made[-1].test_end
    assert first_test in {fold.test_start for fold in made}


@settings(max_examples=150, deadline=None)
@given(planned())
def test_burn_in_lies_inside_train_and_is_at_most_as_long_as_asked(plan):
    schedule, first_test, _, made = plan
    burn_in = [fold for fold in made if fold.test_start < first_test]

    assert all(fold.test_end <= first_test for fold in burn_in)
    assert not burn_in or made[0].test_start >= first_test - timedelta(days=366 * schedule["burn_in_years"])
    if schedule["burn_in_years"]:
        assert burn_in and first_test - made[0].test_start >= timedelta(days=358 * schedule["burn_in_years"])


@settings(max_examples=100, deadline=None)
@given(planned(), st.integers(0, 2**32 - 1))
def test_no_fold_learns_a_label_that_was_known_after_its_start_and_each_bar_is_tested_once(plan, seed):
    schedule, _, last, made = plan
    generator = np.random.default_rng(seed)
    first = np.datetime64(made[0].test_start.replace(tzinfo=None), "us") - np.timedelta64(400, "D")
    span = (np.datetime64(last.replace(tzinfo=None), "us") - first) // np.timedelta64(1, "D")
    stamps = first + np.sort(generator.integers(0, span + 1, 300)) * np.timedelta64(1, "D")
    known = stamps + generator.integers(20, 120, 300) * np.timedelta64(1, "h")
    known[generator.random(300) < 0.05] = np.datetime64("NaT")

    tested = np.zeros(300, dtype=int)
    for fold in made:
        start = np.datetime64(fold.test_start.replace(tzinfo=None), "us")
        training, testing = train_rows(fold, stamps, known), test_rows(fold, stamps)
        tested += testing
        assert not (training & testing).any() and not np.isnat(known[training]).any()
        assert (known[training] < start - np.timedelta64(schedule["embargo_days"], "D")).all()
    np.testing.assert_array_equal(tested, stamps >= np.datetime64(made[0].test_start.replace(tzinfo=None), "us"))


def test_a_row_trains_from_the_moment_its_label_was_known_before_the_end_of_training():
    fold = Fold(0, utc(2022, 12, 28), utc(2023, 1, 1), utc(2023, 1, 1), utc(2023, 4, 1))
    stamps = days("2022-12-27", 5)  # 27, 28, 29, 30, 31
    known = stamps + np.timedelta64(48, "h")  # crypto: the next bar closes two days after the stamp

    assert train_rows(fold, stamps, known).tolist() == [False, True, True, False, False]


def test_test_rows_are_half_open():
    fold = Fold(0, None, utc(2023, 1, 1), utc(2023, 1, 1), utc(2023, 1, 3))

    assert test_rows(fold, days("2022-12-31", 5)).tolist() == [False, True, True, False, False]


def test_early_stopping_takes_the_newest_dates_and_purges_fit_rows_whose_label_came_too_late():
    stamps = np.repeat(days("2023-01-01", 10), 2)  # two symbols
    known = stamps + np.timedelta64(45, "h")

    fit, stop = early_stopping_split(stamps, known, 0.2)

    assert np.unique(stamps[stop]).astype("datetime64[D]").astype(str).tolist() == ["2023-01-09", "2023-01-10"]
    # the label of 2023-01-07 was known on 2023-01-08 21:00; that of 2023-01-08 only during the first stopping bar
    assert np.unique(stamps[fit]).astype("datetime64[D]").astype(str).tolist()[-1] == "2023-01-07"
    assert (fit.sum(), stop.sum()) == (14, 4)


def test_a_label_known_the_moment_the_stopping_set_begins_is_purged():
    stamps = days("2023-01-01", 10)
    known = stamps + np.timedelta64(48, "h")  # crypto: the next bar closes two days after the stamp

    fit, stop = early_stopping_split(stamps, known, 0.2)

    assert (fit.tolist(), stop.tolist()) == ([True] * 6 + [False] * 4, [False] * 8 + [True] * 2)


@settings(max_examples=100, deadline=None)
@given(
    offsets=st.lists(st.integers(0, 200), min_size=1, max_size=80),
    hours=st.integers(1, 200),
    share=st.floats(0.01, 0.49),
)
def test_no_fit_label_is_known_once_the_stopping_set_begins(offsets, hours, share):
    stamps = np.datetime64("2020-01-01", "us") + np.array(offsets) * np.timedelta64(1, "D")
    known = stamps + np.timedelta64(hours, "h")

    fit, stop = early_stopping_split(stamps, known, share)

    assert not (fit & stop).any()
    distinct = len(set(offsets))
    assert len(np.unique(stamps[stop])) == (max(1, int(share * distinct)) if distinct > 1 else 0)
    if stop.any():
        assert (known[fit] < stamps[stop].min()).all()
        assert ((known >= stamps[stop].min()) | fit).all()
    else:
        assert fit.all()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_an_early_stopping_share_outside_zero_and_one_is_refused(share):
    with pytest.raises(ConfigError):
        early_stopping_split(days("2023-01-01", 5), days("2023-01-02", 5), share)


def test_data_splits_end_with_their_last_date_inclusive():
    stamps = np.array(
        ["2022-12-31T00:00", "2022-12-31T23:00", "2023-01-01T00:00", "2023-12-31T23:59", "2024-01-01T00:00"],
        dtype="datetime64[us]",
    )

    assert data_split(stamps, date(2022, 12, 31), date(2023, 12, 31)).tolist() == [
        *("TRAIN", "TRAIN", "TEST", "TEST", "VALIDATE")
    ]
