"""The page, the metrics and the tags of an audit."""

from __future__ import annotations

import re

import pytest

import training.audit
from market.errors import DuplicateKeyError
from tests.audited import noise_dataset
from training.audit import AuditReport
from training.audit_report import WHAT_IS_CHECKED, audit_metrics, audit_tags, report_html
from training.checks import CheckResult, counted

REPORT = AuditReport(
    "crypto",
    (
        CheckResult("identity", "passed", "training set", "10 rows, 10 keys"),
        CheckResult(
            "truncation", "failed", "feature rsi_slope", "changes on 4 of 900 past bars", "use the past <only>"
        ),
        CheckResult("scale", "waived", "feature macd", "moves [waived by Ada on 2026-05-01: a test]"),
        CheckResult("population", "warning", "survivors", "0 of 4 symbols ended in 3.6 years", "ingest them"),
    ),
    {"identity": 0.25, "truncation": 1.5},
)


def test_the_page_shows_every_check_with_evidence_and_remedy_and_loads_nothing() -> None:
    page = report_html(REPORT, {"run": "abc", "data": "12 <bars>"})
    for words in ("Audit of crypto", "feature rsi_slope", "changes on 4 of 900 past bars", "waived by Ada", "1 failed"):
        assert words in page
    assert "use the past &lt;only&gt;" in page
    assert "data 12 &lt;bars&gt;" in page
    assert WHAT_IS_CHECKED["truncation"] in page
    assert "1.5 s" in page
    assert re.findall(r"(?:src|href)=|@import|<script", page) == []


def test_metrics_count_by_status_and_give_seconds_by_check() -> None:
    assert {name: value for name, value, _ in audit_metrics(REPORT)} == {
        "audit_passed": 1, "audit_warnings": 1, "audit_failed": 1, "audit_waived": 1,
        "audit_seconds": 1.75, "audit_seconds_identity": 0.25, "audit_seconds_truncation": 1.5,
    }  # fmt: skip


def test_tags_say_the_outcome_and_name_what_did_not_pass() -> None:
    tags = audit_tags(REPORT.results)
    assert tags["audit"] == "failed"
    assert tags["audit_failed_checks"] == "truncation: feature rsi_slope"
    assert tags["audit_warning_checks"] == "population: survivors"
    assert "waived by Ada" in tags["audit_waivers"]
    assert audit_tags(REPORT.of("passed", "warning"))["audit"] == "passed"
    assert audit_tags(REPORT.of("passed", "waived"))["audit"] == "waived"


def test_every_status_is_counted() -> None:
    assert counted(REPORT.results) == {"passed": 1, "warning": 1, "failed": 1, "waived": 1}


def test_a_check_that_cannot_do_its_work_fails_by_name_and_the_others_still_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> list[CheckResult]:
        raise DuplicateKeyError("two rows, one key", remedy="remove one")

    steps = {"identity": broken, "labels": lambda: [CheckResult("labels", "passed", "label array", "fine")]}
    monkeypatch.setattr(training.audit, "_steps", lambda *given: steps)
    told = []
    report = training.audit.audit_class(
        None, None, noise_dataset(days=3), None, progress=lambda done, total: told.append((done, total))
    )  # type: ignore[arg-type]
    assert report.results == (
        CheckResult("identity", "failed", "the check itself", "two rows, one key", "remove one"),
        CheckResult("labels", "passed", "label array", "fine"),
    )
    assert list(report.seconds) == ["identity", "labels"]
    assert told == [(1, 2), (2, 2)]
