"""What `tradehits deploy` says of one thing that it put in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Component = Literal["PIPELINE", "TABLE", "VIEW", "SCHEDULER", "API", "FLOW"]
Status = Literal["SUCCESS", "FAILED", "PENDING"]


@dataclass(frozen=True)
class Deployed:
    """One component after it was put in place and looked for.

    Attributes:
        component: What kind of thing.
        name: Which one.
        version: Of the thing itself: a short hash of its definition, or the models behind it.
        status: SUCCESS when it was found to be there, FAILED when it was not, PENDING when it cannot be there yet.
        details: What was found, or what is missing and what to do.
    """

    component: Component
    name: str
    version: str | None
    status: Status
    details: str
