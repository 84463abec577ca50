"""GoogleSQL types on DuckDB, and which source types a column takes."""

from __future__ import annotations

import re

from market.errors import SchemaError
from warehouse.duckdb_host import identifier, quoted
from warehouse.schema import Column

_SCALARS = {
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "STRING": "VARCHAR",
    "BOOL": "BOOLEAN",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
    "DATETIME": "TIMESTAMP",
    "DATE": "DATE",
    "JSON": "JSON",
    "NUMERIC": "DECIMAL(38,9)",
    "BYTES": "BLOB",
}
_GOOGLE = {local: google for google, local in _SCALARS.items()}

_INTEGERS = {f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")}
_FLOATS = {"FLOAT", "DOUBLE"}
_STRINGS = {"VARCHAR", "JSON"}

# column type -> the DuckDB types whose values it takes without losing anything
_ACCEPTED = {
    "INT64": _INTEGERS | _FLOATS,
    "FLOAT64": _INTEGERS | _FLOATS,
    "STRING": _STRINGS,
    "JSON": _STRINGS,
    "BOOL": {"BOOLEAN"},
    "TIMESTAMP": {"TIMESTAMP WITH TIME ZONE"},
    "DATETIME": {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"},
    "DATE": {"DATE"},
    "NUMERIC": _INTEGERS,
    "BYTES": {"BLOB"},
}
_NAIVE = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}


def duckdb_type(google: str) -> str:
    """`FLOAT64` → `DOUBLE`, `ARRAY<STRUCT<a INT64>>` → `STRUCT(a BIGINT)[]`.

    Raises:
        SchemaError: For a type that tables here do not have.
    """
    text = google.strip()
    array = re.fullmatch(r"ARRAY\s*<(.+)>", text, re.IGNORECASE | re.DOTALL)
    if array:
        return f"{duckdb_type(array[1])}[]"
    struct = re.fullmatch(r"STRUCT\s*<(.+)>", text, re.IGNORECASE | re.DOTALL)
    if struct:
        fields = (field.strip().split(maxsplit=1) for field in _split(struct[1]))
        return f"STRUCT({', '.join(f'{identifier(name)} {duckdb_type(kind)}' for name, kind in fields)})"
    if text.upper() not in _SCALARS:
        raise SchemaError(
            f"type {google} is not supported", remedy=f"one of {', '.join(_SCALARS)}, ARRAY<…>, STRUCT<…>"
        )
    return _SCALARS[text.upper()]


def google_type(local: str) -> str:
    """`DOUBLE` → `FLOAT64`; a type without a counterpart as it is."""
    return _GOOGLE.get(local, local)


def cast_expression(table: str, column: Column, given: str | None) -> str:
    """The DuckDB expression that turns a source column of type `given` (None: missing) into the table's.

    Raises:
        SchemaError: For a source type whose values the column could not hold unchanged.
    """
    name, wanted = identifier(column.name), duckdb_type(column.type)
    if given is None or given == '"NULL"':
        return f"CAST(NULL AS {wanted})"
    if given == wanted and column.type != "JSON":
        return name
    if column.type == "TIMESTAMP" and given in _NAIVE:
        raise SchemaError(
            f"{table}: column '{column.name}' has times without a zone", remedy="make them UTC-aware before writing"
        )
    accepted = _ACCEPTED.get(column.type, {wanted})
    decimal = given.startswith("DECIMAL") and column.type in ("FLOAT64", "NUMERIC", "INT64")
    enum = given.startswith("ENUM") and column.type == "STRING"
    if not (given in accepted or decimal or enum or column.type.startswith(("ARRAY", "STRUCT"))):
        raise SchemaError(
            f"{table}: column '{column.name}' is {column.type}, the rows have {google_type(given)}",
            remedy="convert the column before writing it",
        )
    cast = f"CAST({name} AS {wanted})"
    if column.type == "INT64" and (given in _FLOATS or decimal):
        problem = quoted(f"column '{column.name}' is INT64 and holds ")
        return f"CASE WHEN {name} IS NULL OR {name} = trunc({name}) THEN {cast} ELSE error({problem} || {name}) END"
    if column.type == "JSON":
        problem = quoted(f"column '{column.name}' is JSON and holds ")
        return f"CASE WHEN {name} IS NULL OR json_valid({name}) THEN {cast} ELSE error({problem} || {name}) END"
    return cast


def _split(fields: str) -> list[str]:
    """Split at commas outside angle brackets."""
    parts, depth = [""], 0
    for character in fields:
        depth += (character == "<") - (character == ">")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts
