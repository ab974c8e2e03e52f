"""What must hold of the structure; `python -m tests.checks.structure` prints the figures."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.checks import structure
from tests.checks.structure import ROOT, Module

PARALLEL = {"base.py", "errors.py", "anthropic.py"}
"""File names that play the same part in parallel packages; of a vendor, what is stated of it and
its wire format."""


@pytest.fixture(scope="module")
def every() -> list[Module]:
    return structure.modules()


def test_names_have_more_than_one_word(every: list[Module]) -> None:
    assert structure.one_word_share(every) <= 0.40


def test_names_stand_for_one_thing(every: list[Module]) -> None:
    assert set(structure.repeated_basenames(every)) <= PARALLEL
    assert structure.repeated_class_names(every) == {}


def test_folders_can_be_overseen(every: list[Module]) -> None:
    folders = structure.files_by_folder(every)
    assert folders["."] <= 10
    assert {folder: count for folder, count in folders.items() if count > 20} == {}


def test_every_package_says_what_it_holds(every: list[Module]) -> None:
    assert structure.packages_without_docstring(every) == []


def test_no_modules_import_one_another() -> None:
    assert structure.import_circles() == []


def test_the_architecture_page_has_the_layers_that_are_enforced() -> None:
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (layers,) = [
        each["layers"]
        for each in configuration["tool"]["importlinter"]["contracts"]
        if each["name"] == "Layers"
    ]
    enforced = [set(layer.split(" | ")) for layer in layers]
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    described = [
        set(re.findall(r"`(\w+)`", row))
        for row in re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE)
    ]
    assert described == [layer for layer in enforced if layer != {"__main__"}]
