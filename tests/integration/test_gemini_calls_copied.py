"""Calls of Gemini on their way into the warehouse and into MLflow's traces."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from configs.settings import Settings
from flows.context import Context
from flows.gemini_calls import CopiedCalls, copy_gemini_calls
from flows.prefecting import PlainTasks
from flows.progress import LogReporter
from market.errors import RegistryError
from registry import traces
from registry.mlflow_api import TracingClient, open_client
from serving.gemini_store import open_store, stored_calls
from tests.gemini_questions import KEY, gathered, gemini_settings, question, questions
from tests.integration.champion_world import settings_at, world_at
from tests.standins.gemini_server import answering, failing, running_stand_in


@pytest.fixture
def context(champion_home: Path, tmp_path: Path) -> Context:
    world = world_at(tmp_path / "home", champion_home)
    return Context(world.settings, world.warehouse, LogReporter(), PlainTasks())


def with_calls(home: Path, count: int) -> Settings:
    """So many answered questions in the home's store, and one that failed."""
    paths = settings_at(home).paths
    with running_stand_in(
        lambda number, asked: failing(404) if asked.facts["symbol"] == "ETH/USDT" else answering()
    ) as server:
        settings = gemini_settings(server.url).model_copy(update={"paths": paths})
        gathered(settings, [*questions(count), question("ETH/USDT")])
    return settings


def in_warehouse(context: Context) -> pl.DataFrame:
    return pl.DataFrame(context.warehouse.query("SELECT * FROM `tradehits.gemini_calls` ORDER BY called_at, call_id"))


def traces_of(settings: Settings) -> list:
    experiment = open_client(settings).get_experiment_by_name(traces.EXPERIMENT)
    client = TracingClient(settings.mlflow_uri)
    return list(client.search_traces(locations=[experiment.experiment_id], max_results=500))


def test_new_calls_are_copied_once_and_every_call_is_traced_once(context: Context, tmp_path: Path) -> None:
    with_calls(tmp_path / "home", 3)

    assert copy_gemini_calls(context) == CopiedCalls(stored=4, traced=4)
    assert copy_gemini_calls(context) == CopiedCalls(stored=0, traced=0)
    with_calls(tmp_path / "home", 5)  # two questions are new, and the failed one is asked again
    assert copy_gemini_calls(context) == CopiedCalls(stored=3, traced=3)

    rows = in_warehouse(context)
    calls = stored_calls(context.settings)
    assert rows["call_id"].to_list() == [call.call_id for call in calls]
    assert rows["called_at"].to_list() == [call.called_at for call in calls]
    assert rows.filter(pl.col("symbol") == "A0/USDT").drop(
        "call_id", "called_at", "prompt_hash", "latency_seconds"
    ).to_dicts() == [
        {
            "asset_type": "crypto",
            "symbol": "A0/USDT",
            "datetime": question().datetime,
            "model": "gemini-2.5-flash",
            "status": "ok",
            "prediction": "UP",
            "confidence": 0.3,
            "reasoning": "RSI 55 and a rising MACD histogram.",
            "risk_level": "MEDIUM",
            "input_tokens": 700,
            "output_tokens": 60,
            "cost_usd": 0.00036,
            "error": None,
        }
    ]
    assert rows.filter(pl.col("status") == "error")["error"].to_list() == ["HTTP 404 Not Found"] * 2

    found = {trace.info.trace_id: trace for trace in traces_of(context.settings)}
    assert set(found) == {f"tr-{call.call_id}" for call in calls}
    (answered,) = [call for call in calls if call.symbol == "A0/USDT"]
    trace = found[f"tr-{answered.call_id}"]
    (span,) = trace.data.spans
    assert (trace.info.state.value, span.name, span.span_type) == ("OK", "gemini crypto A0/USDT", "LLM")
    assert span.inputs["symbol"] == "A0/USDT"
    assert span.outputs["prediction"] == "UP"
    assert trace.info.token_usage == {"input_tokens": 700, "output_tokens": 60, "total_tokens": 760}
    assert span.start_time_ns == pytest.approx(answered.called_at.timestamp() * 1e9, abs=1e6)
    (failed,) = [call for call in calls if call.status == "error"][:1]
    assert found[f"tr-{failed.call_id}"].info.state.value == "ERROR"
    assert all(KEY not in trace.to_json() for trace in found.values())


def test_an_mlflow_that_is_down_costs_a_warning_and_the_traces_follow_later(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_calls(tmp_path / "home", 2)

    def down(paths: object) -> None:
        raise RegistryError("cannot open MLflow's store")

    with monkeypatch.context() as patch:
        patch.setattr("registry.store.open_client", down)
        assert copy_gemini_calls(context) == CopiedCalls(stored=3, traced=0)
    assert "not traced now" in caplog.text

    assert copy_gemini_calls(context) == CopiedCalls(stored=0, traced=3)


def test_traces_take_no_longer_than_allowed(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_calls(tmp_path / "home", 9)
    monkeypatch.setattr("flows.gemini_calls.TRACES_AT_ONCE", 4)
    monkeypatch.setattr("flows.gemini_calls.time", Clock(step=6.0))  # trace_seconds is 10

    assert copy_gemini_calls(context).traced == 4
    assert copy_gemini_calls(context).traced == 4
    assert copy_gemini_calls(context).traced == 2
    with_store = open_store(context.settings)
    assert with_store.untraced(9) == []
    with_store.close()


class Clock:
    """Time that passes by a step whenever it is asked for."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


def test_without_calls_nothing_is_opened(context: Context) -> None:
    assert copy_gemini_calls(context) == CopiedCalls(0, 0)


def test_a_damaged_store_of_calls_costs_a_warning(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    context.settings.paths.gemini_file.write_bytes(b"no database" * 200)

    assert copy_gemini_calls(context) == CopiedCalls(0, 0)
    assert "not copied" in caplog.text
