"""Names of the rules that bars are checked against, how grave a breach is, and what may be done about it.

Adding a rule is adding one `Rule` here, one line under `checks` in configs/base.yaml, and its test of rows in
`market.bar_checks` or `market.series_checks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]
Policy = Literal["reject", "keep_newest", "flag", "fail"]

_REJECT: tuple[Policy, ...] = ("reject", "fail")
_ANY: tuple[Policy, ...] = ("flag", "reject", "fail")
_COPIES: tuple[Policy, ...] = ("keep_newest", "reject", "fail")
_NOTE: tuple[Policy, ...] = ("flag", "fail")


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: Stable identifier: key in the configuration, value of `bar_quarantine.rule`.
        policies: What the configuration may choose; rows that no table could hold cannot be flagged and kept.
    """

    name: str
    policies: tuple[Policy, ...]


@dataclass(frozen=True)
class Treatment:
    """What the configuration says about one rule.

    Attributes:
        severity: Rejected rows of severity `error` count towards the largest rejected share.
        policy: `reject` leaves the row out; `keep_newest` keeps the last row of a key and leaves its other copies out;
            `flag` keeps it; all three record it. `fail` stops the run at the first such row.
    """

    severity: Severity
    policy: Policy


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("key_missing", _REJECT),
        Rule("asset_type_unknown", _REJECT),
        Rule("symbol_unreadable", _REJECT),
        Rule("stamp_implausible", _REJECT),
        Rule("stamp_off_grid", _REJECT),
        Rule("stamp_in_future", _REJECT),
        Rule("not_closed", _REJECT),
        Rule("not_a_session", _REJECT),
        Rule("price_missing", _REJECT),
        Rule("price_not_finite", _REJECT),
        Rule("price_not_positive", _REJECT),
        Rule("high_below_low", _ANY),
        Rule("outside_range", _ANY),
        Rule("volume_missing", _REJECT),
        Rule("volume_not_finite", _REJECT),
        Rule("volume_negative", _REJECT),
        Rule("duplicate_identical", _COPIES),
        Rule("duplicate_conflicting", _COPIES),
        Rule("unordered", _NOTE),
        Rule("calendar_gap", _NOTE),
        Rule("split_suspected", _ANY),
        Rule("unit_change_suspected", _ANY),
        Rule("stale_run", _ANY),
        Rule("zero_volume", _ANY),
    )
}
