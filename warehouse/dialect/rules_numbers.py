"""Numbers, casts and arrays: where DuckDB's arithmetic and types differ from GoogleSQL's."""

from __future__ import annotations

from sqlglot import exp

from warehouse.dialect.registry import Node, rule, shown, sql, unsupported

_CASTS = {
    exp.DType.BIGINT: "int64",
    exp.DType.DOUBLE: "float64",
    exp.DType.BOOLEAN: "bool",
    exp.DType.DATE: "date",
}
_PLAIN_TYPES = {
    exp.DType.TIMESTAMPTZ: "TIMESTAMPTZ",
    exp.DType.TIMESTAMP: "TIMESTAMP",
    exp.DType.DATETIME: "TIMESTAMP",
    exp.DType.DATE: "DATE",
    exp.DType.DECIMAL: "DECIMAL(38, 9)",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.TEXT: "TEXT",
    exp.DType.BINARY: "BLOB",
}
_INTEGERS = {exp.DType.INT, exp.DType.SMALLINT, exp.DType.TINYINT, exp.DType.BIGINT}
_WIDE_PARENTS = (exp.Mul, exp.Array, exp.If, exp.Case, exp.Coalesce, exp.PropertyEQ, exp.Struct)
_SAFE_OPERATIONS: dict[type[Node], str] = {exp.SafeAdd: "+", exp.SafeSubtract: "-", exp.SafeMultiply: "*"}


@rule(exp.Literal)
def literal(node: exp.Literal) -> Node:
    """1.5 is FLOAT64 (DuckDB: DECIMAL) and 1 is INT64 (DuckDB: INTEGER, which overflows in products)."""
    if node.is_string:
        return node
    text = str(node.this)
    if "." in text and "e" not in text.lower():
        return exp.Literal.number(f"{text}{'0' if text.endswith('.') else ''}e0")
    parent = node.parent
    literal_sum = isinstance(parent, exp.Add | exp.Sub) and isinstance(parent.this, exp.Literal)
    if text.isdigit() and (isinstance(parent, (*_WIDE_PARENTS, *_SAFE_OPERATIONS)) or literal_sum):
        return sql("CAST(:n AS BIGINT)", n=node)
    return node


@rule(exp.Cast, exp.TryCast)
def cast(node: exp.Cast) -> Node:
    """CAST and SAFE_CAST by target type; typed literals (`DATE '2024-01-01'`) are casts too."""
    safe = isinstance(node, exp.TryCast)
    target = node.args["to"]
    kind = exp.DType.BIGINT if target.this in _INTEGERS else target.this
    if node.args.get("format"):
        raise unsupported(f"CAST … FORMAT ({shown(node)})", "use FORMAT_DATE, FORMAT_TIMESTAMP or PARSE_…")
    if kind in (exp.DType.ARRAY, exp.DType.STRUCT):
        return exp.TryCast(this=node.this, to=target) if safe else exp.Cast(this=node.this, to=target)
    if kind not in _PLAIN_TYPES:
        raise unsupported(f"type {target.sql('bigquery')}")
    if kind == exp.DType.TEXT:
        return node.this if _is_text(node.this) else sql("g.to_string(:x)", x=node.this)
    if kind in _CASTS and not (kind == exp.DType.DATE and _is_text(node.this)):
        return sql(f"g.{'try' if safe else 'to'}_{_CASTS[kind]}(:x)", x=node.this)
    return sql(f"{'TRY_CAST' if safe else 'CAST'}(:x AS {_PLAIN_TYPES[kind]})", x=node.this)


def _is_text(node: Node) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


@rule(exp.SafeDivide)
def safe_divide(node: exp.SafeDivide) -> Node:
    """NULL on a zero denominator."""
    return sql("g.safe_divide(:a, :b)", a=node.this, b=node.expression)


@rule(exp.SafeAdd, exp.SafeSubtract, exp.SafeMultiply)
def safe_arithmetic(node: exp.Func) -> Node:
    """NULL on an overflow."""
    return sql(f"TRY((:a) {_SAFE_OPERATIONS[type(node)]} (:b))", a=node.this, b=node.expression)


@rule(exp.SafeNegate)
def safe_negate(node: exp.SafeNegate) -> Node:
    """NULL on an overflow."""
    return sql("TRY(-(:a))", a=node.this)


@rule(exp.Sign)
def sign(node: exp.Sign) -> Node:
    """The argument's type; NaN of NaN."""
    return sql("g.sign_of(:x)", x=node.this)


@rule(exp.IntDiv)
def int_div(node: exp.IntDiv) -> Node:
    """DIV truncates toward zero, as DuckDB's `//` does for integers."""
    return sql("CAST((:a) // (:b) AS BIGINT)", a=node.this, b=node.expression)


@rule(exp.Round, exp.Trunc, exp.Floor, exp.Ceil)
def rounding(node: exp.Func) -> Node:
    """FLOAT64 in, FLOAT64 out, also for INT64; half away from zero."""
    name = {exp.Round: "round", exp.Trunc: "trunc", exp.Floor: "floor", exp.Ceil: "ceil"}[type(node)]
    if node.args.get("truncate") or node.args.get("to"):
        raise unsupported(f"rounding mode in {shown(node)}")
    decimals = node.args.get("decimals")
    if decimals is not None:
        return sql(f"{name}(CAST(:x AS DOUBLE), CAST(:n AS INTEGER))", x=node.this, n=decimals)
    return sql(f"{name}(CAST(:x AS DOUBLE))", x=node.this)


@rule(exp.Pow)
def power(node: exp.Pow) -> Node:
    """An overflow or a root of a negative number is an error."""
    return sql("g.finite(pow(CAST(:a AS DOUBLE), CAST(:b AS DOUBLE)))", a=node.this, b=node.expression)


@rule(exp.Exp)
def exponential(node: exp.Exp) -> Node:
    """An overflow is an error."""
    return sql("g.finite(exp(:x))", x=node.this)


@rule(exp.Bracket)
def subscript(node: exp.Bracket) -> Node:
    """OFFSET counts from 0, ORDINAL from 1; out of bounds is an error, with SAFE_ NULL."""
    base = node.args.get("offset")
    if base is None or len(node.expressions) != 1:
        raise unsupported(f"subscript {shown(node)}", "use OFFSET, ORDINAL, SAFE_OFFSET or SAFE_ORDINAL")
    name = "array_at_safe" if node.args.get("safe") else "array_at"
    return sql(f"g.{name}(:x, (:i) - {base})", x=node.this, i=node.expressions[0])


@rule(exp.SafeFunc)
def safe_function(node: exp.SafeFunc) -> Node:
    """SAFE.f(…): NULL where f raises."""
    return sql("TRY(:x)", x=node.this)


@rule(exp.Anonymous)
def by_name(node: exp.Anonymous) -> Node:
    """Functions that sqlglot does not know: two are known here, every other is refused."""
    name = str(node.this).upper()
    if name == "IEEE_DIVIDE" and len(node.expressions) == 2:
        return sql("g.ieee_divide(:a, :b)", a=node.expressions[0], b=node.expressions[1])
    if name == "ERROR" and len(node.expressions) == 1:
        return sql("error(:x)", x=node.expressions[0])
    raise unsupported(f"function {name}")
