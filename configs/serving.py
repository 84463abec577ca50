"""Settings of the HTTP service and of the snapshot it answers from."""

from __future__ import annotations

from pydantic import Field

from configs.security import SecuritySettings


class ServingSettings(SecuritySettings):
    """What is served, where, and within which bounds.

    Attributes:
        host: Address the service binds to; beyond loopback it needs keys or `anonymous_reads`.
        port: Its port.
        workers: Processes that answer; each holds the snapshot for itself.
        history_days: Days of the record that a snapshot holds, back from each class's clock; a symbol's ten newest rows
            are in it anyhow.
        signal_days: Days of ensemble signals, today's included.
        poll_seconds: How often a worker looks for a new snapshot.
        cached_answers: Answers that a worker keeps ready, of the present snapshot.
        cached_bytes: Their size together.
    """

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    workers: int = Field(ge=1)
    history_days: int = Field(ge=1)
    signal_days: int = Field(ge=1)
    poll_seconds: float = Field(gt=0)
    cached_answers: int = Field(ge=0)
    cached_bytes: int = Field(ge=0)
