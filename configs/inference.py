"""Settings of daily inference."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class InferenceSettings(BaseModel):
    """Which bars may be scored, and how much is checked on the way.

    Attributes:
        max_sessions_behind: So many sessions may have closed since a class's newest stored bar; with more of them the
            whole class is stale and nothing of it is scored.
        check_symbols: Symbols of a class whose online features are compared with the stored ones, bit for bit, and
            whose probability is replayed, at every inference; `tradehits predict --check-all` compares all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_sessions_behind: int = Field(ge=0)
    check_symbols: int = Field(ge=1)
