"""reports/example has the structure of what the code writes today; `make example` rebuilds it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.errors import ExitCode
from tests.support import Command

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "reports" / "example"
REBUILD = "reports/example is stale: run make example, and commit what it writes"


def key_paths(value: Any, path: str = "") -> Iterator[str]:
    """The paths of every key in a JSON value; items of a list share one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key}"
            yield from key_paths(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from key_paths(inner, f"{path}[]")


def json_structure(path: Path) -> Any:
    return sorted(set(key_paths(json.loads(path.read_text("utf-8")))))


def headings(path: Path) -> Any:
    return re.findall(r"<h[1-3][^>]*>[^<]*|^#+ .*$", path.read_text("utf-8"), re.MULTILINE)


def csv_header(path: Path) -> Any:
    return path.read_text("utf-8").splitlines()[0]


def xml_structure(path: Path) -> Any:
    return sorted({(element.tag, *element.attrib) for element in ElementTree.parse(path).iter()})


def files(folder: Path) -> set[str]:
    """What a run folder holds, without the lock of its writer."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {
        "lock"
    }


STRUCTURES: dict[str, Callable[[Path], Any]] = {
    "report.html": headings,
    "report.md": headings,
    "results.csv": csv_header,
    "summary.json": json_structure,
    "junit.xml": xml_structure,
}


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's report, made again from its records."""
    folder = tmp_path_factory.mktemp("example") / "example"
    shutil.copytree(EXAMPLE, folder)
    for name in files(folder) - {"manifest.json", "records.jsonl"}:
        (folder / name).unlink()
    assert Command(folder.parent, draws=True)("report", folder).code == ExitCode.OK
    return folder


def test_the_example_has_every_file_of_a_report(rebuilt: Path) -> None:
    assert files(rebuilt) == files(EXAMPLE), REBUILD


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_examples_report_has_todays_structure(rebuilt: Path, name: str) -> None:
    structure = STRUCTURES[name]
    assert structure(rebuilt / name) == structure(EXAMPLE / name), REBUILD


def test_the_example_was_recorded_in_todays_form(cli: Command, tmp_path: Path) -> None:
    ended = cli("run", ROOT / "suites" / "quickstart.yaml", "--limit", "2", "--out", "run")
    assert ended.code in (ExitCode.OK, ExitCode.GATE_FAILED), ended.err
    found, kept = (
        json.loads((folder / "manifest.json").read_text("utf-8"))
        for folder in (tmp_path / "run", EXAMPLE)
    )
    assert found.keys() == kept.keys(), REBUILD
    assert found["plan"].keys() == kept["plan"].keys(), REBUILD
    assert found["plan"]["prompts"] == kept["plan"]["prompts"], REBUILD
    first, last = (
        set(key_paths(json.loads((folder / "records.jsonl").read_text("utf-8").splitlines()[0])))
        for folder in (tmp_path / "run", EXAMPLE)
    )
    assert first == last, REBUILD


def test_the_example_knows_no_machine() -> None:
    texts = [
        path.read_text("utf-8")
        for path in EXAMPLE.rglob("*")
        if path.suffix in {".json", ".jsonl", ".html", ".md", ".xml"}
    ]
    assert not [text for text in texts if str(Path.home()) in text or str(ROOT) in text]
