"""In a console, Markdown, CSV, JUnit and the summary, text that anyone could choose stays text."""

from __future__ import annotations

import csv as csv_reader
import json
import re
from collections.abc import Callable
from io import StringIO
from xml.etree import ElementTree

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.analysis.report_data import Report
from harness.reporters import console, csv, junit, markdown, summary
from tests.properties import scale_examples

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
PIECES = (
    *(
        "::error::x",
        "##vso[task.complete]",
        "[bold red]x[/]",
        "\x1b[2J",
        "a|b\n|c",
        "```\n::error::",
    ),
    *("]]>", "=1+1", "@x", "+1", "-1", "\t=1", "NA", "001", "1e5"),
)


@settings(max_examples=scale_examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(text=st.text(st.characters(codec=None), max_size=60) | st.sampled_from(PIECES))
@example(text="::error::x")
@example(text="##vso[task.complete]\n```\n::error::")
@example(text="a|b\n|c\x1b[2J]]>")
@example(text="\t=1")
def test_hostile_text_is_shown_and_obeyed_by_nothing(
    hostile: Callable[[str], Report], text: str
) -> None:
    report = hostile(text)
    assert_no_command(console.render_console(report))
    assert_columns(markdown.render_markdown(report))
    assert_no_formula(b"".join(csv.render_csv(report)), len(report.frames.trials.columns))
    assert ElementTree.fromstring(junit.render_junit(report)).tag == "testsuites"
    assert json.loads(summary.render_summary(report))["schema"] == 1


def assert_no_command(shown: str) -> None:
    """Nothing a terminal or a CI service acts upon."""
    assert not CONTROLS.search(shown)
    assert shown.encode()
    for line in shown.splitlines():
        assert not line.lstrip().startswith("::")
        assert "##vso[" not in line


def assert_columns(shown: str) -> None:
    """Tables of Markdown keep theirs."""
    assert not CONTROLS.search(shown)
    blocks = re.findall(
        r"(?:^\|.*\|$\n?)+",
        re.sub(r"^(`{3,})text$.*?^\1$", "", shown, flags=re.MULTILINE | re.DOTALL),
        re.MULTILINE,
    )
    assert blocks
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())


def assert_no_formula(table: bytes, columns: int) -> None:
    """No cell that a spreadsheet would compute."""
    for row in csv_reader.reader(StringIO(table.decode(), newline="")):
        assert len(row) == columns
        assert not any(
            re.match(r"[\s\u200b\ufeff]*[=+\-@]", cell)
            for cell in row
            if not re.fullmatch(r"-?[\d.e-]+", cell)
        )
