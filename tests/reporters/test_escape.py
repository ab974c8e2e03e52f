"""One escape a sink: what must not survive, and what must."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.reporters.escape import (
    CELL_LIMIT,
    Sink,
    escape_for,
    fence_code,
    make_visible,
    one_line,
)

TEXTS = st.text(st.characters(codec=None))
SINKS: tuple[Sink, ...] = ("html", "terminal", "csv", "xml", "markdown", "plot")


@given(TEXTS, st.sampled_from(SINKS))
def test_no_control_and_no_invalid_unicode_survives_anywhere(text: str, sink: Sink) -> None:
    escaped = escape_for(sink)(text)
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", escaped
    )
    assert escaped.encode().decode() == escaped


@pytest.mark.parametrize("sink", SINKS)
def test_ordinary_text_is_left_alone(sink: Sink) -> None:
    text = "Die Antwort ist 42, naïve café, 日本語 and 👩‍🚀 too."
    assert escape_for(sink)(text) == text


def test_controls_are_shown_and_not_dropped() -> None:
    assert make_visible("a\x1b[2Jb\x07c\rd") == "a␛[2Jb␇c␍d"
    assert make_visible("\u202eevil\u2028") == "⟨U+202E⟩evil⟨U+2028⟩"
    assert make_visible("two\r\nlines\tand a tab") == "two\nlines\tand a tab"


@pytest.mark.parametrize(
    "sequence", ["\x1b]52;c;aGk=\x07", "\x1b]8;;http://x\x1b\\", "\x1b[2J", "\x9b31m"]
)
def test_terminal_sequences_are_harmless_however_they_are_cut(sequence: str) -> None:
    """X04: also when a stream splits them between two pieces."""
    safe = escape_for("terminal")
    for cut in range(len(sequence) + 1):
        assert not re.search("[\x1b\x07\x9b]", safe(sequence[:cut]) + safe(sequence[cut:]))


@pytest.mark.parametrize(
    "command",
    [
        "::error::x",
        " ::error file=a.py::x",
        "##vso[task.setvariable]x",
        "##[error]x",
        "a\n::add-mask::x",
    ],
)
@pytest.mark.parametrize("sink", ["terminal", "markdown"])
def test_ci_commands_are_broken(command: str, sink: Sink) -> None:
    """X05: GitHub reads `::command` at a line's start, Azure `##vso[` anywhere in it."""
    for line in escape_for(sink)(command).splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "##vso[" not in line


def test_two_colons_in_ordinary_code_stay() -> None:
    assert escape_for("terminal")("std::vector::begin and a::b") == "std::vector::begin and a::b"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        *(
            f"{invisible}=1+1"
            for invisible in "\u00ad\u034f\u115f\u3164\u180e\u200c\u202a\u2064\u2800\u3000\ufe0f\uffa0\ufeff\U000e0020"
        ),
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "\u200b=1",
        "\ufeff=1",
        "＝1",
        "\x00=1",
        "%00=",
        "|calc",
    ],
)
def test_formulas_are_text_in_a_spreadsheet(text: str) -> None:
    """X02."""
    escaped = escape_for("csv")(text)
    assert escaped.startswith("'")


def test_a_cell_longer_than_a_spreadsheet_takes_is_cut_and_says_so() -> None:
    escaped = escape_for("csv")("=" + "x" * 40_000)
    assert len(escaped) <= CELL_LIMIT
    assert escaped.endswith("… [40,001 characters]")


@given(TEXTS)
def test_xml_holds_any_text(text: str) -> None:
    """X06."""
    element = ElementTree.Element("a", b=escape_for("xml")(text))
    element.text = escape_for("xml")(text)
    assert ElementTree.fromstring(ElementTree.tostring(element)).tag == "a"


@given(TEXTS)
def test_markdown_stays_in_its_table_cell(text: str) -> None:
    escaped = escape_for("markdown")(text)
    assert not re.search(r"[\n|<>]|@\w|https?:/|(?<!\\)[`*\[\]]", escaped)


@given(st.text("`a\n", max_size=40))
def test_a_fence_is_longer_than_any_inside(text: str) -> None:
    first, *body, last = fence_code(text).split("\n")
    assert first == f"{last}text"
    assert all(last not in line for line in body)


@given(TEXTS, st.integers(2, 80))
def test_one_line_is_one_line_and_short(text: str, limit: int) -> None:
    assert len(one_line(text, limit)) <= limit
    assert "\n" not in one_line(text, limit)
