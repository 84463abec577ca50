"""The parts of a deployment that are not tables: flows and their schedules in Prefect, and the HTTP service."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import subprocess
import sys
from typing import Any

import yaml

from configs.settings import REPO_DIR, Settings
from flows.compat_service import running_service
from flows.deploy_component import Deployed
from flows.up_check import check_deployments
from flows.up_deployments import DEPLOYMENTS_FILE
from flows.up_health import ask
from flows.up_programs import deployments_program
from market.errors import ServiceError

_SUMMARY = "/api/ml/walk-forward-summary"


def scheduled() -> list[dict[str, Any]]:
    """The deployments of `prefect.yaml`, as written there.

    Raises:
        ServiceError: There is no such file: this is no checkout of the project.
    """
    if not DEPLOYMENTS_FILE.exists():
        raise ServiceError(f"{DEPLOYMENTS_FILE} is missing", remedy="deploy from a checkout of the project")
    found: list[dict[str, Any]] = yaml.safe_load(DEPLOYMENTS_FILE.read_text(encoding="utf-8"))["deployments"]
    return found


def deploy_schedules(settings: Settings) -> list[Deployed]:
    """Every flow that a schedule starts, and every schedule.

    Schedules are registered with the server of `tradehits up` when it runs; without one they are PENDING, as `up`
    registers them when it starts.
    """
    wanted = scheduled()
    flows = [_flow(one) for one in wanted]
    if asyncio.run(ask(f"{settings.up.prefect_url}/api/health")).status != 200:
        told = f"no Prefect server at {settings.up.prefect_url}: `tradehits up` starts one and registers this schedule"
        return [*flows, *(Deployed("SCHEDULER", one["name"], _version(one), "PENDING", told) for one in wanted)]
    program = deployments_program(settings)
    done = subprocess.run(
        [sys.executable, *program.arguments],
        env=dict(program.environment),
        capture_output=True,
        text=True,
        check=False,
        cwd=REPO_DIR,
    )
    if done.returncode:
        *_, told = ["Prefect said nothing", *(done.stderr or done.stdout).strip().splitlines()]
        return [*flows, *(Deployed("SCHEDULER", one["name"], _version(one), "FAILED", told) for one in wanted)]
    checks = {one.what: one for one in asyncio.run(check_deployments(settings))}
    return [
        *flows,
        *(
            Deployed(
                "SCHEDULER",
                one["name"],
                _version(one),
                "SUCCESS" if checks[one["name"]].ok else "FAILED",
                checks[one["name"]].found,
            )
            for one in wanted
        ),
    ]


def _flow(wanted: dict[str, Any]) -> Deployed:
    """The flow behind a schedule takes the schedule's parameters."""
    entrypoint, parameters = wanted["entrypoint"], wanted.get("parameters") or {}
    path, _, function = entrypoint.partition(":")
    flow = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), function, None)
    if flow is None:
        return Deployed("FLOW", function, None, "FAILED", f"{entrypoint} of {DEPLOYMENTS_FILE.name} does not exist")
    try:
        flow.validate_parameters(parameters)
    except ValueError as error:  # Prefect's own error for parameters is one
        return Deployed("FLOW", flow.name, _version(wanted), "FAILED", f"it refuses its parameters: {error}")
    return Deployed("FLOW", flow.name, _version(wanted), "SUCCESS", f"takes {json.dumps(parameters)}")


def _version(wanted: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(wanted, sort_keys=True, default=str).encode()).hexdigest()[:12]


def deploy_api(settings: Settings) -> Deployed:
    """The service: the one that runs at the configured address, else one of our own for a moment.

    Raises:
        ServiceError: It does not start.
    """
    if not settings.paths.snapshot_file.exists():
        told = "nothing to serve yet: `tradehits run` trains a champion and publishes a snapshot"
        return Deployed("API", "tradehits", None, "PENDING", told)
    host = "127.0.0.1" if settings.serving.host == "0.0.0.0" else settings.serving.host
    base = f"http://{host}:{settings.serving.port}"
    if asyncio.run(ask(f"{base}/readyz")).status == 200:
        return _answering(base, f"runs at {base}")
    with running_service(settings) as own:
        return _answering(own, f"starts and answers; none runs at {base} now: `tradehits up` or `tradehits serve`")


def _answering(base: str, told: str) -> Deployed:
    answer = asyncio.run(ask(f"{base}{_SUMMARY}"))
    models = (answer.json() or {}).get("model_versions") or {}
    if answer.status in (401, 403):
        return Deployed("API", "tradehits", None, "SUCCESS", f"{told}; reading needs a key")
    if answer.status != 200 or not models:
        return Deployed("API", "tradehits", None, "FAILED", f"{_SUMMARY} answers {answer.status}: {answer.text[:200]}")
    return Deployed("API", "tradehits", ", ".join(models.values()), "SUCCESS", told)
