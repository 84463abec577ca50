"""The feature repository: definitions, registry, and the `feast` command."""

import multiprocessing
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from feast import BigQuerySource, FileSource
from feast.repo_config import load_repo_config
from feast.repo_operations import get_repo_files

from configs.settings import REPO_DIR, load_settings
from feature_repo import store as feast_store
from feature_repo.connection import repo_config
from feature_repo.publication import feast_files
from feature_repo.services import INTERACTIONS, LEVEL_WARNING, SERVICES, feature_names
from feature_repo.views import batch_source, definitions

REPO = REPO_DIR / "feature_repo"


@pytest.fixture
def settings():
    return load_settings("test")


def registered(settings) -> dict[str, list[tuple]]:
    """Every row of the registry that describes an object."""
    connection = sqlite3.connect(feast_files(settings).registry)
    tables = {
        "entities": "entity_name, entity_proto",
        "data_sources": "data_source_name, data_source_proto",
        "feature_views": "feature_view_name, feature_view_proto",
        "on_demand_feature_views": "feature_view_name, feature_view_proto",
        "feature_services": "feature_service_name, feature_service_proto",
        "feature_view_version_history": "feature_view_name, version_number",
    }
    rows = {name: sorted(connection.execute(f"SELECT {columns} FROM {name}")) for name, columns in tables.items()}
    connection.close()
    return rows


def names_of(rows: dict[str, list[tuple]]) -> dict[str, list]:
    return {table: [row[0] for row in found] for table, found in rows.items()}


OBJECTS = {
    "entities": ["__dummy", "asset_type", "symbol"],
    "data_sources": ["walk_forward_features", "walk_forward_labels"],
    "feature_views": ["walk_forward_features", "walk_forward_labels"],
    "on_demand_feature_views": ["adx_trend_interaction", "macd_atr_interaction", "rsi_volume_interaction"],
    "feature_services": ["default", "reference", "validated_16"],
    "feature_view_version_history": [
        "adx_trend_interaction",
        "macd_atr_interaction",
        "rsi_volume_interaction",
        "walk_forward_features",
        "walk_forward_labels",
    ],
}


APPLY = """
import os
os.environ["TRADEHITS_HOME"] = {home!r}
from configs.settings import load_settings
from feature_repo import store
store.apply(load_settings("test"))
"""


def test_applying_twice_changes_nothing(settings):
    feast_store.apply(settings)
    first = registered(settings)
    assert names_of(first) == OBJECTS
    feast_store.apply(settings)
    assert registered(settings) == first


def test_a_changed_setting_is_applied(settings, monkeypatch):
    feast_store.apply(settings)
    monkeypatch.setenv("TRADEHITS__FEAST__TTL_DAYS", "3")
    changed = load_settings("test")
    feast_store.apply(changed)
    assert feast_store.open_store(changed).get_feature_view("walk_forward_features").ttl.days == 3
    assert names_of(registered(changed)) == OBJECTS


def test_appliers_at_the_same_time_leave_one_whole_registry(settings):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["feature_repo.store"])
    code = APPLY.format(home=str(settings.paths.home.parent))
    appliers = [context.Process(target=exec, args=(code, {})) for _ in range(4)]
    for applier in appliers:
        applier.start()
    for applier in appliers:
        applier.join()
    assert [applier.exitcode for applier in appliers] == [0, 0, 0, 0]
    assert names_of(registered(settings)) == OBJECTS
    assert {version for _, version in registered(settings)["feature_view_version_history"]} == {0}
    assert feast_store.open_store(settings).get_feature_service("default").name == "default"


@pytest.mark.parametrize("service", SERVICES)
def test_a_registered_service_holds_exactly_its_features_and_warns_about_levels(settings, service):
    feast_store.apply(settings)
    found = feast_store.open_store(settings).get_feature_service(service)
    projected = [(view.name, feature.name) for view in found.feature_view_projections for feature in view.features]
    expected = [(name if name in INTERACTIONS else "walk_forward_features", name) for name in feature_names(service)]
    assert projected == expected
    assert (found.description == LEVEL_WARNING) == (service != "default")
    assert found.tags == (
        {"scale_free": "true"} if service == "default" else {"scale_free": "false", "warning": "levels"}
    )


def test_labels_are_never_online_and_never_in_a_service(settings):
    defined = definitions(settings)
    labels = {feature.name for feature in defined.labels.features}
    assert labels == {"datetime", "target_direction", "forward_return_pct", "label_known_at", "data_split"}
    assert defined.labels.online is False
    assert not labels & {name for names in SERVICES.values() for name in names}
    in_services = {view.name for service in defined.services for view in service.feature_view_projections}
    assert "walk_forward_labels" not in in_services


def test_interactions_are_loaded_from_the_columns_they_use_alone(settings):
    for view in definitions(settings).interactions:
        (source,) = view.source_feature_view_projections.values()
        assert tuple(feature.name for feature in source.features) == INTERACTIONS[view.name]


def test_on_bigquery_the_sources_are_the_table_itself(settings, monkeypatch):
    monkeypatch.setenv("TRADEHITS__WAREHOUSE__ENGINE", "bigquery")
    source = batch_source(load_settings("test"), "walk_forward_features")
    assert isinstance(source, BigQuerySource)
    assert source.query == (
        "SELECT *, bar_known_at AS known_at FROM `aialgotradehits.ml_models.walk_forward_features_v2`"
    )
    assert (source.timestamp_field, source.created_timestamp_column) == ("bar_known_at", "created_timestamp")
    assert isinstance(batch_source(settings, "walk_forward_features"), FileSource)


def test_the_yaml_says_what_the_settings_say(settings, monkeypatch):
    monkeypatch.setenv("TRADEHITS_FEAST_STATE", str(feast_files(settings).directory))
    from_yaml = load_repo_config(REPO, REPO / "feature_store.yaml")
    from_settings = repo_config(settings, schema_mode="auto")
    for part in (
        "project",
        "provider",
        "registry",
        "online_store",
        "offline_store",
        "batch_engine",
        "materialization_config",
        "coerce_tz_aware",
    ):
        assert getattr(from_yaml, part) == getattr(from_settings, part)
    assert from_yaml.entity_key_serialization_version == from_settings.entity_key_serialization_version


def test_feast_imports_the_definitions_and_no_other_file():
    assert get_repo_files(REPO) == [(REPO / "definitions.py").resolve()]


def test_the_feast_command_applies_the_same_definitions(settings, tmp_path):
    files = feast_files(settings)
    files.directory.mkdir(parents=True)
    environment = {
        **os.environ,
        "TRADEHITS_HOME": str(tmp_path / "home"),
        "TRADEHITS_PROFILE": "test",
        "TRADEHITS_FEAST_STATE": str(files.directory),
    }
    feast = Path(sys.executable).with_name("feast")
    command = [str(feast), "-c", "feature_repo", "apply"]
    run = subprocess.run(command, cwd=REPO_DIR, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "Deploying infrastructure for walk_forward_features" in run.stdout
    by_command = registered(settings)
    assert names_of(by_command) == OBJECTS
    feast_store.apply(settings)
    assert registered(settings) == by_command
