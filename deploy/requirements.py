"""Writes what an image installs: the project's dependencies, chosen extras, and the XGBoost build that was asked for.

Run while an image is built, before the project itself is copied, so that a changed module does not install everything
anew. It needs Python alone.

    python deploy/requirements.py pyproject.toml constraints.txt --extras "postgres redis" --xgboost xgboost-cpu
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

XGBOOST = "xgboost"
BUILDS = (XGBOOST, "xgboost-cpu")
"""One module, two builds of one version: `xgboost` brings NVIDIA's NCCL along, `xgboost-cpu` does not."""


def requirements(pyproject: Path, constraints: Path, extras: Sequence[str], xgboost: str) -> list[str]:
    """Requirement lines for pip.

    Args:
        pyproject: The project's file.
        constraints: The pins; only the version of XGBoost is read, for the build that no pin names.
        extras: Names of optional dependencies.
        xgboost: One of `BUILDS`.

    Returns:
        Lines in the order of the file, extras after them.

    Raises:
        SystemExit: An unknown extra or build, or XGBoost is not pinned.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    unknown = [name for name in extras if name not in optional]
    if unknown:
        raise SystemExit(f"no extra {', '.join(unknown)}: one of {', '.join(optional)}")
    if xgboost not in BUILDS:
        raise SystemExit(f"no XGBoost build '{xgboost}': one of {', '.join(BUILDS)}")
    lines = [*project["dependencies"], *(line for name in extras for line in optional[name])]
    if xgboost == XGBOOST:
        return lines
    pin = re.search(rf"^{XGBOOST}==(\S+)$", constraints.read_text(encoding="utf-8"), re.MULTILINE)
    if pin is None:
        raise SystemExit(f"{constraints} pins no {XGBOOST}")
    return [f"{xgboost}=={pin[1]}" if re.match(rf"{XGBOOST}\b(?!-)", line) else line for line in lines]


def main() -> None:
    """Write the lines to standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("pyproject", type=Path)
    parser.add_argument("constraints", type=Path)
    parser.add_argument("--extras", default="", help="names with spaces between them")
    parser.add_argument("--xgboost", default=XGBOOST, help=" or ".join(BUILDS))
    given = parser.parse_args()
    lines = requirements(given.pyproject, given.constraints, given.extras.split(), given.xgboost)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
