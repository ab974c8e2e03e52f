"""Measures the structure of the code: names, sizes, repetitions, import circles, and what one trial
enters.

`python -m tests.checks.structure` prints the table; `test_structure.py` asserts what must hold.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import grimp
import numpy as np
from scipy.sparse.csgraph import connected_components

from tests.checks.trial_walk import walk_trials

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "harness"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Module(NamedTuple):
    """A source file, parsed."""

    path: Path
    tree: ast.Module
    lines: int

    @property
    def is_simulator(self) -> bool:
        """Whether it belongs to the simulator, which has a floor plan of its own."""
        return "simulator" in self.path.parts


def modules() -> list[Module]:
    """Every module of the package."""
    paths = sorted(PACKAGE.rglob("*.py"))
    texts = [path.read_text("utf-8") for path in paths]
    return [
        Module(path.relative_to(PACKAGE), ast.parse(text), text.count("\n"))
        for path, text in zip(paths, texts, strict=True)
    ]


def functions(module: Module) -> Iterator[FunctionNode]:
    """Its functions and methods, without dunders."""
    for node in ast.walk(module.tree):
        if isinstance(node, FunctionNode) and not (
            node.name.startswith("__") and node.name.endswith("__")
        ):
            yield node


def is_one_word(name: str) -> bool:
    """Whether a name is a single word, leading underscores apart."""
    return "_" not in name.strip("_")


def one_word_share(every: list[Module]) -> float:
    """The share of function names that are a single word."""
    names = [function.name for module in every for function in functions(module)]
    return sum(map(is_one_word, names)) / len(names)


def function_lengths(every: list[Module]) -> tuple[float, float, int]:
    """Median, 90th percentile and maximum of the lines of a function."""
    lengths = [
        (node.end_lineno or 0) - node.lineno + 1 for module in every for node in functions(module)
    ]
    return median(lengths), quantiles(lengths, n=10)[-1], max(lengths)


def files_by_folder(every: list[Module]) -> dict[str, int]:
    """How many modules each folder holds, `__init__` included."""
    return dict(Counter(str(module.path.parent) for module in every))


def repeated_basenames(every: list[Module]) -> dict[str, list[str]]:
    """File names that occur in more than one folder outside the simulator, with their places."""
    places = defaultdict(list)
    for module in every:
        if not module.is_simulator and module.path.name != "__init__.py":
            places[module.path.name].append(str(module.path))
    return {name: found for name, found in places.items() if len(found) > 1}


def repeated_class_names(every: list[Module]) -> dict[str, list[str]]:
    """Class names that occur more than once outside the simulator, with their places."""
    places = defaultdict(list)
    for module in every:
        if not module.is_simulator:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(module.path))
    return {name: found for name, found in places.items() if len(found) > 1}


def packages_without_docstring(every: list[Module]) -> list[str]:
    """Packages whose `__init__` does not say what lives there."""
    return [
        str(module.path.parent)
        for module in every
        if module.path.name == "__init__.py" and ast.get_docstring(module.tree) is None
    ]


def import_circles() -> list[list[str]]:
    """Modules that import one another, annotations' imports included: the strongly connected
    components."""
    graph = grimp.build_graph("harness", exclude_type_checking_imports=False, cache_dir=None)
    names = sorted(graph.modules)
    edges = np.array(
        [
            [graph.direct_import_exists(importer=one, imported=other) for other in names]
            for one in names
        ]
    )
    _, labels = connected_components(edges, connection="strong")
    circles = defaultdict(list)
    for name, label in zip(names, labels, strict=True):
        circles[label].append(name)
    return [circle for circle in circles.values() if len(circle) > 1]


def main() -> None:
    """Print the table."""
    every = modules()
    middle, ninth, longest = function_lengths(every)
    folders = files_by_folder(every)
    fullest = max(folders, key=folders.__getitem__)
    first, warm = walk_trials()
    rows = [
        ("files / lines", f"{len(every)} / {sum(module.lines for module in every):,}"),
        ("functions: median / p90 / longest (lines)", f"{middle:g} / {ninth:g} / {longest}"),
        ("one-word function names", f"{one_word_share(every):.1%}"),
        (
            "file names that repeat in another folder",
            f"{len(repeated_basenames(every))}: {sorted(repeated_basenames(every))}",
        ),
        (
            "class names that repeat",
            f"{len(repeated_class_names(every))}: {sorted(repeated_class_names(every))}",
        ),
        ("most files in one folder", f"{folders[fullest]} ({fullest})"),
        ("loose files in harness/", str(folders["."])),
        ("packages without a docstring", str(packages_without_docstring(every))),
        ("import circles, typing included", str(import_circles())),
        ("a first trial enters", str(first)),
        ("a warm trial enters", str(warm)),
    ]
    for name, value in rows:
        print(f"{name:45} {value}")


if __name__ == "__main__":
    main()
