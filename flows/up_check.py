"""`tradehits up --check`: does every page show what it should? Asked over HTTP, as a browser asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import yaml

from flows.up_deployments import DEPLOYMENTS_FILE
from flows.up_health import ask

if TYPE_CHECKING:
    from configs.settings import Settings

_MOUNT: Final = ('id="root"', 'id="app"')
"""Where the pages of MLflow and Prefect build themselves up."""


@dataclass(frozen=True)
class PageCheck:
    """One page, or one thing that a page shows.

    Attributes:
        page: Which process.
        what: What was looked for.
        ok: Whether it is there.
        found: What was found.
        url: Where.
    """

    page: str
    what: str
    ok: bool
    found: str
    url: str


async def check_pages(settings: Settings) -> list[PageCheck]:
    """Every check, in the order of the pages; none stops the others."""
    return [
        *await _mlflow(settings),
        *await _prefect(settings),
        *await _service(settings),
        *await _reports(settings),
    ]


async def _mlflow(settings: Settings) -> list[PageCheck]:
    """The page, and the experiments of this profile's own store with their runs."""
    base = settings.mlflow_page
    url = f"{base}/api/2.0/mlflow/experiments/search"
    answer = await ask(url, {"max_results": 100})
    experiments = {one["name"]: one for one in (answer.json() or {}).get("experiments", [])}
    ours = sorted(name for name in experiments if name != "Default")
    roots = {str(one.get("artifact_location", "")) for name, one in experiments.items() if name in ours}
    is_ours = any(root.startswith(settings.mlflow_artifacts) for root in roots)
    runs = await _runs(base, [experiments[name]["experiment_id"] for name in ours])
    return [
        await _page("mlflow", base, "the UI's page", _MOUNT),
        PageCheck("mlflow", "experiments of this store", is_ours, ", ".join(ours) or "none: run `tradehits run`", url),
        PageCheck("mlflow", "runs in them", runs > 0, f"{runs} of at most 100 looked at", base),
    ]


async def _runs(base: str, experiments: list[str]) -> int:
    if not experiments:
        return 0
    answer = await ask(f"{base}/api/2.0/mlflow/runs/search", {"experiment_ids": experiments, "max_results": 100})
    return len((answer.json() or {}).get("runs", []))


async def _prefect(settings: Settings) -> list[PageCheck]:
    """Health, dashboard, the address that the dashboard asks, the deployments with their next runs, and the worker."""
    base, api = settings.up.prefect_url, f"{settings.up.prefect_url}/api"
    health = await ask(f"{api}/health")
    told = (await ask(f"{base}/ui-settings")).json() or {}
    pool = settings.up.work_pool
    workers = (await ask(f"{api}/work_pools/{pool}/workers/filter", {})).json() or []
    online = [one["name"] for one in workers if isinstance(one, dict) and one.get("status") == "ONLINE"]
    return [
        PageCheck("prefect", "health", health.status == 200, health.text.strip() or "no answer", f"{api}/health"),
        await _page("prefect", base, "the dashboard's page", _MOUNT),
        PageCheck(
            "prefect", "the dashboard asks this server", told.get("api_url") == api, str(told.get("api_url")), base
        ),
        *await check_deployments(settings),
        PageCheck("prefect", "a worker online", bool(online), ", ".join(online) or "none", f"{base}/work-pools"),
    ]


async def check_deployments(settings: Settings) -> list[PageCheck]:
    """Each deployment of `prefect.yaml`: there, not paused, one run at a time, and its next run."""
    api = f"{settings.up.prefect_url}/api"
    wanted = yaml.safe_load(DEPLOYMENTS_FILE.read_text(encoding="utf-8"))["deployments"]
    found = {one["name"]: one for one in (await ask(f"{api}/deployments/filter", {})).json() or []}
    checks = []
    for one in wanted:
        name = one["name"]
        there: dict[str, Any] | None = found.get(name)
        if there is None:
            checks.append(PageCheck("prefect", name, False, "no such deployment", api))
            continue
        following = await _next_run(api, there["id"])
        limit = there.get("global_concurrency_limit") or {}
        is_well = not there["paused"] and limit.get("limit") == 1 and (following is not None or not one["schedules"])
        said = f"next run {following}" if following else "no run is scheduled"
        url = f"{settings.up.prefect_url}/deployments/deployment/{there['id']}"
        checks.append(PageCheck("prefect", name, is_well, said, url))
    return checks


async def _next_run(api: str, deployment: str) -> str | None:
    body = {
        "deployments": {"id": {"any_": [deployment]}},
        "flow_runs": {
            "state": {"type": {"any_": ["SCHEDULED"]}},
            "expected_start_time": {"after_": datetime.now(UTC).isoformat()},
        },
        "sort": "EXPECTED_START_TIME_ASC",
        "limit": 1,
    }
    runs = (await ask(f"{api}/flow_runs/filter", body)).json() or []
    if not runs:
        return None
    from flows.scheduled_turn import ZONE

    return f"{datetime.fromisoformat(runs[0]['expected_start_time']).astimezone(ZONE):%a %Y-%m-%d %H:%M %Z}"


async def _service(settings: Settings) -> list[PageCheck]:
    """Readiness means a snapshot; Swagger's document names the routes; a route answers with this store's model."""
    host = settings.serving.host if settings.serving.host != "0.0.0.0" else "127.0.0.1"
    base = f"http://{host}:{settings.serving.port}"
    ready = await ask(f"{base}/readyz")
    described = (await ask(f"{base}/docs.json")).json() or {}
    routes = described.get("paths", {})
    summary = (await ask(f"{base}/api/ml/walk-forward-summary")).json() or {}
    models = summary.get("model_versions") or {}
    return [
        PageCheck("service", "ready", ready.status == 200, f"status {ready.status}", f"{base}/readyz"),
        await _page("service", base, "Swagger's page", ("swagger",)),
        PageCheck("service", "routes in Swagger", "/predict" in routes, f"{len(routes)} routes", f"{base}/docs.json"),
        PageCheck("service", "models behind the answers", bool(models), ", ".join(models.values()) or "none", base),
    ]


async def _reports(settings: Settings) -> list[PageCheck]:
    base = settings.up.reports_url
    written = sorted(settings.paths.reports.rglob("*.html"))
    page = await ask(f"{base}/")
    refused = await ask(f"{base}/", {})
    return [
        PageCheck("reports", "the index", page.status == 200 and "<html" in page.text, f"{len(written)} pages", base),
        PageCheck("reports", "read-only", refused.status == 405, f"POST answers {refused.status}", base),
    ]


async def _page(page: str, url: str, what: str, marks: tuple[str, ...]) -> PageCheck:
    answer = await ask(f"{url}/")
    ok = answer.status == 200 and any(mark in answer.text for mark in marks)
    return PageCheck(page, what, ok, f"status {answer.status}, {len(answer.text):,} characters", f"{url}/")
