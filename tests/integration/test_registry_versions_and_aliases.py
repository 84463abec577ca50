"""Bundles in a real MLflow registry: what comes back is what went in, and aliases say which one is used."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from configs.settings import Settings, load_settings
from market.assets import AssetType
from market.errors import MixedVariantError, NoChampionError, RegistryError
from registry.bundle import Bundle
from registry.models import ModelRegistry
from registry.store import RunStore
from tests.bundles import FEATURES, info, rows, train


def settings_at(home: Path) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        return load_settings("test")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty store: migrations take seconds, copies do not."""
    home = tmp_path_factory.mktemp("pristine")
    RunStore(settings_at(home))
    return home


@pytest.fixture
def registry(pristine: Path, tmp_path: Path) -> ModelRegistry:
    settings = settings_at(tmp_path / "my home")
    settings.paths.mlruns.mkdir(parents=True)
    shutil.copy(settings_at(pristine).paths.mlruns / "mlflow.db", settings.paths.mlruns)
    return ModelRegistry(RunStore(settings))


def put(registry: ModelRegistry, asset_type: AssetType = "stocks", trees: int = 7) -> tuple[str, Bundle]:
    store = registry.store
    with store.start_run(asset_type) as run_id:
        bundle = Bundle(train(trees=trees), info(asset_type=asset_type, run_id=run_id, trees=trees))
        return registry.register(bundle, registry.log_bundle(run_id, bundle, rows()[:5])), bundle


def test_a_registered_bundle_predicts_the_same_bits_and_knows_its_name(registry: ModelRegistry) -> None:
    model_version, bundle = put(registry)
    loaded = registry.load_bundle("stocks", model_version)
    assert model_version == "walk_forward_stocks/1"
    assert_array_equal(loaded.predict(rows()), bundle.predict(rows()))
    assert loaded.info == bundle.info.model_copy(update={"model_version": "walk_forward_stocks/1"})
    assert loaded.threads == registry.store.settings.training.threads


def test_versions_count_up_within_each_asset_class(registry: ModelRegistry) -> None:
    assert [put(registry, name)[0] for name in ("stocks", "stocks", "crypto")] == [
        "walk_forward_stocks/1",
        "walk_forward_stocks/2",
        "walk_forward_crypto/1",
    ]


def test_a_version_is_read_once(registry: ModelRegistry) -> None:
    model_version, _ = put(registry)
    registry.set_alias("stocks", "champion", model_version)
    assert registry.load_bundle("stocks") is registry.load_bundle("stocks", "walk_forward_stocks/1")


def test_the_version_carries_what_people_look_for(registry: ModelRegistry) -> None:
    _, bundle = put(registry, "etf")
    version = registry.store.client.get_model_version("walk_forward_etf", "1")
    assert version.run_id == bundle.info.run_id
    assert {key: version.tags[key] for key in version.tags if key != "folder"} == {
        "asset_type": "etf",
        "run_id": bundle.info.run_id,
        "trained_through": "2024-01-02T21:15:00+00:00",
        "feature_service": "default",
        "indicator_variant": "wilder",
    }


def test_an_alias_moves_and_the_champion_before_is_remembered(registry: ModelRegistry) -> None:
    first, second = put(registry)[0], put(registry, trees=9)[0]
    registry.set_alias("stocks", "challenger", first)
    registry.set_alias("stocks", "champion", first)
    assert registry.previous_champion("stocks") is None
    registry.set_alias("stocks", "challenger", second)
    assert (registry.champion_version("stocks"), registry.get_alias("stocks", "challenger")) == (first, second)
    registry.set_alias("stocks", "champion", second)
    assert (registry.champion_version("stocks"), registry.previous_champion("stocks")) == (second, first)
    assert registry.load_bundle("stocks").info.trees == 9
    registry.set_alias("stocks", "champion", second)
    assert registry.previous_champion("stocks") == first
    registry.set_alias("stocks", "champion", first)
    assert registry.load_bundle("stocks").info.trees == 7
    assert registry.previous_champion("stocks") == second


def test_another_process_moving_the_champion_is_seen_at_the_next_load(registry: ModelRegistry) -> None:
    first, second = put(registry)[0], put(registry, trees=9)[0]
    registry.set_alias("stocks", "champion", first)
    assert registry.load_bundle("stocks").info.model_version == first
    ModelRegistry(RunStore(registry.store.settings)).set_alias("stocks", "champion", second)
    assert registry.load_bundle("stocks").info.model_version == second


def test_without_a_champion_the_error_says_how_to_get_one(registry: ModelRegistry) -> None:
    assert registry.champion_version("crypto") is None
    assert registry.previous_champion("crypto") is None
    with pytest.raises(NoChampionError, match="there is no champion for crypto yet") as caught:
        registry.load_bundle("crypto")
    assert caught.value.remedy == "tradehits train --asset-type crypto"
    put(registry, "crypto")
    with pytest.raises(NoChampionError, match="there is no challenger for crypto yet"):
        registry.load_bundle("crypto", "challenger")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("walk_forward_stocks/2", "there is no walk_forward_stocks/2"),
        ("walk_forward_crypto/1", "'walk_forward_crypto/1' is no model version of stocks"),
        ("latest", "'latest' is no model version of stocks"),
        ("walk_forward_stocks/one", "is no model version of stocks"),
    ],
)
def test_a_version_that_is_not_there_is_named(registry: ModelRegistry, asked: str, message: str) -> None:
    put(registry)
    with pytest.raises(RegistryError, match=message):
        registry.load_bundle("stocks", asked)
    with pytest.raises(RegistryError, match=message):
        registry.set_alias("stocks", "champion", asked)
    assert registry.champion_version("stocks") is None


def test_the_other_indicator_variant_is_refused(registry: ModelRegistry) -> None:
    model_version, _ = put(registry)
    settings = registry.store.settings
    vendor = settings.model_copy(update={"indicators": settings.indicators.model_copy(update={"variant": "vendor"})})
    with pytest.raises(MixedVariantError, match="trained on 'wilder' indicators, the features are 'vendor'"):
        ModelRegistry(RunStore(vendor)).load_bundle("stocks", model_version)


def test_nothing_below_the_artifacts_is_a_pickle(registry: ModelRegistry) -> None:
    put(registry)
    files = [path for path in registry.store.artifact_root.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"model.ubj", "bundle.json", "MLmodel", "requirements.txt"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".dill"))]
    assert not [path for path in files if path.read_bytes()[:2] in (b"\x80\x03", b"\x80\x04", b"\x80\x05")]
    assert not [path for path in files if path.suffix != ".ubj" and b"pickle" in path.read_bytes()]


def test_logging_a_bundle_starts_no_process_and_opens_no_connection(registry: ModelRegistry, monkeypatch) -> None:
    put(registry)  # imports and caches of a first call are no part of this

    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(f"called with {arguments}")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert put(registry)[0] == "walk_forward_stocks/2"


def test_requirements_are_pinned_to_what_is_installed(registry: ModelRegistry) -> None:
    put(registry)
    (requirements,) = registry.store.artifact_root.rglob("requirements.txt")
    lines = requirements.read_text().split()
    assert [line.split("==")[0] for line in lines] == ["mlflow", "numpy", "pandas", "scikit-learn", "scipy", "xgboost"]
    assert all("==" in line for line in lines)


def test_mlflows_own_loaders_read_the_model_and_check_its_columns(registry: ModelRegistry) -> None:
    import mlflow.pyfunc

    _, bundle = put(registry)
    (model,) = registry.store.artifact_root.rglob("model.ubj")
    loaded = mlflow.pyfunc.load_model(str(model.parent))
    frame = pd.DataFrame(rows(), columns=list(FEATURES))
    assert_array_equal(np.asarray(loaded.predict(frame[["adx", "momentum_5d", "rsi"]]), float), bundle.predict(rows()))
    with pytest.raises(mlflow.MlflowException, match="missing inputs"):
        loaded.predict(frame[["adx"]])


def test_the_run_the_logged_model_and_the_version_point_at_each_other(registry: ModelRegistry) -> None:
    _, bundle = put(registry)
    client = registry.store.client
    (output,) = client.get_run(bundle.info.run_id).outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert model.source_run_id == bundle.info.run_id
    assert str(model.status) == "READY"
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "walk_forward_stocks", "version": 1}]
    assert client.get_model_version("walk_forward_stocks", "1").source == model.artifact_location


def test_a_bundle_that_could_not_be_stored_is_marked_failed(registry: ModelRegistry, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(registry.store.client, "log_model_artifacts", full)
    with pytest.raises(OSError, match="no space left"):
        put(registry)
    (model,) = registry.store.client.search_logged_models([registry.store.experiment_id])
    assert str(model.status) == "FAILED"
    assert registry.store.client.search_registered_models() == []


def test_a_champion_survives_the_move_of_its_store_and_its_loss_is_named(registry: ModelRegistry, tmp_path) -> None:
    model_version, bundle = put(registry)
    registry.set_alias("stocks", "champion", model_version)
    settings = settings_at(tmp_path / "moved")
    settings.paths.mlruns.parent.mkdir(parents=True)
    shutil.move(registry.store.settings.paths.mlruns, settings.paths.mlruns)
    moved = ModelRegistry(RunStore(settings))
    assert_array_equal(moved.load_bundle("stocks").predict(rows()), bundle.predict(rows()))
    shutil.rmtree(settings.paths.mlruns / "artifacts")
    with pytest.raises(RegistryError, match=r"the files of walk_forward_stocks/1 are gone from .*/moved/"):
        ModelRegistry(RunStore(settings)).load_bundle("stocks")
