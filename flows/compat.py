"""`tradehits compat`: run what users of the earlier system run, and say what each returned."""

from __future__ import annotations

import json
import shlex
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Literal

from configs.settings import Settings
from flows.compat_examples import EXAMPLES, USERS_BASE_URL, Example
from flows.compat_service import running_service
from market.errors import ConfigError, QueryError
from warehouse.engines import open_warehouse
from warehouse.warehouse import ReadConnection

Verdict = Literal["ok", "empty", "absent", "failed"]
REQUEST_TIMEOUT_SECONDS = 30.0
_SHOWN_VALUES = 4


@dataclass(frozen=True)
class Outcome:
    """What one example returned.

    Attributes:
        name: The example's.
        kind: `sql` or `curl`.
        asked: What was run: the query, or the request with its host changed.
        verdict: `ok`; `empty`: it works, and there is nothing to tell, with the reason; `absent`: the symbol is not in
            this warehouse, and the answer says which are near; `failed`: it does not do what it did.
        detail: In one line.
    """

    name: str
    kind: str
    asked: str
    verdict: Verdict
    detail: str


def compat(settings: Settings, *, url: str | None = None, key: str | None = None) -> list[Outcome]:
    """Run every example: queries on the profile's warehouse, requests on a service.

    Args:
        settings: Whose warehouse and snapshot.
        url: Base address of a service that runs; None: one is started on a free port, asked, and stopped.
        key: API key for it, where it wants one.

    Raises:
        ConfigError: If `url` is no http(s) address.
        SnapshotError: If there is nothing to serve yet.
        ServiceError: If the service does not start.
    """
    if url is not None and not url.lower().startswith(("http://", "https://")):
        raise ConfigError(f"'{url}' is no address of a service", remedy="such as http://127.0.0.1:3000")
    with open_warehouse(settings).read() as read:
        outcomes = [_query(read, example) for example in EXAMPLES if example.kind == "sql"]
    with running_service(settings) if url is None else nullcontext(url) as base:
        outcomes += [_request(base.rstrip("/"), key, example) for example in EXAMPLES if example.kind == "curl"]
    return outcomes


def _query(read: ReadConnection, example: Example) -> Outcome:
    try:
        table = read.query(example.text)
    except QueryError as error:
        return Outcome(example.name, "sql", example.text, "failed", error.message)
    names, count = tuple(table.column_names), table.num_rows
    verdict: Verdict = "ok" if count else "empty"
    if names[: len(example.columns)] != example.columns:
        verdict, detail = "failed", f"columns are {', '.join(names)}; they were {', '.join(example.columns)}"
    elif example.exactly not in (None, count):
        verdict, detail = "failed", f"{_counted(count)}; there are always {example.exactly}"
    elif count:
        detail = f"{_counted(count)}; first: {_first(table.slice(0, 1).to_pylist()[0])}"
    else:
        reason = read.query(example.why_empty).column("reason").to_pylist()[0] if example.why_empty else ""
        detail = f"no rows: {reason}"
    return Outcome(example.name, "sql", example.text, verdict, detail)


def _request(base: str, key: str | None, example: Example) -> Outcome:
    theirs = shlex.split(example.text)[-1]
    asked = theirs.replace(USERS_BASE_URL, base)
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(
            urllib.request.Request(asked, headers=headers), timeout=REQUEST_TIMEOUT_SECONDS
        ) as response:
            status, body = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    except OSError as error:
        return Outcome(example.name, "curl", asked, "failed", f"no answer: {error}")
    return Outcome(example.name, "curl", asked, *_judged(status, body, example))


def _judged(status: int, body: bytes, example: Example) -> tuple[Verdict, str]:
    try:
        answer = json.loads(body)
    except ValueError:
        return "failed", f"{status}, and no JSON: {body[:80]!r}"
    if not isinstance(answer, dict):
        return "failed", f"{status}, and no JSON object"
    if status != 200:
        helpful = status == 404 and answer.get("status") == "error" and answer.get("message")
        return ("absent" if helpful else "failed"), f"{status}: {answer.get('message')}"
    missing = [name for name in example.columns if name not in answer]
    rows = answer.get(example.rows_in, [])
    missing += [f"{example.rows_in}[].{name}" for name in example.row_keys if rows and name not in rows[0]]
    if missing or answer["status"] != "success":
        return "failed", f"{status}, without {', '.join(missing) or 'success'}"
    if not rows:
        return "empty", f"{status}, no {example.rows_in}: {answer.get('note') or 'no reason given'}"
    return "ok", f"{status}, {_counted(len(rows))}; first: {_first(rows[0])}"


def _counted(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'}"


def _first(row: dict[str, Any]) -> str:
    """A few values of a row, those that are there."""
    told = [f"{name} {value}" for name, value in row.items() if value is not None]
    return ", ".join(told[:_SHOWN_VALUES]) + (", ..." if len(told) > _SHOWN_VALUES else "")


def shown(outcomes: Sequence[Outcome], output: str) -> str:
    """Outcomes as text; `output` is table or json."""
    if output == "json":
        return json.dumps([asdict(outcome) for outcome in outcomes], indent=2, ensure_ascii=False)
    lines = []
    for outcome in outcomes:
        lines += [f"{outcome.verdict:<6}  {outcome.kind:<4}  {outcome.name}"]
        lines += [f"                {line}" for line in outcome.asked.splitlines()]
        lines += [f"              = {outcome.detail}", ""]
    failed = sum(outcome.verdict == "failed" for outcome in outcomes)
    lines.append(f"{len(outcomes) - failed} of {len(outcomes)} work as they did.")
    return "\n".join(lines)
