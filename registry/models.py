"""Registered models: one per asset class, its versions, and the aliases that say which version is used."""

from __future__ import annotations

import json
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from market.assets import AssetType
from market.errors import NoChampionError, RegistryError
from registry.bundle import Bundle, BundleInfo, read_info
from registry.champion import Change, champion_lock, champion_of, champions, move_champion, new_change, newest_change
from registry.flavour import save_bundle
from registry.mlflow_api import (
    LoggedModelOutput,
    MlflowException,
    Model,
    ModelVersion,
    RegisteredModel,
    is_missing,
)
from registry.store import RunStore

Alias = Literal["champion", "challenger"]

FOLDER_TAG = "folder"
REMEDY_TRAIN = "tradehits train --asset-type {}"


@dataclass(frozen=True)
class LoggedBundle:
    """A bundle that was stored with its run.

    Attributes:
        model_id: MLflow's id.
        uri: `models:/<model_id>`, for MLflow's own loaders.
        folder: Its folder below the artifact root; it keeps its meaning when the store moves.
    """

    model_id: str
    uri: str
    folder: str


class ModelRegistry:
    """Bundles of the profile's MLflow store.

    Attributes:
        store: The runs of the same MLflow store.
    """

    def __init__(self, store: RunStore) -> None:
        """Use the same MLflow store as the runs."""
        self.store = store
        self._client = store.client
        self._loaded: dict[str, Bundle] = {}
        self._lock = threading.Lock()

    def log_bundle(self, run_id: str, bundle: Bundle, example: npt.NDArray[np.floating] | None = None) -> LoggedBundle:
        """Store a bundle as an MLflow model of the XGBoost flavour, `bundle.json` beside `model.ubj`.

        Args:
            run_id: The run that made it; it must be open.
            bundle: What to store.
            example: A few rows of the training matrix, kept as the model's input example.

        Returns:
            Where it is.
        """
        name = registered_name(bundle.info.asset_type)
        model = self._client.create_logged_model(
            self.store.experiment_id, name=name, source_run_id=run_id, tags=_tags(bundle.info), model_type="xgboost"
        )
        status = "FAILED"
        try:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch) / "model"
                save_bundle(
                    bundle, folder, example, Model(model_uuid=model.model_id, run_id=run_id, model_id=model.model_id)
                )
                self._client.log_model_artifacts(model.model_id, str(folder))
            self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
            status = "READY"
        finally:
            self._client.finalize_logged_model(model.model_id, status)
        return LoggedBundle(model.model_id, model.model_uri, f"models/{model.model_id}/artifacts")

    def register(self, bundle: Bundle, logged: LoggedBundle) -> str:
        """Make a logged bundle the next version of its asset class's model.

        Returns:
            `walk_forward_<asset_type>/<n>`, the `model_version` of everything that it scores.
        """
        name = registered_name(bundle.info.asset_type)
        self._ensure_model(name, bundle.info.asset_type)
        model = self._client.get_logged_model(logged.model_id)
        created = self._client.create_model_version(
            name,
            model.artifact_location,  # a models:/ source would be looked up through MLflow's global tracking URI
            bundle.info.run_id,
            tags={**_tags(bundle.info), FOLDER_TAG: logged.folder},
            await_creation_for=0,
            model_id=logged.model_id,
        )
        link = json.dumps([{"name": name, "version": created.version}])
        self._client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": link})
        return f"{name}/{created.version}"

    def set_alias(self, asset_type: AssetType, alias: Alias, model_version: str) -> None:
        """Point an alias at a version; the champion it replaces is remembered for a rollback.

        Raises:
            RegistryError: If the version does not exist or belongs to another asset class.
        """
        stored = self.version(asset_type, model_version)
        current = self.get_alias(asset_type, alias)
        if alias == "champion" and current != model_version:
            self.change_champion(
                asset_type, new_change("promote", current, model_version, by="ml_pipeline", why="alias set")
            )
        elif alias != "champion":
            self._client.set_registered_model_alias(stored.name, alias, stored.version)

    def change_champion(self, asset_type: AssetType, change: Change) -> Change:
        """Move the champion by compare-and-set; this is the switch, and it takes milliseconds.

        Raises:
            RegistryError: If the version does not exist, if a rollback names no earlier champion, or if another process
                moved the champion meanwhile.
        """
        self.version(asset_type, change.to_version)
        with champion_lock(self.store.settings, asset_type):
            return move_champion(self._client, self._client.get_registered_model(registered_name(asset_type)), change)

    def get_alias(self, asset_type: AssetType, alias: Alias) -> str | None:
        """The `model_version` an alias points at, None when it points nowhere."""
        model = self.model(asset_type)
        number = None if model is None else model.aliases.get(alias)
        return None if model is None or number is None else f"{model.name}/{number}"

    def champion_version(self, asset_type: AssetType) -> str | None:
        """`model_version` of the champion, None before the first promotion."""
        return champion_of(self.model(asset_type))

    def champions(self, asset_type: AssetType) -> tuple[str, ...]:
        """Champions up to today's, oldest first; a rollback takes those after its target away."""
        return champions(self.model(asset_type))

    def previous_champion(self, asset_type: AssetType) -> str | None:
        """`model_version` of the champion before this one."""
        earlier = self.champions(asset_type)[:-1]
        return earlier[-1] if earlier else None

    def newest_change(self, asset_type: AssetType) -> Change | None:
        """Who made today's champion champion; None before the first, or when the alias was moved by other means."""
        return newest_change(self.model(asset_type))

    def load_bundle(self, asset_type: AssetType, which: str = "champion") -> Bundle:
        """Load a bundle for scoring; a version is read once.

        Args:
            asset_type: The asset class.
            which: `champion`, `challenger` or a `model_version`.

        Raises:
            NoChampionError: If the alias points nowhere.
            RegistryError: If the version does not exist or its files are gone.
            MixedVariantError: If it was trained on another indicator variant than the configured one.
        """
        model_version = self.resolve(asset_type, which)
        with self._lock:
            if model_version not in self._loaded:
                stored = self.version(asset_type, model_version)
                settings = self.store.settings
                bundle = Bundle.load(
                    self._folder(stored), variant=settings.indicators.variant, threads=settings.training.threads
                )
                self._loaded[model_version] = bundle.with_model_version(model_version)
            return self._loaded[model_version]

    def info(self, asset_type: AssetType, model_version: str) -> BundleInfo:
        """What a version's bundle says about itself, whatever indicator variant is configured.

        Raises:
            RegistryError: If the version does not exist or its files are gone.
        """
        info = read_info(self._folder(self.version(asset_type, model_version)))
        return info.model_copy(update={"model_version": model_version})

    def resolve(self, asset_type: AssetType, which: str = "champion") -> str:
        """The `model_version` that an alias points at; another text is taken for a version.

        Raises:
            NoChampionError: If the alias points nowhere.
        """
        if which not in ("champion", "challenger"):
            return which
        found = self.get_alias(asset_type, which)  # type: ignore[arg-type]
        if found is None:
            raise NoChampionError(f"there is no {which} for {asset_type} yet", remedy=REMEDY_TRAIN.format(asset_type))
        return found

    def _folder(self, stored: ModelVersion) -> Path:
        """Where a version's files are; looked up below today's artifact root, because the store may have moved."""
        folder = self.store.files.model(str(stored.tags.get(FOLDER_TAG, "unknown")))
        if folder is not None:
            return folder
        place = self.store.files.folder if self.store.files.is_local else self.store.files.uri
        raise RegistryError(
            f"the files of {stored.name}/{stored.version} are gone from {place}",
            remedy="restore the MLflow store (mlflow.db and artifacts/ belong together), or train again",
        )

    def version(self, asset_type: AssetType, model_version: str) -> ModelVersion:
        """A version as MLflow has it, with its tags.

        Raises:
            RegistryError: There is no such version of this asset class.
        """
        name, _, number = model_version.rpartition("/")
        expected = registered_name(asset_type)
        if name != expected or not number.isdigit():
            raise RegistryError(
                f"'{model_version}' is no model version of {asset_type}", remedy=f"versions are named {expected}/<n>"
            )
        try:
            return self._client.get_model_version(name, number)
        except MlflowException as error:
            if not is_missing(error):
                raise
            raise RegistryError(
                f"there is no {model_version}", remedy="`tradehits models list` names all versions"
            ) from error

    def model(self, asset_type: AssetType) -> RegisteredModel | None:
        """An asset class's registered model as MLflow has it, None before the first version."""
        try:
            return self._client.get_registered_model(registered_name(asset_type))
        except MlflowException as error:
            if not is_missing(error):
                raise
            return None

    def _ensure_model(self, name: str, asset_type: AssetType) -> None:
        if self.model(asset_type) is not None:
            return
        try:
            self._client.create_registered_model(name, description=f"P(next bar closes higher), {asset_type}.")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was quicker
                raise


def registered_name(asset_type: AssetType) -> str:
    """Name of an asset class's registered model."""
    return f"walk_forward_{asset_type}"


def _tags(info: BundleInfo) -> dict[str, str]:
    return {
        "asset_type": info.asset_type,
        "run_id": info.run_id,
        "trained_through": info.trained_through.isoformat(),
        "feature_service": info.feature_service,
        "indicator_variant": info.indicator_variant,
    }
