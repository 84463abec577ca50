"""MLflow and Prefect on a real PostgreSQL server: the same registry as on SQLite, and the password nowhere."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg2
import pytest
from numpy.testing import assert_array_equal

from configs.settings import Settings, load_settings
from flows.backup_elsewhere import not_covered
from flows.up_programs import Program, programs
from market.errors import RegistryError
from registry.bundle import Bundle
from registry.champion import champion_lock, new_change
from registry.models import ModelRegistry
from registry.store import RunStore, is_store_made
from registry.turns import turn
from tests.bundles import info, rows, train

pytestmark = pytest.mark.system

PASSWORD = "p@ss/w:rd %41?#é"
OPEN = (
    "from registry.store import RunStore; from configs.settings import load_settings; RunStore(load_settings('test'))"
)


@dataclass(frozen=True)
class Cluster:
    """A running server whose superuser is `postgres`."""

    port: int

    def ask(self, database: str, sql: str) -> list[tuple]:
        given = {"host": "127.0.0.1", "port": self.port, "user": "postgres", "password": PASSWORD}
        # not `with connection`: that is a transaction, in which no database can be made
        with closing(psycopg2.connect(dbname=database, **given)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []


def binaries() -> Path:
    """Folder of `initdb` and `pg_ctl`; without them the tests are skipped loudly, in CI they fail."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found or not (found[-1] / "initdb").exists():
        reason = "PostgreSQL was NOT tested: no initdb; run `apt-get install postgresql`"
        sys.stderr.write(f"\n{reason}\n")
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found[-1]


def unprivileged() -> str | None:
    """PostgreSQL refuses to run as root."""
    return None if os.geteuid() else "nobody"


def run(*command: str | Path, user: str | None) -> None:
    done = subprocess.run(
        [str(part) for part in command], user=user, capture_output=True, text=True, check=False, cwd="/", timeout=120
    )
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    programs_at, user = binaries(), unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="tradehits-pg-"))  # pytest's own folders are closed to other users
    try:
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        if user is not None:
            for path in (folder, folder / "password"):
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        data = folder / "data"
        options = ("--username=postgres", f"--pwfile={folder / 'password'}", "--auth=scram-sha-256", "--no-sync")
        run(programs_at / "initdb", f"--pgdata={data}", "--encoding=UTF8", "--locale=C", *options, user=user)
        port = free_port()
        server = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = (
            programs_at / "pg_ctl",
            f"--pgdata={data}",
            f"--log={folder / 'log'}",
            "--wait",
            "--timeout=30",
        )
        run(*control, f"--options={server}", "start", user=user)
        try:
            made = Cluster(port)
            for owner in ("mlflow", "prefect"):
                made.ask("postgres", f"CREATE ROLE {owner} LOGIN PASSWORD '{PASSWORD}'")
                made.ask("postgres", f"CREATE DATABASE {owner} OWNER {owner}")
            yield made
        finally:
            run(*control, "--mode=immediate", "stop", user=user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def environment(cluster: Cluster, home: Path, password: str | None = PASSWORD) -> dict[str, str]:
    secret = {} if password is None else {"TRADEHITS_MLFLOW_PASSWORD": password}
    return {
        "TRADEHITS_HOME": str(home),
        "TRADEHITS__MLFLOW__TRACKING_URI": f"postgresql://mlflow@127.0.0.1:{cluster.port}/mlflow",
        "TRADEHITS__UP__MLFLOW_PORT": str(free_port()),
        "TRADEHITS__UP__PREFECT_PORT": str(free_port()),
        **secret,
    }


def configured(given: dict[str, str]) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRADEHITS_MLFLOW_PASSWORD", raising=False)
        for name, value in given.items():
            patch.setenv(name, value)
        return load_settings("test")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def settings(cluster: Cluster, home: Path) -> Settings:
    """Two processes open the empty database at once: one makes the tables, the other waits for them."""
    given = environment(cluster, home)
    command = [sys.executable, "-c", OPEN]
    with ThreadPoolExecutor(2) as pool:
        # homes of their own, so that no file lock keeps them apart: two machines
        homes = [given, given | {"TRADEHITS_HOME": str(home / "other")}]
        root = {"TRADEHITS__MLFLOW__ARTIFACT_ROOT": str(home / "artifacts")}
        opened = list(
            pool.map(
                lambda one: subprocess.run(
                    command, env=os.environ | one | root, capture_output=True, text=True, timeout=120, check=False
                ),
                homes,
            )
        )
    assert [one.returncode for one in opened] == [0, 0], opened[0].stderr + opened[1].stderr
    return configured(given | root)


def test_a_champion_is_registered_loaded_replaced_and_rolled_back(settings: Settings) -> None:
    registry = ModelRegistry(RunStore(settings))
    versions, bundle = [], None
    for trees in (7, 9):
        with registry.store.start_run("stocks", tags={"asset_type": "stocks"}) as run_id:
            registry.store.log_params(run_id, {"trees": trees, "list": [1, 2]})
            registry.store.log_metrics(run_id, [("accuracy", 0.5 + fold / 10_000, fold) for fold in range(1500)])
            registry.store.log_text(run_id, "seen", "notes.txt")
            bundle = Bundle(train(trees=trees), info(run_id=run_id, trees=trees))
            versions.append(registry.register(bundle, registry.log_bundle(run_id, bundle, rows()[:5])))
    assert versions == ["walk_forward_stocks/1", "walk_forward_stocks/2"]
    for version in versions:
        registry.set_alias("stocks", "champion", version)

    elsewhere = ModelRegistry(RunStore(settings))
    assert elsewhere.champion_version("stocks") == "walk_forward_stocks/2"
    assert_array_equal(elsewhere.load_bundle("stocks").predict(rows()), bundle.predict(rows()))
    back = new_change("rollback", versions[1], versions[0], by="test", why="to see it")
    assert elsewhere.change_champion("stocks", back).after == ("walk_forward_stocks/1",)
    assert registry.load_bundle("stocks").info.trees == 7
    run = registry.store.run(bundle.info.run_id)
    assert (run.data.params["trees"], run.data.metrics["accuracy"]) == ("9", 0.5 + 1499 / 10_000)
    assert registry.store.artifact(bundle.info.run_id, "notes.txt").read_text() == "seen"
    assert not settings.paths.mlflow_file.exists() and is_store_made(settings)


def test_another_machine_waits_for_its_turn_at_the_champion(settings: Settings, cluster: Cluster, home: Path) -> None:
    other = configured(environment(cluster, home / "third"))  # no lock file in common
    with champion_lock(settings, "etf"):
        with (
            pytest.raises(RegistryError, match="another process has been moving the champion of etf for 1 s"),
            turn(other, "champion-etf", doing="moving the champion of etf", timeout_seconds=1),
        ):
            pytest.fail("both have it")
        with turn(other, "champion-crypto", doing="moving another one", timeout_seconds=1):
            pass
    with turn(other, "champion-etf", doing="moving the champion of etf", timeout_seconds=1):
        pass


def test_a_wrong_password_and_an_absent_server_are_named_at_once_and_no_secret_is(cluster: Cluster, home: Path) -> None:
    wrong = configured(environment(cluster, home, password="wr0ng-secret"))
    absent = configured(environment(Cluster(1), home))
    for broken, told in ((wrong, "authentication failed"), (absent, "refused")):
        with pytest.raises(RegistryError, match=told) as caught:
            RunStore(broken)
        assert "TRADEHITS_MLFLOW_PASSWORD" in caught.value.remedy
        assert "postgresql://mlflow@127.0.0.1" in caught.value.message
        assert "wr0ng-secret" not in str(caught.value) and PASSWORD not in str(caught.value)


def test_another_profile_cannot_share_the_database_by_mistake(settings: Settings, cluster: Cluster, home: Path) -> None:
    other = configured(environment(cluster, home / "fourth"))  # its artifacts would lie elsewhere
    with pytest.raises(RegistryError, match="keeps its artifacts at") as caught:
        RunStore(other)
    assert "database or server of its own" in caught.value.remedy


def test_no_password_is_stored_and_a_dump_is_the_whole_registry(
    settings: Settings, cluster: Cluster, home: Path, tmp_path: Path
) -> None:
    """Stands on the champion of the first test."""
    dump = tmp_path / "mlflow.dump"
    at = ("--host=127.0.0.1", f"--port={cluster.port}", "--username=mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPASSWORD", PASSWORD)
        run(binaries() / "pg_dump", *at, "--format=custom", "--compress=0", f"--file={dump}", "mlflow", user=None)
        cluster.ask("postgres", "CREATE DATABASE again OWNER mlflow")
        run(binaries() / "pg_restore", *at, "--no-owner", "--dbname=again", dump, user=None)
    query = (
        "SELECT r.name, r.alias, r.version, v.run_id FROM registered_model_aliases r JOIN model_versions v USING (name)"
    )
    stored = cluster.ask("mlflow", f"{query} ORDER BY 1, 2, 3, 4")
    assert [(row[1], row[2]) for row in stored] == [("champion", 1), ("champion", 1)]
    assert cluster.ask("again", f"{query} ORDER BY 1, 2, 3, 4") == stored
    written = [path for path in (home / "artifacts").rglob("*") if path.is_file()]
    assert len(written) > 5
    for path in (dump, *written):
        assert not any(form.encode() in path.read_bytes() for form in (PASSWORD, quote(PASSWORD, safe="")))


def test_a_backup_says_what_it_does_not_hold(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_PASSWORD", PASSWORD)
    told = list(not_covered(settings))
    assert [line.split(":", 1)[0].split(" in ")[0] for line in told] == [
        "MLflow's runs and models",
        "files of runs and models",
        "Prefect's database, which the environment names (PREFECT_..._DATABASE_...)",
    ]
    assert "pg_dump" in told[0] and PASSWORD not in json.dumps(told, ensure_ascii=False)


def test_the_pages_of_up_stand_on_the_databases_and_no_argument_tells_a_password(
    settings: Settings, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "DRIVER": "postgresql+asyncpg",
        "HOST": "127.0.0.1",
        "PORT": str(cluster.port),
        "USER": "prefect",
        "NAME": "prefect",
        "PASSWORD": PASSWORD,
    }.items():
        monkeypatch.setenv(f"PREFECT_SERVER_DATABASE_{name}", value)
    monkeypatch.setenv("TRADEHITS_MLFLOW_PASSWORD", PASSWORD)
    RunStore(settings)
    started = {one.name: one for one in programs(settings)}
    assert not any(name.startswith("PREFECT_SERVER_DATABASE") for name in started["worker"].environment)
    with running([started["mlflow"], started["prefect"]], tmp_path):
        answer = httpx.post(
            f"{settings.up.mlflow_url}/api/2.0/mlflow/experiments/search", json={"max_results": 10}, trust_env=False
        ).json()
        assert "walk_forward" in {one["name"] for one in answer["experiments"]}
        health = httpx.get(f"{settings.up.prefect_url}/api/health", trust_env=False)
        assert health.json() is True
        made = httpx.post(f"{settings.up.prefect_url}/api/flows/", json={"name": "seen"}, trust_env=False)
        assert made.status_code == 201
    assert cluster.ask("prefect", "SELECT name FROM flow") == [("seen",)]
    assert not (settings.paths.prefect_home / "prefect.db").exists()
    for log in tmp_path.glob("*.log"):
        assert PASSWORD not in log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def running(wanted: Sequence[Program], folder: Path) -> Iterator[None]:
    """Processes of `up`, started as it starts them, until the block ends."""
    processes = []
    try:
        for one in wanted:
            assert PASSWORD not in " ".join(one.arguments)
            with (folder / f"{one.name}.log").open("wb") as log:
                command = [sys.executable, *one.arguments]
                processes.append(
                    subprocess.Popen(
                        command, env=dict(one.environment), stdout=log, stderr=log, cwd=folder, start_new_session=True
                    )
                )
        end = time.monotonic() + 180
        for one in wanted:
            while not answers(one.health):
                told = (folder / f"{one.name}.log").read_text(encoding="utf-8", errors="replace")
                assert time.monotonic() < end, told[-3000:]
                time.sleep(0.5)
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=60)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
