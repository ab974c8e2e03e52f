"""The tests that docs/engine.md names as its proof are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "engine.md").read_text("utf-8")
SOURCES = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+)`", PAGE))))
def test_a_named_test_exists(name: str) -> None:
    assert f"def {name}(" in SOURCES


@pytest.mark.parametrize(
    ("file", "name"), sorted(set(re.findall(r"`(test_\w+)\.(test_\w+)`", PAGE)))
)
def test_a_named_fault_has_its_test(file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / "tests" / "faults" / f"{file}.py").read_text("utf-8")


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(tests/[\w/]+\.py)`", PAGE))))
def test_a_named_file_exists(path: str) -> None:
    assert (ROOT / path).is_file()
