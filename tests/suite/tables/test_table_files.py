"""Tables as people have them: each shape is read as it is meant, or refused in a sentence."""

from __future__ import annotations

import gzip
import os
import resource
import struct
from pathlib import Path
from typing import Any

import duckdb
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import SuiteError
from harness.suite.tables import SUFFIXES, TableError, TableOptions, open_table
from tests.properties import scale_examples

TEXT = [{"id": "1", "q": "Grüße"}, {"id": "2", "q": "b"}]
PLAIN = "id,q\n1,Grüße\n2,b\n"


def read(path: Path, **options: Any) -> tuple[list[Any], tuple[str, ...]]:
    """The rows of a table, and what was found out about the file."""
    table = open_table(path, TableOptions(**options))
    return [row.values for row in table.read_rows()], table.findings


@pytest.mark.parametrize(
    ("name", "content", "rows", "findings"),
    [
        ("t.csv", PLAIN, TEXT, []),
        ("t.CSV", PLAIN, TEXT, []),
        ("t.csv.gz", gzip.compress(PLAIN.encode(), mtime=0), TEXT, []),
        ("t.csv", "\ufeff" + PLAIN, TEXT, []),
        ("t.csv", PLAIN.replace("\n", "\r\n"), TEXT, []),
        ("t.csv", PLAIN.encode("utf-16"), TEXT, ["encoding utf-16"]),
        ("t.csv", PLAIN.encode("utf-16-le"), TEXT, ["encoding utf-16-le"]),
        ("t.csv", PLAIN.encode("utf-16-be"), TEXT, ["encoding utf-16-be"]),
        ("t.csv", PLAIN.replace(",", ";"), TEXT, ["delimiter ';'"]),
        ("t.csv", PLAIN.replace(",", "\t"), TEXT, ["delimiter 'tab'"]),
        ("t.csv", PLAIN.replace(",", "|"), TEXT, ["delimiter '|'"]),
        ("t.tsv", PLAIN.replace(",", "\t"), TEXT, []),
        ("t.csv", PLAIN.replace(",", ", "), TEXT, ["spaces next to delimiters are ignored"]),
        ("t.csv", PLAIN.replace(",", " | "), TEXT, ["delimiter '|'", "spaces next to delimiters are ignored"]),
        ("t.csv", PLAIN.replace("\n", ",\n"), TEXT, []),
        ("t.csv", "id,q\n1,Grüße,\n2,b,,\n", TEXT, []),
        ("t.csv", "id;q\n1;a, b\n2;c\n", [{"id": "1", "q": "a, b"}, {"id": "2", "q": "c"}], ["delimiter ';'"]),
        ("t.csv", "id,q\n1,a; b\n2,c;d;e\n", [{"id": "1", "q": "a; b"}, {"id": "2", "q": "c;d;e"}], []),
        ("t.csv", "q\na; b\nc\n", [{"q": "a; b"}, {"q": "c"}], []),
        ("t.csv", ",q\n0,a\n", [{"column_1": "0", "q": "a"}], ["the column without a name is called 'column_1'"]),
        ("t.csv", 'q\n"a ""b""\n=1+1"\n', [{"q": 'a "b"\n=1+1'}], []),
        ("t.csv", "", [], []),
        ("t.jsonl", '{"a": 1}\n\n{"b": [2]}', [{"a": 1}, {"b": [2]}], []),
        ("t.jsonl", '\ufeff{"a": 123456789012345678901234567890}', [{"a": 123456789012345678901234567890}], []),
        ("t.jsonl.gz", gzip.compress(b'{"a": 1}\n', mtime=0), [{"a": 1}], []),
        ("t.jsonl", '{"a": "é"}\n'.encode("utf-16"), [{"a": "é"}], ["encoding utf-16"]),
        ("t.json", '[{"a": 1},\n{"a": 2}]', [{"a": 1}, {"a": 2}], []),
        ("t.json", '{"version": 1, "data": [{"a": 1}]}', [{"a": 1}], ["rows under `data`"]),
        ("t.json", "[]", [], []),
        ("t.json.gz", gzip.compress(b'[{"a": 1}]', mtime=0), [{"a": 1}], []),
        ("t.yaml", "- {a: 012}\n- {a: no}\n", [{"a": "012"}, {"a": "no"}], []),
        ("t.yml", "rows:\n  - {a: 1}\n", [{"a": 1}], []),
    ],
)  # fmt: skip
def test_each_shape_is_read_as_it_is_meant(
    tmp_path: Path, name: str, content: str | bytes, rows: list[Any], findings: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert read(path) == (rows, tuple(findings))


def test_typed_tables_hold_plain_values(tmp_path: Path) -> None:
    path = tmp_path / "t[1]*.parquet"
    query = "SELECT 1 AS a, 1.50::DECIMAL(9,2) AS m, DATE '2024-01-02' AS d, 'NaN'::DOUBLE AS n, [1] AS l, {'x': NULL} AS s"
    duckdb.sql(f"COPY ({query}) TO '{tmp_path}/t.parquet'")
    (tmp_path / "t.parquet").rename(path)
    row = {"a": 1, "m": 1.5, "d": "2024-01-02", "n": None, "l": [1], "s": {"x": None}}
    assert read(path) == ([row], ())
    packed = tmp_path / "t.parquet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read(packed) == ([row], ())


def test_a_spreadsheet_s_first_row_names_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("empty")
        sheet = book.add_worksheet("data")
        for at, cells in enumerate([["id", "q", "x"], [1, "a", 1.5], [], [2, "=", True]]):
            for column, cell in enumerate(cells):
                sheet.write(at, column, cell) if cell != "=" else sheet.write_formula(
                    at, column, "=1+1", None, 2
                )
    rows, findings = read(path)
    assert rows == [{"id": 1, "q": "a", "x": 1.5}, {"id": 2, "q": 2, "x": True}]
    assert findings == ("sheet `data` of 2; select another with `sheet:`",)
    with pytest.raises(TableError, match="has no sheet `dat`; did you mean `data`"):
        read(path, sheet="dat")


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("t.csv", "id;Frage\n1;Müller heißt Jürgen\n".encode("cp1252"), {}, "is not UTF-8; it looks like cp1252: add `encoding: cp1252`"),
        ("t.jsonl", '{"a": "naïve café"}'.encode("latin-1"), {}, "not UTF-8; it looks like cp1252"),
        ("t.csv", PLAIN, {"encoding": "klingon"}, "unknown text encoding 'klingon'"),
        ("t.csv", PLAIN, {"encoding": "base64"}, "unknown text encoding 'base64'"),
        ("t.csv", PLAIN, {"encoding": "ascii"}, "is not ASCII after line"),
        ("t.csv", "a,a\n1,2\n", {}, "the column name 'a' is empty or not unique"),
        ("t.csv", ",".join(map(str, range(100_000))) + "\n", {}, "has 100,000 columns; the maximum is 16,384"),
        ("t.csv", 'a,b\n1,"x\n', {}, "not CSV"),
        ("t.csv", "a;b\n1;2;3\n", {}, "has 3 cells, but the first line has 2; quote cells that contain semicolons"),
        ("t.jsonl", "nope\n", {}, "not JSON"),
        ("t.json", '[{"a": 1},', {}, "not JSON"),
        ("t.json", "[" * 100_000, {}, "not JSON"),
        ("t.json", '{"a": [1], "b": [2]}', {}, "choose one with `records:` from `a`, `b`"),
        ("t.json", '{"a": [1], "b": [2]}', {"records": "c"}, "has no array under `c`; choose one"),
        ("t.json", "3", {}, "it contains no array of objects"),
        ("t.yaml", "- {a: 1}\n" * 500_000, {}, "has more than 4 MiB, the most for a YAML file of cases: a .jsonl file may have any size; convert it with `python -c"),
        ("t.yaml", "a: 1", {}, "a YAML file of cases must be a list"),
        ("t.yaml", "a: [", {}, "not YAML"),
        ("t.parquet", b"PAR1", {}, "not Parquet"),
        ("t.xlsx", b"PK\x03\x04", {}, "not a spreadsheet"),
        ("t.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)[:-9], {}, "cannot be read"),
        ("t.txt", "x", {}, "rows are in .csv, .tsv, .jsonl, .json, .yaml, .parquet or .xlsx files, not in .txt"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, str], said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    problem = ""
    try:
        for row in open_table(path, TableOptions(**options)).read_rows():
            problem = problem or row.problem
    except (TableError, SuiteError) as refused:
        problem = str(refused)
    assert said in problem


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "folder.csv").mkdir()
    for name in ("fifo.csv", "zero.csv", "folder.csv", "gone.csv"):
        with pytest.raises(TableError, match="not a regular file"):
            open_table(tmp_path / name)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.csv.gz", "t.json"])
def test_an_endless_line_takes_no_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with gzip.open(path, "wb", 1) if name.endswith(".gz") else path.open("wb") as file:
        file.write(b"a,b\n" if "csv" in name else b"")
        for _ in range(80 if name.endswith(".gz") else 1):
            file.write(b" " * 2**20)
    if not name.endswith(".gz"):
        os.truncate(path, 2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TableError, match=r"longer than 16 MiB|more than 64 MiB"):
        list(open_table(path).read_rows())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def pieces() -> st.SearchStrategy[bytes]:
    """Bytes that tables are made of, and bytes that they are not."""
    known = [b",", b";", b"\t", b"|", b'"', b"\n", b"\r\n", b"\0", b"=", b"{", b"}", b"[", b"]", b":", b"a", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1f\x8b", b"1", b"- ", b"PK\x03\x04", b"PAR1"]  # fmt: skip
    return st.lists(st.sampled_from(known) | st.binary(max_size=6), max_size=40).map(b"".join)


@settings(
    max_examples=scale_examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=pieces(), suffix=st.sampled_from([*SUFFIXES, *(f"{each}.gz" for each in SUFFIXES)]))
def test_any_bytes_are_a_table_or_an_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    try:
        table = open_table(path)
        for row in table.read_rows():
            assert row.line >= 1
            assert table.columns is None or row.problem or tuple(row.values) == table.columns
    except (TableError, SuiteError) as refused:
        assert str(refused)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz", "t.parquet.gz"])
def test_a_packed_file_of_many_short_lines_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("harness.suite.tables.text_input.MAX_UNPACKED", 2**20)
    path = tmp_path / name
    line = b"1" * 15 + b"\n"
    path.write_bytes(gzip.compress(line * 2**15))
    if name != "t.parquet.gz":
        assert sum(1 for _ in open_table(path).read_rows()) >= 2**15 - 1
    path.write_bytes(gzip.compress(line * (2**16 + 1)))
    with pytest.raises(TableError, match="holds more than 1 MiB"):
        sum(1 for _ in open_table(path).read_rows())


def test_a_packed_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(b"[" + b" " * (80 * 2**20), 1) + struct.pack("<I", 0))
    with pytest.raises(TableError, match="more than 64 MiB"):
        open_table(path)
