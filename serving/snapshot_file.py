"""The snapshot's file: a zip of named members, whole or not there at all.

Members are stored, not deflated. `manifest.json` names the format, gives each member's SHA-256 and holds the facts; the
snapshot's id is the hash of the manifest, so that equal contents have equal ids.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from market.errors import SnapshotError

FORMAT = 1
MANIFEST = "manifest.json"
REMEDY = "publish it again: `tradehits predict`"
_DAMAGE = (
    *(zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError, AttributeError),
    *(zlib.error, NotImplementedError, RuntimeError),  # bits that name a compression or a password
)
"""What reading a damaged archive raises."""


def write_snapshot(path: Path, facts: Mapping[str, Any], members: Mapping[str, bytes]) -> str:
    """Put a snapshot in place: a reader finds the file before, or this one whole.

    Args:
        path: Where it is to be; its folder is made when missing.
        facts: What the manifest says beside format and hashes; JSON.
        members: Contents by name.

    Returns:
        The snapshot's id.
    """
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    manifest = json.dumps({"format": FORMAT, "facts": facts, "members": hashes}, sort_keys=True, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with staged.open("wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name, content in {MANIFEST: manifest.encode(), **members}.items():
                    archive.writestr(name, content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return _id_of(manifest.encode())


def read_snapshot(path: Path) -> tuple[str, dict[str, Any], dict[str, bytes]]:
    """Id, facts and members of a snapshot, every hash compared.

    The file is read through one handle: another one may be put in its place meanwhile.

    Raises:
        SnapshotError: It is missing, damaged, or of another format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "there is no snapshot" if isinstance(error, FileNotFoundError) else "the snapshot cannot be read"
        raise SnapshotError(f"{reason} at {path}", remedy=REMEDY) from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            manifest = archive.read(MANIFEST)
            told = json.loads(manifest)
            if told.get("format") != FORMAT:
                raise SnapshotError(
                    f"{path} has format {told.get('format')}, this version reads {FORMAT}", remedy=REMEDY
                )
            members = {name: archive.read(name) for name in told["members"]}
    except _DAMAGE as error:
        raise SnapshotError(f"{path} is damaged: {error}", remedy=REMEDY) from error
    for name, expected in told["members"].items():
        if hashlib.sha256(members[name]).hexdigest() != expected:
            raise SnapshotError(f"{path} is damaged: {name} is not what was written", remedy=REMEDY)
    return _id_of(manifest), told["facts"], members


def _id_of(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:16]


def _sync_folder(folder: Path) -> None:
    """The rename itself survives a power cut only once its folder is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
