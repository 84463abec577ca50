"""Rows appended to a parquet file, streamed through DuckDB."""

from __future__ import annotations

import uuid

import pyarrow as pa

from feature_repo.offline_engine import Engine, columns, text
from feature_repo.offline_source import ParquetFiles
from market.errors import FeatureError


def append_batch(engine: Engine, files: ParquetFiles, table: pa.Table) -> None:
    """Replace the file by its rows and the new ones behind them; readers see the old file or the new one.

    Raises:
        FeatureError: Several files, or other columns than the file's in their order.
    """
    if len(files.paths) != 1:
        raise FeatureError(f"{files.pattern} is more than one file", remedy="append to one of them")
    (path,) = files.paths
    names = files.schema.names
    if table.column_names != names:
        raise FeatureError(
            f"columns {', '.join(table.column_names)} are not those of {path}", remedy=f"give {', '.join(names)}"
        )
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with engine.connect() as connection:
            connection.register("appended", table)
            stored = f"SELECT {columns(names)} FROM read_parquet({text(path)})"
            # The first part's types are the result's: UNION would widen them instead.
            types = connection.sql(f"{stored} LIMIT 0").types
            casts = ", ".join(
                f'CAST("{name}" AS {dtype}) AS "{name}"' for name, dtype in zip(names, types, strict=True)
            )
            union = f"{stored} UNION ALL SELECT {casts} FROM appended"
            connection.execute(f"COPY ({union}) TO {text(beside)} (FORMAT parquet, COMPRESSION zstd)")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
