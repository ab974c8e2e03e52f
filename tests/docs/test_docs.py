"""What the pages say is true: suites load, commands run and print what is shown, links lead
somewhere."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from harness.app.init import write_workspace
from harness.suite.load import load_suite
from tests.docs.pages import PAGES, ROOT, Fence, fences, links, mentioned, words
from tests.support import Command, Simulated

SUITES = [fence for fence in fences() if fence.suite]
CONSOLES = [fence for fence in fences() if fence.language == "console"]
CI_FILES = [fence for fence in fences() if fence.file]

NOT_RUN = {
    "harness simulate --port 8787": "serves until it is stopped",
    "harness run suites/scout.yaml": "needs a Cloudflare account",
    "harness run suites/scout.yaml --limit 5": "needs a Cloudflare account",
}
"""Commands of consoles whose words are checked but which are not run, and why."""

CHANGING = re.compile(r"\d[\d.]* m?s\b|\d{4}-\d\d-\d\d|more in the report|it needs|count as|…")
"""Where a line of output begins to differ from run to run, or the page leaves something out."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """What `harness init` writes."""
    list(write_workspace(tmp_path))
    return tmp_path


def name(value: object) -> str:
    """How pytest names a fence, a page or a link."""
    if isinstance(value, Fence):
        return f"{value.page.stem}-{value.suite or value.file or value.language}"
    return str(value.relative_to(ROOT) if isinstance(value, Path) else value)


@pytest.mark.parametrize("fence", SUITES, ids=name)
def test_a_suite_loads(workspace: Path, fence: Fence) -> None:
    loaded = load_suite(written(workspace, fence))
    assert loaded.evals
    assert not loaded.warnings


@pytest.mark.parametrize("page", sorted({fence.page for fence in CONSOLES}), ids=name)
def test_the_commands_of_a_page_run_one_after_the_other(workspace: Path, page: Path) -> None:
    command = Command(workspace, draws=True)
    for fence in (each for each in fences() if each.page == page):
        if fence.suite or fence.source:
            written(workspace, fence)
        elif fence.language == "python":
            with chdir(workspace):
                exec(fence.text, {})
        elif fence.language == "console":
            run(command, fence)


@pytest.mark.parametrize("text", [*mentioned(), *NOT_RUN])
def test_a_command_that_is_only_mentioned_has_the_right_words(cli: Command, text: str) -> None:
    ended = cli(*words(text), "--help")
    assert ended.code == 0, ended.err


def test_nothing_is_listed_as_not_run_in_vain() -> None:
    assert NOT_RUN.keys() <= {command for fence in CONSOLES for command, _ in fence.commands}


def test_the_targets_of_make_exist() -> None:
    shown = {
        command.split()[1]
        for fence in CONSOLES
        for command, _ in fence.commands
        if command.startswith("make ")
    }
    assert shown <= set(
        re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )


@pytest.mark.parametrize(("page", "link"), links(), ids=name)
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    path, _, _ = link.partition("#")
    assert (page.parent / path).exists()


@pytest.mark.parametrize(
    "fence", [fence for fence in fences() if fence.language == "yaml"], ids=name
)
def test_yaml_can_be_read(fence: Fence) -> None:
    assert yaml.safe_load(fence.text)


@pytest.mark.parametrize("fence", CI_FILES, ids=name)
def test_a_ci_file_runs_a_suite_of_its_page_and_keeps_what_that_wrote(fence: Fence) -> None:
    suites = {f"suites/{each.suite}.yaml" for each in SUITES if each.page == fence.page}
    assert set(re.findall(r"suites/[\w-]+\.yaml", fence.text)) <= suites
    (folder,) = re.findall(r"--out (\S+)", fence.text)
    kept = {found.rstrip("/") for found in re.findall(r"paths?: \[?(reports/[\w/]+)", fence.text)}
    assert kept <= {folder}


def test_every_page_installs_from_the_repository_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = [
        found for page in PAGES for found in re.findall(r"git\+(\S+)@", page.read_text("utf-8"))
    ]
    assert len(named) == 2  # in README.md, and in the file that every CI job installs from
    assert {*named} == {project["urls"]["Repository"]}


def commands_of(job: Any) -> Iterator[str]:
    """The `harness` commands of a job of either service."""
    steps = [*job.get("script", ()), *(step.get("run", "") for step in job.get("steps", ()))]
    return (each for each in steps if each.startswith("harness "))


def commands_of_file(fence: Fence) -> tuple[str, ...]:
    """The `harness` commands of all jobs of a CI file."""
    content = yaml.safe_load(fence.text)
    jobs = [job for job in (content.get("jobs") or content).values() if isinstance(job, dict)]
    return tuple(each for job in jobs for each in commands_of(job))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the suites of the pages that show CI files, and the run these compare
    with."""
    workspace = tmp_path_factory.mktemp("recorded")
    list(write_workspace(workspace))
    for each in fences():
        if each.page in {fence.page for fence in CI_FILES} and (each.suite or each.source):
            written(workspace, each)
    words_of_it = ("run", "suites/regression.yaml", "--out", "reports/baselines/regression")
    ended = Command(workspace)(*words_of_it)
    assert ended.code == 0, ended.err
    return workspace


@pytest.mark.parametrize("commands", sorted({commands_of_file(fence) for fence in CI_FILES}))
def test_the_commands_of_ci_files_run(
    recorded: Path, tmp_path: Path, commands: tuple[str, ...]
) -> None:
    """Those of two services are the same ones."""
    workspace = tmp_path / "workspace"
    shutil.copytree(recorded, workspace)
    command = Command(workspace)
    assert commands
    for text in commands:
        ended = command(*words(text))
        assert ended.code == 0, ended.err
    assert list(workspace.glob("reports/runs/*/report.md"))
    assert list(workspace.glob("reports/runs/*/junit.xml"))


def test_the_simulator_answers_as_its_page_shows(simulator: Simulated) -> None:
    page = (ROOT / "docs/simulator.md").read_text("utf-8")
    found = re.search(
        r"^\$ curl -s http://127\.0\.0\.1:8787(\S+) \\\n\s+-d '(.*)'\n(.*) …$", page, re.MULTILINE
    )
    assert found is not None
    path, body, answer = found.groups()
    with urlopen(Request(simulator.base_url + path, data=body.encode()), timeout=30) as response:
        assert response.read().decode().startswith(answer)


def test_every_page_of_the_docs_is_in_the_readme() -> None:
    linked = {
        (page.parent / link).resolve() for page, link in links() if page == ROOT / "README.md"
    }
    assert set(PAGES) - {ROOT / "README.md"} <= linked


def written(workspace: Path, fence: Fence) -> Path:
    """The fence as a file of the workspace, beside the other files its page shows."""
    for other in fences():
        if other.page == fence.page and other.source:
            (workspace / other.source).write_text(other.text, "utf-8")
    path = workspace / (fence.source or f"suites/{fence.suite}.yaml")
    path.write_text(fence.text, "utf-8")
    return path


def run(command: Command, fence: Fence) -> None:
    """Run the `harness` commands of a console; what is shown under one must be in its output, but
    for what changes."""
    for text, output in fence.commands:
        if text.startswith("harness ") and text not in NOT_RUN:
            ended = command(*words(text))
            assert ended.code == 0, ended.err
            printed = squeezed(ended.out)
            for line in output.splitlines():
                assert squeezed(CHANGING.split(line)[0]) in printed, (
                    "run: python docs/images/build.py"
                )


def squeezed(text: str) -> str:
    """`text` without the white space and rules that only lay it out."""
    return " ".join(re.sub("─+", " ", text).split())
