"""`deploy` as a flow: its components as a summary and a state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flows.context import Context
from flows.deploy import deploy
from flows.deploy_component import Deployed
from flows.scheduled_outcome import Outcome
from flows.scheduled_rows import links

_ORDER = ("SUCCESS", "PENDING", "FAILED")


def put_in_place(context: Context) -> Outcome:
    """Deploy, and say which components are there, which wait for something, and which failed."""
    return outcome_of(deploy(context), links(context))


def outcome_of(done: Sequence[Deployed], pages: Mapping[str, str]) -> Outcome:
    """What was deployed: failed with any component that failed, not simply green with any that waits."""
    told = {status: [one for one in done if one.status == status] for status in _ORDER}
    return Outcome(
        headline=", ".join(f"{len(found):,} {status}" for status, found in told.items() if found),
        table=[
            {"component": one.component, "name": one.name, "status": one.status, "version": one.version or ""}
            for one in done
        ],
        problems=tuple(f"{one.name} waits: {one.details}" for one in told["PENDING"]),
        failures=tuple(f"{one.component} {one.name}: {one.details}" for one in told["FAILED"]),
        links=pages,
    )
