"""Google's errors as the project's, each with its remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from google.api_core import exceptions as google
from google.auth import exceptions as auth
from requests import exceptions as transport

from market.errors import (
    CostCapError,
    QueryError,
    QuotaExceededError,
    WarehouseAccessError,
    WarehouseError,
)

GOOGLE_ERRORS = (google.GoogleAPIError, auth.GoogleAuthError, transport.RequestException)
"""Everything that Google's client raises about the other side."""

NO_CREDENTIALS = (
    "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a service account's key file"
)
ROLES = (
    "grant the account roles/bigquery.jobUser and roles/bigquery.readSessionUser on the project and "
    "roles/bigquery.dataEditor on the datasets (docs/bigquery.md); `tradehits doctor` says which one is missing"
)
_TRY_AGAIN = "BigQuery failed for a moment and retries did not help: run the command again"

# What concurrent transactions get: BigQuery names the table; the emulator keeps its tables in DuckLake, which cancels
# the later commit in its own words.
_CONFLICTS = ("due to concurrent update", "Failed to commit DuckLake transaction", "Transaction conflict")
_PASSING = {"backendError", "internalError", "jobBackendError", "jobInternalError", "badGateway", "tableUnavailable"}
_QUOTAS = {"quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded", "billingTierLimitExceeded"}


def is_conflict(error: Exception) -> bool:
    """Whether a transaction was cancelled because another one changed the same table; it left nothing behind."""
    return any(words in str(error) for words in _CONFLICTS)


def is_passing(error: Exception) -> bool:
    """Whether the same statement may work in a moment."""
    return _reason(error) in _PASSING


@contextmanager
def bigquery_errors(doing: str) -> Iterator[None]:
    """Google's errors as the project's; `doing` opens the message (`read ml_models.bars`)."""
    try:
        yield
    except GOOGLE_ERRORS as error:
        raise named_error(error, doing) from error


def named_error(error: Exception, doing: str) -> WarehouseError:
    """The project's error for one of Google's."""
    if isinstance(error, auth.DefaultCredentialsError | auth.RefreshError):
        return WarehouseAccessError(f"{doing}: no usable Google credentials ({_text(error)})", remedy=NO_CREDENTIALS)
    if isinstance(error, auth.TransportError | transport.RequestException | google.RetryError):
        return WarehouseError(f"{doing}: BigQuery cannot be reached ({_text(error)})", remedy="check the network")
    return _by_reason(_reason(error), error, f"{doing}: {_text(error)}")


def _by_reason(reason: str, error: Exception, message: str) -> WarehouseError:
    if reason == "bytesBilledLimitExceeded":
        return CostCapError(message, remedy="select less, or raise warehouse.bigquery.maximum_bytes_billed")
    if reason in _QUOTAS or isinstance(error, google.TooManyRequests | google.ResourceExhausted):
        return QuotaExceededError(message, remedy="wait, or raise the project's BigQuery quota in the Cloud console")
    if reason == "billingNotEnabled":
        return WarehouseAccessError(message, remedy="enable billing for the project; the sandbox has no DML")
    if reason == "notFound" or isinstance(error, google.NotFound):
        return _not_found(message)
    if reason == "accessDenied" or isinstance(error, google.Forbidden | google.Unauthorized):
        return WarehouseAccessError(message, remedy=ROLES)
    if reason == "responseTooLarge":
        return QueryError(
            message, remedy="BigQuery keeps results of at most 10 GB: select fewer columns or days at once"
        )
    if reason == "resourcesExceeded":
        return WarehouseError(message, remedy="write or select less at once")
    if reason in ("invalidQuery", "invalid") or isinstance(error, google.BadRequest):
        return QueryError(message, remedy="mend the statement")
    return WarehouseError(message, remedy=_TRY_AGAIN)


def _not_found(message: str) -> WarehouseError:
    kind = re.search(r"[Nn]ot found: (Project|Dataset|Table|Job)", message)
    if kind and kind[1] == "Project":
        return WarehouseAccessError(message, remedy="set warehouse.project to a project that the account may use")
    if kind and kind[1] == "Dataset":
        return WarehouseAccessError(
            message, remedy="check warehouse.datasets and warehouse.bigquery.location; `tradehits doctor` looks at both"
        )
    return QueryError(message, remedy="run `tradehits doctor`: it says which table is missing")


def _reason(error: Exception) -> str:
    errors: Any = getattr(error, "errors", None) or [{}]
    first = errors[0]
    return str(first.get("reason", "")) if isinstance(first, dict) else ""


def _text(error: Exception) -> str:
    """The first line of the message, without addresses, code, reason and job number."""
    errors: Any = getattr(error, "errors", None) or [{}]
    first = errors[0]
    text = str(first.get("message") or "") if isinstance(first, dict) else ""
    return (text or str(getattr(error, "message", "") or error)).strip().split("\n")[0]
