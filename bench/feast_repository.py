"""A Feast repository over a made-up history, opened with our stores or with stock Feast's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

from feature_repo.connection import COMPUTE_ENGINE, OFFLINE_STORE, ONLINE_STORE
from market.errors import TradeHitsError

OURS = "ours"
PEER_MEMORY = "10GB"
FLOATS = tuple(f"value_{number:02d}" for number in range(28))
FLAGS = tuple(f"flag_{number:02d}" for number in range(12))
FEATURES = FLOATS + FLAGS
KEYS = ("asset_type", "symbol")
FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)
WRITTEN_AT = datetime(2026, 1, 1, tzinfo=UTC)
VIEW = "history"
LAST_DAYS = 7
_GROUP_ROWS = 122_880


def make_history(folder: Path, symbols: int, length: int) -> Path:
    """Bars of `symbols` symbols as the platform publishes them: by symbol, the newest week of all at the end."""
    path = folder / "history.parquet"
    step = max(1, 4 * _GROUP_ROWS // length)
    newest = []
    writer: Any = None
    for first in range(0, symbols, step):
        rows = _rows(first, min(step, symbols - first), length)
        recent = pl.int_range(pl.len()).over("symbol") >= length - LAST_DAYS
        newest.append(rows.filter(recent))
        table = rows.filter(~recent).to_arrow()
        floats = dict.fromkeys(FLOATS, "BYTE_STREAM_SPLIT")
        writer = writer or pq.ParquetWriter(
            path, table.schema, compression="lz4", use_dictionary=_texts(table), column_encoding=floats
        )
        writer.write_table(table, row_group_size=_GROUP_ROWS)
    writer.write_table(pl.concat(newest).to_arrow(), row_group_size=_GROUP_ROWS)
    writer.close()
    return path


def _texts(table: pa.Table) -> list[str]:
    return [name for name in table.schema.names if name not in FLOATS]


def _rows(first: int, symbols: int, length: int) -> pl.DataFrame:
    random = np.random.default_rng(first)
    rows = symbols * length
    days = pl.datetime_range(FIRST_DAY, FIRST_DAY + timedelta(days=length - 1), "1d", time_unit="us", eager=True)
    names = pl.Series([f"S{first + number:05d}/USD" for number in range(symbols)])
    stamps = days.gather(np.tile(np.arange(length), symbols))
    floats = {name: pl.Series(random.normal(size=rows)) for name in FLOATS}
    flags = {name: pl.Series(random.integers(0, 2, rows)) for name in FLAGS}
    unknown = pl.Series(random.random(rows) < 0.02)
    return pl.DataFrame(
        {
            "asset_type": pl.repeat("crypto", rows, eager=True),
            "symbol": names.gather(np.repeat(np.arange(symbols), length)),
            "datetime": stamps,
            "bar_known_at": stamps + timedelta(days=1),
            "created_timestamp": pl.repeat(WRITTEN_AT, rows, dtype=pl.Datetime("us", "UTC"), eager=True),
            **floats,
            **flags,
        }
    ).with_columns(pl.when(~unknown).then(pl.col(name)).alias(name) for name in FEATURES[::5])


def open_repository(folder: Path, kind: str, path: Path) -> FeatureStore:
    """The repository of a folder: `ours` or `stock`, with everything applied."""
    files = folder / kind
    files.mkdir(exist_ok=True)
    mine = kind == OURS
    if not mine:
        # By default it takes four fifths of the machine and spills into the working directory.
        ibis.set_backend(ibis.duckdb.connect(memory_limit=PEER_MEMORY, temp_directory=str(files / "spill")))
    offline = {"type": OFFLINE_STORE, "memory_limit": "3GB", "temp_directory": str(files / "spill")}
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(files / "registry.pb"),
            online_store={"type": ONLINE_STORE if mine else "sqlite", "path": str(files / "online.db")},
            offline_store=offline if mine else {"type": "duckdb"},
            batch_engine={"type": COMPUTE_ENGINE if mine else "local"},
            materialization={"pull_latest_features": True},
            entity_key_serialization_version=3,
        )
    )
    entities = [Entity(name=name, join_keys=[name], value_type=ValueType.STRING) for name in KEYS]
    source = FileSource(
        name=VIEW,
        path=str(path),
        file_format=ParquetFormat(),
        timestamp_field="bar_known_at",
        created_timestamp_column="created_timestamp",
    )
    view = FeatureView(
        name=VIEW,
        entities=entities,
        ttl=timedelta(days=14),
        schema=[
            *(Field(name=name, dtype=String) for name in KEYS),
            *(Field(name=name, dtype=Float64) for name in FLOATS),
            *(Field(name=name, dtype=Int64) for name in FLAGS),
        ],
        source=source,
        online=True,
    )
    store.apply([*entities, view])
    return store


def digest(table: pa.Table, number: str) -> dict[str, int]:
    """A checksum of every feature that knows each value's bits and its row's number, but not the order of rows."""
    weights = table.column(number).to_numpy().astype(np.uint64) * np.uint64(2) + np.uint64(1)
    sums = {"rows": table.num_rows}
    for name in FEATURES:
        column = table.column(name)
        known = np.asarray(column.is_valid())
        bits = column.fill_null(0).to_numpy().view(np.uint64)
        with np.errstate(over="ignore"):
            sums[name] = int(np.sum(np.where(known, bits, np.uint64(0x9E3779B97F4A7C15)) * weights))
    return sums


def refuse_difference(ours: dict[str, int], theirs: dict[str, int]) -> None:
    """Raise for columns whose values differ: a comparison of times would then mean nothing."""
    different = [name for name, value in ours.items() if theirs[name] != value]
    if different:
        raise TradeHitsError(f"our values and the peer's differ in {', '.join(different)}", remedy="mend the store")


@contextmanager
def quiet() -> Iterator[None]:
    """Feast prints its progress, and ibis warns of DuckDB 2."""
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        yield
