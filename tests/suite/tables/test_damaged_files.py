"""Files that were damaged on their way: a table, or an error in a sentence, in little time and
memory."""

from __future__ import annotations

import gzip
import io
import random
import resource
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import xlsxwriter

from harness.app.prepare import load_checked_suite
from harness.errors import SuiteError, UsageError
from harness.suite.tables import TableError, open_table

ROWS = [("id", "question", "expected"), ("a", 'say "x", =1+1', "1"), ("b", "é ☃\n2", "02")]
SUITE = """
suite: damaged
prompts: ["{{ question }}"]
cases: [{file: %s, vars: {question: "{{ question }}"}, where: "{{ id != 'c' }}"}]
graders: [{equals: "{{ expected }}"}]
targets: scout-sim
"""
ODS = """<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>
<table:table table:name="s">%s</table:table></office:spreadsheet></office:body>
</office:document-content>"""


def _delimited(delimiter: str) -> str:
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in ROWS]
    return "\n".join(delimiter.join(row) for row in quoted) + "\n"


def _spreadsheet(folder: Path) -> bytes:
    memory = io.BytesIO()
    with xlsxwriter.Workbook(memory) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(ROWS):
            sheet.write_row(at, 0, row)
    return memory.getvalue()


def _open_document(folder: Path) -> bytes:
    cells = [
        "".join(
            '<table:table-cell office:value-type="string" table:number-columns-repeated="1">'
            f"<text:p>{cell}</text:p></table:table-cell>"
            for cell in row
        )
        for row in ROWS
    ]
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        rows = "".join(f"<table:table-row>{each}</table:table-row>" for each in cells)
        archive.writestr("content.xml", ODS % rows)
    return memory.getvalue()


def _parquet(folder: Path) -> bytes:
    duckdb.sql(
        "COPY (SELECT 'a' AS id, 'q' || i AS question, [i] AS more FROM range(50) t(i))"
        f" TO '{folder}/made.parquet'"
    )
    return (folder / "made.parquet").read_bytes()


WHOLE: dict[str, Callable[[Path], bytes]] = {
    "t.csv": lambda _: _delimited(",").encode(),
    "t.tsv": lambda _: _delimited("\t").encode("utf-16"),
    "t.jsonl": lambda _: (
        b'{"id": "a", "question": "q"}\n{"id": "b", "question": ["\\ud800", 1e400]}\n'
    ),
    "t.json": lambda _: b'{"n": 1, "rows": [{"id": "a", "question": {"x": null}}, {"id": 3}]}',
    "t.yaml": lambda _: b"- &a {id: a, question: q}\n- {<<: *a, id: 012}\n- {id: !!x y}\n",
    "t.xlsx": _spreadsheet,
    "t.ods": _open_document,
    "t.parquet": _parquet,
}


def damage(content: bytes, draw: random.Random) -> bytes:
    """The content with a few bytes changed, cut, doubled, or put elsewhere."""
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        at, other = (draw.randrange(len(damaged) + 1) for _ in range(2))
        length = draw.choice((1, 1, 2, 4, 30))
        match draw.randrange(6):
            case 0:
                damaged[at : at + length] = draw.randbytes(length)
            case 1:
                del damaged[at : at + length]
            case 2:
                damaged[at:at] = damaged[other : other + length] * draw.choice((1, 1, 100))
            case 3:
                damaged[at : at + 1] = draw.choice(
                    (b"\0", b'"', b"\n", b",", b"\xff", b"=", b"9" * 40)
                )
            case 4:
                damaged[at:] = b"" if draw.random() < 0.2 else damaged[at:]
            case _:
                damaged[at : at + 1] = (
                    bytes([damaged[at] ^ 1 << draw.randrange(8)]) if at < len(damaged) else b""
                )
    return bytes(damaged)


@pytest.mark.parametrize("name", [*WHOLE, *(f"{name}.gz" for name in WHOLE)])
def test_a_damaged_file_is_a_table_or_an_error(tmp_path: Path, full: bool, name: str) -> None:
    whole = WHOLE[name.removesuffix(".gz")](tmp_path)
    path, suite, draw = tmp_path / name, tmp_path / "suite.yaml", random.Random(name)
    suite.write_text(SUITE % name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(500 if full else 12):
        content = damage(whole, draw)
        if name.endswith(".gz"):
            content = gzip.compress(content) if number % 2 else damage(gzip.compress(whole), draw)
        path.write_bytes(content)
        started = time.process_time()
        try:
            for row in open_table(path).read_rows():
                assert row.line >= 1
        except (TableError, SuiteError) as refused:
            assert str(refused)
        if number % 4 == 0:
            try:
                load_checked_suite(suite)
            except UsageError as refused:
                assert str(refused).startswith(str(tmp_path))
        assert time.process_time() - started < 5, content
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


def test_a_parquet_file_whose_names_are_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(_parquet(tmp_path).replace(b"question", b"\xffuestion"))
    with pytest.raises(TableError, match="not Parquet"):
        open_table(path)
