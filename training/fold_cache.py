"""Results of single folds on disk, so that a killed run goes on where it was.

A folder belongs to one question: the very arrays, settings, code and library versions of a run. Another question has
another folder, and the folders of earlier questions are removed, so a stale result is never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xgboost as xgb

from configs.settings import Settings
from registry.provenance import snapshot_tags
from training.dataset import Dataset
from training.folds import FoldFit
from training.model import FittedModel

NOT_ABOUT_RESULTS = {"parallel_folds", "memory_gb"}


class FoldCache:
    """Fold results of one question in a folder; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        """Use a folder, which is made with the first result."""
        self._folder = folder

    @classmethod
    def open(cls, root: Path | None, dataset: Dataset, settings: Settings) -> FoldCache:
        """The cache of this question below `root`; results of other questions of the asset class are removed."""
        if root is None:
            return cls(None)
        home = root / dataset.asset_type
        folder = home / question_hash(dataset, settings)[:24]
        for other in home.iterdir() if home.exists() else ():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
        return cls(folder)

    def load(self, number: int) -> FoldFit | None:
        """The result of a fold's job; None where there is none that can be read."""
        if self._folder is None:
            return None
        try:
            path = self._folder / _name(number)
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                booster = xgb.Booster(model_file=bytearray(stored["booster"].tobytes()))
                trees, rows, first, last, through = (int(value) for value in stored["facts"])
                model = FittedModel(booster, trees, rows, np.datetime64(through, "us"), (first, last))
                return FoldFit(number, model, stored["probability"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, xgb.core.XGBoostError):
            return None

    def store(self, fit: FoldFit) -> None:
        """Keep a result; it appears whole or not at all."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        model = fit.model
        through = int(model.trained_through.astype("datetime64[us]").astype(np.int64))
        unfinished = self._folder / f"{_name(fit.number)}.{os.getpid()}"
        with unfinished.open("wb") as file:
            np.savez(
                file,
                booster=np.frombuffer(bytes(model.booster.save_raw("ubj")), dtype=np.uint8),
                facts=np.array([model.trees, model.rows, *model.seen_rows, through], dtype=np.int64),
                probability=fit.probability,
            )
        unfinished.replace(self._folder / _name(fit.number))

    def clear(self) -> None:
        """Forget this question: its run has succeeded."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def question_hash(dataset: Dataset, settings: Settings, versions: Mapping[str, str] | None = None) -> str:
    """SHA-256 over the arrays as they are, the settings that results depend on, commit and library versions.

    Args:
        dataset: Its arrays are hashed themselves; `content_hash` is not trusted.
        settings: Training settings and split dates.
        versions: Default: the commit and the versions of what computes the numbers.
    """
    question = {
        "asset_type": dataset.asset_type,
        "features": dataset.features,
        "training": settings.training.model_dump(mode="json", exclude=NOT_ABOUT_RESULTS),
        "splits": settings.splits.of(dataset.asset_type).model_dump(mode="json"),
        "versions": dict(versions if versions is not None else snapshot_tags()),
    }
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode())
    for array in (dataset.matrix, dataset.label, dataset.datetime, dataset.label_known_at):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _name(number: int) -> str:
    return f"fold_{number:+04d}.npz"
