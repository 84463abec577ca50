"""Labels: what the next bar brought, and when that was known."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from market.labels import LABEL_COLUMNS, add_labels


def bars(closes: list[float], symbol: str = "AAA", asset_type: str = "stocks", first: int = 1) -> pl.DataFrame:
    stamps = [datetime(2024, 3, 1, tzinfo=UTC) + timedelta(days=first - 1 + i) for i in range(len(closes))]
    return pl.DataFrame(
        {
            "asset_type": asset_type,
            "symbol": symbol,
            "datetime": stamps,
            "close": closes,
            "bar_known_at": [stamp + timedelta(hours=21) for stamp in stamps],
        },
        schema_overrides={
            "close": pl.Float64,
            "datetime": pl.Datetime("us", "UTC"),
            "bar_known_at": pl.Datetime("us", "UTC"),
        },
    )


def test_a_label_is_the_next_close_and_is_known_when_the_next_bar_is():
    labelled = add_labels(bars([100.0, 110.0, 99.0]))

    assert labelled["target_direction"].to_list() == [1, 0, None]
    assert [round(pct, 9) for pct in labelled["forward_return_pct"].drop_nulls()] == [10.0, -10.0]
    assert labelled["label_known_at"].to_list() == [
        datetime(2024, 3, 2, 21, tzinfo=UTC),
        datetime(2024, 3, 3, 21, tzinfo=UTC),
        None,
    ]


def test_a_tie_is_down_and_its_return_zero():
    labelled = add_labels(bars([5.0, 5.0]))

    assert labelled["target_direction"].to_list() == [0, None]
    assert labelled["forward_return_pct"].to_list() == [0.0, None]


def test_the_newest_bar_has_no_label_in_any_column():
    assert add_labels(bars([5.0])).select(LABEL_COLUMNS).row(0) == (None, None, None)


def test_symbols_of_the_same_name_in_two_asset_classes_do_not_lend_each_other_bars():
    frame = pl.concat([bars([1.0, 2.0]), bars([10.0, 5.0], asset_type="crypto"), bars([7.0], symbol="BBB")])

    assert add_labels(frame)["target_direction"].to_list() == [1, None, 0, None, None]


def test_no_bars_give_no_labels_with_the_right_types():
    schema = add_labels(bars([])).schema

    assert [schema[name] for name in LABEL_COLUMNS] == [pl.Int64, pl.Float64, pl.Datetime("us", "UTC")]


@given(closes=st.lists(st.floats(0.01, 1e6), min_size=1, max_size=30), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter_and_is_kept(closes, seed):
    frame = pl.concat([bars(closes), bars(closes[::-1], symbol="BBB")])
    shuffled = frame.sample(fraction=1, shuffle=True, seed=seed)

    key = ["asset_type", "symbol", "datetime"]
    assert add_labels(shuffled).select(key).equals(shuffled.select(key))
    assert add_labels(shuffled).sort(key).equals(add_labels(frame).sort(key))


@given(closes=st.lists(st.floats(0.01, 1e6), min_size=2, max_size=30), cut=st.data())
def test_a_later_bar_changes_only_the_label_that_was_unknown(closes, cut):
    size = cut.draw(st.integers(1, len(closes) - 1))

    before, after = add_labels(bars(closes[:size])), add_labels(bars(closes))

    assert before.head(size - 1).equals(after.head(size - 1))
    assert before["target_direction"][-1] is None
    assert after["target_direction"][size - 1] == int(closes[size] > closes[size - 1])
