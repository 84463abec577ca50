"""Source `bigquery`: your own tables, read where they are.

Nothing is written to them or beside them. Only the columns of bars are read: flags, regimes and whatever else was
computed in them never become an input of a model. Copies of a row are counted, and identical ones are left out, inside
BigQuery; conflicting ones come here, to be judged by the rules that every bar passes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl
import pyarrow as pa
from google.api_core import exceptions as google
from google.cloud import bigquery
from google.cloud.exceptions import NotFound

from configs.settings import Settings
from configs.sources import BigQueryOptions
from market.assets import ASSET_TYPES, CLEAN_TABLES, AssetType
from market.errors import BadBarsError, SourceError
from market.findings import FINDING_SCHEMA
from market.inspection import RawBars
from warehouse.bigquery_client import BigQuery
from warehouse.bigquery_errors import bigquery_errors
from warehouse.bigquery_sql import table_path
from warehouse.bigquery_storage import storage_client
from warehouse.sources._bigquery_columns import ARRIVED_AT, BARS, GivenColumns, given_columns
from warehouse.sources.base import SetAside, of_class, read_strictly

log = logging.getLogger(__name__)

_UTC = pl.Datetime("us", "UTC")


@dataclass
class BigQuerySource:
    """Bars of one or all asset classes from tables in BigQuery; read once, at the first `read` or `raw`."""

    bigquery: BigQuery
    options: BigQueryOptions
    settings: Settings
    now: datetime
    asset_type: AssetType | None
    name: str = "bigquery"
    is_simulated: bool = False
    _parts: dict[AssetType, tuple[RawBars, SetAside]] = field(default_factory=dict)

    def read(self, asset_type: AssetType | None = None) -> pl.DataFrame:
        """See `Source.read`."""
        bars = read_strictly(self.raw(asset_type), settings=self.settings, now=self.now)
        return of_class(bars, asset_type, source=self.name)

    def raw(self, asset_type: AssetType | None = None) -> list[RawBars]:
        """See `RawSource.raw`; one part a table, identical copies left out."""
        return [self._part(name)[0] for name in self._classes(asset_type)]

    def set_aside(self, asset_type: AssetType) -> SetAside:
        """See `FilteringSource.set_aside`."""
        return self._part(asset_type)[1]

    def _classes(self, asset_type: AssetType | None) -> list[AssetType]:
        wanted = asset_type or self.asset_type
        if wanted is not None:
            return [wanted]
        there = [name for name in ASSET_TYPES if table_of(self.bigquery, self.options, name) is not None]
        if not there:
            raise SourceError(
                f"there is none of {', '.join(_id(self.bigquery, self.options, name) for name in ASSET_TYPES)}",
                remedy="name project, dataset and table in the configuration: sources.<asset_type>",
            )
        return there

    def _part(self, asset_type: AssetType) -> tuple[RawBars, SetAside]:
        if asset_type not in self._parts:
            self._parts[asset_type] = self._read_table(asset_type)
        return self._parts[asset_type]

    def _read_table(self, asset_type: AssetType) -> tuple[RawBars, SetAside]:
        given = given_columns(require_table(self.bigquery, self.options, asset_type), self.options, (ARRIVED_AT,))
        file = f"BigQuery table {given.path}"
        bars = pl.DataFrame(self._arrow(distinct_bars_query(given), f"read {given.path}")).with_columns(
            pl.col("datetime", ARRIVED_AT).cast(_UTC)
        )
        bars = bars.sort("symbol", "datetime", ARRIVED_AT, *BARS[2:], nulls_last=False)
        _refuse_unordered_conflicts(bars, given, file)
        rows = int(bars["copies"].sum())
        if rows > bars.height:
            bars = self._without_copies(bars, file)
            log.warning("%s: %s identical copies of rows are left out", given.path, f"{rows - bars.height:,}")
        frame = bars.select(pl.lit(asset_type).alias("asset_type"), *BARS)
        return RawBars(file, frame), self._told(asset_type, file, rows - bars.height)

    def _arrow(self, sql: str, doing: str) -> pa.Table:
        """Rows through the Storage API, or over REST where it refuses."""
        storage = storage_client(self.bigquery)
        with bigquery_errors(doing):
            try:
                return self.bigquery.query(sql, doing=doing).to_arrow(bqstorage_client=storage)
            except (google.Forbidden, google.MethodNotImplemented) as error:
                if storage is None:
                    raise
                log.warning("the Storage API refuses to read (%s): reading over REST, which is slower", error)
                return self.bigquery.query(sql, doing=doing).to_arrow(create_bqstorage_client=False)

    def _without_copies(self, bars: pl.DataFrame, file: str) -> pl.DataFrame:
        """What `checks.duplicate_identical` says about rows of which there are several."""
        policy = self.settings.checks.duplicate_identical.policy
        repeated = bars.filter(pl.col("copies") > 1)
        if policy == "fail":
            first = repeated.row(0, named=True)
            raise BadBarsError(
                f"{first['symbol']} at {first['datetime']} is there {first['copies']} times "
                f"({repeated.height:,} rows have copies)",
                file=file,
                column="datetime",
                remedy="set checks.duplicate_identical.policy: keep_newest",
            )
        return bars.filter(pl.col("copies") == 1) if policy == "reject" else bars

    def _told(self, asset_type: AssetType, file: str, identical: int) -> SetAside:
        if not identical:
            return SetAside(0, FINDING_SCHEMA.to_frame())
        found = {
            "file": file,
            "asset_type": asset_type,
            "interval": "1d",
            "rule": "duplicate_identical",
            "severity": self.settings.checks.duplicate_identical.severity,
            "action": "rejected",
            "detail": f"{identical:,} identical copies of rows were left out",
            "column": "datetime",
        }
        return SetAside(identical, pl.DataFrame([found], schema=FINDING_SCHEMA))


def open_source(
    *, options: BigQueryOptions, settings: Settings, now: datetime, asset_type: AssetType | None = None
) -> BigQuerySource:
    """Open tables of your own; nothing is connected yet."""
    client = BigQuery(settings.warehouse, {"profile": settings.profile, "command": "ingest"})
    return BigQuerySource(client, options, settings, now, asset_type)


def distinct_bars_query(given: GivenColumns) -> str:
    """Bars without their identical copies: how many there were, and when the last one arrived.

    Copies are compared by the bar alone: two rows of one bar with other indicators, or written at another time, are
    copies.
    """
    bars = ", ".join(f"`{name}`" for name in BARS)
    source = table_path(*given.path.split("."))
    return (
        f"SELECT {bars}, MAX(`{ARRIVED_AT}`) AS `{ARRIVED_AT}`, COUNT(*) AS copies "
        f"FROM (SELECT {given.select((*BARS, ARRIVED_AT))} FROM {source}) GROUP BY {bars}"
    )


def table_of(client: BigQuery, options: BigQueryOptions, asset_type: AssetType) -> bigquery.Table | None:
    """A class's table as the API describes it; None when there is none."""
    name = _id(client, options, asset_type)
    with bigquery_errors(f"look up {name}"):
        try:
            return client.client.get_table(name)
        except NotFound:
            return None


def require_table(client: BigQuery, options: BigQueryOptions, asset_type: AssetType) -> bigquery.Table:
    """A class's table as the API describes it.

    Raises:
        SourceError: There is no such table or dataset.
    """
    found = table_of(client, options, asset_type)
    if found is None:
        raise SourceError(
            f"there is no table {_id(client, options, asset_type)} in BigQuery",
            remedy=f"name project, dataset and table in the configuration: sources.{asset_type}: "
            "{source: bigquery, dataset: ..., table: ...}, or null for a class without bars",
        )
    return found


def _id(client: BigQuery, options: BigQueryOptions, asset_type: AssetType) -> str:
    table = options.table or CLEAN_TABLES[asset_type].split(".")[1]
    return f"{options.project or client.settings.project}.{options.dataset}.{table}"


def _refuse_unordered_conflicts(bars: pl.DataFrame, given: GivenColumns, file: str) -> None:
    """Of two rows that contradict each other the newer one counts, so something must say which that is."""
    if ARRIVED_AT in given.found:
        return
    conflicts = bars.filter(pl.len().over("symbol", "datetime") > 1)
    if conflicts.height:
        first = conflicts.row(0, named=True)
        raise BadBarsError(
            f"{first['symbol']} at {first['datetime']} is there with different values, and no column says which row is "
            f"newer ({conflicts.height:,} such rows)",
            file=file,
            column="datetime",
            remedy=f"name the time a row was written: sources.<asset_type>.columns: {{{ARRIVED_AT}: ...}}",
        )
