"""Waivers: a failed check that a named person lets through, with a reason, until a day or until it is withdrawn.

A waived check never disappears: it stays in every report as `waived`, with name and reason in its detail.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from market.assets import ASSET_TYPES, AssetType
from market.errors import ConfigError
from training.checks import CheckResult
from warehouse.clock import wall_clock
from warehouse.warehouse import Warehouse, Write

WAIVERS_TABLE = "tradehits.audit_waivers"
DEPLOYMENT_TABLE = "ml_models.deployment_log"


@dataclass(frozen=True)
class Waiver:
    """One decision; `asset_type` None means every class, `valid_until` (UTC, inclusive) None means until withdrawn."""

    waiver_id: str
    created_at: datetime
    asset_type: AssetType | None
    check_name: str
    subject: str
    waived_by: str
    reason: str
    valid_until: date | None
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None
    withdrawn_reason: str | None = None

    def counts_at(self, instant: datetime) -> bool:
        """Whether it is in force."""
        return self.withdrawn_at is None and (self.valid_until is None or instant.date() <= self.valid_until)

    def covers(self, result: CheckResult, asset_type: AssetType) -> bool:
        """Whether it is about this check of this class."""
        same = (self.check_name, self.subject) == (result.check, result.subject)
        return same and self.asset_type in (None, asset_type)


def stored_waivers(warehouse: Warehouse) -> list[Waiver]:
    """Every waiver ever given, oldest first."""
    rows = warehouse.query(f"SELECT * FROM `{WAIVERS_TABLE}` ORDER BY created_at, waiver_id").to_pylist()
    return [Waiver(**row) for row in rows]


def with_waivers(
    results: Sequence[CheckResult], waivers: Sequence[Waiver], asset_type: AssetType, now: datetime
) -> list[CheckResult]:
    """The same results, failures covered by a waiver in force as `waived`."""
    active = [waiver for waiver in waivers if waiver.counts_at(now)]
    return [_waived(result, active, asset_type) for result in results]


def add_waiver(
    warehouse: Warehouse,
    *,
    check: str,
    subject: str,
    by: str,
    why: str,
    asset_type: AssetType | None = None,
    until: date | None = None,
) -> Waiver:
    """Record a decision, with an entry of the deployment log.

    Args:
        warehouse: Keeps it.
        check: Name of the check, such as `truncation`.
        subject: As reports show it; a leading `crypto: ` gives the asset class.
        by: Who decides.
        why: The reason.
        asset_type: The class; None takes it from the subject, else it counts for all.
        until: Last day on which it counts.

    Raises:
        ConfigError: A text is empty, the day is past, or class and subject disagree.
    """
    named, own_subject = _split(subject)
    for option, text in (("--check", check), ("--subject", own_subject), ("--by", by), ("--why", why)):
        if not text.strip():
            raise ConfigError(f"{option} is empty", remedy="a waiver names check and subject, who decides, and why")
    if named and asset_type and named != asset_type:
        raise ConfigError(f"the subject is of {named}, --asset-type says {asset_type}", remedy="give one of them")
    now = wall_clock()
    if until is not None and until < now.date():
        raise ConfigError(f"--until {until} is past", remedy="give today or a later day")
    waiver = Waiver(
        uuid.uuid4().hex, now, asset_type or named, check.strip(), own_subject, by.strip(), why.strip(), until
    )
    _write(warehouse, waiver, f"waived {_title(waiver)}: {waiver.reason}", waiver.waived_by)
    return waiver


def withdraw_waiver(warehouse: Warehouse, waiver_id: str, *, by: str, why: str) -> Waiver:
    """End a waiver; the failure blocks again from the next audit on.

    Args:
        warehouse: Keeps it.
        waiver_id: Its id, or the beginning of it.
        by: Who withdraws.
        why: The reason.

    Raises:
        ConfigError: No waiver or several begin so, or it was withdrawn already.
    """
    found = [waiver for waiver in stored_waivers(warehouse) if waiver_id and waiver.waiver_id.startswith(waiver_id)]
    if len(found) != 1:
        raise ConfigError(
            f"{len(found)} waivers begin with '{waiver_id}'", remedy="`tradehits audit waive --list` shows their ids"
        )
    if found[0].withdrawn_at is not None:
        raise ConfigError(f"{found[0].withdrawn_by} withdrew it on {found[0].withdrawn_at:%Y-%m-%d}")
    withdrawn = replace(found[0], withdrawn_at=wall_clock(), withdrawn_by=by.strip(), withdrawn_reason=why.strip())
    _write(warehouse, withdrawn, f"withdrew the waiver of {_title(withdrawn)}: {why.strip()}", by.strip())
    return withdrawn


def log_waived(warehouse: Warehouse, asset_type: AssetType, model_version: str, results: Sequence[CheckResult]) -> None:
    """Say in the deployment log which checks a registered model owes to waivers; nothing when it owes none."""
    waived = [result for result in results if result.status == "waived"]
    if waived:
        details = "; ".join(f"{result.check} of {result.subject}: {result.detail}" for result in waived)
        entry = _entry("audit", model_version, f"{asset_type}: registered with waived checks: {details}", "ml_pipeline")
        warehouse.write([Write(DEPLOYMENT_TABLE, rows=entry.to_arrow(), mode="append")])


def _split(subject: str) -> tuple[AssetType | None, str]:
    """Asset class and subject of `crypto: feature rsi`."""
    head, separator, rest = subject.partition(": ")
    named = next((name for name in ASSET_TYPES if name == head), None)
    return (named, rest.strip()) if separator and named else (None, subject.strip())


def _waived(result: CheckResult, active: Sequence[Waiver], asset_type: AssetType) -> CheckResult:
    waiver = next((one for one in active if one.covers(result, asset_type)), None)
    if result.status != "failed" or waiver is None:
        return result
    until = "" if waiver.valid_until is None else f" until {waiver.valid_until}"
    who = f"waived by {waiver.waived_by} on {waiver.created_at:%Y-%m-%d}{until}: {waiver.reason}"
    return replace(result, status="waived", detail=f"{result.detail} [{who}]")


def _title(waiver: Waiver) -> str:
    return f"{waiver.check_name} of {waiver.asset_type or 'every class'}: {waiver.subject}"


def _write(warehouse: Warehouse, waiver: Waiver, details: str, by: str) -> None:
    """The waiver and its entry in the deployment log, in one transaction."""
    row = pl.DataFrame([vars(waiver)], schema=_SCHEMA)
    warehouse.write(
        [
            Write(WAIVERS_TABLE, rows=row.to_arrow(), mode="merge"),
            Write(
                DEPLOYMENT_TABLE,
                rows=_entry("audit_waiver", waiver.waiver_id, details, by).to_arrow(),
                mode="append",
            ),
        ]
    )


def _entry(name: str, version: str, details: str, by: str) -> pl.DataFrame:
    """One row of the deployment log."""
    entry = {
        "deployment_id": uuid.uuid4().hex,
        "deployed_at": wall_clock(),
        "component": "PIPELINE",
        "component_name": name,
        "version": version,
        "status": "SUCCESS",
        "details": details,
        "deployed_by": by,
    }
    return pl.DataFrame([entry])


_INSTANT = pl.Datetime("us", "UTC")
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "waiver_id": pl.String,
    "created_at": _INSTANT,
    "asset_type": pl.String,
    "check_name": pl.String,
    "subject": pl.String,
    "waived_by": pl.String,
    "reason": pl.String,
    "valid_until": pl.Date,
    "withdrawn_at": _INSTANT,
    "withdrawn_by": pl.String,
    "withdrawn_reason": pl.String,
}
