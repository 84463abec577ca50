"""Dockerfile, compose.yaml and the Cloud Run files: what can go wrong in them and is seen without a container."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from configs.settings import load_settings
from flows.cli import app
from flows.deploy_gcloud import emit_gcloud
from registry.library_versions import library_version

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CLOUD_RUN = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "deploy" / "cloud-run").glob("*.yaml")}
SECRET_NAME = r"\w*(?:PASSWORD|API_KEY|SECRET|TOKEN|ALERT_URL\w*)"
PINS = (ROOT / "constraints.txt").read_text()
FILES = (
    *(ROOT / name for name in ("Dockerfile", "compose.yaml", ".env.example", "prefect.cloud-run.yaml")),
    *(path for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.suffix != ".pyc"),
)


def commands() -> set[str]:
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def loaded(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stages() -> list[str]:
    return re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]


def test_the_final_stage_has_no_build_tools_runs_as_nobody_special_and_checks_its_health() -> None:
    builder, final = stages()
    assert builder.startswith("${BASE_IMAGE} AS builder") and final.startswith("${BASE_IMAGE} AS final")
    assert not re.search(r"\b(pip|uv|apt-get|gcc|make)\b", final)
    assert "USER 10001:10001" in final and final.index("USER") < final.index("ENTRYPOINT")
    assert 'ENTRYPOINT ["tradehits"]' in final and "VOLUME /data" in final and "TRADEHITS_HOME=/data" in final
    assert '"http://127.0.0.1:3000/livez"' in final[final.index("HEALTHCHECK") :]


def test_every_telemetry_is_off_in_the_image() -> None:
    for one in ("DO_NOT_TRACK=1", "BENTOML_DO_NOT_TRACK=true", "MLFLOW_DISABLE_TELEMETRY=true"):
        assert one in stages()[1]
    assert "PREFECT_SERVER_ANALYTICS_ENABLED=false" in stages()[1]


def test_what_is_installed_is_pinned_and_nothing_is_compiled() -> None:
    installs = re.findall(r"pip install (.*?)(?: \\\n|\n)", stages()[0])
    assert len(installs) == 3
    assert "-c constraints.txt" in installs[0] and "-c constraints.txt" in installs[1]
    assert "--no-build" in installs[1]
    assert "--no-deps" in installs[2]


def test_every_file_that_the_image_needs_is_let_through_and_no_other() -> None:
    let = {line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    packages = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    assert packages is not None
    assert {name.partition(".")[0] for name in re.findall(r'"([\w.]+)"', packages[1])} <= let
    assert {"prefect.yaml", "pyproject.toml", "constraints.txt", "deploy", "README.md"} <= let
    assert not {"tests", "bench", "docs", "mlruns", ".git", ".env", ".tradehits"} & let
    assert all((ROOT / name).exists() for name in let)


@pytest.mark.parametrize("build", ["xgboost", "xgboost-cpu"])
def test_the_image_gets_the_pinned_xgboost_in_the_build_that_was_asked_for(build: str) -> None:
    lines = loaded("requirements").requirements(
        ROOT / "pyproject.toml", ROOT / "constraints.txt", ["postgres", "redis"], build
    )
    (xgboost,) = [line for line in lines if line.startswith("xgboost")]
    pinned = re.search(r"^xgboost==(\S+)$", PINS, re.M)
    assert pinned and xgboost == ("xgboost>=3.2,<4" if build == "xgboost" else f"xgboost-cpu=={pinned[1]}")
    assert any(line.startswith("psycopg2-binary") for line in lines)
    names = {re.split(r"[\[<>=!~ ]", line)[0].lower().replace("_", "-") for line in lines} - {"xgboost-cpu"}
    assert names <= {line.partition("==")[0].lower().replace("_", "-") for line in PINS.splitlines()}


def test_an_unknown_extra_or_build_stops_the_image() -> None:
    files = (ROOT / "pyproject.toml", ROOT / "constraints.txt")
    with pytest.raises(SystemExit, match="no extra postgre:"):
        loaded("requirements").requirements(*files, ["postgre"], "xgboost")
    with pytest.raises(SystemExit, match="no XGBoost build 'xgboost-gpu'"):
        loaded("requirements").requirements(*files, [], "xgboost-gpu")


def test_a_model_names_its_library_whichever_build_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def version(name: str) -> str:
        if name != "xgboost-cpu":
            raise PackageNotFoundError(name)
        return "3.2.0"

    monkeypatch.setattr("registry.library_versions.version", version)
    assert library_version("xgboost") == "3.2.0"
    with pytest.raises(PackageNotFoundError):
        library_version("feast")


def test_every_port_is_published_on_loopback_alone() -> None:
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert published == {
        "mlflow": ["127.0.0.1:5000:5000"],
        "prefect": ["127.0.0.1:4200:4200"],
        "service": ["127.0.0.1:3000:3000"],
        "reports": ["127.0.0.1:3010:3010"],
    }


def test_every_service_that_stays_has_a_healthcheck_and_waits_for_healthy_ones() -> None:
    for name, one in SERVICES.items():
        ends = one.get("restart") == "no"
        assert one["healthcheck"] == {"disable": True} if ends else "test" in one["healthcheck"], name
        for other, condition in one.get("depends_on", {}).items():
            once = SERVICES[other].get("restart") == "no"
            wanted = "service_completed_successfully" if once else "service_healthy"
            assert condition == {"condition": wanted}, f"{name} on {other}"


def test_health_is_asked_at_the_port_where_the_process_listens() -> None:
    asked = {name: " ".join(one["healthcheck"].get("test", [])) for name, one in SERVICES.items()}
    assert "127.0.0.1:5000/health" in asked["mlflow"] and "--port=5000" in SERVICES["mlflow"]["command"]
    assert "127.0.0.1:4200/api/health" in asked["prefect"] and "4200" in SERVICES["prefect"]["command"]
    assert "127.0.0.1:3000/livez" in asked["service"] and load_settings("test").serving.port == 3000
    assert "127.0.0.1:3010/healthz" in asked["reports"] and load_settings("test").up.reports_port == 3010
    assert "127.0.0.1:8080/health" in asked["worker"] and "--with-healthcheck" in SERVICES["worker"]["command"]


def test_worker_and_schedules_use_one_pool() -> None:
    pool = load_settings("test").up.work_pool
    command = SERVICES["worker"]["command"]
    assert command[command.index("--pool") + 1] == pool
    assert SERVICES["deployments"]["entrypoint"] == ["python", "-m", "flows.up_deployments"]


def test_settings_in_compose_are_settings_of_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["service"]["environment"].items():
        if name.startswith("TRADEHITS__"):
            monkeypatch.setenv(name, value)
    settings = load_settings("test")
    assert settings.mlflow_shown == "postgresql://mlflow@postgres:5432/mlflow"
    assert settings.feast.redis.host == "redis" and settings.serving.host == "0.0.0.0"
    assert f"--backend-store-uri={settings.mlflow_shown}" in SERVICES["mlflow"]["command"]
    home = Path("/data/sample/state/mlruns/artifacts").as_uri().replace("sample", "${TRADEHITS_PROFILE:-sample}")
    assert f"--default-artifact-root={home}" in SERVICES["mlflow"]["command"]


def test_every_command_that_a_container_runs_exists() -> None:
    known = commands()
    assert {SERVICES[name]["command"][0] for name in ("service", "tradehits")} <= known
    assert re.findall(r'^CMD \["(\w+)"', DOCKERFILE, re.M) == ["serve"]
    (container,) = CLOUD_RUN["service"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][0] in known
    documented = re.findall(r"compose run --rm tradehits ([a-z-]+)", (ROOT / "docs" / "containers.md").read_text())
    assert documented and set(documented) <= known


def test_no_file_holds_a_secret() -> None:
    for path in FILES:
        text = path.read_text()
        assert not re.search(r"://[^/\s:@$]+:[^@\s$]+@", text), path
        for name, value in re.findall(rf"^[ \t]*-?[ \t]*({SECRET_NAME})[ \t]*[:=][ \t]*(.*)$", text, re.M):
            assert value == "" or value.startswith(("${", "{secret:")), f"{path}: {name}"
    assert "\n.env\n" in (ROOT / ".gitignore").read_text()


def test_every_password_is_asked_for_and_none_has_a_default() -> None:
    text = (ROOT / "compose.yaml").read_text()
    used = set(re.findall(r"\$\{(\w*PASSWORD)", text))
    assert used == {"POSTGRES_PASSWORD", "MLFLOW_DB_PASSWORD", "PREFECT_DB_PASSWORD", "REDIS_PASSWORD"}
    assert all(f"${{{name}:?see .env.example}}" in text for name in used)
    given = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.M))
    assert used <= set(given) and set(re.findall(r"(?<!\$)\$\{(\w+)", text)) == set(given)
    assert not any(given.values())


def test_the_database_script_makes_a_database_for_each_and_shows_no_password() -> None:
    script = ROOT / "deploy" / "compose" / "databases.sh"
    assert subprocess.run(["sh", "-n", str(script)], check=False).returncode == 0
    assert script.stat().st_mode & 0o111
    assert re.findall(r"^create (\w+) (\w+)$", script.read_text(), re.M) == [
        ("mlflow", "MLFLOW_DB_PASSWORD"),
        ("prefect", "PREFECT_DB_PASSWORD"),
    ]


def test_cloud_run_s_job_is_the_one_that_the_scheduler_starts(tmp_path: Path) -> None:
    job = CLOUD_RUN["job"]
    script = tmp_path / "jobs.sh"
    assert emit_gcloud(script) == 4
    assert script.read_text().count(f"/jobs/{job['metadata']['name']}:run") == 4
    (container,) = job["spec"]["template"]["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["/bin/sh"] and container["args"][0] == "-c"  # the scheduler gives -c and a line
    started = re.findall(r'"-c", "([^"]+)"', script.read_text())
    used = {part.split()[1] for line in started for part in line.split(" && ")}
    assert len(started) == 4 and used <= commands() and used >= {"ingest", "predict", "monitor", "train", "backtest"}


def test_cloud_run_s_files_set_settings_that_exist_and_agree_with_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    (service,) = CLOUD_RUN["service"]["spec"]["template"]["spec"]["containers"]
    (job,) = CLOUD_RUN["job"]["spec"]["template"]["spec"]["template"]["spec"]["containers"]
    pool = yaml.safe_load((ROOT / "prefect.cloud-run.yaml").read_text())["deployments"][0]["work_pool"]["job_variables"]
    plain = [{one["name"]: one["value"] for one in part["env"] if "value" in one} for part in (service, job)]
    assert {one["TRADEHITS_PROFILE"] for one in (*plain, pool["env"])} == {"bigquery"}
    assert set(pool["env"]) - set(plain[1]) == {"DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"}
    assert {one["name"] for one in job["env"] if "valueFrom" in one} == set(pool["env_from_secrets"])
    for values in plain:
        for name, value in values.items():
            if name.startswith("TRADEHITS__"):
                monkeypatch.setenv(name, value)
    settings = load_settings("bigquery")
    assert (settings.mlflow.kind, settings.feast.online_store) == ("postgresql", "redis")
    mounts = {one["mountPath"] for part in (service, job) for one in part["volumeMounts"]}
    assert mounts == {"/data/bigquery/cache"} and "/data/bigquery/cache" in DOCKERFILE
    assert service["ports"][0]["containerPort"] == int(service["args"][-1])
    assert service["startupProbe"]["httpGet"]["path"] == "/livez"


def test_a_healthcheck_tells_who_is_well(tmp_path: Path) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/livez" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        health = loaded("healthcheck")
        assert health.main([f"{base}/livez"]) == 0
        assert health.main([f"{base}/readyz"]) == 1
        assert health.fault(f"{base}/readyz") == f"{base}/readyz answers 503"
        server.shutdown()
    assert health.main([f"{base}/livez"]) == 1
    done = subprocess.run([sys.executable, "-S", ROOT / "deploy" / "healthcheck.py"], capture_output=True, check=False)
    assert done.returncode == 2
