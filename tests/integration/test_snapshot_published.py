"""What a snapshot holds, on a real warehouse and registry: one champion's rows, thresholds and model, whole."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flows.publish_snapshot import publish_snapshot
from market.errors import NoChampionError, RegistryError, SnapshotError
from market.signals import confidence, signal
from registry.models import ModelRegistry
from registry.store import RunStore
from serving.snapshot import WALK_FORWARD, Snapshot, load_snapshot
from serving.snapshot_build import build_snapshot
from serving.snapshot_file import read_snapshot, write_snapshot
from serving.snapshot_holder import SnapshotHolder
from tests.bundles import rows as feature_matrix
from tests.integration.champion_world import (
    V1,
    V2,
    World,
    promote,
    published,
    roll_back,
    settings_at,
    world_at,
)
from training.evaluate import evaluate_splits
from warehouse.champions import published_champions
from warehouse.engines import open_warehouse


@pytest.fixture
def world(champion_home: Path, tmp_path: Path) -> World:
    return world_at(tmp_path / "home", champion_home)


def taken(world: World) -> Snapshot:
    return load_snapshot(publish_snapshot(world.settings, warehouse=world.warehouse, registry=world.registry))


def test_rows_thresholds_and_model_are_those_of_the_published_champion_after_every_change(world: World) -> None:
    for change, version in ((None, V1), (lambda: promote(world, V2), V2), (lambda: roll_back(world, V1), V1)):
        if change is not None:
            change()
        snapshot = taken(world)
        assert snapshot.model_versions == {"stocks": version}
        assert snapshot.walk_forward["model_version"].unique().to_list() == [version]
        bundle = world.registry.load_bundle("stocks", version)
        assert snapshot.bundles["stocks"].info == bundle.info
        matrix = feature_matrix()
        assert np.array_equal(snapshot.bundles["stocks"].predict(matrix), bundle.predict(matrix))
        with world.warehouse.read() as read:
            rules = published_champions(read)["stocks"].thresholds
        assert snapshot.champions["stocks"].thresholds == rules
        p = snapshot.walk_forward["up_probability"].to_numpy()
        assert snapshot.walk_forward["signal"].to_list() == signal(p, rules).tolist()
        assert snapshot.walk_forward["confidence_level"].to_list() == confidence(p, rules).tolist()


def test_the_window_holds_recent_days_and_in_any_case_each_symbols_ten_newest_rows(world: World) -> None:
    today = taken(world).champions["stocks"].today
    stored = published(world).filter(pl.col("bar_known_at") <= today)
    newest = stored.group_by("symbol").agg(pl.col("datetime").top_k(10)).explode("datetime")
    for days in (1, 10_000):
        serving = world.settings.serving.model_copy(update={"history_days": days})
        settings = world.settings.model_copy(update={"serving": serving})
        held = load_snapshot(publish_snapshot(settings, warehouse=world.warehouse)).walk_forward
        expected = newest if days == 1 else stored.select("symbol", "datetime")
        assert sorted(held.select("symbol", "datetime").rows()) == sorted(expected.rows())
        assert held.height == (40 if days == 1 else stored.height)
        assert held["datetime"].is_sorted(descending=True)


def test_the_summary_is_the_evaluation_of_the_same_rows_interval_included(world: World) -> None:
    snapshot = taken(world)
    rows = published(world).rename({"actual_direction": "target_direction"})
    rules = snapshot.champions["stocks"].thresholds
    reports = {report.data_split: report for report in evaluate_splits(rows, rules, world.settings.evaluation)}
    assert [record.data_split for record in snapshot.summary] == ["TEST", "VALIDATE"]
    for record in snapshot.summary:
        report = reports[record.data_split or ""]
        assert record.total_predictions == report.matured
        assert record.accuracy == pytest.approx(report.accuracy, abs=0.005)
        assert record.base_rate == pytest.approx(report.base_rate, abs=0.005)
        assert record.accuracy_ci_95 == pytest.approx(report.accuracy_ci_95, abs=0.0051)
    matured = rows.filter(pl.col("target_direction").is_not_null())
    is_high = confidence(matured["up_probability"].to_numpy(), rules) == "HIGH"
    high = matured.filter(pl.Series(is_high))
    told = snapshot.champions["stocks"].high_record
    assert (told.total_predictions, told.correct) == (
        high.height,
        int((high["predicted_direction"] == high["target_direction"]).sum()),
    )


def test_a_clock_in_the_past_hides_what_was_known_later(world: World) -> None:
    newest = published(world)["bar_known_at"].max()
    clock = world.settings.clock.model_copy(update={"stocks": newest - timedelta(days=3)})  # type: ignore[operator]
    settings = world.settings.model_copy(update={"clock": clock})
    from warehouse.clock import refresh_asset_settings

    refresh_asset_settings(world.warehouse, settings)
    snapshot = load_snapshot(publish_snapshot(settings, warehouse=world.warehouse))
    today = newest - timedelta(days=3)  # type: ignore[operator]
    assert snapshot.as_of["stocks"] == today
    held = snapshot.walk_forward
    stored = published(world).filter(pl.col("datetime").is_in(held["datetime"].implode()))
    assert stored.filter(pl.col("label_known_at") > today)["actual_direction"].null_count() < 4, "they are stored"
    assert (held["label_known_at"].drop_nulls() <= today).all()
    is_open = held["label_known_at"].is_null()
    assert held.filter(is_open)["bar_known_at"].unique().to_list() == [today]
    assert held.filter(is_open)["actual_direction"].null_count() == 4
    assert held.filter(~is_open)["actual_direction"].null_count() == 0


def test_a_bundle_of_another_version_than_the_published_rows_is_refused(world: World) -> None:
    with pytest.raises(RegistryError, match=r"published champion of stocks is walk_forward_stocks/1, given was .*/2"):
        build_snapshot(world.warehouse, world.settings, {"stocks": world.registry.load_bundle("stocks", V2)})
    assert not world.settings.paths.snapshot_file.exists()


def test_without_a_champion_nothing_is_published(tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "empty")
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    with pytest.raises(NoChampionError, match="no class has a published champion yet"):
        publish_snapshot(settings, warehouse=warehouse, registry=ModelRegistry(RunStore(settings)))


def test_the_holder_swaps_when_the_file_is_replaced_and_keeps_what_it_has_when_the_file_is_damaged(
    world: World,
) -> None:
    path = world.settings.paths.snapshot_file
    holder = SnapshotHolder(path)
    assert not holder.refresh()
    assert holder.current is None
    taken(world)
    assert holder.refresh()
    assert not holder.refresh()
    first = holder.served
    assert first is not None
    path.with_suffix(".new").write_bytes(path.read_bytes()[:-100])
    path.with_suffix(".new").replace(path)
    assert not holder.refresh()
    assert holder.served is first
    assert "damaged" in (holder.failure or "")
    promote(world, V2)
    taken(world)
    assert holder.refresh()
    assert holder.failure is None
    assert holder.current is not None
    assert holder.current.model_versions == {"stocks": V2}
    assert first.snapshot.model_versions == {"stocks": V1}


def test_nothing_that_a_file_holds_and_no_fault_of_its_disk_ends_the_watch_for_the_next_one(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    path = world.settings.paths.snapshot_file
    holder = SnapshotHolder(path, poll_seconds=0.01)
    taken(world)
    facts, members = read_snapshot(path)[1:]
    rows = pl.read_parquet(io.BytesIO(members[WALK_FORWARD]))
    without_times = rows.with_columns(pl.lit("no time").alias("datetime"))

    def parquet(frame: pl.DataFrame) -> dict[str, bytes]:
        out = io.BytesIO()
        frame.write_parquet(out)
        return {**members, WALK_FORWARD: out.getvalue()}

    def as_folder() -> None:
        path.unlink()
        path.mkdir()

    async def watched() -> None:
        watch = asyncio.create_task(holder.watch())
        await until(lambda: holder.current is not None)
        first = holder.served
        for spoil, failure in (
            (lambda: write_snapshot(path, facts, parquet(rows.drop("rsi"))), "damaged"),
            (lambda: write_snapshot(path, facts, parquet(without_times)), "TypeError"),
            (as_folder, "cannot be read"),
        ):
            spoil()
            await until(lambda failure=failure: failure in (holder.failure or ""))
            assert holder.served is first
        path.rmdir()
        path.parent.rename(path.parent.with_name("elsewhere"))
        path.parent.write_text("no folder")
        await asyncio.sleep(0.1)
        assert not watch.done()
        path.parent.unlink()
        path.parent.with_name("elsewhere").rename(path.parent)
        promote(world, V2)
        await asyncio.to_thread(taken, world)
        await until(lambda: holder.served is not first)
        assert not watch.done()
        watch.cancel()

    asyncio.run(watched())
    assert holder.current is not None and holder.current.model_versions == {"stocks": V2}
    assert caplog.text.count("cannot be read") == 1, "said once, looked at again and again"


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():
            await asyncio.sleep(0.01)


def test_a_snapshot_whose_model_is_another_than_its_rows_is_refused(world: World) -> None:
    import json
    import zipfile

    path = publish_snapshot(world.settings, warehouse=world.warehouse, registry=world.registry)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    manifest["facts"]["champions"]["stocks"]["model_version"] = V2
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(
        SnapshotError, match="its model is walk_forward_stocks/1, its rows are of walk_forward_stocks/2"
    ):
        load_snapshot(path)
