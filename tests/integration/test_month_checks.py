"""Every rule of a simulated month sees its violation when one is planted, and none when nothing is wrong."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from flows.month_checks import violations
from monitoring.conditions import Moment
from monitoring.performance import refresh
from tests.integration.inference_world import World, days_pass, world_at
from warehouse.champions import published_champions
from warehouse.clock import newest_known_at


@pytest.fixture(scope="module")
def lived(inference_home: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Friday's predictions, three more days, theirs, and performance up to date."""
    world = world_at(tmp_path_factory.mktemp("lived") / "home", inference_home)
    world.predict()
    days_pass(world, 3)
    world.predict()
    with world.warehouse.read() as read:
        newest = newest_known_at(read)
    moments = [Moment(name, known.date(), known) for name, known in newest.items() if known is not None]
    refresh(world.warehouse, world.settings, moments)
    return world


def found(world: World) -> dict[str, int]:
    with world.warehouse.read() as read:
        known = [one for one in newest_known_at(read).values() if one is not None]
        made_by = {name: one.model_version for name, one in published_champions(read).items()}
        return {one.rule: one.rows for one in violations(read, world.registry, made_by, max(known))}


def test_nothing_is_broken_after_days_of_operation(lived: World) -> None:
    assert found(lived) == {}


REALTIME, RECORD = "ml_models.realtime_predictions", "ml_models.walk_forward_predictions_v2"
NEWEST = f"(SELECT MAX(datetime) FROM {REALTIME} WHERE asset_type = 'crypto')"


@pytest.mark.parametrize(
    ("rule", "rows", "statement"),
    [
        (
            "one prediction per symbol and bar",
            1,
            f"INSERT INTO {REALTIME} SELECT * FROM {REALTIME} ORDER BY datetime, symbol LIMIT 1",
        ),
        (
            "every symbol of the newest closed bar has its prediction",
            6,
            f"DELETE FROM {REALTIME} WHERE asset_type = 'crypto' AND datetime = {NEWEST}",
        ),
        (
            "no prediction before its bar closed or after its outcome was known",
            6,
            f"UPDATE {REALTIME} SET created_at = datetime WHERE asset_type = 'crypto' AND datetime = {NEWEST}",
        ),
        (
            "labels matured, and none too early",
            6,
            f"UPDATE {REALTIME} SET actual_direction = 'UP' WHERE asset_type = 'crypto' AND datetime = {NEWEST}",
        ),
        (
            "the record's labels are the features'",
            1,
            f"UPDATE {RECORD} SET actual_direction = 1 - actual_direction WHERE symbol = "
            f"(SELECT MIN(symbol) FROM {RECORD}) AND datetime = (SELECT MAX(datetime) FROM {RECORD} "
            "WHERE actual_direction IS NOT NULL)",
        ),
        (
            "the record holds every closed bar since its first",
            6,
            f"DELETE FROM {RECORD} WHERE asset_type = 'crypto' AND datetime = {NEWEST}",
        ),
        (
            "every row's model knew nothing later",
            6,
            f"UPDATE {RECORD} SET trained_through = bar_known_at + INTERVAL 1 HOUR "
            f"WHERE asset_type = 'crypto' AND datetime = {NEWEST}",
        ),
        (
            "performance rows complete",
            1,
            "DELETE FROM ml_models.model_performance_daily WHERE asset_type = 'crypto' AND date = "
            "(SELECT MAX(date) FROM ml_models.model_performance_daily WHERE asset_type = 'crypto' "
            "AND prediction_source = 'walk_forward') AND prediction_source = 'walk_forward'",
        ),
        (
            "no key twice in tradehits.bar_versions",
            1,
            "INSERT INTO tradehits.bar_versions SELECT * FROM tradehits.bar_versions LIMIT 1",
        ),
    ],
)
def test_a_planted_violation_is_counted_under_its_rule(
    lived: World, tmp_path: Path, rule: str, rows: int, statement: str
) -> None:
    world = world_at(tmp_path / "own", lived.settings.paths.home.parent)
    with duckdb.connect(str(world.settings.paths.warehouse_file)) as connection:
        connection.execute(statement)
    assert found(world)[rule] == rows


@pytest.mark.parametrize("rule", ["one champion everywhere", "crypto: scored by the champion of the day"])
def test_another_models_rows_are_seen(lived: World, tmp_path: Path, rule: str) -> None:
    world = world_at(tmp_path / "own", lived.settings.paths.home.parent)
    with duckdb.connect(str(world.settings.paths.warehouse_file)) as connection:
        for table in (REALTIME, RECORD):
            connection.execute(
                f"UPDATE {table} SET model_version = 'walk_forward_crypto/9' WHERE asset_type = 'crypto'"
            )
    assert found(world)[rule] >= 6
