"""The pictures of the eval `shapes`: drawn again they are the same, and what they show is what
their cases expect."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from harness.simulator.model.images import detect_shapes
from harness.simulator.model.skills.vision import read_scene

SHAPES = Path(__file__).parents[2] / "evals" / "shapes"
CASES: list[dict[str, Any]] = [
    json.loads(line) for line in (SHAPES / "cases.jsonl").read_text("utf-8").splitlines()
]


@pytest.fixture(scope="module")
def drawn() -> Any:
    """The pictures and cases as the script makes them now."""
    return runpy.run_path(str(SHAPES / "draw.py"))["everything"]()


def test_drawing_again_gives_the_same_cases_and_the_same_pixels(drawn: Any) -> None:
    pictures, cases = drawn
    assert cases == CASES
    assert {path.stem for path in (SHAPES / "pictures").iterdir()} == set(pictures)
    for name, picture in pictures.items():
        with Image.open(SHAPES / "pictures" / f"{name}.png") as kept:
            assert kept.convert("RGB").tobytes() == picture.tobytes(), name


def test_the_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in (SHAPES / "pictures").iterdir()) < 300_000


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["id"]) for case in CASES if "pair" not in case["tags"]]
)
def test_whoever_looks_at_the_pixels_finds_what_is_expected(case: dict[str, Any]) -> None:
    scene = detect_shapes((SHAPES / case["vars"]["picture"]).read_bytes())
    assert scene is not None
    reading = read_scene(case["vars"]["question"], scene)
    assert reading is not None
    assert reading.right == case["expected"]
    assert case["expected"] not in reading.wrong


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["id"]) for case in CASES if "pair" in case["tags"]]
)
def test_a_pair_asks_about_one_of_its_pictures_what_that_ones_own_case_asks(
    case: dict[str, Any],
) -> None:
    place, question = case["vars"]["question"].removeprefix("In the ").split(" picture: ")
    picture = case["vars"]["picture"][{"first": 0, "second": 1}[place]]
    (alone,) = [each for each in CASES if each["vars"]["picture"] == picture]
    assert alone["vars"]["question"].lower() == question.lower()
    assert alone["expected"] == case["expected"]
