"""Every run of an asset class counts as a trial, whatever became of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.settings import load_settings
from registry.store import RunStore
from registry.trials import Trials, count_trials


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    home: Path = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        return RunStore(load_settings("test"))


def test_finished_failed_deleted_and_running_runs_count_with_the_tuning_inside_them(store: RunStore) -> None:
    assert count_trials(store, "stocks", "sharpe") == Trials(0)
    with store.start_run("parent"), store.start_run("stocks", tags={"asset_type": "stocks"}) as first:
        store.log_metrics(first, [("sharpe", 1.5, 0), ("tuning_trials", 20, 0)])
    with pytest.raises(ValueError), store.start_run("stocks", tags={"asset_type": "stocks"}):
        raise ValueError("this one failed")
    with store.start_run("stocks", tags={"asset_type": "stocks"}) as unloved:
        store.log_metrics(unloved, [("sharpe", -0.5, 0)])
    store.client.delete_run(unloved)
    with store.start_run("etf", tags={"asset_type": "etf"}):
        pass
    with store.start_run("stocks", tags={"asset_type": "stocks"}):
        assert count_trials(store, "stocks", "sharpe") == Trials(4 + 20, (1.5, -0.5))
    assert count_trials(store, "etf", "sharpe") == Trials(1)
    assert count_trials(store, "crypto", "sharpe") == Trials(0)
