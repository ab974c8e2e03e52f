"""`--env-file`: what a `.env` file may hold, and which line is wrong with one that may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.app.prepare import merge_environment, read_env_file
from harness.errors import UsageError

FILE = """\
# a comment

export PLAIN=a=b#c
QUOTED = "two words"
SINGLE='$HOME is not filled in'
EMPTY=
  INDENTED=${PLAIN}   # what it is for
COMMENTED='abc12345' # my key
ADDRESS=http://127.0.0.1:8000/v1 # where it is
FRAGMENT=http://host/v1#part
TABBED="a # b"\t# a tab before it
PLAIN=last
"""


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "keys.env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_what_a_file_holds(tmp_path: Path) -> None:
    assert read_env_file(written(tmp_path, FILE)) == {
        "PLAIN": "last",
        "QUOTED": "two words",
        "SINGLE": "$HOME is not filled in",
        "EMPTY": "",
        "INDENTED": "${PLAIN}",
        "COMMENTED": "abc12345",
        "ADDRESS": "http://127.0.0.1:8000/v1",
        "FRAGMENT": "http://host/v1#part",
        "TABBED": "a # b",
    }


def test_a_byte_order_mark_is_part_of_no_name(tmp_path: Path) -> None:
    assert read_env_file(written(tmp_path, b"\xef\xbb\xbfA=1\n")) == {"A": "1"}


def test_it_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTH", "outside")
    monkeypatch.setenv("OUTSIDE", "outside")
    merged = merge_environment(written(tmp_path, "BOTH=inside"))
    assert (merged["BOTH"], merged["OUTSIDE"]) == ("inside", "outside")


@pytest.mark.parametrize(
    ("content", "line"),
    [("A=1\n\n\nno assignment\n", 4), ("A\n", 1), ("A=1\n1B=2", 2), ('A="open\n', 1), ("=x", 1)],
)
def test_a_wrong_line_is_named_without_what_it_holds(
    tmp_path: Path, content: str, line: int
) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError) as caught:
        read_env_file(path)
    assert str(caught.value) == f"{path}:{line}: not a `NAME=value` line"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_env_file(tmp_path / "absent.env")
    with pytest.raises(UsageError, match="is not UTF-8 at byte 2; save it as UTF-8"):
        read_env_file(written(tmp_path, b"A=\xff"))
