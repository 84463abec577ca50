"""The processes of `tradehits up`: how each is started, where it answers, and when it is well."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from configs.mlflow_store import prefect_database
from configs.settings import ENV_PREFIX, Settings

HOME_MARK: Final = "TRADEHITS_UP_HOME"
"""Environment variable of every process that `up` starts, and of all that those start: the state it works on."""
PROGRAM_MARK: Final = "TRADEHITS_UP_PROGRAM"
"""Likewise: the name of the program."""

Name = Literal["mlflow", "prefect", "service", "reports", "deployments", "worker"]

_PREFECT_ALWAYS: Final = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # the newer pages ask a counting service, whatever the settings say
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "tradehits",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
_QUIET: Final = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "true"}


@dataclass(frozen=True)
class Program:
    """One process.

    Attributes:
        name: Of its log too.
        arguments: After the interpreter.
        environment: The whole of it.
        url: What a person opens; empty for a process without a page.
        health: What answers 200 once it is well (of the worker: what lists it); empty where nothing needs to be asked.
        setting: Where its port comes from; empty without one.
        address: Host and port; None without one.
        once: It does its work and ends, and is not started again.
        says: In the table of links.
    """

    name: Name
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    url: str = ""
    health: str = ""
    setting: str = ""
    address: tuple[str, int] | None = None
    once: bool = False
    says: str = ""


def programs(settings: Settings) -> tuple[Program, ...]:
    """Every process, in the order in which they are started; an MLflow server that is elsewhere is none of them."""
    return (
        _prefect(settings),
        *(() if settings.mlflow.kind == "server" else (_mlflow(settings),)),
        _service(settings),
        _reports(settings),
        deployments_program(settings),
        _worker(settings),
    )


def prefect_environment(settings: Settings) -> dict[str, str]:
    """What Prefect's processes read: this profile's own home and server, nothing of the user's, no telemetry.

    The server serves its dashboard from a copy that it writes first; the copy belongs to the cache, because the folder
    of the installed package may be read-only.
    """
    up = settings.up
    return {
        **_PREFECT_ALWAYS,
        "PREFECT_HOME": str(settings.paths.prefect_home),
        "PREFECT_API_URL": f"{up.prefect_url}/api",
        "PREFECT_UI_URL": up.prefect_url,
        "PREFECT_SERVER_API_HOST": up.host,
        "PREFECT_SERVER_API_PORT": str(up.prefect_port),
        "PREFECT_UI_STATIC_DIRECTORY": str(settings.paths.cache / "prefect-ui"),
    }


def mark_of(settings: Settings) -> str:
    """Value of `HOME_MARK` for this profile's state."""
    return str(settings.paths.state)


def _environment(settings: Settings, name: Name, **more: str) -> dict[str, str]:
    """The user's environment without Prefect's part, and what makes this process one of ours.

    Processes work in the folder of their logs, so that no module of the user's folder is in their way; a relative home
    is made absolute for them.
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    if "TRADEHITS_HOME" in inherited:
        inherited["TRADEHITS_HOME"] = str(settings.paths.home.parent)
    return {
        **inherited,
        **_QUIET,
        **more,
        "PYTHONUNBUFFERED": "1",
        "TRADEHITS_PROFILE": settings.profile,
        HOME_MARK: mark_of(settings),
        PROGRAM_MARK: name,
    }


def _prefect(settings: Settings) -> Program:
    """The server alone learns of its database: whoever else asks, asks the server."""
    up = settings.up
    return Program(
        name="prefect",
        arguments=("-m", "prefect", "server", "start", "--host", up.host, "--port", str(up.prefect_port)),
        environment=_environment(settings, "prefect", **prefect_environment(settings), **prefect_database()),
        url=up.prefect_url,
        health=f"{up.prefect_url}/api/health",
        setting="up.prefect_port",
        address=(up.host, up.prefect_port),
        says="runs, schedules, artifacts",
    )


def _mlflow(settings: Settings) -> Program:
    """MLflow's own job runner is left out: it would be one more server, for features that nothing here uses.

    The address of the store carries no password, because every user of a machine sees arguments.
    """
    up = settings.up
    store = ("--backend-store-uri", settings.mlflow_shown, "--default-artifact-root", settings.mlflow_artifacts)
    given = settings.mlflow.own_environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return Program(
        name="mlflow",
        arguments=(
            *("-m", "mlflow", "server", *store, "--no-serve-artifacts"),
            *("--host", up.host, "--port", str(up.mlflow_port), "--workers", "1"),
        ),
        environment=_environment(settings, "mlflow", **given),
        url=f"{up.mlflow_url}/#/experiments",
        health=f"{up.mlflow_url}/health",
        setting="up.mlflow_port",
        address=(up.host, up.mlflow_port),
        says="training runs, models, backtests",
    )


def _service(settings: Settings) -> Program:
    host, port = settings.serving.host, settings.serving.port
    url = f"http://{'127.0.0.1' if host in ('0.0.0.0', 'localhost') else host}:{port}"
    return Program(
        name="service",
        arguments=("-c", "from flows.cli import main; main()", "serve"),
        environment=_environment(settings, "service"),
        url=url,
        health=f"{url}/livez",
        setting="serving.port",
        address=(host, port),
        says="the HTTP API, tried out in Swagger",
    )


def _reports(settings: Settings) -> Program:
    up = settings.up
    return Program(
        name="reports",
        arguments=("-m", "flows.up_reports"),
        environment=_environment(settings, "reports"),
        url=up.reports_url,
        health=f"{up.reports_url}/healthz",
        setting="up.reports_port",
        address=(up.host, up.reports_port),
        says="drift reports by date",
    )


def deployments_program(settings: Settings) -> Program:
    """Registers pool, deployments and schedules with the server, and ends."""
    return Program(
        name="deployments",
        arguments=("-m", "flows.up_deployments"),
        environment=_environment(settings, "deployments", **prefect_environment(settings)),
        once=True,
    )


def _worker(settings: Settings) -> Program:
    pool = settings.up.work_pool
    return Program(
        name="worker",
        arguments=("-m", "prefect", "worker", "start", "--pool", pool, "--type", "process", "--name", f"{pool}-local"),
        environment=_environment(settings, "worker", **prefect_environment(settings)),
        health=f"{settings.up.prefect_url}/api/work_pools/{pool}/workers/filter",
        says="runs the flows of the schedules",
    )


def log_of(settings: Settings, program: Program) -> Path:
    """Where a process's output goes."""
    return settings.paths.logs / f"{program.name}.log"


def setting_variable(setting: str) -> str:
    """The environment variable of a setting, to be told in messages."""
    return ENV_PREFIX + setting.upper().replace(".", "__")


def interpreter() -> str:
    """Python of this environment."""
    return sys.executable
