"""Point-in-time reads: matched once, then fetched some hundred thousand entity rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import numpy as np
import pyarrow as pa
from feast import OnDemandFeatureView
from feast.infra.offline_stores.offline_store import RetrievalMetadata

from feature_repo.offline_demand import OnDemand
from feature_repo.offline_engine import Engine
from feature_repo.offline_entities import EntityFrame
from feature_repo.offline_gather import gather
from feature_repo.offline_job import StreamedJob
from feature_repo.offline_join import NO_ROW, Rows, matching_rows
from feature_repo.offline_views import RequestedView


class HistoricalJob(StreamedJob):
    """Features of entity rows."""

    def __init__(
        self,
        *,
        engine: Engine,
        entities: EntityFrame,
        views: Sequence[RequestedView],
        created_by_then: bool,
        on_demand: Sequence[OnDemandFeatureView],
        full_feature_names: bool,
        metadata: RetrievalMetadata,
    ) -> None:
        """Nothing is read yet."""
        super().__init__(engine, full_feature_names=full_feature_names, metadata=metadata)
        self._entities = entities
        self._views = views
        self._created_by_then = created_by_then
        self._demand = OnDemand(on_demand, metadata.features, full_feature_names=full_feature_names)

    def batches(self) -> Iterator[pa.Table]:
        """Entity rows with their features; in the order of the first view's file, so that each part is read once."""
        with self._engine.connect() as connection:
            matches = self._matches(connection)
            yield from self._in_order(connection, matches, _reading_order(matches))

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        """In the order of the entity rows."""
        with self._engine.connect() as connection:
            matches = self._matches(connection)
            order = _reading_order(matches)
            tables = list(self._in_order(connection, matches, order))
        return pa.concat_tables(tables) if order is None else _restored(tables, order)

    def _matches(self, connection: duckdb.DuckDBPyConnection) -> list[Rows]:
        return [
            matching_rows(connection, self._entities, view, created_by_then=self._created_by_then)
            for view in self._views
        ]

    def _in_order(
        self, connection: duckdb.DuckDBPyConnection, matches: list[Rows], order: Rows | None
    ) -> Iterator[pa.Table]:
        rows = self._entities.table.num_rows
        for start in range(0, max(rows, 1), self._engine.batch_rows):
            chosen = slice(start, min(start + self._engine.batch_rows, rows))
            if order is None:
                table = self._entities.table.slice(start, chosen.stop - start)
            else:
                table = self._entities.table.take(pa.array(order[chosen]))
            for view, numbers in zip(self._views, matches, strict=True):
                part = numbers[chosen] if order is None else numbers[order[chosen]]
                found = gather(connection, view.files, part, view.features)
                for name in view.features:
                    table = table.append_column(name, found.column(name))
            yield self._demand.added_to(table)


def _reading_order(matches: list[Rows]) -> Rows | None:
    """Positions of the entity rows in the order of the first view's rows; None where they are so already."""
    if not matches:
        return None
    first = matches[0]
    found = first[first != NO_ROW]
    if np.all(found[1:] >= found[:-1]):
        return None
    return np.argsort(first, kind="stable")


def _restored(tables: list[pa.Table], order: Rows) -> pa.Table:
    """Rows back in their first order, a column at a time so that the table is never there twice."""
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    indices = pa.array(back)
    schema = tables[0].schema
    columns = []
    pieces = [table.columns for table in tables]
    tables.clear()
    for number in range(len(schema)):
        whole = pa.chunked_array(
            [chunk for parts in pieces for chunk in parts[number].chunks], type=schema.field(number).type
        )
        columns.append(whole.combine_chunks().take(indices))
        for parts in pieces:
            parts[number] = None
    return pa.Table.from_arrays(columns, schema=schema)
