"""Settings of the event log and of traces."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator


class ObservabilitySettings(BaseModel):
    """Where events go: one JSON line each, and spans for a collector.

    Attributes:
        file: Keep events in the profile's `logs/events.jsonl`.
        stderr: Also say them on standard error, for containers; standard output is never used.
        log_bytes: Size at which the file is set aside.
        log_files: Files set aside that are kept.
        otlp_endpoint: Full address of a collector's OTLP/HTTP traces, such as `http://127.0.0.1:4318/v1/traces`; None
            sends nothing and loads nothing. Credentials come from OTEL_EXPORTER_OTLP_HEADERS alone.
        otlp_seconds: A collector that does not answer costs a command at most so much at its end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: bool
    stderr: bool
    log_bytes: int = Field(ge=4096)
    log_files: int = Field(ge=1)
    otlp_endpoint: str | None
    otlp_seconds: float = Field(gt=0, le=30)

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_an_address(cls, endpoint: str | None) -> str | None:
        if endpoint is None:
            return None
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"'{endpoint}' is no http address, such as http://127.0.0.1:4318/v1/traces")
        if parts.username or parts.password or parts.query:
            raise ValueError("a credential is no setting: give it as OTEL_EXPORTER_OTLP_HEADERS")
        return endpoint
