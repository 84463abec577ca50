"""API keys: named, revocable, kept as hashes in one small file that every worker reads again when it changes.

A key is `th_<id>_<secret>`. The secret is 32 random bytes, so one SHA-256 keeps it as safe as a slow hash would (there
is no dictionary to try), and costs a request one microsecond. The id finds the entry without comparing secrets one by
one.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

from market.errors import ApiKeyError

logger = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")
RECHECK_SECONDS = 1.0
_FORMAT = 1
_NOBODY = "0" * 64


@dataclass(frozen=True)
class ApiKey:
    """What is kept of a key.

    Attributes:
        id: Public part, unique in the file.
        name: Who or what uses it; unique among the keys that count. It stands in the access log.
        hash: SHA-256 of the whole key, hexadecimal.
        created_at: ISO instant, UTC.
        revoked_at: Since when it no longer counts; None while it does.
    """

    id: str
    name: str
    hash: str
    created_at: str
    revoked_at: str | None = None


class KeyStore:
    """The keys of one profile.

    Args:
        path: The file; it need not exist. Only its owner may read it.
        clock: Seconds that never go back; the file is looked at no more often than every `RECHECK_SECONDS`.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Read nothing yet."""
        self._path = path
        self._clock = clock
        self._checked_at = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._valid: Mapping[str, ApiKey] = {}

    def entries(self) -> tuple[ApiKey, ...]:
        """Every key ever made, oldest first, revoked ones included.

        Raises:
            ApiKeyError: If the file cannot be read as what it should be.
        """
        try:
            return _parsed(self._path.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ApiKeyError(
                f"the file of API keys {self._path} cannot be read: {error}",
                remedy="restore it, or delete it and make new keys with `tradehits serve keys add`",
            ) from error

    def add(self, name: str) -> tuple[ApiKey, str]:
        """Make a key.

        Returns:
            What is kept, and the key itself: this is the only moment at which it is known.

        Raises:
            ApiKeyError: If a key of this name counts already, or it is no name.
        """
        if not NAME.fullmatch(name):
            raise ApiKeyError(
                f"'{name}' is no name of a key",
                remedy="up to 64 letters, digits, spaces and ._@-, not a mark first",
            )
        with self._locked():
            present = self.entries()
            if any(key.name == name and key.revoked_at is None for key in present):
                raise ApiKeyError(f"there is a key named '{name}'", remedy="revoke it first, or take another name")
            taken = {key.id for key in present}
            identity = next(i for i in iter(lambda: secrets.token_hex(4), "") if i not in taken)
            text = f"th_{identity}_{secrets.token_urlsafe(32)}"
            made = ApiKey(identity, name, _hash(text.encode()), _now())
            self._write((*present, made))
        return made, text

    def revoke(self, name_or_id: str) -> ApiKey:
        """End a key for good; services notice within about a second.

        Raises:
            ApiKeyError: If no key of this name or id counts.
        """
        with self._locked():
            present = self.entries()
            found = [key for key in present if name_or_id in (key.id, key.name) and key.revoked_at is None]
            if not found:
                known = ", ".join(key.name for key in present if key.revoked_at is None) or "there is none"
                raise ApiKeyError(f"no key '{name_or_id}' counts", remedy=f"keys that do: {known}")
            ended = replace(found[0], revoked_at=_now())
            self._write(tuple(ended if key.id == ended.id else key for key in present))
        return ended

    def any_valid(self) -> bool:
        """Whether any key counts now."""
        return bool(self._current())

    def find(self, text: bytes) -> ApiKey | None:
        """The key that this is, or None; takes equally long for a wrong secret, wherever it is wrong."""
        parts = text.split(b"_", 2)
        identity = parts[1].decode("latin-1") if len(parts) == 3 else ""
        key = self._current().get(identity)
        same = hmac.compare_digest(_hash(text), _NOBODY if key is None else key.hash)
        return key if same else None

    def _current(self) -> Mapping[str, ApiKey]:
        """Keys that count, by id. A file that cannot be read lets nobody in."""
        now = self._clock()
        if now - self._checked_at < RECHECK_SECONDS:
            return self._valid
        self._checked_at = now
        seen = self._state()
        if seen != self._seen:
            try:
                self._valid = {key.id: key for key in self.entries() if key.revoked_at is None}
                self._seen = seen
            except ApiKeyError as error:
                logger.error("%s; no key is accepted until then", error.message)
                self._valid, self._seen = {}, None
        return self._valid

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return (0, 0, 0)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _locked(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._path.with_suffix(".lock"), timeout=30)

    def _write(self, keys: tuple[ApiKey, ...]) -> None:
        """Put the whole file in place at once, readable by its owner alone from its first byte on."""
        text = json.dumps({"format": _FORMAT, "keys": [asdict(key) for key in keys]}, indent=2)
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self._checked_at, self._seen = float("-inf"), None


def _parsed(content: bytes) -> tuple[ApiKey, ...]:
    document = json.loads(content)
    if document["format"] != _FORMAT:
        raise ValueError(f"its format is {document['format']}, this software knows {_FORMAT}")
    return tuple(ApiKey(**entry) for entry in document["keys"])


def _hash(text: bytes) -> str:
    return sha256(text).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
