"""Where MLflow's store is, and that no password is ever part of what can be shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from configs.settings import Settings, load_settings
from flows.backup_elsewhere import not_covered
from flows.summary import open_next
from flows.up_programs import programs
from market.errors import ConfigError, RegistryError
from registry.store import RunStore

SECRET = "s3cr/et:p@ss"
POSTGRES = "postgresql://mlflow@db.example:5432/mlflow?sslmode=require"


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TRADEHITS_HOME", str(tmp_path))

    def load(uri: str | None = None, root: str | None = None, password: str | None = None) -> Settings:
        for name, value in (("TRACKING_URI", uri), ("ARTIFACT_ROOT", root)):
            if value is not None:
                monkeypatch.setenv(f"TRADEHITS__MLFLOW__{name}", value)
        if password is not None:
            monkeypatch.setenv("TRADEHITS_MLFLOW_PASSWORD", password)
        return load_settings("test")

    return load


def test_without_a_setting_the_store_is_a_file_of_the_profile(configured, tmp_path: Path) -> None:
    settings = configured()
    assert settings.mlflow_uri == settings.mlflow_shown == f"sqlite:///{tmp_path}/test/state/mlruns/mlflow.db"
    assert settings.mlflow_artifacts == f"file://{tmp_path}/test/state/mlruns/artifacts"
    assert settings.mlflow_page == "http://127.0.0.1:5000"


def test_the_password_is_joined_for_the_client_alone(configured) -> None:
    settings = configured(POSTGRES, password=SECRET)
    assert settings.mlflow_uri == "postgresql://mlflow:s3cr%2Fet%3Ap%40ss@db.example:5432/mlflow?sslmode=require"
    assert settings.mlflow_shown == POSTGRES
    shown = f"{settings!r} {settings.model_dump_json()} {json.dumps(open_next(settings))} {list(not_covered(settings))}"
    assert SECRET not in shown and "s3cr%2F" not in shown
    assert POSTGRES in open_next(settings)["mlflow"]


def test_a_process_of_up_learns_the_password_from_its_environment_and_shows_it_in_no_argument(configured) -> None:
    (mlflow,) = [one for one in programs(configured(POSTGRES, password=SECRET)) if one.name == "mlflow"]
    assert mlflow.arguments[mlflow.arguments.index("--backend-store-uri") + 1] == POSTGRES
    assert SECRET not in " ".join(mlflow.arguments)
    assert mlflow.environment["PGPASSWORD"] == SECRET


def test_a_unix_socket_may_stand_in_the_query(configured) -> None:
    settings = configured("postgresql://mlflow@/mlflow?host=/cloudsql/project:region:name", password="x y")
    assert settings.mlflow_uri == "postgresql://mlflow:x%20y@/mlflow?host=/cloudsql/project:region:name"


def test_an_mlflow_server_elsewhere_is_linked_and_not_started(configured) -> None:
    settings = configured("https://mlflow.example/")
    assert "mlflow" not in [one.name for one in programs(settings)]
    assert settings.mlflow_page == open_next(settings)["mlflow"] == "https://mlflow.example"
    assert settings.mlflow_artifacts == "mlflow-artifacts:/tradehits-test"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        (f"postgresql://mlflow:{SECRET.replace('@', '%40').replace('/', '%2F')}@h/d", "TRADEHITS_MLFLOW_PASSWORD"),
        ("postgresql://mlflow@h/d?password=s3cr", "TRADEHITS_MLFLOW_PASSWORD"),
        ("https://user:s3cr@mlflow.example", "MLFLOW_TRACKING_PASSWORD"),
        ("https://s3cr@mlflow.example", "MLFLOW_TRACKING_PASSWORD"),
        ("mysql://s3cr@h/d", "begins with one of postgresql://"),
        ("postgresql://h/d", "names user and database"),
        ("postgresql://mlflow@h", "names user and database"),
        ("/var/s3cr/mlflow.db", "begins with one of postgresql://"),
    ],
)
def test_an_address_that_will_not_do_is_refused_without_repeating_it(configured, uri: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"mlflow\.tracking_uri") as caught:
        configured(uri)
    assert told in str(caught.value)
    assert "s3cr" not in str(caught.value) and "s3cr" not in str(caught.value.__cause__)


def test_a_password_is_no_setting(configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEHITS__MLFLOW__PASSWORD", SECRET)
    with pytest.raises(ConfigError, match="TRADEHITS_MLFLOW_PASSWORD") as caught:
        configured()
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("root", "stands_for"),
    [("/srv/my files", "file:///srv/my%20files"), ("file:///srv/x", "file:///srv/x"), ("gs://b/x/", "gs://b/x")],
)
def test_an_artifact_root_is_a_uri(configured, root: str, stands_for: str) -> None:
    assert configured(root=root).mlflow_artifacts == stands_for


@pytest.mark.parametrize("root", ["relative/folder", "ftp://host/x", "https://user:s3cr@host/x"])
def test_another_artifact_root_is_refused(configured, root: str) -> None:
    with pytest.raises(ConfigError, match=r"mlflow\.artifact_root") as caught:
        configured(root=root)
    assert "s3cr" not in str(caught.value)


def test_an_mlflow_server_that_is_not_there_is_named_at_once(configured) -> None:
    with pytest.raises(RegistryError, match=r"MLflow server http://127\.0\.0\.1:1 does not answer"):
        RunStore(configured("http://127.0.0.1:1"))


def test_only_the_server_of_prefect_learns_of_its_database(configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", f"postgresql+asyncpg://prefect:{SECRET}@h/prefect")
    monkeypatch.setenv("PREFECT_API_KEY", "of somebody else")
    settings = configured()
    started = {one.name: one.environment for one in programs(settings)}
    assert started["prefect"]["PREFECT_API_DATABASE_CONNECTION_URL"].endswith("@h/prefect")
    for name in ("mlflow", "service", "reports", "deployments", "worker"):
        assert not any("DATABASE" in variable for variable in started[name])
    assert "PREFECT_API_KEY" not in started["prefect"]
    told = [line for line in not_covered(settings) if "Prefect" in line]
    assert len(told) == 1 and "pg_dump" in told[0] and SECRET not in told[0]


def test_an_embedded_state_is_covered_whole(configured) -> None:
    assert list(not_covered(configured())) == []
