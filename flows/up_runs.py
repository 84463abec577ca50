"""Flow runs that end together with `up`: said to Prefect's server while it is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flows.up_health import ask

if TYPE_CHECKING:
    from configs.settings import Settings

STOPPED: Final = "`tradehits up` was stopped while it ran; the next run takes up its work"
UNDER_WAY: Final = ("RUNNING", "PENDING", "CANCELLING")


async def settle_runs(settings: Settings) -> int:
    """Set the pool's runs that are under way to Crashed: their processes were ended, and they would keep their turn.

    Returns:
        How many; 0 also when no server answers, because then the next `up` does it.
    """
    api = f"{settings.up.prefect_url}/api"
    wanted = {
        "flow_runs": {"state": {"type": {"any_": list(UNDER_WAY)}}},
        "work_pools": {"name": {"any_": [settings.up.work_pool]}},
    }
    runs = (await ask(f"{api}/flow_runs/filter", wanted)).json()
    if not isinstance(runs, list):
        return 0
    state = {"type": "CRASHED", "name": "Crashed", "message": STOPPED}
    for run in runs:
        await ask(f"{api}/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    return len(runs)
