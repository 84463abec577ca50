"""A corpus of damaged files: each ends with a named error that says where and what to do, and leaves nothing behind."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.settings import load_settings
from configs.sources import CsvOptions
from market.bars import BAR_SCHEMA
from market.errors import BadBarsError, SourceError
from warehouse.sources.base import open_source

NOW = datetime(2024, 3, 16, 12, tzinfo=UTC)
SETTINGS = load_settings("local")
LINES = [
    "Date,Open,High,Low,Close,Volume",
    "2024-03-11,10,11,9,10.5,1000",
    "2024-03-12,10,11,9,10.5,1000",
    "2024-03-13,10,11,9,10.5,1000",
    "2024-03-14,10,11,9,10.5,1000",
]
TEXT = "\n".join(LINES) + "\n"
KEYED = "asset_type,symbol,datetime,open,high,low,close,volume\n"


@dataclass(frozen=True)
class Damage:
    """One damaged input.

    Attributes:
        id: What is wrong.
        build: Writes it into a folder and returns the paths to read.
        words: All of them stand in the error.
        row: Where; None when the fault is about the whole file.
        column: Likewise.
        source: Which source reads it.
        options: Of the source.
    """

    id: str
    build: Callable[[Path], Any]
    words: tuple[str, ...]
    row: int | None = None
    column: str = ""
    source: str = "csv"
    options: dict[str, Any] = field(default_factory=dict)


def file(content: str | bytes, name: str = "AAPL.csv") -> Callable[[Path], list[Path]]:
    def build(folder: Path) -> list[Path]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [path]

    return build


def lines(changes: dict[int, str], name: str = "AAPL.csv") -> Callable[[Path], list[Path]]:
    """The sound file with some lines replaced; line numbers count from 1."""
    return file("\n".join(changes.get(i, line) for i, line in enumerate(LINES, 1)) + "\n", name)


def cell(row: int, position: int, text: str) -> Callable[[Path], list[Path]]:
    cells = LINES[row - 1].split(",")
    cells[position] = text
    return lines({row: ",".join(cells)})


def parquet_bars(**changes: Any) -> pl.DataFrame:
    days = [datetime(2024, 3, day, tzinfo=UTC) for day in (11, 12, 13)]
    sound = {"asset_type": "stocks", "symbol": "AAPL", "datetime": days, "volume": [1e3] * 3}
    prices = {"open": [10.0] * 3, "high": [11.0] * 3, "low": [9.0] * 3, "close": [10.5] * 3}
    return pl.DataFrame(sound | prices | changes)


def parquet(damage: Callable[[bytes], bytes] = bytes, **changes: Any) -> Callable[[Path], list[Path]]:
    def build(folder: Path) -> list[Path]:
        path = folder / "bars.parquet"
        parquet_bars(**changes).write_parquet(path)
        path.write_bytes(damage(path.read_bytes()))
        return [path]

    return build


def arrow(table: pa.Table) -> Callable[[Path], list[Path]]:
    def build(folder: Path) -> list[Path]:
        pq.write_table(table, folder / "bars.parquet")
        return [folder / "bars.parquet"]

    return build


def overturned(data: bytes) -> bytes:
    """Bytes of the first page are turned around."""
    return data[:10] + bytes(255 - byte for byte in data[10:60]) + data[60:]


def two_files(folder: Path) -> list[Path]:
    file(TEXT, "stocks/one/AAPL.csv")(folder)
    file(TEXT.replace("10.5", "10.6"), "stocks/two/aapl.csv")(folder)
    return [folder]


def million_rows(folder: Path) -> list[Path]:
    """400 symbols of 2,500 days; the price on line 999,001 has lost its point."""
    first = datetime(2017, 1, 1, tzinfo=UTC)
    days = pl.DataFrame({"datetime": [(first + timedelta(days=i)).strftime("%Y-%m-%d") for i in range(2500)]})
    symbols = pl.DataFrame({"symbol": [f"A{i:03}/USD" for i in range(400)]})
    bars = symbols.join(days, how="cross").with_columns(
        pl.lit("crypto").alias("asset_type"),
        *(pl.lit(value).alias(name) for name, value in zip(("open", "low"), "98", strict=True)),
        pl.when(pl.int_range(pl.len()) == 998_999).then(pl.lit("9 5")).otherwise(pl.lit("9.5")).alias("close"),
        pl.lit("10").alias("high"),
        pl.lit("1000").alias("volume"),
    )
    bars.select(list(BAR_SCHEMA)).write_csv(folder / "bars.csv")
    return [folder / "bars.csv"]


def unreadable(folder: Path) -> list[Path]:
    (path,) = file(TEXT)(folder)
    path.chmod(0)
    return [path]


CORPUS = [
    Damage("no file", lambda folder: [folder / "AAPL.csv"], ("does not exist",)),
    Damage("no bytes", file(b""), ("is empty (0 bytes)",)),
    Damage("header only", file(LINES[0] + "\n"), ("no rows",)),
    Damage("blank lines only", file("\n\n\n"), ("no delimiter",), row=1),
    Damage("fewer lines than are skipped", file(TEXT), ("ends before its table begins",), 5, options={"skip_lines": 9}),
    Damage("a folder without files", lambda folder: [folder], ("holds no .csv or .csv.gz or .txt file",)),
    Damage("a folder of other files", lambda folder: [file(TEXT, "AAPL.dat")(folder)[0].parent], ("holds no .csv",)),
    Damage("an unreadable file", unreadable, ("cannot be read", "Permission denied")),
    Damage("parquet called csv", parquet(), ("no text file but a parquet file", "--source parquet")),
    Damage("a spreadsheet called csv", file(b"PK\x03\x04" + b"x" * 99), ("a zip archive or a spreadsheet",)),
    Damage("a web page called csv", file("<!doctype html><p>Sign in"), ("no text file but a web page",)),
    Damage("binary", file(b"Date,Open\n\x00\x01\x02"), ("NUL byte",), row=2),
    Damage("truncated gzip", file(gzip.compress(TEXT.encode() * 9)[:-12]), ("damaged or cut-off gzip",)),
    Damage("gzip of rubbish", file(b"\x1f\x8b" + b"rubbish" * 9), ("damaged or cut-off gzip",)),
    Damage("gzip with a wrong checksum", file(gzip.compress(TEXT.encode())[:-8] + b"\0" * 8), ("damaged or cut-off",)),
    Damage(
        "wrong delimiter", file(TEXT), ("'datetime': the column is missing",), 1, "datetime", options={"delimiter": ";"}
    ),
    Damage("a delimiter nobody knows", file(TEXT.replace(",", "~")), ("no delimiter among comma",), row=1),
    Damage(
        "a letter in a number",
        lines({3: LINES[2].replace("1000", "1000é")}, "AAPL.csv"),
        ("'1000é' is no number",),
        3,
        "Volume",
    ),
    Damage(
        "latin-1 bytes",
        file(TEXT.replace("1000\n2024-03-13", "1é\n2024-03-13").encode("latin-1")),
        ("byte 86 (0xe9) is no utf-8 text", "encoding: latin-1"),
        row=3,
    ),
    Damage("half a character at the end", file(TEXT.encode() + b"\xc3"), ("byte 148 (0xc3)",), row=6),
    Damage("UTF-16", file(TEXT.encode("utf-16")), ("utf-16 text, not UTF-8", "encoding: utf-16"), row=1),
    Damage("UTF-16 without a mark", file(TEXT.encode("utf-16-le")), ("NUL byte",), row=1),
    Damage(
        "another encoding than named", file(TEXT + "é"), ("no delimiter",), row=1, options={"encoding": "utf-16-le"}
    ),
    Damage(
        "a renamed column", lines({1: LINES[0].replace("High", "Hi")}), ("the column is missing", "'Hi'"), 1, "high"
    ),
    Damage("a missing column", file("\n".join(line.rsplit(",", 1)[0] for line in LINES)), ("missing",), 1, "volume"),
    Damage("a header twice", lines({1: LINES[0].replace("Low", "High")}), ("the column is there twice",), 1, "High"),
    Damage("two columns for one", lines({1: "Date,Open,High,Low,Close,Last"}), ("is missing",), 1, "volume"),
    Damage("no header line", file("\n".join(LINES[1:])), ("no delimiter", "name its columns in `header`"), row=1),
    Damage("a line with more cells", lines({4: LINES[3] + ",7"}), ("7 cells, but the header has 6",), row=4),
    Damage("the first line with more cells", lines({2: LINES[1] + ",7"}), ("7 cells, but the header has 6",), row=2),
    Damage("a line with fewer cells", lines({4: "2024-03-13,10,11"}), ("low is NULL",), 4, "low"),
    Damage("cut off in the last line", file(TEXT[:-18]), ("open is NULL",), 5, "open"),
    Damage("a quotation mark never closed", lines({3: '"2024-03-12,10,11,9,10.5,1000'}), ("never closed",)),
    Damage("text in a price", cell(4, 3, "n/a"), ("'n/a' is no number",), 4, "Low"),
    Damage("a currency in a price", cell(3, 1, "$10"), ("'$10' is no number", "currency"), 3, "Open"),
    Damage("thousands separators", cell(3, 5, '"1,000"'), ("'1,000' is no number", "grouping"), 3, "Volume"),
    Damage("thousands separators unquoted", cell(3, 5, "1,000"), ("7 cells, but the header has 6",), row=3),
    Damage(
        "decimal commas",
        lambda folder: file(TEXT.replace(",", ";").replace(".", ","))(folder),
        ("'10,5' is no number (4 rows like this)", "decimal_comma"),
        2,
        "Close",
    ),
    Damage("NaN", cell(3, 4, "NaN"), ("close is nan",), 3, "close"),
    Damage("infinity", cell(3, 2, "inf"), ("high is inf",), 3, "high"),
    Damage("an empty price", cell(5, 4, ""), ("close is NULL",), 5, "close"),
    Damage("a negative price", cell(5, 3, "-9"), ("low is -9.0, not positive",), 5, "low"),
    Damage("a negative volume", cell(2, 5, "-1"), ("volume is -1.0, negative",), 2, "volume"),
    Damage("high below low", cell(4, 2, "8"), ("high 8.0 is below low 9.0",), 4, "high"),
    Damage("an empty date", cell(3, 0, ""), ("datetime is NULL",), 3, "datetime"),
    Damage(
        "no dates at all",
        file(TEXT.replace("2024-03-1", " ").replace(" 1,", ",").replace(" 2,", ",")),
        ("reads in one way only",),
        4,
        "Date",
    ),
    Damage(
        "a date that is none",
        cell(3, 0, "2024-02-30"),
        ("'2024-02-30' cannot be read like the file's first",),
        3,
        "Date",
    ),
    Damage(
        "ambiguous dates",
        file(TEXT.replace("2024-03-", "03/").replace(",10,11", "/2024,10,11")),
        ("'03/11/2024' is no date or time that reads in one way only", "datetime_format"),
        2,
        "Date",
    ),
    Damage(
        "naive times", file(TEXT.replace(",10,11", " 00:00:00,10,11")), ("has no time zone", "time_zone"), 2, "Date"
    ),
    Damage(
        "mixed zones",
        lines(
            {
                2: "2024-03-11T00:00:00Z,10,11,9,10.5,1000",
                4: "2024-03-13T00:00:00,10,11,9,10.5,1000",
                3: "2024-03-12T00:00:00Z,10,11,9,10.5,1000",
                5: "2024-03-14T00:00:00Z,10,11,9,10.5,1000",
            }
        ),
        ("cannot be read like the file's first: times with a zone",),
        4,
        "Date",
    ),
    Damage(
        "dates and times mixed",
        cell(4, 0, "2024-03-13 00:00:00"),
        ("cannot be read like", "dates like 2024-03-11"),
        4,
        "Date",
    ),
    Damage(
        "seconds and milliseconds mixed",
        file("\n".join([LINES[0], "1710115200,10,11,9,10.5,1", "1710201600000,10,11,9,10.5,1"])),
        ("cannot be read like", "numbers of s since 1970"),
        3,
        "Date",
    ),
    Damage("a number that is no epoch", file("\n".join([LINES[0], "45362,10,11,9,10.5,1"])), ("'45362'",), 2, "Date"),
    Damage(
        "a time of day on a daily bar",
        file(TEXT.replace(",10,11", "T16:00:00Z,10,11")),
        ("is not 00:00 UTC",),
        2,
        "datetime",
    ),
    Damage(
        "a hole of the clocks",
        file(f"{LINES[0]}\n2024-03-10 02:30:00,10,11,9,10.5,1\n"),
        ("clocks skip",),
        2,
        "Date",
        options={"time_zone": "America/New_York"},
    ),
    Damage("future stamps", cell(5, 0, "2034-03-14"), ("was not closed and published by",), 5, "datetime"),
    Damage("before 1900", cell(2, 0, "1024-03-11"), ("lies before 1900",), 2, "datetime"),
    Damage("a weekend", cell(5, 0, "2024-03-16"), ("2024-03-16",), 5, "datetime"),
    Damage("unordered rows", lines({2: LINES[2], 3: LINES[1]}), ("comes after",), 3, "datetime"),
    Damage("a row twice", lines({4: LINES[2]}), ("the same symbol and stamp as row 3",), 4, "datetime"),
    Damage(
        "a row twice with another price", lines({4: LINES[2].replace("10.5", "10.7")}), ("as row 3",), 4, "datetime"
    ),
    Damage("a key in two files", two_files, ("is also in", "one/AAPL.csv, row 2 (4 such rows)"), 2, "datetime"),
    Damage(
        "an unknown class",
        file(KEYED + "bonds,AAPL,2024-03-11,10,11,9,10,1\n"),
        ("unknown asset class 'bonds'",),
        2,
        "asset_type",
    ),
    Damage("an empty class", file(KEYED + ",AAPL,2024-03-11,10,11,9,10,1\n"), ("asset_type is NULL",), 2, "asset_type"),
    Damage("an empty symbol", file(KEYED + "stocks,,2024-03-11,10,11,9,10,1\n"), ("symbol is NULL",), 2, "symbol"),
    Damage(
        "a symbol that is none", file(KEYED + "stocks,$$$,2024-03-11,10,11,9,10,1\n"), ("is no ticker",), 2, "symbol"
    ),
    Damage("a coin without a quote", file(KEYED + "crypto,BTC,2024-03-11,10,11,9,10,1\n"), ("no quote",), 2, "symbol"),
    Damage("a file's name that is no symbol", file(TEXT, "export.csv"), ("nothing says the symbol",), None, "symbol"),
    Damage("a million rows, one bad", million_rows, ("'9 5' is no number",), 999_001, "close"),
    Damage("text called parquet", file(TEXT, "bars.parquet"), ("is no parquet file", "--source csv"), source="parquet"),
    Damage("truncated parquet", parquet(lambda data: data[:-20]), ("is cut off",), source="parquet"),
    Damage("parquet with damaged pages", parquet(overturned), ("is damaged or unreadable",), source="parquet"),
    Damage("an empty folder of parquet", lambda folder: [folder], ("holds no .parquet",), source="parquet"),
    Damage("parquet without rows", arrow(parquet_bars().clear().to_arrow()), ("no rows",), source="parquet"),
    Damage(
        "parquet without a column", arrow(parquet_bars().drop("low").to_arrow()), ("missing",), None, "low", "parquet"
    ),
    Damage(
        "parquet with naive times",
        parquet(datetime=[datetime(2024, 3, d) for d in (11, 12, 13)]),  # noqa: DTZ001
        ("the time zone is missing",),
        None,
        "datetime",
        "parquet",
    ),
    Damage("parquet with text prices", parquet(open=["10", "11", "x"]), ("is not usable",), None, "open", "parquet"),
    Damage(
        "parquet with nulls in keys",
        parquet(symbol=["AAPL", None, "AAPL"]),
        ("symbol is NULL",),
        2,
        "symbol",
        "parquet",
    ),
    Damage("parquet with NaN", parquet(close=[10.5, float("nan"), 10.5]), ("close is nan",), 2, "close", "parquet"),
]


@pytest.mark.parametrize("damage", CORPUS, ids=lambda damage: damage.id.replace(" ", "-"))
def test_a_damaged_input_ends_with_a_named_error_and_leaves_nothing(damage, tmp_path, monkeypatch):
    if damage.build is unreadable and os.geteuid() == 0:
        pytest.skip("root may read every file")
    folder, temporary = tmp_path / "data", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    paths = damage.build(folder)
    options = CsvOptions(**damage.options) if damage.source == "csv" else None
    with pytest.raises(SourceError) as caught:
        open_source(damage.source, paths=paths, options=options, asset_type="stocks", settings=SETTINGS, now=NOW).read()
    error = caught.value
    for word in damage.words:
        assert word in str(error)
    assert str(folder) in error.message
    assert error.remedy
    found = (error.row, error.column) if isinstance(error, BadBarsError) else (None, "")
    assert found == (damage.row, damage.column)
    assert list(temporary.iterdir()) == []
    assert not Path(os.environ["TRADEHITS_HOME"]).exists()


def test_the_sound_files_behind_the_corpus_are_read(tmp_path):
    source = open_source("csv", paths=file(TEXT)(tmp_path), asset_type="stocks", settings=SETTINGS, now=NOW)
    assert source.read().height == 4
    assert open_source("parquet", paths=parquet()(tmp_path), settings=SETTINGS, now=NOW).read().height == 3


def test_the_corpus_is_as_large_as_it_claims():
    assert len(CORPUS) >= 75
    assert len({damage.id for damage in CORPUS}) == len(CORPUS)
