"""Syntax that means the same on both engines. What is neither here nor has a rule is refused by name.

The list is short on purpose: a function enters it together with a probe of its values.
"""

from __future__ import annotations

from sqlglot import exp

from warehouse.dialect.registry import Node

_STRUCTURE = (
    "Select From Join Where Group Having Qualify Order Ordered Limit Offset Distinct Subquery Union "
    "CTE With TableAlias Table Column Identifier Star Alias Dot Paren Tuple Var Null Boolean Literal RawString "
    "HexString Window WindowSpec In Exists Is Not And Or Between EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ "
    "Add Sub Mul Div Mod Neg Case If Coalesce Nullif DataType ColumnDef DataTypeParam Array Struct PropertyEQ "
    "JSONPath JSONPathRoot JSONPathKey JSONPathSubscript WeekStart PivotAlias Cube Rollup GroupingSets HavingMax"
)
_FUNCTIONS = (
    "Count Sum Avg Min Max AnyValue LogicalAnd LogicalOr Stddev StddevSamp StddevPop Variance VariancePop "
    "CovarSamp CovarPop ArgMax ArgMin ApproxDistinct "
    "RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue NthValue "
    "Abs Ln Log Sqrt Sin Cos Tan Atan Greatest Least IsNan IsInf Rand Uuid "
    "Concat DPipe Length Lower Upper StartsWith EndsWith StrPosition Replace Split Pad Reverse "
    "RegexpLike RegexpReplace MD5 "
    "JSONExtractScalar JSONExtract "
    "ArraySize ArrayToString ArrayReverse ArrayConcat GenerateSeries DateFromParts ParseJSON"
)


def _classes(names: str) -> frozenset[type[Node]]:
    return frozenset(getattr(exp, name) for name in names.split())


PLAIN: frozenset[type[Node]] = _classes(_STRUCTURE) | _classes(_FUNCTIONS)
