"""Instants as every answer writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(instant: datetime) -> str:
    """ISO text in UTC: `2024-06-28T20:15:00Z`."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
