"""The schema comes from the same files on every engine, and stored rows are never lost to a changed file."""

import pytest

from market.errors import SchemaError
from tests.contract.warehouse_engines import KEPT_ENGINES, TABLES, bars, open_engine, stored
from warehouse.warehouse import Write

ROW = ("stocks", "A", 1, 1.0)


@pytest.fixture(params=KEPT_ENGINES)
def reopened(request, tmp_path):
    """Opens the same tables again and again, first with the files as they are, then with what the test wrote."""

    def reopen(**files):
        engine = open_engine(request.param, request, tmp_path)  # writes the suite's files
        for name, text in files.items():
            kind, _, dataset, table = name.split("__")
            (tmp_path / "sql" / kind / f"{dataset}.{table}.sql").write_text(text)
        return type(engine)(**_arguments(engine, tmp_path)) if files else engine

    return reopen


def _arguments(engine, folder):
    own = {"settings": engine._settings, "staging": folder / "staging", "sql_folder": folder / "sql"}
    return own | ({"file": engine._file} if hasattr(engine, "_file") else {})


def test_bringing_the_schema_up_again_changes_nothing(reopened):
    warehouse = reopened()
    warehouse.write([Write("ml_models.bars", rows=bars(ROW))])
    before = warehouse.statistics()
    for engine in (warehouse, reopened()):
        engine.ensure_schema()
    assert warehouse.statistics() == before
    assert stored(reopened()) == [ROW]


def test_a_changed_view_is_refreshed_under_the_views_that_read_it(reopened):
    reopened().ensure_schema()
    text = "-- Grain: one row.\nSELECT 'X' AS symbol, TIMESTAMP '2024-01-01 00:00:00+00' AS newest"
    changed = reopened(views__of__ml_models__b_newest=text)
    changed.ensure_schema()
    assert changed.query("SELECT symbol FROM ml_models.a_reads_b").to_pylist() == [{"symbol": "X"}]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("flag INT64", "flag STRING", r"column 'flag' is INT64 in the warehouse \(1 rows\), STRING in its file"),
        ("flag INT64,", "", "column 'flag' is INT64 .* missing in its file"),
        ("flag INT64", "flags INT64 NOT NULL", "column 'flag' is INT64 .* missing in its file"),
        ("is_warm BOOL", "is_warm BOOL, open FLOAT64 NOT NULL", "column 'open' is missing in the warehouse"),
        ("flag INT64", "flag INT64 NOT NULL", "column 'flag' is INT64 .* INT64 NOT NULL in its file"),
    ],
    ids=["other type", "gone", "renamed", "new and required", "required"],
)
def test_a_table_that_holds_rows_and_drifted_is_refused_by_its_column_and_stays(reopened, old, new, message):
    reopened().write([Write("ml_models.bars", rows=bars(ROW))])
    changed = reopened(tables__of__ml_models__bars=TABLES["ml_models.bars"].replace(old, new))
    with pytest.raises(SchemaError, match=message):
        changed.write([Write("tradehits.counters", rows=None, sql="SELECT 'a' AS name, 1 AS value")])
    assert stored(reopened()) == [ROW]
    assert reopened().query("SELECT COUNT(*) AS n FROM tradehits.counters").to_pylist() == [{"n": 0}]


def test_a_new_nullable_column_is_added_to_stored_rows(reopened):
    reopened().write([Write("ml_models.bars", rows=bars(ROW))])
    text = TABLES["ml_models.bars"].replace("is_warm BOOL", "is_warm BOOL, note STRING")
    changed = reopened(tables__of__ml_models__bars=text)
    changed.ensure_schema()
    assert changed.query("SELECT symbol, note FROM ml_models.bars").to_pylist() == [{"symbol": "A", "note": None}]


def test_an_empty_table_follows_its_file(reopened):
    reopened().ensure_schema()
    changed = reopened(tables__of__ml_models__bars=TABLES["ml_models.bars"].replace("flag INT64", "flag STRING"))
    changed.ensure_schema()
    assert changed.query("SELECT flag FROM ml_models.bars").schema.field("flag").type == "string"


def test_views_in_a_circle_are_named(reopened):
    circular = reopened(views__of__ml_models__b_newest="SELECT * FROM ml_models.a_reads_b")
    with pytest.raises(SchemaError, match=r"ml_models\.a_reads_b, ml_models\.b_newest"):
        circular.ensure_schema()


def test_a_view_that_does_not_bind_is_named_and_the_others_stay(reopened):
    reopened().ensure_schema()
    broken = reopened(views__of__ml_models__c="SELECT no_such_column FROM ml_models.bars")
    with pytest.raises(SchemaError, match=r"view ml_models\.c"):
        broken.ensure_schema()
    assert broken.query("SELECT COUNT(*) AS n FROM ml_models.a_reads_b").to_pylist() == [{"n": 0}]
