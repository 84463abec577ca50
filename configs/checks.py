"""Settings of the checks that bars pass: one section a rule, and limits."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from market.assets import AssetType
from market.check_rules import RULES, Policy, Severity, Treatment


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleSettings(_Section):
    """Severity and policy of one rule; see `market.check_rules.Treatment`."""

    severity: Severity
    policy: Policy


class RejectedShare(_Section):
    """Largest share of an asset class's rows that may be rejected for errors before the run stops."""

    stocks: float = Field(ge=0, le=1)
    etf: float = Field(ge=0, le=1)
    crypto: float = Field(ge=0, le=1)

    def by_asset_type(self) -> dict[AssetType, float]:
        """Share of each class."""
        return {"stocks": self.stocks, "etf": self.etf, "crypto": self.crypto}


class CheckSettings(_Section):
    """One field a rule of `market.check_rules`, and limits.

    Attributes:
        max_rejected_share: Per asset class.
        stale_run_bars: Bars in a row with equal open, high, low and close that make a stale run.
        late_sessions: A symbol whose newest bar lies more sessions (crypto: days) behind its class's newest one may be
            delisted or halted.
    """

    max_rejected_share: RejectedShare
    stale_run_bars: int = Field(ge=2)
    late_sessions: int = Field(ge=1)
    key_missing: RuleSettings
    asset_type_unknown: RuleSettings
    symbol_unreadable: RuleSettings
    stamp_implausible: RuleSettings
    stamp_off_grid: RuleSettings
    stamp_in_future: RuleSettings
    not_closed: RuleSettings
    not_a_session: RuleSettings
    price_missing: RuleSettings
    price_not_finite: RuleSettings
    price_not_positive: RuleSettings
    high_below_low: RuleSettings
    outside_range: RuleSettings
    volume_missing: RuleSettings
    volume_not_finite: RuleSettings
    volume_negative: RuleSettings
    duplicate_identical: RuleSettings
    duplicate_conflicting: RuleSettings
    unordered: RuleSettings
    calendar_gap: RuleSettings
    split_suspected: RuleSettings
    unit_change_suspected: RuleSettings
    stale_run: RuleSettings
    zero_volume: RuleSettings

    @model_validator(mode="after")
    def _policies_fit_their_rules(self) -> CheckSettings:
        for name, rule in RULES.items():
            policy = getattr(self, name).policy
            if policy not in rule.policies:
                raise ValueError(f"{name}.policy is {policy}; the rule knows {', '.join(rule.policies)}")
        return self

    def treatments(self) -> dict[str, Treatment]:
        """What to do about each rule, by its name."""
        return {name: Treatment(getattr(self, name).severity, getattr(self, name).policy) for name in RULES}
