"""Settings of alerts: who is told what and when, and what a critical alert leads to. Addresses are no settings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from configs.alert_urls import channels_with_urls
from market.assets import ASSET_TYPES, AssetType

ChannelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Route = Literal["now", "digest", "off"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Channel(_Section):
    """What one channel is told; its apprise URL comes from `TRADEHITS_ALERT_URL_<NAME>` alone.

    Attributes:
        asset_types: Classes it hears about.
        warning: Of WARNING alerts: at once, in the daily digest, or nothing.
        critical: Likewise of CRITICAL alerts.
        resolved: Whether it hears that an alert that it was told of is over.
    """

    asset_types: tuple[AssetType, ...] = ASSET_TYPES
    warning: Route = "now"
    critical: Route = "now"
    resolved: bool = True


class _LocalTimes(_Section):
    time_zone: str

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"'{name}' is no time zone of the IANA database, such as America/New_York") from error
        return name


class QuietHours(_LocalTimes):
    """Local hours in which messages wait; they may go over midnight.

    Attributes:
        start: First quiet minute.
        end: First minute that is not quiet any more.
        critical_passes: CRITICAL alerts do not wait.
    """

    start: time
    end: time
    critical_passes: bool = True

    @model_validator(mode="after")
    def _not_empty(self) -> QuietHours:
        if self.start == self.end:
            raise ValueError("start and end are the same minute: give null for no quiet hours")
        return self


class Digest(_LocalTimes):
    """Local time of the daily digest."""

    at: time


class AlertSettings(_Section):
    """Channels, their times, delivery, and retraining.

    Attributes:
        channels: By name; a channel whose URL is in the environment and that is not named here has the defaults.
        quiet_hours: None: messages go at any hour.
        digest: When what is routed to the digest goes out.
        deadline_seconds: One attempt, from the start of its process to the receiver's answer.
        attempts_per_run: Attempts of one message in one run; the next run goes on.
        pause_seconds: Between attempts of one run.
        retry_days: A message that failed for so long is withdrawn; alerts still open go out in a new one.
        shown_alerts: Alerts that a message shows in full; the others are named.
        report_base_url: Where the reports' folder is served, for links; None: the file's path.
        retrain: What a CRITICAL alert leads to.
        retrain_cooldown_days: Days, by the class's clock, between two pieces of advice on one class.
    """

    channels: dict[ChannelName, Channel]
    quiet_hours: QuietHours | None
    digest: Digest
    deadline_seconds: float = Field(gt=0, le=300)
    attempts_per_run: int = Field(ge=1, le=10)
    pause_seconds: float = Field(ge=0, le=60)
    retry_days: float = Field(gt=0)
    shown_alerts: int = Field(ge=1)
    report_base_url: str | None
    retrain: Literal["propose", "trigger", "off"]
    retrain_cooldown_days: int = Field(ge=1)

    @model_validator(mode="before")
    @classmethod
    def _channels_of_the_environment(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or not isinstance(given.get("channels"), Mapping):
            return given
        return {**given, "channels": {**{name: {} for name in channels_with_urls()}, **given["channels"]}}
