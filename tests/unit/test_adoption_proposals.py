"""What becomes of tables that were there before the platform."""

from __future__ import annotations

from dataclasses import replace

import pytest

from warehouse.adoption import FoundTable, propose, shadow_dataset
from warehouse.adoption_found import _wanted_partition
from warehouse.schema import load_schema

FITS = FoundTable(
    path="p.ml_models.deployment_log", name="ml_models.deployment_log", kind="TABLE", is_ours=False, rows=5, keys=5
)
FEATURES = replace(
    FITS,
    path="p.ml_models.walk_forward_features_v2",
    name="ml_models.walk_forward_features_v2",
    wanted_partition="datetime, MONTH",
    rows=70,
    keys=10,
    makes_labels=True,
)


def actions(*found: FoundTable) -> dict[str, str]:
    return {one.path: one.action for one in propose(found, [])}


def test_a_table_that_fits_is_adopted_only_where_no_other_of_its_dataset_must_be_shadowed() -> None:
    assert actions(FITS) == {"p.ml_models.deployment_log": "adopt"}
    assert actions(FITS, FEATURES) == {
        "p.ml_models.deployment_log": "shadow",
        "p.ml_models.walk_forward_features_v2": "shadow",
    }
    elsewhere = replace(FEATURES, path="p.other.walk_forward_features_v2")
    assert actions(FITS, elsewhere)["p.ml_models.deployment_log"] == "adopt"


def test_a_shadow_says_partitions_and_what_copies_do_to_labels() -> None:
    [one] = propose([FEATURES], [])
    assert one.reasons == (
        "60 of 70 rows repeat a key; 7.0 copies of each row: about 1 - 1/7.0 = 86% of labels would become DOWN, and "
        "always guessing DOWN would look about 93% accurate",
        "not partitioned, so every query reads all of it (the contract: datetime, MONTH); BigQuery cannot change that "
        "in place",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "VIEW"}, "it is a view of yours"),
        ({"kind": "MATERIALIZED_VIEW"}, "it is a materialized view of yours"),
        ({"missing": ("status",)}, "missing status"),
        ({"extra": ("note",)}, "unknown to the contract: note"),
        ({"other_types": (("status", "INT64", "STRING"),)}, "other types: status is INT64, not STRING"),
        ({"keys": 4}, "1 of 5 rows repeat a key"),
        ({"partition": "deployed_at, DAY"}, "partitioned by deployed_at, DAY (the contract: none); BigQuery cannot"),
        ({"missing": tuple("abcdefghij")}, "missing a, b, c, d, e, f, g, h and 2 more"),
    ],
)
def test_what_differs_is_named(change: dict[str, object], reason: str) -> None:
    [one] = propose([replace(FITS, **change)], [])  # type: ignore[arg-type]
    assert one.action == "shadow"
    assert one.reasons[0].startswith(reason)


def test_other_clustering_hinders_nothing_and_is_told() -> None:
    [one] = propose([replace(FITS, is_clustered_alike=False)], [])
    assert (one.action, one.reasons[-1]) == ("adopt", "clustered otherwise, which costs some reading")


def test_the_platforms_own_are_kept_sources_and_strangers_left_and_the_rest_made() -> None:
    found = [
        replace(FEATURES, is_ours=True),
        replace(FITS, path="p.ml_models.my_notes", name=None),
        replace(FEATURES, path="p.crypto_trading_data.stocks_daily_clean", is_source=True, is_beside=True),
        replace(FEATURES, path="p.ml_old.walk_forward_features_v2", is_beside=True),
    ]
    proposals = propose(found, [("ml_models.backtest_trades", "p.ml_models.backtest_trades")])
    assert [(one.path, one.action) for one in proposals] == [
        ("p.crypto_trading_data.stocks_daily_clean", "leave"),
        ("p.ml_models.backtest_trades", "create"),
        ("p.ml_models.my_notes", "leave"),
        ("p.ml_models.walk_forward_features_v2", "keep"),
        ("p.ml_old.walk_forward_features_v2", "leave"),
    ]
    assert "60 of 70 rows repeat a bar and are left out when it is read" in proposals[0].reasons[1]


def test_a_source_that_cannot_be_read_is_left_and_says_why() -> None:
    source = replace(
        FEATURES, is_source=True, keys=None, partition="datetime, MONTH", problem="the column 'close' is gone"
    )
    [one] = propose([source], [])
    assert (one.action, one.reasons[1]) == ("leave", "it cannot be read as configured: the column 'close' is gone")


def test_a_shadow_stands_beside_the_dataset_under_a_name_of_its_own() -> None:
    assert shadow_dataset("ml_models") == "ml_models_tradehits"


def test_every_partition_of_the_contract_is_understood() -> None:
    schema = load_schema()
    found = {name: _wanted_partition(schema.table(name)) for name in schema.tables}
    assert found["ml_models.walk_forward_features_v2"] == "datetime, MONTH"
    assert found["ml_models.realtime_predictions"] == "datetime, DAY"
    assert found["ml_models.backtest_trades"] == "entry_date, MONTH"
    assert found["ml_models.deployment_log"] == ""
    assert all("(" not in text for text in found.values())
