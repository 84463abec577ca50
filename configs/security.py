"""Settings of the service's gate: who may ask, how often, how much, how long."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RateLimits(_Section):
    """Requests a minute, on average; None: no limit.

    Attributes:
        key: With one API key, from wherever.
        anonymous: From one address without a key (IPv6: one /64 network).
        local: All anonymous requests from this machine together, on a service bound to loopback.
        burst_seconds: So many seconds' worth of requests a client that was quiet may send at once.
    """

    key: int | None = Field(ge=1)
    anonymous: int | None = Field(ge=1)
    local: int | None = Field(ge=1)
    burst_seconds: float = Field(gt=0, le=3600)


class SecuritySettings(_Section):
    """The part of the section `serving` that the gate reads.

    Attributes:
        anonymous_reads: Beyond loopback GET needs no key; without keys the service starts there only with this.
        cors_origins: Web origins (`https://host`) whose pages may read the answers in a browser.
        rate_limits: Per key, per anonymous client and for this machine.
        body_limit_bytes: Largest request body, however it is sent.
        body_timeout_seconds: For so long a body may take to arrive.
        request_timeout_seconds: Whole request, body included; the answer must have begun by then.
        access_log: One JSON line a request on standard output.
    """

    anonymous_reads: bool
    cors_origins: tuple[str, ...]
    rate_limits: RateLimits
    body_limit_bytes: int = Field(ge=1024, le=64 * 1024 * 1024)
    body_timeout_seconds: float = Field(gt=0)
    request_timeout_seconds: float = Field(gt=0)
    access_log: bool

    @field_validator("cors_origins")
    @classmethod
    def _origins_not_patterns(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            scheme, _, host = origin.partition("://")
            if origin == "*":
                continue
            if scheme not in ("http", "https") or not host or any(mark in host for mark in "/*?#@ "):
                raise ValueError(f"'{origin}' is no origin: give scheme://host[:port], or '*' for every page there is")
        return origins
