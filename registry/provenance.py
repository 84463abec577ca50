"""Where a result came from: the code's commit, library versions and a content hash of the data."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from pathlib import Path

import numpy as np
import polars as pl

from configs.settings import REPO_DIR
from registry.library_versions import library_version

GIT_TIMEOUT_SECONDS = 5
UNKNOWN = "unknown"
COMMIT_FILE = "COMMIT"
"""In an image, which holds no repository: the commit that it was built from."""


def git_commit(folder: Path = REPO_DIR) -> tuple[str, bool]:
    """Commit of the project's checkout and whether tracked files differ from it.

    Args:
        folder: The project's root. A repository that merely contains it (a site-packages inside someone's project) does
            not count.

    Returns:
        What an image's `COMMIT` file says where the folder is no checkout or git is not installed; else
        ("unknown", False).
    """
    place = _git(folder, "rev-parse", "--show-toplevel", "HEAD").splitlines()
    if len(place) != 2 or Path(place[0]).resolve() != folder.resolve():
        built_from = folder / COMMIT_FILE
        return (built_from.read_text(encoding="utf-8").strip() if built_from.is_file() else "") or UNKNOWN, False
    return place[1], bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))


def snapshot_tags() -> dict[str, str]:
    """Tags that every run carries: commit, uncommitted changes, and versions of what computes the numbers."""
    commit, dirty = git_commit()
    return {
        "git_commit": commit,
        "git_dirty": str(dirty).lower(),
        "python": platform.python_version(),
        **{name: library_version(name) for name in ("tradehits", "xgboost", "feast", "duckdb")},
    }


def content_hash(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's names, types, values and NULLs; rows and columns in the order given.

    The same values give the same hash on every run, platform and library version. NaN and NULL differ.
    """
    digest = hashlib.sha256()
    for column in frame.get_columns():
        digest.update(f"{column.name}\x00{column.dtype}\x00{len(column)}\x00".encode())
        digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
        for values in _buffers(column):
            digest.update(values.tobytes() if isinstance(values, np.ndarray) else values)
    return digest.hexdigest()


def _buffers(column: pl.Series) -> tuple[np.ndarray | bytes, ...]:
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        text = column.cast(pl.String).fill_null("")
        return text.str.len_bytes().cast(pl.UInt32).to_numpy(), (text.str.join("").item() or "").encode()
    if column.dtype == pl.Boolean:
        return (np.packbits(column.fill_null(False).to_numpy()),)
    physical = column.to_physical().fill_null(0).to_numpy()
    # -0.0 equals 0.0 and NaN has many bit patterns: one of each.
    return (np.where(np.isnan(physical), np.nan, physical + 0.0),) if column.dtype.is_float() else (physical,)


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
