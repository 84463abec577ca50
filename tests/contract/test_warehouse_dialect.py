"""GoogleSQL on the embedded engine: BigQuery's answers, or a refusal that names the construct."""

import math
from datetime import UTC, datetime

import pytest

from configs.settings import load_settings
from market.errors import NotReadOnlyError, QueryError, UnsupportedSqlError
from tests.contract.dialect_probes import PROBES
from warehouse.duckdb import DuckDBWarehouse


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("no-tables")
    settings = load_settings("test").warehouse
    return DuckDBWarehouse.scratch(settings, sql_folder=folder)


def _same(ours, theirs):
    if isinstance(theirs, float) and not isinstance(ours, float):
        return False
    if isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-12) or (math.isnan(ours) and math.isnan(theirs))
    if isinstance(theirs, int) and not isinstance(theirs, bool) and not isinstance(ours, int):
        return False
    return ours == theirs


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_the_engine_answers_as_bigquery_documents(engine, probe):
    if probe.refused:
        with pytest.raises(QueryError, match=probe.refused):
            engine.query(probe.sql)
        return
    table = engine.query(probe.sql)
    ours = [tuple(table.column(i)[row].as_py() for i in range(table.num_columns)) for row in range(table.num_rows)]
    assert len(ours) == len(probe.rows), ours
    for our_row, their_row in zip(ours, probe.rows, strict=True):
        assert len(our_row) == len(their_row)
        assert all(map(_same, our_row, their_row)), (our_row, their_row)


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("SELECT FARM_FINGERPRINT('a')", "FARM_FINGERPRINT"),
        ("SELECT NO_SUCH_FUNCTION(1)", "NO_SUCH_FUNCTION"),
        ("SELECT TO_JSON_STRING(STRUCT(1 AS a))", "JSON"),
        ("SELECT FORMAT_DATE('%Q', DATE '2024-01-01')", "%Q"),
        ("SELECT FORMAT_DATE(f, DATE '2024-01-01') FROM (SELECT '%Y' AS f)", "time format"),
        ("SELECT FORMAT('%t', 1)", "%t"),
        ("SELECT DATE '2024-01-02' - DATE '2024-01-01'", "INTERVAL"),
        ("SELECT 5 ^ 1", "BITWISEXOR"),
        ("SELECT [1][0]", "subscript"),
        ("SELECT * FROM UNNEST([1]) TABLESAMPLE SYSTEM (10 PERCENT)", "TABLESAMPLE"),
        ("SELECT CAST('2024' AS DATE FORMAT 'YYYY')", "FORMAT"),
        ("SELECT CAST('x' AS GEOGRAPHY)", "GEOGRAPHY"),
        ("SELECT SESSION_USER()", "SESSION_USER"),
        ("SELECT TIMESTAMP_TRUNC(TIMESTAMP '2024-01-01', ISOYEAR)", "ISOYEAR"),
        ("SELECT @@time_zone", "@@"),
        ("SELECT DATETIME_DIFF(DATETIME '2024-01-02', DATETIME '2024-01-01', DAY)", "DATETIMEDIFF"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(engine, sql, named):
    with pytest.raises(UnsupportedSqlError) as refusal:
        engine.query(sql)
    assert named in str(refusal.value)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE ml_models.deployment_log",
        "DELETE FROM ml_models.deployment_log WHERE TRUE",
        "INSERT INTO ml_models.deployment_log (deployment_id) VALUES ('x')",
        "UPDATE ml_models.deployment_log SET status = 'x' WHERE TRUE",
        "CREATE TABLE ml_models.t AS SELECT 1 AS a",
        "CREATE OR REPLACE VIEW ml_models.v AS SELECT 1 AS a",
        "MERGE ml_models.t USING ml_models.s ON TRUE WHEN MATCHED THEN DELETE",
        "TRUNCATE TABLE ml_models.t",
        "ALTER TABLE ml_models.t ADD COLUMN a INT64",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE ml_models.t",
        "ATTACH '/tmp/x.duckdb'",
        "PRAGMA database_list",
        "SET memory_limit = '1GB'",
        "COPY (SELECT 1) TO '/tmp/x.parquet'",
        "INSTALL httpfs",
        "EXPORT DATA OPTIONS (uri = 'gs://b/x') AS SELECT 1",
        "BEGIN TRANSACTION",
        "",
    ],
)
def test_only_one_select_is_let_in(engine, sql):
    with pytest.raises((NotReadOnlyError, QueryError)):
        engine.query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/tmp/x.parquet')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM `/etc/passwd`",
        "SELECT * FROM `/tmp/x.parquet`",
        "SELECT * FROM duckdb_settings()",
        "SELECT getenv('HOME')",
        "SELECT current_setting('memory_limit')",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('t')",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM googlesql.schema_state",
        "SELECT * FROM sqlite_master",
    ],
)
def test_files_settings_and_the_engines_own_tables_are_out_of_reach(engine, sql):
    with pytest.raises(QueryError):
        engine.query(sql)


def test_even_untranslated_sql_cannot_touch_a_file_outside_the_staging_folder(engine, tmp_path):
    outside = tmp_path / "secret.csv"
    outside.write_text("a\n1\n")
    with engine.read() as connection, pytest.raises(QueryError, match=r"(?i)permission"):
        connection.rows(f"SELECT * FROM read_csv('{outside}')")
    with engine.read() as connection, pytest.raises(QueryError, match=r"(?i)permission"):
        connection.rows(f"COPY (SELECT 1) TO '{tmp_path / 'out.csv'}'")
    with engine.read() as connection, pytest.raises(QueryError):
        connection.rows("SET enable_external_access = true")


def test_parameters_are_bound_and_never_spliced(engine):
    evil = "x'; DROP TABLE t; --"
    parameters = {"s": evil, "xs": ["a", evil], "n": 3, "at": datetime(2024, 1, 1, tzinfo=UTC)}
    sql = "SELECT @s AS s, @s IN UNNEST(@xs) AS known, @n + 1 AS n, DATE(@at) AS d, x FROM UNNEST(@xs) AS x ORDER BY x"
    first = engine.query(sql, parameters).to_pylist()[0]
    assert (first["s"], first["known"], first["n"], first["d"].isoformat(), first["x"]) == (
        evil,
        True,
        4,
        "2024-01-01",
        "a",
    )


def test_a_time_without_zone_is_no_parameter(engine):
    with pytest.raises(QueryError, match="@at"):
        engine.query("SELECT @at AS at", {"at": datetime(2024, 1, 1)})  # noqa: DTZ001


def test_a_missing_parameter_and_an_excess_one_are_errors(engine):
    with pytest.raises(QueryError):
        engine.query("SELECT @a AS a")
    with pytest.raises(QueryError):
        engine.query("SELECT 1 AS a", {"b": 1})


def test_columns_without_a_name_get_bigquerys_names(engine):
    table = engine.query("SELECT 1, x, x + 1, COUNT(*) OVER (), CAST(x AS STRING) FROM (SELECT 2 AS x)")
    assert table.column_names == ["f0_", "x", "f1_", "f2_", "f3_"]


def test_two_columns_of_one_name_are_refused(engine):
    with pytest.raises(QueryError, match="duplicate column names in the result: a"):
        engine.query("SELECT 1 AS a, 2 AS A")


def test_results_have_bigquerys_types(engine):
    table = engine.query(
        "SELECT 1 AS i, SUM(x) AS s, COUNT(*) AS n, 1.5 AS f, 'a' AS t, NULL AS u, TRUE AS b, DATE '2024-01-01' AS d, "
        "TIMESTAMP '2024-01-01 00:00:00+00' AS ts, [1] AS xs, CAST(1 AS NUMERIC) AS m FROM UNNEST([1]) AS x"
    )
    assert {field.name: str(field.type) for field in table.schema} == {
        "i": "int64",
        "s": "int64",
        "n": "int64",
        "f": "double",
        "t": "string",
        "u": "int64",
        "b": "bool",
        "d": "date32[day]",
        "ts": "timestamp[us, tz=UTC]",
        "xs": "list<l: int64>",
        "m": "decimal128(38, 9)",
    }
