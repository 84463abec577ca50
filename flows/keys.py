"""`tradehits serve keys`: what the command line says about the service's API keys."""

from __future__ import annotations

import json

from configs.settings import Settings
from serving.security_keys import ApiKey, KeyStore


def add_key(settings: Settings, name: str) -> str:
    """Make a key and show it, once."""
    made, text = KeyStore(settings.paths.api_keys_file).add(name)
    return (
        f"{text}\n\nThis is the key of '{made.name}' (id {made.id}). It is shown this once and kept as a hash only.\n"
        f"Send it as 'Authorization: Bearer {text[:12]}...' or as 'X-API-Key'."
    )


def revoke_key(settings: Settings, name_or_id: str) -> str:
    """End a key for good."""
    ended = KeyStore(settings.paths.api_keys_file).revoke(name_or_id)
    return f"key '{ended.name}' (id {ended.id}) is revoked; running services refuse it within two seconds"


def list_keys(settings: Settings, output: str) -> str:
    """Every key ever made, without hashes; `output` is table or json."""
    keys = KeyStore(settings.paths.api_keys_file).entries()
    if output == "json":
        return json.dumps([_shown(key) for key in keys], indent=2)
    if not keys:
        return "no key was made yet; make one with `tradehits serve keys add NAME`"
    rows = [("id", "name", "made", "revoked"), *((k.id, k.name, k.created_at, k.revoked_at or "") for k in keys)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _shown(key: ApiKey) -> dict[str, str | None]:
    return {"id": key.id, "name": key.name, "created_at": key.created_at, "revoked_at": key.revoked_at}
