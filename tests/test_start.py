"""What is quick stays quick: the commands that plan nothing and report nothing import nothing
heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.errors import ExitCode
from tests.support import Command

ROOT = Path(__file__).parent.parent
HEAVY = {"pandas", "numpy", "scipy", "matplotlib", "duckdb", "uvicorn", "httpx", "uvloop"}


def imported(*words: str) -> set[str]:
    """The top-level modules that `harness WORDS` imports."""
    program = (
        "import sys; sys.argv = ['harness', *sys.argv[1:]]\n"
        "from harness.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "print('\\n'.join({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("--version",)])
def test_help_imports_neither_the_suite_language_nor_a_client(words: tuple[str, ...]) -> None:
    assert not imported(*words) & (HEAVY | {"jinja2", "yaml", "orjson", "jsonschema"})


@pytest.mark.parametrize("words", [("validate", "suites/quickstart.yaml"), ("list",), ("schema",)])
def test_checking_a_suite_imports_no_statistics(words: tuple[str, ...]) -> None:
    assert not imported(*words) & HEAVY


def test_checking_a_suite_imports_no_engine() -> None:
    assert not imported("validate", "suites/quickstart.yaml") & {"anyio", "jsonschema"}


def test_importing_the_package_imports_nothing_else() -> None:
    script = (
        "import sys; before = set(sys.modules); import harness; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {name.partition(".")[0] for name in done.stdout.split()} <= {
        "harness",
        *sys.stdlib_module_names,
    }


def test_the_schema_for_editors_is_the_languages() -> None:
    printed = Command(ROOT)("schema")
    committed = (ROOT / "suites" / "suite.schema.json").read_text("utf-8")
    assert printed.out == committed, "run: harness schema > suites/suite.schema.json"


@pytest.mark.parametrize(
    "suite",
    sorted(path.name for path in (ROOT / "suites").glob("*.yaml") if path.name != "targets.yaml"),
)
def test_every_shipped_suite_is_valid_and_its_reference_answers_pass(suite: str) -> None:
    ended = Command(ROOT)("validate", f"suites/{suite}", "--references")
    assert ended.code == ExitCode.OK, ended.err
    assert ended.out.endswith("ok\n")


def test_everything_public_is_there_and_seen_by_completion() -> None:
    public = ["HarnessError", "Overrides", "__version__", "load_run", "resume", "run"]
    assert dir(harness) == public
    assert all(getattr(harness, name) for name in dir(harness))
