"""Google's client against a stub server: each refusal has a name and a remedy; only what may pass is tried again."""

import logging

import pytest

from configs.settings import load_settings
from market.errors import (
    CostCapError,
    QueryError,
    QuotaExceededError,
    WarehouseAccessError,
    WarehouseError,
    WarehouseLockedError,
)
from tests.unit.bigquery_stub import dry_run, failed_job, failure, running_stub
from warehouse.bigquery_client import BigQuery

CONFLICT = (
    "Query error: Transaction is aborted due to concurrent update against table p:tradehits.table_writes. "
    "Transaction ID: 61e30eea-0000 at [5:1]"
)


def _bigquery(stub, labels=None, **limits):
    settings = load_settings("test").warehouse
    own = {"emulator_host": stub.host, "show_cost_above_bytes": None, **limits}
    bigquery = settings.bigquery.model_copy(update=own)
    changed = {"project": "p", "bigquery": bigquery, "lock_timeout_seconds": 0.5}
    return BigQuery(settings.model_copy(update=changed), labels)


@pytest.mark.parametrize(
    ("answer", "error", "remedy"),
    [
        (failure(403, "accessDenied", "Access Denied: no bigquery.jobs.create"), WarehouseAccessError, "roles/"),
        (failure(403, "billingNotEnabled", "Billing has not been enabled"), WarehouseAccessError, "enable billing"),
        (failure(403, "quotaExceeded", "Quota exceeded: too many jobs"), QuotaExceededError, "quota"),
        (failure(404, "notFound", "Not found: Project p"), WarehouseAccessError, "warehouse.project"),
        (
            failure(404, "notFound", "Not found: Dataset p:d was not found in location US"),
            WarehouseAccessError,
            "warehouse.bigquery.location",
        ),
        (failure(404, "notFound", "Not found: Table p:d.t was not found in location US"), QueryError, "doctor"),
        (failure(400, "invalidQuery", "Syntax error: Unexpected end"), QueryError, "mend the statement"),
        (failed_job("bytesBilledLimitExceeded", "Query exceeded limit: 10."), CostCapError, "maximum_bytes_billed"),
        (failed_job("resourcesExceeded", "Resources exceeded during query execution"), WarehouseError, "at once"),
    ],
    ids=lambda value: value[1].get("error", {}).get("message", "")[:30] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_a_refusal_has_a_name_and_a_remedy_and_is_not_tried_again(answer, error, remedy):
    with running_stub(lambda *_: answer) as stub, pytest.raises(error) as refusal:
        _bigquery(stub).query("SELECT 1 AS a", doing="read")
    assert type(refusal.value) is error
    assert refusal.value.message.startswith("read: ")
    assert remedy in refusal.value.remedy
    assert len(stub.jobs()) == 1


def test_an_error_that_may_pass_is_tried_again():
    def answer(number, *_):
        busy = failure(503, "backendError", "try again")
        return busy if number == 0 else failure(400, "invalidQuery", "the second answer")

    with running_stub(answer) as stub, pytest.raises(QueryError, match="the second answer"):
        _bigquery(stub).query("SELECT 1 AS a", doing="read")
    assert len(stub.jobs()) == 2


def test_a_cancelled_transaction_runs_again():
    def answer(number, *_):
        return failed_job("invalidQuery", CONFLICT) if number == 0 else failure(400, "invalidQuery", "ran again")

    with running_stub(answer) as stub, pytest.raises(QueryError, match="ran again"):
        _bigquery(stub).transaction("BEGIN TRANSACTION; COMMIT TRANSACTION", (), doing="write t")
    assert len(stub.jobs()) == 2


def test_a_writer_that_never_gets_its_turn_says_so():
    with (
        running_stub(lambda *_: failed_job("invalidQuery", CONFLICT)) as stub,
        pytest.raises(WarehouseLockedError, match="write t: others have been writing") as refusal,
    ):
        _bigquery(stub).transaction("SELECT 1", (), doing="write t")
    assert "warehouse.lock_timeout_seconds" in refusal.value.remedy
    assert len(stub.jobs()) > 1


def test_a_job_carries_labels_and_the_cap_on_its_bill():
    with running_stub(lambda *_: failure(400, "invalidQuery", "no")) as stub, pytest.raises(QueryError):
        _bigquery(stub, {"profile": "Big Query", "command": ""}, maximum_bytes_billed=123).query("SELECT 1", doing="x")
    [job] = stub.jobs()
    assert job["labels"] == {"app": "tradehits", "profile": "big-query"}
    assert job["query"]["maximumBytesBilled"] == "123"


def _estimating(size):
    def answer(_number, _method, _path, body):
        is_dry = body.get("configuration", {}).get("dryRun")
        return dry_run(size) if is_dry else failure(400, "invalidQuery", "it ran")

    return answer


def test_a_large_statement_says_what_it_will_cost_before_it_runs(caplog):
    with running_stub(_estimating(2**40)) as stub, caplog.at_level(logging.WARNING), pytest.raises(QueryError):
        _bigquery(stub, show_cost_above_bytes=10**9, maximum_bytes_billed=None).query(
            "SELECT 1", doing="export x", known_as="x"
        )
    assert [record.getMessage() for record in caplog.records] == ["export x: will read 1.1 TB, about $6.25"]
    assert [bool(job.get("dryRun")) for job in stub.jobs()] == [True, False]


def test_a_small_statement_is_estimated_once_and_says_nothing(caplog):
    with running_stub(_estimating(1000)) as stub, caplog.at_level(logging.WARNING):
        bigquery = _bigquery(stub, show_cost_above_bytes=10**9)
        for _ in range(2):
            with pytest.raises(QueryError, match="it ran"):
                bigquery.query("SELECT 1", doing="read", known_as="the question")
    assert caplog.records == []
    assert [bool(job.get("dryRun")) for job in stub.jobs()] == [True, False, False]


def test_a_statement_above_the_cap_is_never_sent():
    with (
        running_stub(_estimating(2000)) as stub,
        pytest.raises(CostCapError, match="would read 2000 bytes, the cap is 1000 bytes") as refusal,
    ):
        _bigquery(stub, show_cost_above_bytes=0, maximum_bytes_billed=1000).query(
            "SELECT 1", doing="read", known_as="x"
        )
    assert "warehouse.bigquery.maximum_bytes_billed" in refusal.value.remedy
    assert [bool(job.get("dryRun")) for job in stub.jobs()] == [True]


def test_missing_credentials_say_how_to_get_some(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    bigquery = BigQuery(load_settings("bigquery").warehouse)
    with pytest.raises(WarehouseAccessError, match="no usable Google credentials") as refusal:
        bigquery.query("SELECT 1", doing="read")
    assert "gcloud auth application-default login" in refusal.value.remedy
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    with pytest.raises(WarehouseAccessError, match=r"missing\.json"):
        BigQuery(load_settings("bigquery").warehouse).query("SELECT 1", doing="read")


def test_a_server_that_is_not_there_is_a_network_matter():
    with running_stub(lambda *_: failure(500, "", "")) as stub:
        pass
    bigquery = _bigquery(stub, retry_seconds=0.5)
    with pytest.raises(WarehouseError, match="cannot be reached"):
        bigquery.transaction("SELECT 1", (), doing="write t")
