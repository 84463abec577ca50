"""Clean tables that are views over tables of your own: nothing is copied, and features are built inside BigQuery.

The view gives each bar once (the newest of its copies), under its canonical symbol, without the rows that the checks
rejected, with the table's own indicators under our names and the instant at which the bar was known. It stands in the
platform's dataset and carries the platform's label; the table under it is only read.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from configs.settings import Settings
from configs.sources import BigQueryOptions
from market.assets import CLEAN_TABLES, AssetType
from market.errors import BadBarsError, ConfigError
from market.sessions import AROUND_THE_CLOCK
from market.symbols import canonical_symbol
from warehouse.bigquery import BigQueryWarehouse
from warehouse.bigquery_client import LABELS
from warehouse.bigquery_ddl import path_of
from warehouse.bigquery_sql import literal, table_path
from warehouse.champions import published_champions
from warehouse.clean import clean_state
from warehouse.clock import asset_settings_write, newest_known_at, wall_clock
from warehouse.dialect import TableNames
from warehouse.ingest import IngestReport, session_writes
from warehouse.quarantine import quarantine_writes
from warehouse.reading import Batch
from warehouse.schema import load_schema
from warehouse.sources._bigquery_columns import ARRIVED_AT, BARS, GivenColumns, given_columns
from warehouse.sources.bigquery import require_table
from warehouse.warehouse import Warehouse

log = logging.getLogger(__name__)

_PRICES = BARS[2:]
_OWN = ("bar_known_at", "ingested_at", "indicator_variant", *BARS)


def attach(warehouse: Warehouse, settings: Settings, options: BigQueryOptions, batch: Batch) -> IngestReport:
    """Put a view over the inspected table in the place of the clean table, and record what the checks found.

    Raises:
        ConfigError: The engine is not BigQuery, symbols of the class are renamed, or the clean table holds bars that
            the platform stored.
        SchemaError: The table lacks a column, or has one of another type.
    """
    asset_type = batch.asset_type
    if not isinstance(warehouse, BigQueryWarehouse):
        raise _not_attachable(asset_type, "features over a table's own indicators are built inside BigQuery")
    if any(entry.asset_type == asset_type for entry in settings.symbols.renamed):
        raise _not_attachable(asset_type, "symbols.renamed gives bars of one symbol to another")
    with warehouse.read() as read:
        if clean_state(read, asset_type).change_number:
            raise _not_attachable(asset_type, f"{CLEAN_TABLES[asset_type]} holds bars that the platform stored")
        newest, published = newest_known_at(read), published_champions(read)
    newest[asset_type] = batch.bars["bar_known_at"].max()  # type: ignore[assignment]
    now = wall_clock()
    writes = quarantine_writes(batch.findings, source=batch.source, quarantined_at=now)
    writes += session_writes(settings, asset_type, batch.bars)
    warehouse.write([asset_settings_write(settings, newest, published), *writes])
    table = require_table(warehouse.bigquery, options, asset_type)
    columns = [column.name for column in load_schema().table(CLEAN_TABLES[asset_type]).columns]
    given = given_columns(table, options, (ARRIVED_AT, *(name for name in columns if name not in _OWN)))
    missing = [name for name in columns if name not in (*_OWN, *given.found)]
    if missing:
        log.warning("%s has no %s: these indicators are unknown", given.path, ", ".join(missing))
    _put_view(warehouse, settings, asset_type, _view(warehouse, settings, asset_type, given, columns))
    stored = int(warehouse.query(f"SELECT COUNT(*) AS n FROM `{CLEAN_TABLES[asset_type]}`").column(0)[0].as_py())
    return IngestReport(
        asset_type=asset_type,
        interval="1d",
        source=batch.source,
        symbols=batch.bars["symbol"].n_unique(),
        read=batch.read,
        new=0,
        changed=0,
        unchanged=batch.bars.height,
        quarantined=batch.read - batch.bars.height,
        flagged=int((batch.findings["action"] == "kept").sum()),
        rescaled=0,
        stored=stored,
        first=batch.bars["datetime"].min(),  # type: ignore[arg-type]
        last=batch.bars["datetime"].max(),  # type: ignore[arg-type]
    )


def _view(
    warehouse: BigQueryWarehouse, settings: Settings, asset_type: AssetType, given: GivenColumns, columns: list[str]
) -> str:
    names = TableNames.of(settings.warehouse, load_schema())
    theirs = table_path(*given.path.split("."))
    values = ", ".join(f"bars.`{name}`" for name in columns if name not in ("symbol", *_OWN[:3]))
    known_at, sessions = _known_at(settings, asset_type, names)
    newest_first = ", ".join(f"`{name}` DESC" for name in (ARRIVED_AT, *_PRICES))
    read = (*BARS, ARRIVED_AT, *(name for name in columns if name not in _OWN))
    same = " AND ".join(
        f"out.`{name}` IS NOT DISTINCT FROM IF(IS_NAN(bars.`{name}`) OR IS_INF(bars.`{name}`), NULL, bars.`{name}`)"
        for name in _PRICES
    )
    return f"""WITH given AS (
  SELECT {given.select(read)} FROM {theirs}
),
bars AS (
  SELECT * REPLACE ({_canonical(warehouse, asset_type, given)} AS symbol) FROM given
  WHERE symbol IS NOT NULL AND datetime IS NOT NULL
),
checked AS (
  SELECT bars.* FROM bars
  WHERE NOT EXISTS (
    SELECT 1 FROM {path_of(names, "tradehits.bar_quarantine")} AS out
    WHERE out.asset_type = {literal(asset_type)} AND out.action = 'rejected' AND out.source = 'bigquery'
      AND out.rule NOT IN ('duplicate_identical', 'duplicate_conflicting', 'not_closed')
      AND out.symbol = bars.symbol AND out.datetime = bars.datetime AND {same}
  )
),
once AS (
  SELECT * FROM checked WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY symbol, datetime ORDER BY {newest_first}) = 1
),
known AS (
  SELECT bars.symbol, {values}, {known_at} AS bar_known_at,
    COALESCE(bars.`{ARRIVED_AT}`, bars.datetime) AS ingested_at,
    {literal(settings.indicators.variant)} AS indicator_variant
  FROM once AS bars{sessions}
)
SELECT {", ".join(f"`{name}`" for name in columns)} FROM known
WHERE bar_known_at <= TIMESTAMP {literal(wall_clock().isoformat())}"""


def _known_at(settings: Settings, asset_type: AssetType, names: TableNames) -> tuple[str, str]:
    """The instant a bar was known, and the join it needs; a bar outside every session falls out."""
    if asset_type in AROUND_THE_CLOCK:
        return "TIMESTAMP_ADD(bars.datetime, INTERVAL 24 HOUR)", ""
    calendar = settings.sessions.calendars.by_asset_type()[asset_type]
    join = (
        f"\n  JOIN {path_of(names, 'tradehits.sessions')} AS sessions\n"
        f"    ON sessions.session = DATE(bars.datetime) AND sessions.calendar = {literal(calendar)}"
    )
    return f"TIMESTAMP_ADD(sessions.close_at, INTERVAL {settings.sessions.publication_delay_minutes} MINUTE)", join


def _canonical(warehouse: BigQueryWarehouse, asset_type: AssetType, given: GivenColumns) -> str:
    """GoogleSQL from their symbols to canonical ones; a symbol without one keeps its name and is in quarantine."""
    sql = f"SELECT DISTINCT {given.select(('symbol',))} FROM {table_path(*given.path.split('.'))}"
    found = [row.symbol for row in warehouse.bigquery.query(sql, doing=f"symbols of {given.path}") if row.symbol]
    renamed: dict[str, str] = {}
    for symbol in sorted(found):
        try:
            canonical = canonical_symbol(asset_type, symbol)
        except BadBarsError:
            continue
        if canonical != symbol:
            renamed[symbol] = canonical
    return _case(renamed)


def _case(renamed: Mapping[str, str]) -> str:
    if not renamed:
        return "symbol"
    whens = " ".join(f"WHEN {literal(theirs)} THEN {literal(ours)}" for theirs, ours in renamed.items())
    return f"CASE symbol {whens} ELSE symbol END"


def _put_view(warehouse: BigQueryWarehouse, settings: Settings, asset_type: AssetType, sql: str) -> None:
    """Replace the platform's own empty table, or the view of an earlier ingestion."""
    names = TableNames.of(settings.warehouse, load_schema())
    path = path_of(names, CLEAN_TABLES[asset_type])
    labels = ", ".join(f"({literal(key)}, {literal(value)})" for key, value in LABELS.items())
    standing = warehouse.bigquery.client.get_table(path.replace("`", ""))
    drop = f"DROP TABLE {path};\n" if standing.table_type == "TABLE" else ""
    warehouse.bigquery.transaction(
        f"{drop}CREATE OR REPLACE VIEW {path} OPTIONS (labels = [{labels}]) AS\n{sql}",
        (),
        doing=f"view {CLEAN_TABLES[asset_type]}",
    )


def _not_attachable(asset_type: AssetType, why: str) -> ConfigError:
    return ConfigError(
        f"sources.{asset_type}.recompute_indicators is false, but {why}",
        remedy=f"set sources.{asset_type}.recompute_indicators: true, or use another profile or dataset",
    )
