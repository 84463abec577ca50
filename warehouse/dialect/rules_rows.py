"""Aggregates, windows and what stands in FROM."""

from __future__ import annotations

from sqlglot import exp

from warehouse.dialect.registry import Node, rule, shown, sql, unsupported, whole_of

_WINDOW_ONLY = (exp.FirstValue, exp.LastValue, exp.NthValue, exp.Lag, exp.Lead)


@rule(exp.ArrayAgg)
def array_agg(node: exp.ArrayAgg) -> Node:
    """ARRAY_AGG with DISTINCT, IGNORE NULLS, ORDER BY and LIMIT; NULL for no rows."""
    ignores = isinstance(node.parent, exp.IgnoreNulls)
    values, limit = _collected(node.this, skip_nulls=ignores)
    holder = node.parent.parent if isinstance(node.parent, exp.IgnoreNulls | exp.RespectNulls) else node.parent
    if limit is not None and isinstance(holder, exp.Window):
        raise unsupported("ARRAY_AGG(… LIMIT n) OVER")
    return sql("(:v)[1:(:n)]", v=values, n=limit) if limit is not None else values


@rule(exp.GroupConcat)
def string_agg(node: exp.GroupConcat) -> Node:
    """STRING_AGG skips NULLs; NULL for no text at all."""
    if isinstance(node.parent, exp.Window):
        raise unsupported("STRING_AGG(…) OVER", "aggregate in a subquery")
    values, limit = _collected(node.this, skip_nulls=True)
    cut = sql("(:v)[1:(:n)]", v=values, n=limit) if limit is not None else values
    return sql("array_to_string(:v, :s)", v=cut, s=node.args.get("separator") or exp.Literal.string(","))


def _collected(body: Node, *, skip_nulls: bool) -> tuple[Node, Node | None]:
    limit = None
    if isinstance(body, exp.Limit):
        limit, body = body.expression, body.this
    value = body.this if isinstance(body, exp.Order) else body
    if isinstance(value, exp.Distinct):
        value = value.expressions[0]
    if isinstance(value, exp.HavingMax):
        raise unsupported("HAVING MAX in an array aggregate")
    condition = exp.Not(this=exp.Is(this=exp.Paren(this=value.copy()), expression=exp.Null()))
    values: Node = exp.Anonymous(this="list", expressions=[body.copy()])
    if skip_nulls:
        values = exp.Filter(this=values, expression=exp.Where(this=condition))
    return values, limit


@rule(exp.IgnoreNulls, exp.RespectNulls)
def nulls(node: exp.IgnoreNulls | exp.RespectNulls) -> Node:
    """Kept for window functions; an aggregate below has dealt with it already."""
    if isinstance(node.this, _WINDOW_ONLY):
        return node
    if isinstance(node, exp.RespectNulls) and not isinstance(node.this, exp.Anonymous):
        raise unsupported(shown(node))
    return node.this


@rule(exp.CountIf)
def count_if(node: exp.CountIf) -> Node:
    """0, not NULL, for no rows."""
    if isinstance(node.this, exp.Distinct):
        raise unsupported("COUNTIF(DISTINCT …)")
    return sql("count(CASE WHEN :x THEN 1 END)", x=node.this)


@rule(exp.ApproxQuantiles)
def approx_quantiles(node: exp.ApproxQuantiles) -> Node:
    """Exact quantiles, which an approximation may be."""
    if isinstance(node.this, exp.Distinct):
        raise unsupported("APPROX_QUANTILES(DISTINCT …)")
    n = whole_of(node.expression, "the number of quantiles")
    return sql(f"quantile_disc(:x, [{', '.join(f'{i / n!r}' for i in range(n + 1))}])", x=node.this)


@rule(exp.PercentileCont, exp.PercentileDisc)
def percentile(node: exp.PercentileCont | exp.PercentileDisc) -> Node:
    """PERCENTILE_CONT(x, q) OVER (…); NULLs are skipped."""
    holder = node.parent.parent if isinstance(node.parent, exp.IgnoreNulls) else node.parent
    if not isinstance(holder, exp.Window):
        raise unsupported("PERCENTILE_CONT or PERCENTILE_DISC without OVER", "use APPROX_QUANTILES")
    if isinstance(node, exp.PercentileCont):
        return sql("quantile_cont(CAST(:x AS DOUBLE), :q)", x=node.this, q=node.expression)
    return sql("quantile_disc(:x, :q)", x=node.this, q=node.expression)


@rule(exp.Corr)
def correlation(node: exp.Corr) -> Node:
    """NULL for fewer than two pairs."""
    if isinstance(node.parent, exp.Window):
        raise unsupported("CORR(…) OVER", "aggregate in a subquery")
    return sql("g.corr2(:a, :b)", a=node.this, b=node.expression)


@rule(exp.Unnest)
def unnest(node: exp.Unnest) -> Node:
    """In FROM: an offset counts from 0, and an array of STRUCTs without alias gives its fields."""
    if not isinstance(node.parent, exp.From | exp.Join):
        return node
    offset, alias = node.args.get("offset"), node.args.get("alias")
    value = alias.columns[0] if alias is not None and alias.columns else None
    array = node.expressions[0]
    if not offset:
        is_struct = isinstance(array, exp.Array) and array.expressions and isinstance(array.expressions[0], exp.Struct)
        if value is None and is_struct:
            return sql("(SELECT _v.* FROM (SELECT unnest(:a) AS _v))", a=array)
        return node
    position = offset if isinstance(offset, exp.Identifier) else exp.to_identifier("offset")
    found = value.name if value is not None else "_v"
    inner = sql(
        f'SELECT "{found}", "{position.name}" - 1 AS "{position.name}" '
        f'FROM unnest(:a) WITH ORDINALITY AS _u("{found}", "{position.name}")',
        a=array,
    )
    return exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier(f"_{found}_{position.name}")))


@rule(exp.Pivot)
def pivot(node: exp.Pivot) -> Node:
    """PIVOT of one aggregate over text values: other column names would differ."""
    if node.args.get("unpivot"):
        raise unsupported("UNPIVOT", "use UNION ALL")
    values = [value for field in node.args.get("fields", ()) for value in field.expressions]
    plain = all(isinstance(v, exp.PivotAlias) or (isinstance(v, exp.Literal) and v.is_string) for v in values)
    if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Alias) or not plain:
        raise unsupported("this form of PIVOT", "one aggregate without alias, IN ('a', 'b' AS c)")
    return node


@rule(exp.Except, exp.Intersect)
def set_difference(node: exp.Except | exp.Intersect) -> Node:
    """GoogleSQL has EXCEPT DISTINCT and INTERSECT DISTINCT only."""
    if not node.args.get("distinct"):
        raise unsupported(f"{node.key.upper()} ALL", f"use {node.key.upper()} DISTINCT")
    return node


@rule(exp.Parameter)
def parameter(node: exp.Parameter) -> Node:
    """@name; system variables (@@name) are not here."""
    if isinstance(node.this, exp.Parameter):
        raise unsupported(f"system variable {shown(node)}")
    return node


@rule(exp.Select)
def select(node: exp.Select) -> Node:
    """SELECT AS STRUCT, and BigQuery's names f0_, f1_, … for columns without one."""
    kind = node.args.get("kind")
    if kind == "STRUCT":
        fields = [exp.PropertyEQ(this=_field_name(one), expression=one.unalias().copy()) for one in node.expressions]
        node.set("expressions", [exp.Struct(expressions=fields)])
        node.set("kind", None)
    elif kind is not None:
        raise unsupported(f"SELECT AS {kind}")
    unnamed = 0
    for one in list(node.expressions):
        if isinstance(one, exp.Alias | exp.Column) or one.is_star:
            continue
        if isinstance(one, exp.Dot) and isinstance(one.expression, exp.Identifier):
            name = one.expression.name
        else:
            name, unnamed = f"f{unnamed}_", unnamed + 1
        one.replace(exp.alias_(one.copy(), name, quoted=True))
    return node


def _field_name(one: Node) -> Node:
    if not one.output_name:
        raise unsupported("SELECT AS STRUCT with unnamed fields or *", "give every field a name")
    return exp.to_identifier(one.output_name)
