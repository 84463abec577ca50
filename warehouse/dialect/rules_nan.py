"""NaN in computations. It never enters a table, so these rules apply only to statements that can make one.

BigQuery: comparisons with NaN are false, NaN sorts below every number, MIN and MAX of a set with NaN are NaN. DuckDB:
NaN equals itself and is the greatest number.
"""

from __future__ import annotations

from sqlglot import exp

from warehouse.dialect.registry import Node, Rule, sql, unsupported
from warehouse.dialect.signatures import static_type

_NEVER_NAN = ("INT64", "FLOAT64", "NUMERIC", "BOOL")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_TEMPLATES = {
    exp.EQ: "((:a) = (:b) AND NOT g.is_nan(:a))",
    exp.GT: "((:a) > (:b) AND NOT g.is_nan(:a))",
    exp.GTE: "((:a) >= (:b) AND NOT g.is_nan(:a))",
    exp.LT: "((:a) < (:b) AND NOT g.is_nan(:b))",
    exp.LTE: "((:a) <= (:b) AND NOT g.is_nan(:b))",
    exp.NEQ: "((:a) <> (:b) OR g.is_nan(:a))",
}


def may_hold_nan(tree: Node) -> bool:
    """Whether a NaN or an infinity can arise: IEEE_DIVIDE, or text turned into FLOAT64."""
    for node in tree.find_all(exp.Anonymous, exp.Cast):
        if isinstance(node, exp.Anonymous):
            if str(node.this).upper() == "IEEE_DIVIDE":
                return True
        elif node.args["to"].this == exp.DType.DOUBLE and static_type(node.this, {}) not in _NEVER_NAN:
            return True
    return False


def _comparison(node: exp.Binary) -> Node:
    return sql(_TEMPLATES[type(node)], a=node.this, b=node.expression)


def _order(node: exp.Order) -> Node:
    """Every key is preceded by whether it is NaN: NULL, NaN, numbers upward; numbers, NaN, NULL downward."""
    keys = []
    for ordered in node.expressions:
        value = _ordinal_value(ordered.this, node)
        is_down = bool(ordered.args.get("desc"))
        first = exp.Ordered(this=sql("g.is_nan(:x)", x=value), desc=not is_down, nulls_first=not is_down)
        keys += [first, ordered.copy()]
    node.set("expressions", keys)
    return node


def _ordinal_value(value: Node, order: exp.Order) -> Node:
    """ORDER BY 2 is the second column."""
    if isinstance(value, exp.Literal) and not value.is_string and isinstance(order.parent, exp.Select):
        return order.parent.expressions[int(value.name) - 1].unalias()
    return value


def _minimum(node: exp.Min) -> Node:
    if isinstance(node.parent, exp.Window):
        return node
    return sql("CASE WHEN bool_or(g.is_nan(:x)) THEN max(:x) ELSE min(:x) END", x=node.this)


def _window(node: exp.Window) -> Node:
    """MIN(x) OVER w, by the same reasoning as MIN(x): MAX is NaN where NaN is."""
    if not isinstance(node.this, exp.Min):
        return node
    value = node.this.this
    parts = {"a": sql("bool_or(g.is_nan(:x))", x=value), "b": sql("max(:x)", x=value), "c": node.this}
    windows: dict[str, Node] = {}
    for name, function in parts.items():
        windows[name] = node.copy()
        windows[name].set("this", function.copy())
    return sql("CASE WHEN :a THEN :b ELSE :c END", **windows)


def _least(node: exp.Least) -> Node:
    values = [node.this, *node.expressions]
    listed = ", ".join(f"(:{letter})" for letter, _ in zip(_LETTERS, values, strict=False))
    null = " OR ".join(f"(:{letter}) IS NULL" for letter, _ in zip(_LETTERS, values, strict=False))
    nan = " OR ".join(f"g.is_nan(:{letter})" for letter, _ in zip(_LETTERS, values, strict=False))
    if len(values) > len(_LETTERS):
        raise unsupported("LEAST of so many values")
    template = f"CASE WHEN {null} THEN NULL WHEN {nan} THEN greatest({listed}) ELSE least({listed}) END"
    return sql(template, **dict(zip(_LETTERS, values, strict=False)))


def _between(node: exp.Between) -> Node:
    template = "((:a) >= (:l) AND (:a) <= (:h) AND NOT g.is_nan(:a) AND NOT g.is_nan(:h))"
    return sql(template, a=node.this, l=node.args["low"], h=node.args["high"])


RULES_WITH_NAN: dict[type[Node], Rule] = {
    **dict.fromkeys(_TEMPLATES, _comparison),
    exp.Order: _order,
    exp.Min: _minimum,
    exp.Window: _window,
    exp.Least: _least,
    exp.Between: _between,
}
