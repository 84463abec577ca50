"""Columns of a BigQuery table that the platform did not make: which of them is which of ours, and how each is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.cloud import bigquery

from configs.sources import BigQueryOptions
from market.bars import BAR_SCHEMA
from market.errors import SchemaError
from warehouse.bigquery_types import google_type

BARS = tuple(name for name in BAR_SCHEMA if name != "asset_type")
ARRIVED_AT = "arrived_at"

ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("ticker", "pair"),
    "datetime": ("date", "timestamp", "trade_date"),
    ARRIVED_AT: ("ingested_at", "updated_at", "created_at", "inserted_at", "load_time", "fetched_at"),
    "percent_change": ("pct_change", "change_percent"),
    "macd_histogram": ("macd_hist",),
    "bollinger_upper": ("bb_upper", "bollinger_high"),
    "bollinger_middle": ("bb_middle", "bb_mid", "bollinger_mid"),
    "bollinger_lower": ("bb_lower", "bollinger_low"),
    "plus_di": ("di_plus",),
    "minus_di": ("di_minus",),
    "awesome_osc": ("awesome_oscillator", "ao"),
    "vwap_daily": ("vwap",),
    "atr": ("atr_14",),
    "rsi": ("rsi_14",),
    "adx": ("adx_14",),
}
"""Usual names of our columns; the first that a table has counts. Names are compared in lower case, as BigQuery does."""

_NUMBERS = ("FLOAT64", "INT64", "NUMERIC", "BIGNUMERIC")
_INSTANTS = {
    "TIMESTAMP": "`{name}`",
    "DATETIME": "TIMESTAMP(`{name}`)",
    "DATE": "TIMESTAMP(`{name}`)",
}
_NO_NUMBER = "CAST(NULL AS FLOAT64)"
_MISSING = {ARRIVED_AT: "CAST(NULL AS TIMESTAMP)"}


@dataclass(frozen=True)
class GivenColumns:
    """How our columns are read out of a table of theirs.

    Attributes:
        path: `project.dataset.table`.
        found: Our name → their name.
        expressions: Our name → GoogleSQL that gives our type: instants in UTC, FLOAT64, STRING.
    """

    path: str
    found: dict[str, str]
    expressions: dict[str, str]

    def select(self, names: Sequence[str]) -> str:
        """A SELECT list of our columns; what the table does not have is NULL."""
        return ", ".join(f"{self.expressions.get(name, _MISSING.get(name, _NO_NUMBER))} AS `{name}`" for name in names)


def given_columns(table: bigquery.Table, options: BigQueryOptions, wanted: Sequence[str]) -> GivenColumns:
    """Find our columns in a table: as configured, else by our own name, else by a usual one.

    Args:
        table: As the API describes it.
        options: Give `columns`, our name → theirs.
        wanted: Our columns beside the bar's own, which must be there; these may be missing.

    Raises:
        SchemaError: A column of the bar is gone, a configured one is not there, or one is of another type.
    """
    path = f"{table.project}.{table.dataset_id}.{table.table_id}"
    given = {field.name.lower(): field for field in table.schema}
    found: dict[str, str] = {}
    for ours in (*BARS, *wanted):
        theirs = _their_name(ours, options.columns, given, path)
        if theirs is not None:
            found[ours] = theirs
        elif ours in BARS:
            raise SchemaError(
                f"{path}: the column '{ours}' is missing; the table has {', '.join(given)}",
                remedy=f"name the one that holds it: sources.<asset_type>.columns: {{{ours}: ...}}",
            )
    return GivenColumns(path, found, {ours: _expression(ours, given[theirs], path) for ours, theirs in found.items()})


def _their_name(
    ours: str, configured: Mapping[Any, str], given: Mapping[str, bigquery.SchemaField], path: str
) -> str | None:
    if ours in configured:
        theirs = configured[ours].lower()
        if theirs not in given:
            raise SchemaError(
                f"{path}: columns says {ours} is '{configured[ours]}', but the table has no such column "
                f"(it has {', '.join(given)})",
                remedy="it was renamed or dropped: correct sources.<asset_type>.columns",
            )
        return theirs
    taken = {theirs.lower() for theirs in configured.values()}
    candidates = (name for name in (ours, *ALIASES.get(ours, ())) if name in given and name not in taken)
    return next(candidates, None)


def _expression(ours: str, field: bigquery.SchemaField, path: str) -> str:
    kind = google_type(field)
    if ours == "symbol":
        expected: Sequence[str] = ("STRING",)
        template = "`{name}`"
    elif ours in ("datetime", ARRIVED_AT):
        expected = tuple(_INSTANTS)
        template = _INSTANTS.get(kind, "")
    else:
        expected = _NUMBERS
        template = "`{name}`" if kind == "FLOAT64" else "CAST(`{name}` AS FLOAT64)"
    if kind not in expected:
        raise SchemaError(
            f"{path}: column '{field.name}' is {kind}, and {ours} must be {' or '.join(expected)}",
            remedy=f"name another column: sources.<asset_type>.columns: {{{ours}: ...}}",
        )
    return template.format(name=field.name)
