"""Random histories behind a small Feast repository, read by two offline stores through stock Feast."""

from __future__ import annotations

import inspect
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    OnDemandFeatureView,
    RepoConfig,
    RequestSource,
)
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

OURS = "feature_repo.offline_store.DuckDBAsofOfflineStore"
STOCK = "duckdb"
ENGINE = {OURS: "feature_repo.materialization.RowsComputeEngine", STOCK: "local"}
ONLINE = {OURS: "feature_repo.online_rows.SqliteRowsOnlineStore", STOCK: "sqlite"}
START = datetime(2024, 3, 1, tzinfo=UTC)
TTL_PRICES, TTL_NEWS = timedelta(hours=3), timedelta(minutes=90)
MICROSECOND = timedelta(microseconds=1)
TIME = pa.timestamp("us", "UTC")
SYMBOLS = ("AAA", "BBB", "C'C", "DDD")
CLASSES = ("stocks", "etf")


def spread(inputs):
    """High minus low; NULL where either is."""
    pairs = zip(inputs["high"], inputs["low"], strict=True)
    return {"spread": [None if a is None or b is None else a - b for a, b in pairs]}


def weighted(inputs):
    """A feature of another view times a number that the entity row brings."""
    computed = inputs.assign(weighted=inputs["tone"] * inputs["weight"], weight_twice=inputs["weight"] * 2.0)
    return computed[["weighted", "weight_twice"]]


@dataclass(frozen=True)
class Repository:
    """The repository in a folder, and how to open it with a given offline store."""

    folder: Path

    def store(self, offline: str, **options: Any) -> FeatureStore:
        return FeatureStore(
            config=RepoConfig(
                project="parity",
                provider="local",
                registry=str(self.folder / "registry.pb"),
                online_store={"type": ONLINE[offline], "path": str(self.folder / f"online-{offline}.db")},
                offline_store={"type": offline, **options},
                batch_engine={"type": ENGINE[offline]},
                materialization={"pull_latest_features": True},
                entity_key_serialization_version=3,
            )
        )


def source(folder: Path, name: str, created: str | None, mapping: dict[str, str] | None = None) -> FileSource:
    return FileSource(
        name=name,
        path=str(folder / f"{name}.parquet"),
        file_format=ParquetFormat(),
        timestamp_field="at_time",
        created_timestamp_column=created or "",
        field_mapping=mapping or {},
    )


def repository(folder: Path) -> Repository:
    """Views: prices (two keys), news (one key, renamed columns), facts (valid for ever, without time of writing)."""
    kind = Entity(name="kind", join_keys=["kind"], value_type=ValueType.STRING)
    symbol = Entity(name="symbol", join_keys=["symbol"], value_type=ValueType.STRING)
    key_fields = [Field(name="kind", dtype=String), Field(name="symbol", dtype=String)]
    prices = FeatureView(
        name="prices",
        entities=[kind, symbol],
        ttl=TTL_PRICES,
        schema=[
            *key_fields,
            Field(name="high", dtype=Float64),
            Field(name="low", dtype=Float64),
            Field(name="count", dtype=Int64),
            Field(name="label", dtype=String),
        ],
        source=source(folder, "prices", "written_at"),
        online=True,
    )
    news = FeatureView(
        name="news",
        entities=[symbol],
        ttl=TTL_NEWS,
        schema=[key_fields[1], Field(name="tone", dtype=Float64), Field(name="headline", dtype=String)],
        source=source(folder, "news", "written_at", {"raw_tone": "tone", "ticker": "symbol"}),
        online=True,
    )
    facts = FeatureView(
        name="facts",
        entities=[symbol],
        ttl=timedelta(0),
        schema=[key_fields[1], Field(name="shares", dtype=Int64)],
        source=source(folder, "facts", None),
        online=True,
    )
    on_demand = [
        OnDemandFeatureView(
            name="spread",
            sources=[prices[["high", "low"]].projection],
            schema=[Field(name="spread", dtype=Float64)],
            mode="python",
            udf=spread,
            udf_string=inspect.getsource(spread),
        ),
        OnDemandFeatureView(
            name="weighted",
            sources=[news[["tone"]].projection, request_weight()],
            schema=[Field(name="weighted", dtype=Float64), Field(name="weight_twice", dtype=Float64)],
            mode="pandas",
            udf=weighted,
            udf_string=inspect.getsource(weighted),
        ),
    ]
    services = [
        FeatureService(name="everything", features=[prices, news, facts, on_demand[0], on_demand[1]]),
        FeatureService(name="some", features=[prices[["count"]], on_demand[0]]),
    ]
    made = Repository(folder)
    objects = [kind, symbol, prices, news, facts, *on_demand, *services]
    for offline in (STOCK, OURS):  # each has an online file of its own
        made.store(offline).apply(objects)
    return made


def request_weight() -> Any:
    return RequestSource(name="asked", schema=[Field(name="weight", dtype=Float64)])


@dataclass(frozen=True)
class History:
    """The rows behind each view, and entity rows to ask about."""

    prices: list[dict[str, Any]]
    news: list[dict[str, Any]]
    facts: list[dict[str, Any]]
    entities: pd.DataFrame


def history(seed: int, folder: Path, *, rows: int = 120, asked: int = 150) -> History:
    """Random rows in random file order, written where the repository looks.

    Of one key there are rows of one time (corrections, some written earlier or with no time of writing), late rows,
    NULL keys, times and features; every (key, time, written) is there once, so that the answer is one.
    """
    draw = random.Random(seed)
    prices = distinct([price_row(draw) for _ in range(rows)], ("kind", "symbol"))
    news = distinct([news_row(draw) for _ in range(rows)], ("ticker",))
    facts = distinct([facts_row(draw) for _ in range(rows // 2)], ("symbol",))
    pq.write_table(table(prices, PRICES), folder / "prices.parquet", row_group_size=17)
    pq.write_table(table(news, NEWS), folder / "news.parquet", row_group_size=11)
    pq.write_table(table(facts, FACTS), folder / "facts.parquet")
    return History(prices, news, facts, entity_rows(draw, prices, news, asked))


PRICES = {
    "kind": pa.string(),
    "symbol": pa.string(),
    "at_time": TIME,
    "written_at": TIME,
    "high": pa.float64(),
    "low": pa.float64(),
    "count": pa.int64(),
    "label": pa.string(),
}
NEWS = {
    "ticker": pa.string(),
    "at_time": TIME,
    "written_at": TIME,
    "raw_tone": pa.float64(),
    "headline": pa.string(),
}
FACTS = {"symbol": pa.string(), "at_time": TIME, "shares": pa.int64()}


def table(rows: list[dict[str, Any]], schema: dict[str, pa.DataType]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=pa.schema(list(schema.items())))


def distinct(rows: list[dict[str, Any]], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row of each key, time and time of writing, so that no answer is a matter of luck."""
    seen = {(*(row[key] for key in keys), row["at_time"], row.get("written_at")): row for row in rows}
    return list(seen.values())


def instant(draw: random.Random) -> datetime:
    return START + timedelta(minutes=30 * draw.randrange(24))


def maybe(draw: random.Random, value: Any, share: float = 0.15) -> Any:
    return None if draw.random() < share else value


def written(draw: random.Random, at_time: datetime | None) -> datetime | None:
    if at_time is None:
        return START
    lateness = draw.choice([-30, 0, 0, 0, 1, 45, 120, 600])
    return maybe(draw, at_time + timedelta(minutes=lateness), 0.1)


def price_row(draw: random.Random) -> dict[str, Any]:
    at_time = maybe(draw, instant(draw), 0.03)
    return {
        "kind": maybe(draw, draw.choice(CLASSES), 0.03),
        "symbol": maybe(draw, draw.choice(SYMBOLS[:3]), 0.03),
        "at_time": at_time,
        "written_at": written(draw, at_time),
        "high": maybe(draw, draw.uniform(-5, 5)),
        "low": maybe(draw, draw.choice([0.0, -0.0, 5e-324, 1.7976931348623157e308, draw.gauss(0, 1)])),
        "count": maybe(draw, draw.randrange(-(2**62), 2**62)),
        "label": maybe(draw, draw.choice(["", "á", "it's", "x" * 50])),
    }


def news_row(draw: random.Random) -> dict[str, Any]:
    at_time = instant(draw) + draw.choice([timedelta(0), MICROSECOND, -MICROSECOND])
    return {
        "ticker": maybe(draw, draw.choice(SYMBOLS), 0.03),
        "at_time": at_time,
        "written_at": written(draw, at_time),
        "raw_tone": maybe(draw, draw.gauss(0, 1)),
        "headline": maybe(draw, f"headline {draw.randrange(1000)}"),
    }


def facts_row(draw: random.Random) -> dict[str, Any]:
    return {"symbol": draw.choice(SYMBOLS), "at_time": instant(draw), "shares": maybe(draw, draw.randrange(10**12))}


def entity_rows(
    draw: random.Random, prices: list[dict[str, Any]], news: list[dict[str, Any]], count: int
) -> pd.DataFrame:
    """Instants at, just before and after events, writings and expiries; repeated rows and unknown symbols too."""
    known = [row for row in (*prices, *news) if row["at_time"] is not None]
    edges = [timedelta(0), TTL_PRICES, TTL_NEWS, timedelta(minutes=45), timedelta(minutes=120)]
    rows = []
    for _ in range(count):
        row = draw.choice(known)
        shift = draw.choice(edges) + draw.choice([timedelta(0), MICROSECOND, -MICROSECOND])
        rows.append(
            {
                "kind": draw.choice([*CLASSES, *CLASSES, *CLASSES, "crypto"]),
                "symbol": draw.choice([*SYMBOLS, *SYMBOLS, "nobody"]),
                "event_timestamp": row["at_time"] + shift,
                "weight": draw.choice([0.0, 1.5, -2.0]),
            }
        )
    rows += [dict(row) for row in rows[:5]]
    frame = pd.DataFrame(rows)
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True)
    frame["number"] = range(len(frame))
    return frame
