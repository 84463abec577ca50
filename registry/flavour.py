"""A bundle's files as MLflow's own XGBoost flavour, so that MLflow's loaders and UI read the model too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from registry.bundle import Bundle, write_info
from registry.library_versions import library_version
from registry.mlflow_api import ColSpec, DataType, Model, ModelSignature, Schema, TensorSpec, xgboost_flavour

REQUIRED_PACKAGES = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "xgboost")


def save_bundle(bundle: Bundle, folder: Path, example: npt.NDArray[np.floating] | None, model: Model) -> None:
    """Write MLflow's model folder with `bundle.json` in it.

    With requirements and signature given, MLflow has nothing to infer or to resolve.
    """
    names = bundle.info.features
    xgboost_flavour.save_model(
        bundle.booster,
        str(folder),
        mlflow_model=model,
        model_format="ubj",
        signature=ModelSignature(
            inputs=Schema([ColSpec(DataType.double, name) for name in names]),
            outputs=Schema([TensorSpec(np.dtype(np.float32), (-1,))]),
        ),
        input_example=None if example is None else pd.DataFrame(example.astype(np.float64), columns=list(names)),
        pip_requirements=[f"{package}=={library_version(package)}" for package in REQUIRED_PACKAGES],
        metadata={"bundle": bundle.info.model_dump(mode="json")},
    )
    write_info(bundle.info, folder)
