"""The processes of `tradehits up`: started again, given up, stopped with all they started, cleaned up after a kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from configs.settings import load_settings
from flows import up
from flows.up_leftovers import end_marked, marked
from flows.up_ports import require_free_ports
from flows.up_programs import Program, mark_of, programs
from market.errors import ConfigError, ServiceError

DRIVER = Path(__file__).parent / "up_driver.py"
ROOT = Path(__file__).parents[2]


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def start(scenario: str) -> subprocess.Popen[str]:
    settings = {
        "PYTHONPATH": str(ROOT),
        "TRADEHITS__UP__RESTARTS": "2",
        "TRADEHITS__UP__LOG_BYTES": "20000",
        "TRADEHITS__UP__LOG_FILES": "2",
        "TRADEHITS__UP__STOP_SECONDS": "5",
    }
    return subprocess.Popen(
        [sys.executable, str(DRIVER), scenario, *map(str, free_ports(2))],
        env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def seen(scenario: str) -> dict[str, Any]:
    out, errors = (process := start(scenario)).communicate(timeout=120)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.strip().splitlines()[-1])


def test_processes_that_are_killed_together_are_all_started_again_without_what_they_had_left() -> None:
    told = seen("killed")
    assert told["processes"] == 4  # two pages, each with its worker: the workers of the killed ones are gone
    assert sorted(told["said"]) == [
        "mlflow was ended by SIGKILL: started again in 1 s (1 of 2)",
        "reports was ended by SIGKILL: started again in 1 s (1 of 2)",
    ]
    assert told["left"] == 0


def test_a_process_that_dies_again_and_again_is_given_up_and_named_while_the_others_live() -> None:
    told = seen("given_up")
    assert told["given_up"] == ["mlflow"]
    assert told["other"] is True
    assert told["said"][-1].startswith("mlflow was ended by SIGKILL, 3 times now: given up, see ")
    assert told["left"] == 0


def test_a_log_is_set_aside_at_its_size_and_few_are_kept() -> None:
    told = seen("rotated")
    assert told["files"] == ["deployments.log", "deployments.log.1", "deployments.log.2"]
    assert told["largest"] <= 20_000


def test_a_process_that_fails_at_the_start_is_an_error_with_its_last_words() -> None:
    told = seen("failing")
    assert told["error"].startswith("deployments ended with exit code 3:\n  | what was wrong\n  remedy: see ")
    assert told["left"] == 0


def test_an_interrupt_stops_everything_and_whatever_it_started() -> None:
    assert seen("interrupted")["left"] == 0


def test_what_a_killed_up_leaves_is_found_and_ended_by_the_next_one() -> None:
    process, mark = start("left_alone"), mark_of(load_settings("test"))
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"up": True}
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    assert len(list(marked(mark))) == 4
    names = sorted(name.split()[0] for name in end_marked(mark))
    assert names == ["mlflow", "mlflow", "reports", "reports"]
    assert not list(marked(mark))


def test_one_up_a_profile_and_the_second_one_names_the_first() -> None:
    settings = load_settings("test")
    settings.paths.state.mkdir(parents=True)
    first = up._alone(_on(settings, free_ports(4)), lambda said: None)
    with first, pytest.raises(ServiceError) as refused, up._alone(settings, lambda said: None):
        pass
    assert f"is running already (process {os.getpid()})" in refused.value.message


def test_a_port_in_use_is_named_with_its_setting_and_the_process_that_has_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with pytest.raises(ServiceError) as refused:
            require_free_ports(programs(_on(load_settings("test"), [port, *free_ports(3)])))
    assert f"port {port} of mlflow (up.mlflow_port) is in use by " in refused.value.message
    assert f"(process {os.getpid()})" in refused.value.message
    assert "TRADEHITS__UP__MLFLOW_PORT=NUMBER" in refused.value.remedy


def test_two_settings_with_one_port_are_refused() -> None:
    first, *others = free_ports(3)
    with pytest.raises(ConfigError, match=r"up\.prefect_port and up\.mlflow_port are both"):
        require_free_ports(programs(_on(load_settings("test"), [first, first, *others])))


def test_pages_without_login_are_not_opened_to_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS__UP__HOST", "0.0.0.0")
    with pytest.raises(ConfigError, match="open to other machines"):
        load_settings("test")


def test_every_process_has_prefects_own_home_of_this_profile_and_no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://somewhere.else/api")
    monkeypatch.setenv("TRADEHITS__UP__PREFECT_PORT", "4321")
    monkeypatch.setenv("TRADEHITS_HOME", "here")
    settings = load_settings("test")
    started: dict[str, Program] = {one.name: one for one in programs(settings)}
    for name in ("prefect", "worker", "deployments"):
        environment = started[name].environment
        assert environment["PREFECT_HOME"] == str(settings.paths.state / "prefect")
        assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
        assert environment["PREFECT_SERVER_API_PORT"] == "4321"  # or the dashboard would ask port 4200
        assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    for one in started.values():
        assert one.environment["TRADEHITS_HOME"] == str(Path.cwd() / "here")
        assert one.environment["DO_NOT_TRACK"] == "1"
        assert one.environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert one.environment["BENTOML_DO_NOT_TRACK"] == "true"
    assert not [name for name in started["mlflow"].environment if name.startswith("PREFECT_")]


def _on(settings: Any, ports: list[int]) -> Any:
    names = ("mlflow_port", "prefect_port", "reports_port")
    changed = settings.up.model_copy(update=dict(zip(names, ports[:3], strict=True)))
    serving = settings.serving.model_copy(update={"port": ports[3]} if len(ports) > 3 else {})
    return settings.model_copy(update={"up": changed, "serving": serving})
