"""Small workspaces on disk, and what loading them says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import SuiteError
from harness.suite import Overrides, Suite, load_suite

Write = Callable[..., Path]

SMALL = """\
suite: small
prompts:
  - user: "{{ question }}"
cases:
  - {id: one, vars: {question: "1 + 1"}, expected: "2", tags: [easy]}
  - {id: two, vars: {question: "2 + 2"}, expected: "4", tags: [easy, even]}
  - {id: three, vars: {question: "3 * 17"}, expected: "51", tags: [hard]}
graders:
  - equals: "{{ expected }}"
targets: scout-sim
"""


@pytest.fixture
def small() -> str:
    """A suite of three cases, to be changed."""
    return SMALL


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below a fresh workspace (which holds `suites/`) and returns its path."""
    (tmp_path / "suites").mkdir()

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def suite(write: Write) -> Callable[..., Suite]:
    """Loads a suite given as text, with the command line's overrides as keywords."""

    def suite(text: str = SMALL, **overrides: Any) -> Suite:
        return load_suite(write("suites/suite.yaml", text), Overrides(**overrides))

    return suite


@pytest.fixture
def problems(write: Write) -> Callable[..., list[str]]:
    """What is wrong with a suite given as text, each as `line:column: message`."""

    def problems(text: str, **overrides: Any) -> list[str]:
        path = write("suites/suite.yaml", text)
        with pytest.raises(SuiteError) as caught:
            load_suite(path, Overrides(**overrides))
        return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]

    return problems
