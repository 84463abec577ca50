"""Text: lengths, white space, patterns and FORMAT."""

from __future__ import annotations

import re

from sqlglot import exp

from warehouse.dialect.registry import Node, rule, shown, sql, text_of, unsupported

_FORMAT_CODE = re.compile(r"%(%|[-+ 0#]*\d*(?:\.\d+)?[a-zA-Z]|.)")
_SPACES = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_GROUP = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<group>\((?!\?)|\(\?P?<)")


@rule(exp.Trim)
def trim(node: exp.Trim) -> Node:
    """All Unicode white space where no characters are given; DuckDB takes spaces alone."""
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "trim")
    return sql(f"{name}(:x, :c)", x=node.this, c=node.expression or exp.Literal.string(_SPACES))


@rule(exp.Left, exp.Right)
def end_of_text(node: exp.Left | exp.Right) -> Node:
    """A negative length is an error."""
    return sql(f"{node.key}(:x, g.not_negative(:n))", x=node.this, n=node.expression)


@rule(exp.Repeat)
def repeat(node: exp.Repeat) -> Node:
    """A negative number is an error."""
    return sql("repeat(:x, g.not_negative(:n))", x=node.this, n=node.args["times"])


@rule(exp.Substring)
def substring(node: exp.Substring) -> Node:
    """Position 0 means 1, and a position before the text its beginning; a negative length is an error."""
    length = node.args.get("length")
    start = node.args["start"]
    if length is None:
        return sql("g.substr_from(:x, :i)", x=node.this, i=start)
    return sql("g.substr_part(:x, :i, g.not_negative(:n))", x=node.this, i=start, n=length)


@rule(exp.RegexpExtract, exp.RegexpExtractAll)
def extract_pattern(node: exp.RegexpExtract | exp.RegexpExtractAll) -> Node:
    """The match, or the one group of the pattern; GoogleSQL refuses several."""
    pattern = node.expression
    if isinstance(pattern, exp.Literal) and sum(bool(found["group"]) for found in _GROUP.finditer(pattern.name)) > 1:
        raise unsupported(f"more than one group in {shown(node)}", "write (?:…) for groups that are not wanted")
    return node


@rule(exp.Like)
def like(node: exp.Like) -> Node:
    """A backslash escapes in GoogleSQL; DuckDB needs to be told."""
    pattern = node.expression
    if isinstance(pattern, exp.Any | exp.All | exp.Tuple):
        raise unsupported("LIKE ANY or LIKE ALL", "use OR, AND or REGEXP_CONTAINS")
    if isinstance(pattern, exp.Literal) and "\\" not in pattern.name:
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


@rule(exp.Format)
def format_text(node: exp.Format) -> Node:
    """FORMAT with %d %i %f %e %g %s and their flags; NULL when an argument is NULL."""
    template = text_of(node.this, "FORMAT's format")
    arguments = iter(node.expressions)
    given: list[Node] = [exp.Literal.string(template)]
    for code in _FORMAT_CODE.findall(template):
        if code == "%":
            continue
        if code[-1] not in "dixXofFeEgGs" or "#" in code:
            raise unsupported(f"FORMAT code %{code}", "use %d %i %f %e %g %s")
        value = next(arguments, None)
        if value is None:
            raise unsupported(f"FORMAT with fewer arguments than codes ({shown(node)})")
        kind = "DOUBLE" if code[-1] in "fFeEgG" else "VARCHAR" if code[-1] == "s" else None
        given.append(sql(f"CAST(:x AS {kind})", x=value) if kind else value)
    if next(arguments, None) is not None:
        raise unsupported(f"FORMAT with more arguments than codes ({shown(node)})")
    return exp.Anonymous(this="printf", expressions=[one.copy() for one in given])
