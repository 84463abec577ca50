"""Training runs in MLflow: parameters, metrics, artifacts and the data they saw.

Everything goes through a client bound to the profile's store; MLflow's global tracking URI and active run are never
touched, so several runs may be written from several threads.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from configs.settings import Settings
from market.errors import RegistryError
from registry.artifacts import ArtifactFiles
from registry.entities import DatasetSnapshot, as_text, cut
from registry.mlflow_api import (
    MAX_METRICS_PER_BATCH,
    MAX_PARAM_VAL_LENGTH,
    MAX_TAG_VAL_LENGTH,
    DatasetInput,
    InputTag,
    Metric,
    MlflowException,
    Param,
    Run,
    RunTag,
    is_missing,
    open_client,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPERIMENT = "walk_forward"
FIGURE_DPI = 100

MetricRow = tuple[str, float | None, int]
"""Name, value and step (a fold's index); None and NaN mean there is nothing to log."""


class RunStore:
    """Runs of the profile's MLflow store."""

    def __init__(self, settings: Settings, experiment: str = EXPERIMENT) -> None:
        """Bind to an experiment of these settings' store, making either when it is not there.

        Raises:
            RegistryError: If the database was written by another version of MLflow, or the store does not answer.
        """
        self.settings = settings
        self.files = ArtifactFiles(settings)
        self.client = open_client(settings)
        self.experiment_id = self._experiment(experiment)

    @contextmanager
    def start_run(
        self, name: str, *, parent: str | None = None, tags: Mapping[str, str] | None = None
    ) -> Iterator[str]:
        """Open a run and close it with what became of it.

        Args:
            name: What the run is called in the UI.
            parent: Run id of the run it belongs to.
            tags: Facts to filter by.

        Yields:
            The run id. The run ends FINISHED; FAILED when an exception leaves the block (tag `failure` says which);
            KILLED on an interrupt.
        """
        all_tags = {"mlflow.source.name": "tradehits", "mlflow.source.type": "LOCAL", **(tags or {})}
        if parent is not None:
            all_tags["mlflow.parentRunId"] = parent
        run_id = self.client.create_run(self.experiment_id, run_name=name, tags=all_tags).info.run_id
        try:
            yield run_id
        except Exception as error:
            self.set_tags(run_id, {"failure": f"{type(error).__name__}: {error}"})
            self.client.set_terminated(run_id, status="FAILED")
            raise
        except BaseException:
            self.client.set_terminated(run_id, status="KILLED")
            raise
        self.client.set_terminated(run_id, status="FINISHED")

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags; a value too long for MLflow is cut and says so."""
        self.client.log_batch(run_id, tags=[RunTag(key, cut(value, MAX_TAG_VAL_LENGTH)) for key, value in tags.items()])

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log parameters: texts as they are, other values as JSON; a value too long for MLflow is cut and says so.

        Raises:
            RegistryError: If a parameter of the run has another value already.
        """
        entities = [Param(key, cut(as_text(value), MAX_PARAM_VAL_LENGTH)) for key, value in params.items()]
        try:
            self.client.log_batch(run_id, params=entities)
        except MlflowException as error:
            raise RegistryError(
                f"parameters of run {run_id} were refused: {error.message}",
                remedy="a run keeps its parameters: log each once, or start another run",
            ) from error

    def log_metrics(self, run_id: str, metrics: Iterable[MetricRow]) -> None:
        """Log metrics in batches of 1,000; None, NaN and infinite values are left out."""
        now = int(time.time() * 1000)
        entities = [
            Metric(name, float(value), now, step)
            for name, value, step in metrics
            if value is not None and math.isfinite(value)
        ]
        for start in range(0, len(entities), MAX_METRICS_PER_BATCH):
            self.client.log_batch(run_id, metrics=entities[start : start + MAX_METRICS_PER_BATCH])

    def log_table(self, run_id: str, frame: pl.DataFrame, artifact_file: str) -> None:
        """Write a frame as a parquet artifact, for example `predictions/stocks.parquet`."""
        with self._artifact(run_id, artifact_file) as path:
            frame.write_parquet(path, compression="zstd")

    def log_figure(self, run_id: str, figure: Figure, artifact_file: str) -> None:
        """Draw a figure into an artifact; the suffix says the format."""
        with self._artifact(run_id, artifact_file) as path:
            figure.savefig(path, dpi=FIGURE_DPI)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Write a text artifact."""
        with self._artifact(run_id, artifact_file) as path:
            path.write_text(text, encoding="utf-8")

    def log_bytes(self, run_id: str, content: bytes, artifact_file: str) -> None:
        """Write bytes as an artifact, for example a fold's booster as `folds/fold_000.ubj`."""
        with self._artifact(run_id, artifact_file) as path:
            path.write_bytes(content)

    def log_json(self, run_id: str, value: Any, artifact_file: str) -> None:
        """Write a JSON artifact; dates as ISO texts.

        Raises:
            ValueError: For NaN or infinity, which JSON does not know.
        """
        text = json.dumps(value, indent=2, default=str, ensure_ascii=False, allow_nan=False)
        self.log_text(run_id, text + "\n", artifact_file)

    def log_dataset(self, run_id: str, snapshot: DatasetSnapshot, *, context: str = "training") -> None:
        """Record what the run saw as an MLflow dataset input; no row is copied."""
        dataset = snapshot.to_mlflow()
        self.client.log_inputs(run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])

    def artifact(self, run_id: str, artifact_file: str) -> Path:
        """A local path of a run's artifact.

        Raises:
            RegistryError: If the run or the artifact does not exist.
        """
        # The store may have moved since the run was made: the place below today's root is tried first.
        local = self.files.run_file(run_id, artifact_file)
        if local is not None:
            return local
        try:
            return Path(self.client.download_artifacts(run_id, artifact_file))
        except (MlflowException, OSError) as error:
            raise RegistryError(
                f"run {run_id} has no artifact '{artifact_file}'",
                remedy="look at the run in the MLflow UI, or run the training again",
            ) from error

    @property
    def artifact_root(self) -> Path:
        """Folder of all artifacts; of those fetched so far, where the root is no folder of this machine."""
        return self.files.folder

    def run(self, run_id: str) -> Run:
        """One run with its parameters, newest metrics and tags.

        Raises:
            RegistryError: If there is no such run.
        """
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if not is_missing(error):
                raise
            raise RegistryError(f"no run {run_id}", remedy="run ids are listed in the MLflow UI") from error

    def children(self, parent: str) -> Sequence[Run]:
        """Runs started with this parent, oldest first."""
        return list(
            self.client.search_runs(
                [self.experiment_id],
                filter_string=f"tags.`mlflow.parentRunId` = '{parent}'",
                order_by=["attributes.start_time ASC"],
            )
        )

    @contextmanager
    def _artifact(self, run_id: str, artifact_file: str) -> Iterator[Path]:
        folder, _, name = artifact_file.rpartition("/")
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / name
            yield path
            self.client.log_artifact(run_id, str(path), folder or None)

    def _experiment(self, wanted: str) -> str:
        """Id of the experiment whose artifacts lie below today's root.

        MLflow fixes an experiment's artifact location when it is made. After a move of the embedded store, new runs
        would write to the old place; they get an experiment of their own instead. A shared store does not move: another
        place there is another profile's.
        """
        location = self.settings.mlflow_artifacts
        is_embedded = self.settings.mlflow.kind == "embedded"
        for name in (wanted, f"{wanted} in {self.settings.paths.mlruns}")[: 2 if is_embedded else 1]:
            experiment = self.client.get_experiment_by_name(name)
            if experiment is None:
                return self._create_experiment(name, location)
            if experiment.artifact_location == location:
                return str(experiment.experiment_id)
        raise RegistryError(
            f"experiment '{name}' keeps its artifacts at {experiment.artifact_location}, expected {location}",
            remedy="rename the experiment in the MLflow UI; a new one is made then"
            if is_embedded
            else "give this profile a database or server of its own, or set mlflow.artifact_root to that place",
        )

    def _create_experiment(self, name: str, location: str) -> str:
        try:
            return str(self.client.create_experiment(name, artifact_location=location))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)  # another process was quicker


def is_store_made(settings: Settings) -> bool:
    """Whether there may be runs: the first training makes the embedded store; a database or server is not asked."""
    return settings.mlflow.kind != "embedded" or settings.paths.mlflow_file.exists()
