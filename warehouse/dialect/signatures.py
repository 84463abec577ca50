"""Operand types that GoogleSQL refuses and DuckDB would convert in silence.

`TIMESTAMP >= DATE`, `INT64 = STRING`, `'1' + 1`: checked wherever both types are plain to see (literals, casts,
functions, columns of tables that stand in the same FROM). What cannot be seen is left to the engine.
"""

from __future__ import annotations

from sqlglot import exp

from market.errors import QueryError
from warehouse.dialect.names import TableNames
from warehouse.dialect.registry import Node, shown, unsupported

_OPERATORS: dict[type[Node], str] = {
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
_ARITHMETIC: dict[type[Node], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
_NUMBERS = ("INT64", "FLOAT64", "NUMERIC")
_TIMES = ("DATE", "TIMESTAMP", "DATETIME")
_NO_CONDITIONS = (*_NUMBERS, *_TIMES, "STRING")
_CAST_TYPES = {
    exp.DType.BIGINT: "INT64",
    exp.DType.INT: "INT64",
    exp.DType.DOUBLE: "FLOAT64",
    exp.DType.DECIMAL: "NUMERIC",
    exp.DType.TEXT: "STRING",
    exp.DType.BOOLEAN: "BOOL",
    exp.DType.DATE: "DATE",
    exp.DType.TIMESTAMPTZ: "TIMESTAMP",
    exp.DType.TIMESTAMP: "DATETIME",
    exp.DType.DATETIME: "DATETIME",
}
_RESULTS: dict[str, tuple[type[Node], ...]] = {
    "DATE": (
        *(exp.DateAdd, exp.DateSub, exp.CurrentDate, exp.Date, exp.DateTrunc, exp.DateFromParts, exp.LastDay),
        *(exp.StrToDate, exp.DateFromUnixDate),
    ),
    "TIMESTAMP": (
        *(exp.CurrentTimestamp, exp.Timestamp, exp.TimestampAdd, exp.TimestampSub, exp.TimestampTrunc, exp.UnixToTime),
        exp.StrToTime,
    ),
    "DATETIME": (exp.TsOrDsToDatetime, exp.CurrentDatetime, exp.DatetimeAdd, exp.DatetimeSub, exp.DatetimeTrunc),
    "STRING": (
        exp.Concat,
        exp.DPipe,
        exp.Lower,
        exp.Upper,
        exp.Substring,
        exp.TimeToStr,
        exp.Format,
        exp.Trim,
        exp.Replace,
    ),
    "INT64": (
        *(
            exp.Count,
            exp.CountIf,
            exp.Length,
            exp.DateDiff,
            exp.TimestampDiff,
            exp.IntDiv,
            exp.RowNumber,
            exp.StrPosition,
        ),
        *(exp.UnixSeconds, exp.UnixMillis, exp.UnixMicros, exp.UnixDate),
    ),
    "FLOAT64": (exp.Div, exp.SafeDivide, exp.Round, exp.Avg, exp.Sqrt, exp.Ln, exp.Log, exp.Exp, exp.Pow, exp.Stddev),
    "BOOL": (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between),
}
_TYPE_OF = {cls: name for name, classes in _RESULTS.items() for cls in classes}

# Node -> what BigQuery calls it, where its arguments stand, and the types it does not take.
_ARGUMENTS: dict[type[Node], tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    exp.Mod: ("function MOD", ("this", "expression"), ("FLOAT64",)),
    exp.IntDiv: ("function DIV", ("this", "expression"), ("FLOAT64",)),
    exp.Sum: ("aggregate function SUM", ("this",), ("BOOL", "STRING", *_TIMES)),
    exp.Avg: ("aggregate function AVG", ("this",), ("BOOL", "STRING", *_TIMES)),
    exp.Not: ("operator NOT", ("this",), _NO_CONDITIONS),
    exp.And: ("operator AND", ("this", "expression"), _NO_CONDITIONS),
    exp.Or: ("operator OR", ("this", "expression"), _NO_CONDITIONS),
    exp.If: ("function IF", ("this",), _NO_CONDITIONS),
    exp.Where: ("WHERE", ("this",), _NO_CONDITIONS),
    exp.Having: ("HAVING", ("this",), _NO_CONDITIONS),
    exp.Qualify: ("QUALIFY", ("this",), _NO_CONDITIONS),
}

Columns = dict[str, str]
"""Column (plain, and qualified by its table's alias) → GoogleSQL type, lower case."""


def check_signatures(tree: Node, names: TableNames) -> None:
    """Refuse comparisons and arithmetic whose operand types are known and do not fit.

    Raises:
        QueryError: As BigQuery words it.
        UnsupportedSqlError: For the difference of two dates or times, an INTERVAL.
    """
    scopes: dict[int, Columns] = {}
    for node in tree.find_all(*_OPERATORS, *_ARITHMETIC, exp.Between, exp.In):
        select = node.find_ancestor(exp.Select)
        if id(select) not in scopes:
            scopes[id(select)] = _columns(select, names) if select is not None else {}
        for operator, left, right in _pairs(node):
            _check(operator, left, right, scopes[id(select)], node)
    for node in tree.find_all(*_ARGUMENTS):
        select = node.find_ancestor(exp.Select)
        if id(select) not in scopes:
            scopes[id(select)] = _columns(select, names) if select is not None else {}
        case = node.parent
        if isinstance(node, exp.If) and isinstance(case, exp.Case) and case.this is not None:
            _check("=", case.this, node.this, scopes[id(select)], case)  # CASE x WHEN y compares, it asks no condition
        else:
            _check_arguments(node, scopes[id(select)])


def _pairs(node: Node) -> list[tuple[str, Node, Node]]:
    if isinstance(node, exp.Between):
        return [(">=", node.this, node.args["low"]), ("<=", node.this, node.args["high"])]
    if isinstance(node, exp.In):
        return [("=", node.this, value) for value in node.expressions]
    return [((_OPERATORS | _ARITHMETIC)[type(node)], node.this, node.expression)]


def _check(operator: str, left: Node, right: Node, columns: Columns, node: Node) -> None:
    types = [static_type(left, columns), static_type(right, columns)]
    if None in types:
        return
    if operator in _ARITHMETIC.values():
        if operator == "-" and set(types) <= set(_TIMES):
            raise unsupported(f"the INTERVAL {shown(node)}", "use DATE_DIFF or TIMESTAMP_DIFF")
        fits = not {"STRING", "BOOL"} & set(types)
    else:
        fits = _compares(types[0], types[1], left, right)
    if not fits:
        raise QueryError(
            f"No matching signature for operator {operator} for argument types: {types[0]}, {types[1]} "
            f"in {shown(node)}",
            remedy="convert one side: DATE(timestamp), TIMESTAMP(date), CAST(… AS …)",
        )


def _check_arguments(node: Node, columns: Columns) -> None:
    what, places, refused = _ARGUMENTS[type(node)]
    types = [static_type(node.args[place], columns) for place in places]
    if not set(types) & set(refused):
        return
    if isinstance(node, exp.Where | exp.Having | exp.Qualify):
        message = f"{what} clause should return type BOOL, but returns type {types[0]}"
    else:
        message = f"No matching signature for {what} for argument types: {', '.join(str(one or '?') for one in types)}"
    raise QueryError(f"{message} in {shown(node)}", remedy="convert the argument, or write a comparison")


def _compares(one: str | None, other: str | None, left: Node, right: Node) -> bool:
    if one == other or (one in _NUMBERS and other in _NUMBERS) or {one, other} == {"DATE", "DATETIME"}:
        return True
    return any(
        isinstance(text, exp.Literal) and text.is_string and kind in _TIMES
        for text, kind in ((left, other), (right, one))
    )


def static_type(node: Node, columns: Columns) -> str | None:
    """The GoogleSQL type of an expression where it is plain to see, else None."""
    if isinstance(node, exp.Paren):
        return static_type(node.this, columns)
    if isinstance(node, exp.Literal):
        return "STRING" if node.is_string else "FLOAT64" if "." in node.name or "e" in node.name.lower() else "INT64"
    if isinstance(node, exp.Neg | exp.Max | exp.Min):
        return static_type(node.this, columns)
    if isinstance(node, exp.Boolean):
        return "BOOL"
    if isinstance(node, exp.Cast):
        return _CAST_TYPES.get(node.args["to"].this)
    if isinstance(node, exp.Extract):
        return "DATE" if node.this.name.upper() == "DATE" else "INT64"
    if isinstance(node, exp.Column) and not node.db:
        return columns.get(".".join(part.name for part in node.parts).lower())
    return _TYPE_OF.get(type(node))


def _columns(select: exp.Select, names: TableNames) -> Columns:
    """Types by qualified name; by plain name too when every source is a table and no two share the name."""
    sources = [join.this for join in select.args.get("joins", ())]
    origin = select.args.get("from_")
    sources += [origin.this] if origin is not None else []
    qualified: Columns = {}
    plain: dict[str, set[str]] = {}
    all_known = True
    for source in sources:
        types = names.column_types(source.db, source.name) if isinstance(source, exp.Table) and source.db else {}
        all_known = all_known and bool(types)
        for column, kind in types.items():
            qualified[f"{source.alias_or_name.lower()}.{column}"] = kind
            plain.setdefault(column, set()).add(kind)
    if not all_known:
        return qualified
    return qualified | {column: kinds.pop() for column, kinds in plain.items() if len(kinds) == 1}
