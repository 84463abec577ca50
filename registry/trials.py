"""How often something was tried: every run of the experiment counts, whatever became of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from market.assets import AssetType
from registry.mlflow_api import Run, ViewType
from registry.store import RunStore

TUNING_TRIALS_METRIC = "tuning_trials"
_PAGE = 1000


@dataclass(frozen=True)
class Trials:
    """Runs of one asset class.

    Attributes:
        count: Runs started, failed and deleted ones included, and every tuning trial inside them.
        values: What the runs logged under the metric asked for, oldest first; runs without it are left out.
    """

    count: int
    values: tuple[float, ...] = ()


def count_trials(store: RunStore, asset_type: AssetType, metric: str) -> Trials:
    """Count the training runs of an asset class in the store's experiment, the running one included.

    Args:
        store: The profile's runs.
        asset_type: The class, by the runs' tag.
        metric: Name of the figure that the best run would be chosen by.
    """
    count, values = 0, []
    for run in _runs(store, asset_type):
        count += 1 + int(run.data.metrics.get(TUNING_TRIALS_METRIC, 0))
        if metric in run.data.metrics:
            values.append(float(run.data.metrics[metric]))
    return Trials(count, tuple(values))


def _runs(store: RunStore, asset_type: AssetType) -> Iterator[Run]:
    """All runs, oldest first; a run that was deleted was tried all the same."""
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id],
            filter_string=f"tags.asset_type = '{asset_type}'",
            run_view_type=ViewType.ALL,
            max_results=_PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return
