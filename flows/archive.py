"""One file that holds a tree of files and proves it: a zstd-compressed tar that ends with a manifest.

The manifest names every file with its size and SHA-256; an archive that was cut short has none. The format is the
usual `.tar.zst`, readable by `tar --zstd`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa

from market.errors import ArchiveError

MANIFEST = "manifest.json"
FORMAT = 1
_CHUNK = 1 << 20


@dataclass(frozen=True)
class ArchivedFile:
    """One file of an archive: its path with forward slashes, bytes, and SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass
class ArchiveWriter:
    """Adds files to an open archive; made by `writing`."""

    _tar: tarfile.TarFile
    files: list[ArchivedFile] = field(default_factory=list)

    def add(self, path: Path, name: str) -> None:
        """Add one regular file under a name."""
        with path.open("rb") as content:
            reader = _Hashing(content, os.fstat(content.fileno()).st_size)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = reader.left, 0o600, int(path.stat().st_mtime)
            self._tar.addfile(entry, reader)  # type: ignore[arg-type]  # only `read` is used
        self.files.append(ArchivedFile(name, entry.size, reader.digest.hexdigest()))


class _Hashing:
    """Reads a file up to the size it had at first, and hashes what was read."""

    def __init__(self, content: IO[bytes], size: int) -> None:
        self._content, self.left = content, size
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        part = self._content.read(min(size, self.left))
        self.left -= len(part)
        self.digest.update(part)
        return part


@contextmanager
def writing(target: Path, about: Mapping[str, Any]) -> Iterator[ArchiveWriter]:
    """Write an archive; it appears under its name when it is whole, and never otherwise.

    Args:
        target: The new file; one that exists is left alone.
        about: Added to the manifest, JSON values; it may be filled until the block ends.

    Raises:
        ArchiveError: The file exists or cannot be written.
    """
    if target.exists():
        raise ArchiveError(f"{target} exists already", remedy="give another name: a backup never replaces another one")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with (
                pa.CompressedOutputStream(
                    pa.PythonFile(os.fdopen(os.dup(descriptor), "wb"), mode="w"), "zstd"
                ) as packed,
                tarfile.open(fileobj=packed, mode="w|", bufsize=_CHUNK, format=tarfile.PAX_FORMAT) as tar,
            ):
                writer = ArchiveWriter(tar)
                yield writer
                _add_manifest(tar, {**about, "format": FORMAT, "files": [asdict(one) for one in writer.files]})
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(part, target)  # unlike a rename, it fails where another backup was quicker
    except FileExistsError as error:
        raise ArchiveError(f"{target} exists already", remedy="give another name") from error
    except OSError as error:
        raise ArchiveError(
            f"the archive {target} cannot be written: {error}", remedy="free space there, or give another place"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def unpack(archive: Path, folder: Path) -> dict[str, Any]:
    """Unpack an archive and compare every file with the manifest.

    Args:
        archive: Made by `writing`.
        folder: Where its files go; new or empty.

    Returns:
        The manifest.

    Raises:
        ArchiveError: It cannot be read, was cut short or changed, or is of another format. What was unpacked stays.
    """
    try:
        with (
            archive.open("rb") as raw,
            pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd") as packed,
            tarfile.open(fileobj=packed, mode="r|", bufsize=_CHUNK) as tar,
        ):
            tar.extractall(folder, filter="data")
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError as error:
        what = f"there is no {archive}" if not archive.exists() else f"{archive} was cut short: it has no manifest"
        raise ArchiveError(what, remedy="give a file that `tradehits backup` wrote whole") from error
    except (OSError, tarfile.TarError, json.JSONDecodeError, EOFError) as error:
        raise ArchiveError(
            f"{archive} cannot be unpacked: {error}", remedy="use another backup, or free space here"
        ) from error
    if manifest.get("format") != FORMAT:
        raise ArchiveError(
            f"{archive} has format {manifest.get('format')}, this version reads {FORMAT}",
            remedy="restore it with the version of TradeHits that wrote it",
        )
    _compare(archive, folder, [ArchivedFile(**one) for one in manifest["files"]])
    (folder / MANIFEST).unlink()
    return manifest


def _compare(archive: Path, folder: Path, wanted: list[ArchivedFile]) -> None:
    found = {PurePosixPath(path.relative_to(folder)).as_posix() for path in folder.rglob("*") if path.is_file()} - {
        MANIFEST
    }
    differing = sorted(found ^ {one.path for one in wanted})
    differing += [one.path for one in wanted if one.path in found and sha256_of(folder / one.path) != one.sha256]
    if differing:
        raise ArchiveError(
            f"{archive} is damaged: {len(differing)} files are not what its manifest says, the first is {differing[0]}",
            remedy="use another backup",
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _add_manifest(tar: tarfile.TarFile, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(manifest, indent=1).encode()
    entry = tarfile.TarInfo(MANIFEST)
    entry.size, entry.mode, entry.mtime = len(text), 0o600, int(time.time())
    tar.addfile(entry, io.BytesIO(text))
