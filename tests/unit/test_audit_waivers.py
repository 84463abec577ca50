"""Waivers let a failure through, never in silence and never for ever."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from market.errors import ConfigError, IntegrityError
from tests.audited import audit_settings
from training.audit import require_passed
from training.audit_waivers import Waiver, add_waiver, log_waived, stored_waivers, with_waivers, withdraw_waiver
from training.checks import CheckResult
from warehouse.clock import wall_clock
from warehouse.duckdb import DuckDBWarehouse

FAILED = CheckResult("identity", "failed", "training set", "7 rows, 1 keys", "remove them")
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def waiver(**changes: object) -> Waiver:
    given = {
        "waiver_id": "a1", "created_at": datetime(2026, 5, 1, tzinfo=UTC), "asset_type": "crypto",
        "check_name": "identity", "subject": "training set", "waived_by": "Ada", "reason": "known double listing",
        "valid_until": None,
    }  # fmt: skip
    return Waiver(**(given | changes))  # type: ignore[arg-type]


def test_a_waived_failure_names_who_and_why_and_blocks_no_more() -> None:
    (result,) = with_waivers([FAILED], [waiver()], "crypto", NOW)
    assert result.status == "waived"
    assert result.detail == "7 rows, 1 keys [waived by Ada on 2026-05-01: known double listing]"
    require_passed([result])
    with pytest.raises(IntegrityError):
        require_passed([FAILED])


@pytest.mark.parametrize(
    "changes",
    [
        {"asset_type": "stocks"},
        {"check_name": "labels"},
        {"subject": "out-of-sample record"},
        {"valid_until": date(2026, 5, 3)},
        {"withdrawn_at": datetime(2026, 5, 2, tzinfo=UTC), "withdrawn_by": "Ada"},
    ],
)
def test_a_waiver_of_something_else_or_of_the_past_lets_nothing_through(changes: dict[str, object]) -> None:
    assert with_waivers([FAILED], [waiver(**changes)], "crypto", NOW) == [FAILED]


def test_a_waiver_counts_through_its_last_day_and_for_every_class_when_none_is_named() -> None:
    given = waiver(valid_until=date(2026, 5, 4), asset_type=None)
    assert with_waivers([FAILED], [given], "etf", NOW)[0].status == "waived"
    assert with_waivers([FAILED], [given], "etf", NOW + timedelta(days=1))[0].status == "failed"


def test_warnings_and_passes_stay_what_they_are() -> None:
    fine = CheckResult("identity", "warning", "training set", "look")
    assert with_waivers([fine], [waiver()], "crypto", NOW) == [fine]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    opened = DuckDBWarehouse.scratch(audit_settings(str(tmp_path_factory.mktemp("home"))).warehouse)
    opened.ensure_schema()
    return opened


def test_a_recorded_waiver_is_read_back_and_stands_in_the_deployment_log(warehouse: DuckDBWarehouse) -> None:
    until = wall_clock().date() + timedelta(days=30)
    given = add_waiver(
        warehouse, check="scale", subject="crypto: feature rsi", by="Ada", why="a test of ours", until=until
    )
    assert (given.asset_type, given.subject, given.valid_until) == ("crypto", "feature rsi", until)
    assert given in stored_waivers(warehouse)
    logged = warehouse.query(
        "SELECT component, status, details, deployed_by FROM ml_models.deployment_log WHERE version = @id",
        {"id": given.waiver_id},
    ).to_pylist()
    assert logged == [
        {
            "component": "PIPELINE",
            "status": "SUCCESS",
            "details": "waived scale of crypto: feature rsi: a test of ours",
            "deployed_by": "Ada",
        }
    ]
    withdrawn = withdraw_waiver(warehouse, given.waiver_id[:8], by="Grace", why="mended")
    assert withdrawn in stored_waivers(warehouse)
    assert not withdrawn.counts_at(wall_clock())
    with pytest.raises(ConfigError, match="Grace withdrew it"):
        withdraw_waiver(warehouse, given.waiver_id, by="Ada", why="again")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"by": " "}, "--by is empty"),
        ({"why": ""}, "--why is empty"),
        ({"subject": "crypto: "}, "--subject is empty"),
        ({"until": date(2020, 1, 1)}, "--until 2020-01-01 is past"),
        ({"subject": "crypto: feature rsi", "asset_type": "etf"}, "the subject is of crypto"),
    ],
)
def test_a_waiver_without_name_reason_or_sense_is_refused(
    warehouse: DuckDBWarehouse, changes: dict[str, object], words: str
) -> None:
    given = {"check": "scale", "subject": "feature rsi", "by": "Ada", "why": "because"} | changes
    with pytest.raises(ConfigError, match=words):
        add_waiver(warehouse, **given)  # type: ignore[arg-type]


def test_an_unknown_waiver_cannot_be_withdrawn(warehouse: DuckDBWarehouse) -> None:
    with pytest.raises(ConfigError, match="0 waivers begin with 'nothing'"):
        withdraw_waiver(warehouse, "nothing", by="Ada", why="x")


def test_a_model_registered_with_a_waiver_says_so_in_the_deployment_log(warehouse: DuckDBWarehouse) -> None:
    waived = CheckResult("scale", "waived", "feature macd", "moves [waived by Ada on 2026-05-01: a test]")
    log_waived(warehouse, "crypto", "walk_forward_crypto/7", [FAILED, waived])
    log_waived(warehouse, "crypto", "walk_forward_crypto/8", [FAILED])
    logged = warehouse.query(
        "SELECT version, details FROM ml_models.deployment_log WHERE component_name = 'audit'"
    ).to_pylist()
    assert logged == [
        {
            "version": "walk_forward_crypto/7",
            "details": "crypto: registered with waived checks: scale of feature macd: moves [waived by Ada on "
            "2026-05-01: a test]",
        }
    ]
