"""BigQuery's column types: as the API names them, as Arrow, and which of them a table's column takes."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from google.cloud import bigquery

from market.errors import SchemaError
from warehouse.schema import Column, Table

_SPELLED = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC", "RECORD": "STRUCT"}
_ARROW: dict[str, pa.DataType] = {
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "STRING": pa.string(),
    "JSON": pa.string(),
    "GEOGRAPHY": pa.string(),
    "BOOL": pa.bool_(),
    "BYTES": pa.binary(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
}
# column type -> the types whose values it takes without losing anything, as on the embedded engine
_ACCEPTED = {
    "INT64": {"INT64", "FLOAT64", "NUMERIC"},
    "FLOAT64": {"INT64", "FLOAT64", "NUMERIC"},
    "STRING": {"STRING", "JSON"},
    "JSON": {"STRING", "JSON"},
    "NUMERIC": {"INT64", "NUMERIC"},
}


def google_type(field: bigquery.SchemaField) -> str:
    """`FLOAT` → `FLOAT64`, a repeated field → `ARRAY<…>`."""
    kind = _SPELLED.get(field.field_type, field.field_type)
    if kind == "STRUCT":
        kind = f"STRUCT<{', '.join(f'{part.name} {google_type(part)}' for part in field.fields)}>"
    return f"ARRAY<{kind}>" if field.mode == "REPEATED" else str(kind)


def arrow_schema(fields: Sequence[bigquery.SchemaField]) -> pa.Schema:
    """A result's Arrow schema: TIMESTAMP is `timestamp[us, tz=UTC]`, JSON is its text."""
    return pa.schema([pa.field(field.name, _arrow_type(field)) for field in fields])


def _arrow_type(field: bigquery.SchemaField) -> pa.DataType:
    kind = _SPELLED.get(field.field_type, field.field_type)
    plain = (
        pa.struct([pa.field(part.name, _arrow_type(part)) for part in field.fields])
        if kind == "STRUCT"
        else _ARROW[kind]
    )
    return pa.list_(plain) if field.mode == "REPEATED" else plain


def staging_fields(table: Table) -> list[bigquery.SchemaField]:
    """Columns of a table's staging table; JSON waits as its text."""
    return [_staging_field(table, column) for column in table.columns]


def _staging_field(table: Table, column: Column) -> bigquery.SchemaField:
    if column.type.startswith("ARRAY<") and column.type[6:-1] in _ARROW:
        return bigquery.SchemaField(column.name, column.type[6:-1], mode="REPEATED")
    if column.type not in _ARROW:
        raise SchemaError(
            f"{table.name}: column '{column.name}' is {column.type}, which cannot be loaded",
            remedy="use scalar columns",
        )
    return bigquery.SchemaField(column.name, "STRING" if column.type == "JSON" else column.type)


def cast_expression(table: str, column: Column, given: str | None) -> str:
    """GoogleSQL that turns a staged column of type `given` (None: missing) into the table's.

    Raises:
        SchemaError: For a type whose values the column could not hold unchanged.
    """
    name = f"`{column.name}`"
    if given is None:
        return f"CAST(NULL AS {column.type})"
    if given == column.type:
        return name
    if given not in _ACCEPTED.get(column.type, {column.type}):
        raise SchemaError(
            f"{table}: column '{column.name}' is {column.type}, the rows have {given}",
            remedy="convert the column before writing it",
        )
    if column.type == "JSON":
        return f"PARSE_JSON({name})"
    if given == "JSON":
        return f"TO_JSON_STRING({name})"
    return f"CAST({name} AS {column.type})"
