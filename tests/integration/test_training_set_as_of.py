"""What was known at an instant: no later correction changes it, and a log of the arrivals gives the same rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tests.integration.incremental_market as market
from configs.settings import Settings, load_settings
from market.errors import ConfigError, KnowledgeTimeError
from training.dataset import KEY, stored_training_set, training_set_as_of, training_set_hash
from warehouse.asof import in_scale_of, warehouse_as_of
from warehouse.duckdb import DuckDBWarehouse
from warehouse.features import build_features
from warehouse.ingest import ingest_asset_type
from warehouse.retention import drop_superseded
from warehouse.warehouse import Warehouse

PRICES = ["open", "high", "low", "close", "volume"]
END_DAY = 1500
LAST = market.FIRST_DAY + timedelta(days=END_DAY)
Log = list[tuple[datetime, pl.DataFrame]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(tmp_path_factory.mktemp("home")))
        return load_settings("test")


def arrived(settings: Settings, log: Log) -> DuckDBWarehouse:
    """A warehouse to which the batches came at the times of the log."""
    stored = market.scratch(settings)
    for arrival, batch in log:
        arrive(stored, settings, arrival, batch)
    return stored


def arrive(stored: Warehouse, settings: Settings, arrival: datetime, batch: pl.DataFrame) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warehouse.ingest.wall_clock", lambda: arrival)
        ingest_asset_type(stored, settings, batch, source="test")


def hash_as_of(stored: Warehouse, settings: Settings, instant: datetime) -> str:
    return training_set_hash(settings, training_set_as_of(stored, settings, "crypto", instant))


def known_by_log(log: Log, instant: datetime) -> pl.DataFrame:
    """The brute-force twin: a dictionary of what had arrived, bar by bar."""
    newest: dict[tuple[str, datetime], tuple[float, ...]] = {}
    known: dict[tuple[str, datetime], tuple[float, ...]] = {}
    for arrival, batch in log:
        for symbol, stamp, *prices in batch.select("symbol", "datetime", *PRICES).iter_rows():
            key, values = (symbol, stamp), tuple(prices)
            if key not in newest:
                since = stamp + timedelta(days=1)  # a first load counts from the close of its bar
            elif newest[key] != values:
                since = arrival
            else:
                continue
            newest[key] = values
            if since <= instant:
                known[key] = values
    rows = [("crypto", *key, *values) for key, values in sorted(known.items())]
    schema = {name: log[0][1].schema[name] for name in ("asset_type", "symbol", "datetime", *PRICES)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def random_log(seed: int) -> Log:
    """History, then batches of new, late and corrected bars at random instants, two of them close together."""
    random = np.random.default_rng(seed)
    bars = market.bars({"A/USD": 260, "B/USD": 240, "C/USD": 30}, end_day=END_DAY, seed=seed)
    split = LAST - timedelta(days=8)
    first = split + timedelta(days=1, minutes=5)
    batches = market.arrivals(bars.filter(pl.col("datetime") > split), seed=seed, late=0.2, corrected=0.3)
    log: Log = [(first, bars.filter(pl.col("datetime") <= split))]
    arrival = LAST + timedelta(days=1)
    for batch in batches:
        arrival += timedelta(minutes=int(random.integers(1, 3000)))
        old = bars.filter(pl.col("datetime") <= split).sample(3, seed=int(random.integers(1 << 30)))
        old = old.with_columns(close=pl.col("low") + (pl.col("high") - pl.col("low")) * random.random())
        log.append((arrival, pl.concat([batch, old.select(batch.columns)]).unique(("symbol", "datetime"))))
    return log


def check_against_twin(settings: Settings, seed: int, instants: int) -> None:
    random = np.random.default_rng(seed + 1000)
    log = random_log(seed)
    stored = arrived(settings, log)
    choices = [arrival for arrival, _ in log] + [LAST - timedelta(days=int(d)) for d in random.integers(0, 12, 8)]
    for position in random.choice(len(choices), instants, replace=False):
        instant = choices[position] + timedelta(microseconds=int(random.integers(-1, 2)))
        twin = market.scratch(settings)
        ingest_asset_type(twin, settings, known_by_log(log, instant), source="twin")
        build_features(twin, settings, ["crypto"])
        wanted = stored_training_set(twin, settings, "crypto")
        found = training_set_as_of(stored, settings, "crypto", instant)
        assert found.equals(wanted), (seed, instant)


def test_a_set_as_of_any_instant_equals_what_the_log_of_arrivals_says(settings: Settings) -> None:
    check_against_twin(settings, seed=1, instants=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 18))
def test_many_random_logs_agree_with_their_twins(settings: Settings, seed: int) -> None:
    check_against_twin(settings, seed, instants=5)


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return market.bars({"A/USD": 240, "B/USD": 220}, end_day=END_DAY, seed=7)


@pytest.fixture
def stored(settings: Settings, bars: pl.DataFrame) -> DuckDBWarehouse:
    return arrived(settings, [(LAST + timedelta(days=1), bars)])


def corrected(bars: pl.DataFrame, day: datetime, close: str) -> pl.DataFrame:
    return bars.filter((pl.col("datetime") == day) & (pl.col("symbol") == "A/USD")).with_columns(close=pl.col(close))


def test_a_later_correction_leaves_the_hash_and_an_earlier_one_changes_it(
    settings: Settings, bars: pl.DataFrame, stored: DuckDBWarehouse
) -> None:
    asked = LAST + timedelta(days=10)
    before = hash_as_of(stored, settings, asked)
    arrive(stored, settings, asked + timedelta(microseconds=1), corrected(bars, LAST - timedelta(days=50), "low"))
    assert hash_as_of(stored, settings, asked) == before
    assert hash_as_of(stored, settings, asked + timedelta(microseconds=1)) != before
    arrive(stored, settings, asked + timedelta(days=5), corrected(bars, LAST - timedelta(days=50), "high"))
    arrive(stored, settings, asked + timedelta(days=9), corrected(bars, LAST - timedelta(days=50), "close"))
    assert hash_as_of(stored, settings, asked + timedelta(days=9)) == before, "a correction taken back"


def test_bars_and_labels_end_where_the_knowledge_ends(settings: Settings, stored: DuckDBWarehouse) -> None:
    midnight = LAST - timedelta(days=30)
    found = training_set_as_of(stored, settings, "crypto", midnight)
    newest = found.filter(pl.col("datetime") == found["datetime"].max())
    assert newest["datetime"].unique().to_list() == [midnight - timedelta(days=1)], "the bar that closed at midnight"
    assert newest["target_direction"].to_list() == [None, None]
    assert newest["label_known_at"].to_list() == [None, None]
    assert found["label_known_at"].max() == midnight
    assert found["bar_known_at"].max() == midnight
    assert found.filter(pl.col("label_known_at").is_null()).height == 2
    just_before = training_set_as_of(stored, settings, "crypto", midnight - timedelta(microseconds=1))
    assert just_before.height == found.height - 2


def test_a_bar_loaded_late_counts_from_its_close_and_is_counted_apart(settings: Settings, bars: pl.DataFrame) -> None:
    day = LAST - timedelta(days=12)
    is_late = pl.col("datetime") == day
    stored = arrived(settings, [(LAST + timedelta(days=1), bars.filter(~is_late)), (LAST + timedelta(days=9), bars)])
    with warehouse_as_of(stored, settings, "crypto", LAST + timedelta(days=2)) as past:
        facts = (past.bars, past.corrected, past.loaded_later)
        backfill = past.warehouse.query(
            "SELECT DISTINCT datetime, is_backfill FROM tradehits.bar_versions WHERE ingested_at > @asked",
            {"asked": LAST + timedelta(days=2)},
        ).to_pylist()
    assert facts == (bars.height, 0, 2)
    assert backfill == [{"datetime": day, "is_backfill": True}]


def test_the_set_as_of_now_is_what_training_reads(settings: Settings, stored: DuckDBWarehouse) -> None:
    build_features(stored, settings, ["crypto"])
    now = stored_training_set(stored, settings, "crypto")
    assert training_set_as_of(stored, settings, "crypto", LAST + timedelta(days=40)).equals(now)
    assert now.select(KEY).is_unique().all()


def test_nothing_is_left_behind_and_the_warehouse_of_the_past_is_gone(
    settings: Settings, stored: DuckDBWarehouse
) -> None:
    folder = settings.paths.cache / "staging"
    with warehouse_as_of(stored, settings, "crypto", LAST) as past:
        assert past.warehouse.query("SELECT COUNT(*) AS n FROM tradehits.bar_versions").column(0)[0].as_py() == 458
        assert any(path.name.startswith("as-of@") for path in folder.iterdir())
    assert not any(path.name.startswith("as-of@") for path in folder.iterdir())


@pytest.mark.parametrize(
    ("instant", "message"),
    [
        (datetime(2021, 1, 1), "has no zone"),  # noqa: DTZ001
        (datetime(2300, 1, 1, tzinfo=UTC), "lies in the future"),
        (market.FIRST_DAY, "no daily bar of crypto was known"),
    ],
)
def test_an_instant_nobody_can_answer_for_is_refused(
    settings: Settings, stored: DuckDBWarehouse, instant: datetime, message: str
) -> None:
    with pytest.raises(KnowledgeTimeError, match=message) as refusal:
        training_set_as_of(stored, settings, "crypto", instant)
    assert refusal.value.remedy


# --- scales ----------------------------------------------------------------------------------------------------------


def scaled(bars: pl.DataFrame, factor: float) -> pl.DataFrame:
    return bars.with_columns(pl.col("open", "high", "low", "close") * factor, volume=pl.col("volume") / factor)


def test_bars_stored_after_a_split_join_the_scale_that_was_known_before_it(
    settings: Settings, bars: pl.DataFrame
) -> None:
    """Stored up to day -10; a later batch brings days -15 to 0, all of them halved because shares were split."""
    early, late = LAST - timedelta(days=10), LAST - timedelta(days=15)
    arrival = LAST + timedelta(days=3)
    first = (early + timedelta(days=1), bars.filter(pl.col("datetime") <= early))
    stored = arrived(settings, [first, (arrival, scaled(bars.filter(pl.col("datetime") >= late), 0.5))])
    unsplit = arrived(settings, [(LAST + timedelta(days=1), bars)])
    asked = LAST - timedelta(days=4)
    found = training_set_as_of(stored, settings, "crypto", asked)
    wanted = training_set_as_of(unsplit, settings, "crypto", asked)
    assert found.select(KEY).equals(wanted.select(KEY))
    returns = pl.DataFrame({"found": found["forward_return_pct"], "wanted": wanted["forward_return_pct"]})
    assert (returns["found"] - returns["wanted"]).abs().max() < 1e-9, "no jump where two scales would meet"  # type: ignore[operator]
    with warehouse_as_of(stored, settings, "crypto", arrival) as past:
        newest = past.warehouse.query("SELECT MAX(close) AS top FROM tradehits.bar_versions").column(0)[0].as_py()
    assert newest == pytest.approx(0.5 * bars["close"].max(), rel=1e-12), "from its arrival on, everything is halved"


def test_only_bars_that_a_new_scale_holds_for_go_back() -> None:
    days = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    stamp = pl.Datetime("us", "UTC")
    frame = pl.DataFrame(
        {"symbol": ["S", "S", "S", "T"], "datetime": days, **dict.fromkeys(PRICES, 10.0)}
    ).with_columns(ingested_at=pl.Series([datetime(2024, 2, day, tzinfo=UTC) for day in (9, 1, 9, 9)], dtype=stamp))
    frame = frame.with_columns(pl.col("datetime").cast(stamp))
    scales = pl.DataFrame(
        {
            "symbol": ["S", "S"],
            "effective_at": pl.Series(
                [datetime(2024, 2, 5, tzinfo=UTC), datetime(2024, 2, 6, tzinfo=UTC)], dtype=stamp
            ),
            "price_factor": [0.5, 0.2],
            "volume_factor": [2.0, 1.0],
            "rescaled_until": pl.Series([days[1], days[1]], dtype=stamp),
            "holds_after": [True, False],
        }
    )
    found = in_scale_of(frame, scales)
    assert found["close"].to_list() == [10.0 / (0.5 * 0.2), 10.0, 20.0, 10.0]
    assert found["volume"].to_list() == [5.0, 10.0, 5.0, 10.0]


# --- retention -------------------------------------------------------------------------------------------------------


def keeping(settings: Settings, days: int | None) -> Settings:
    return settings.model_copy(update={"versions": settings.versions.model_copy(update={"keep_days": days})})


def versions(of: Warehouse) -> int:
    return int(of.query("SELECT COUNT(*) AS n FROM tradehits.bar_versions").column(0)[0].as_py())


def test_superseded_versions_go_after_the_retention_and_the_newest_of_a_bar_never(
    settings: Settings, bars: pl.DataFrame, stored: DuckDBWarehouse
) -> None:
    day = LAST - timedelta(days=50)
    arrive(stored, settings, LAST + timedelta(days=10), corrected(bars, day, "low"))
    arrive(stored, settings, LAST + timedelta(days=20), corrected(bars, day, "high"))
    assert versions(stored) == 462
    asked = [LAST + timedelta(days=days) for days in (15, 20)]
    before = [hash_as_of(stored, settings, instant) for instant in asked]
    now = LAST + timedelta(days=115)
    [dropped] = drop_superseded(stored, keeping(settings, 100), now)
    assert (dropped.asset_type, dropped.versions, dropped.horizon_at) == ("crypto", 1, LAST + timedelta(days=15))
    assert versions(stored) == 461
    assert [hash_as_of(stored, settings, instant) for instant in asked] == before
    with pytest.raises(
        KnowledgeTimeError, match="superseded before 2021-02-24T00:00:00\\+00:00 were dropped"
    ) as refusal:
        hash_as_of(stored, settings, LAST + timedelta(days=15) - timedelta(microseconds=1))
    assert "versions.keep_days" in refusal.value.remedy
    assert drop_superseded(stored, keeping(settings, 100), now) == []
    [dropped] = drop_superseded(stored, keeping(settings, 1), now)
    assert (dropped.versions, versions(stored)) == (1, 460)
    newest = stored.query(
        "SELECT close FROM tradehits.bar_versions WHERE symbol = 'A/USD' AND datetime = @day", {"day": day}
    )
    assert newest.column(0).to_pylist() == corrected(bars, day, "high")["close"].to_list()
    assert drop_superseded(stored, keeping(settings, 200), now + timedelta(days=1)) == []
    with pytest.raises(KnowledgeTimeError):
        hash_as_of(stored, settings, asked[-1])


def test_without_a_retention_every_version_stays(settings: Settings, stored: DuckDBWarehouse) -> None:
    with pytest.raises(ConfigError, match="every version is kept"):
        drop_superseded(stored, settings, LAST)


@pytest.mark.slow
def test_a_file_on_disk_answers_like_one_in_memory(settings: Settings, bars: pl.DataFrame, tmp_path: Path) -> None:
    on_disk = market.on_file(settings, tmp_path / "warehouse.duckdb")
    on_disk.ensure_schema()
    in_memory = market.scratch(settings)
    for one in (on_disk, in_memory):
        arrive(one, settings, LAST + timedelta(days=1), bars)
    asked = LAST - timedelta(days=3)
    assert hash_as_of(on_disk, settings, asked) == hash_as_of(in_memory, settings, asked)
    on_disk.compact()
    assert hash_as_of(on_disk, settings, asked) == hash_as_of(in_memory, settings, asked)
