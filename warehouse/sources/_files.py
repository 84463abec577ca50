"""What sources that read files share: listing, and what a file's place says about its bars."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from market.assets import AssetType
from market.errors import SourceError

CLASS_NAMES: dict[str, AssetType] = {
    "stocks": "stocks",
    "stock": "stocks",
    "etf": "etf",
    "etfs": "etf",
    "crypto": "crypto",
}
"""Spellings of an asset class, lower case, as names of folders and in files."""


@dataclass(frozen=True)
class SourceFile:
    """A file, and what its folders say about every bar in it; None where they say nothing."""

    path: Path
    asset_type: str | None = None
    symbol: str | None = None


def list_files(paths: Sequence[Path], *, source: str, suffixes: tuple[str, ...]) -> tuple[SourceFile, ...]:
    """Files as named, and those with one of the suffixes below each folder, in the order of their names.

    Hidden files and folders are left out. A folder `asset_type=crypto` or `symbol=BTC%2FUSDT` speaks for its files, and
    so does one called stocks, etf or crypto; the nearest wins, and none above the given folder counts.

    Raises:
        SourceError: No path was given, one does not exist or cannot be read, or a folder has no such files.
    """
    if not paths:
        raise SourceError(
            f"source '{source}' needs a file or folder", remedy="name it with --path, repeated for several"
        )
    files = []
    for path in paths:
        found = sorted(_below(path, suffixes)) if path.is_dir() else [path]
        if not found:
            raise SourceError(
                f"folder {path} holds no {' or '.join(suffixes)} file", remedy="check the path and the source's name"
            )
        files += [_in_place(file, top=path if path.is_dir() else path.parent) for file in found]
    return tuple(files)


def head_and_tail(path: Path) -> tuple[bytes, bytes]:
    """First and last 16 bytes.

    Raises:
        SourceError: The file does not exist, cannot be read or is empty.
    """
    try:
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(max(0, path.stat().st_size - 16))
            tail = file.read(16)
    except FileNotFoundError as error:
        raise SourceError(
            f"{path} does not exist", remedy="check the path; it is relative to the working directory"
        ) from error
    except OSError as error:
        _refuse_unreadable(error, path)
    if not head:
        raise SourceError(f"{path} is empty (0 bytes)", remedy="write or download it again")
    return head, tail


def _below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Links are followed, each folder is read once, and one that cannot be read is an error, not an absence."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, onerror=_refuse_unreadable, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (
            Path(place) / name for name in names if name.lower().endswith(suffixes) and not name.startswith(".")
        )


def _refuse_unreadable(error: OSError, path: Path | None = None) -> NoReturn:
    raise SourceError(
        f"{path or error.filename} cannot be read: {error.strerror}", remedy="check its permissions"
    ) from error


def _in_place(path: Path, *, top: Path) -> SourceFile:
    asset_type = symbol = None
    for folder in (top.resolve().name, *path.parent.relative_to(top).parts):
        name, _, value = folder.partition("=")
        if name == "asset_type" and value:
            asset_type = unquote(value)
        elif name == "symbol" and value:
            symbol = unquote(value)
        elif folder.lower() in CLASS_NAMES:
            asset_type = CLASS_NAMES[folder.lower()]
    return SourceFile(path, asset_type, symbol)
