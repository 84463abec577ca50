"""Files of runs and models where they do not lie on this machine: fetched once, kept in the profile's cache.

A model's files never change, so a copy is kept; a run's may be written again, so they are fetched each time.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from configs.settings import Settings
from market.errors import RegistryError
from registry.mlflow_api import ArtifactRepository, MlflowException, get_artifact_repository


class ArtifactFiles:
    """Everything below a profile's artifact root.

    Attributes:
        uri: The root.
        folder: The root itself where it is a local folder, else the folder of the copies.
        is_local: Which of both.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is read yet."""
        parts = urlsplit(settings.mlflow_artifacts)
        self.uri = settings.mlflow_artifacts
        self.is_local = parts.scheme == "file"
        self.folder = Path(unquote(parts.path)) if self.is_local else settings.paths.cache / "mlflow-artifacts"
        self._settings = settings

    def model(self, name: str) -> Path | None:
        """A model's folder on this machine, such as `models/<id>/artifacts`; None when there is none."""
        target = self.folder / name
        if target.exists() or self.is_local:
            return target if target.exists() else None
        with self._fetched(name) as folder:
            if folder is None:
                return None
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                folder.rename(target)
            except OSError:  # another process was quicker, and the files are the same
                if not target.exists():
                    raise
        return target

    def run_file(self, run_id: str, artifact_file: str) -> Path | None:
        """A run's file on this machine; None when there is none."""
        name = f"{run_id}/artifacts/{artifact_file}"
        target = self.folder / name
        if self.is_local:
            return target if target.exists() else None
        with self._fetched(name) as file:
            if file is None or not file.is_file():
                return None
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
        return target

    def forget_run(self, run_id: str) -> None:
        """Remove a run's files for good."""
        shutil.rmtree(self.folder / run_id, ignore_errors=True)
        if not self.is_local:
            try:
                self._repository(run_id).delete_artifacts()
            except (MlflowException, OSError) as error:
                raise RegistryError(
                    f"files of run {run_id} cannot be removed from {self.uri}: {error}", remedy="remove them there"
                ) from error

    @contextmanager
    def _fetched(self, name: str) -> Iterator[Path | None]:
        """A file or folder below the root, fetched into a scratch folder of the cache; None when it is not there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        parent, _, last = name.rpartition("/")
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".fetching-") as scratch:
            try:
                found = Path(self._repository(parent).download_artifacts(last, dst_path=scratch))
            except (MlflowException, OSError):
                found = None
            # An object store knows no folders: asking for one that is not there may give an empty one.
            is_there = found is not None and (found.is_file() or (found.is_dir() and any(found.iterdir())))
            yield found if is_there else None

    def _repository(self, name: str) -> ArtifactRepository:
        return get_artifact_repository(f"{self.uri}/{name}", tracking_uri=self._settings.mlflow_uri)
