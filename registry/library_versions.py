"""Versions of libraries under the names that the project knows them by."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_OTHER_BUILDS = {"xgboost": "xgboost-cpu"}
"""The same module and version under another name: without NVIDIA's libraries, as images have it."""


def library_version(name: str) -> str:
    """Version of an installed library, whichever build of it is installed.

    Raises:
        PackageNotFoundError: It is not installed.
    """
    try:
        return version(name)
    except PackageNotFoundError:
        if name not in _OTHER_BUILDS:
            raise
        return version(_OTHER_BUILDS[name])
