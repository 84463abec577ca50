"""GoogleSQL on the embedded engine: BigQuery's answers, or a refusal that names the construct."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from configs.settings import load_settings
from market.errors import NotReadOnlyError, QueryError
from warehouse.dialect.emulator import DEVIATIONS
from warehouse.dialect.probe import Probe
from warehouse.dialect.probes import PROBES
from warehouse.dialect.probes_tables import probe_writes, write_probe_schema
from warehouse.dialect.probing import ProbedEngine, ask
from warehouse.duckdb import DuckDBWarehouse


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("no-tables")
    settings = load_settings("test").warehouse
    return DuckDBWarehouse.scratch(settings, sql_folder=folder)


@pytest.fixture(scope="module")
def probed(tmp_path_factory):
    folder = write_probe_schema(tmp_path_factory.mktemp("probe-table"))
    warehouse = DuckDBWarehouse.scratch(load_settings("test").warehouse, sql_folder=folder)
    warehouse.ensure_schema()
    for writes in probe_writes():
        warehouse.write(writes)
    return ProbedEngine(warehouse, warehouse, is_embedded=True)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_the_engine_answers_as_bigquery_documents_or_refuses_by_name(probed, probe):
    result = ask(probed, probe)
    assert result.status == "passed", (result.expected, result.got)


def test_every_known_deviation_names_a_probe():
    assert set(DEVIATIONS) <= {probe.name for probe in PROBES}


def test_every_probe_names_the_section_that_states_its_answer_and_has_a_name_of_its_own():
    assert all(probe.source and probe.topic and (probe.rows or probe.refused or probe.unsupported) for probe in PROBES)
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    answered = [probe for probe in PROBES if probe.rows and not probe.unsupported]
    assert len(answered) >= 70


@pytest.mark.parametrize(
    "construct",
    [
        *("/ (SELECT 0)", "CAST(2.5 AS INT64)", "0.1 + 0.2", "DATE_ADD", "TIMESTAMP_DIFF", "DAYOFWEEK", "ISOWEEK"),
        *("OFFSET(", "ORDINAL(", "NULLS LAST", "CAST('nan'", "STRUCT(", "LIMIT 2)", "QUALIFY", "PIVOT"),
        "GENERATE_DATE_ARRAY",
        *("APPROX_QUANTILES", "SAFE_DIVIDE", "SAFE.", "FORMAT(", "REGEXP_", "INFORMATION_SCHEMA", "__TABLES__"),
        *("@n", "MERGE"),
    ],
)  # fmt: skip
def test_the_suite_covers(construct):
    assert any(construct in f"{probe.sql} {probe.name}" for probe in PROBES)


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


@pytest.mark.parametrize(
    ("sql", "rows", "refused", "status"),
    [
        ("SELECT 1", ((1,),), "", "passed"),
        ("SELECT 1", ((1.0,),), "", "failed"),
        ("SELECT 1", ((True,),), "", "failed"),
        ("SELECT 1", ((1,), (1,)), "", "failed"),
        ("SELECT 1", ((1, 2),), "", "failed"),
        ("SELECT [1, 2]", (([1, 2],),), "", "passed"),
        ("SELECT [1, 2]", (([1.0, 2.0],),), "", "failed"),
        ("SELECT 1", (), "division by zero", "failed"),
        ("SELECT LN(0)", (), "division by zero", "failed"),
        ("SELECT LN(0)", ((0.0,),), "", "failed"),
    ],
)
def test_a_probe_that_is_answered_otherwise_fails(probed, sql, rows, refused, status):
    assert ask(probed, Probe("a", "b", sql, rows, refused)).status == status


def test_a_known_deviation_of_an_emulator_is_listed_with_its_reason_and_never_hides_another_probe(probed):
    emulator = replace(probed, deviations={"known": "it rounds otherwise"})
    result = ask(emulator, Probe("known", "b", "SELECT 1", ((2,),)))
    assert (result.status, result.note, result.got) == ("deviates", "it rounds otherwise", "1")
    assert ask(emulator, Probe("other", "b", "SELECT 1", ((2,),))).status == "failed"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT x * 1e308 AS y FROM UNNEST([1.0, 1e10]) AS x",
        "SELECT SUM(x) FROM UNNEST([1e308, 1e308]) AS x",
        "SELECT -1e308 * x FROM UNNEST([1e10]) AS x",
    ],
)
def test_a_number_beyond_float64_is_an_error_and_no_infinity(engine, sql):
    with pytest.raises(QueryError, match="overflow"):
        engine.query(sql)


def test_an_infinity_that_was_asked_for_is_no_overflow(engine):
    assert engine.query("SELECT @x AS x", {"x": float("inf")}).to_pylist() == [{"x": float("inf")}]
    assert engine.query("SELECT IEEE_DIVIDE(1, 0) AS x").to_pylist() == [{"x": float("inf")}]
