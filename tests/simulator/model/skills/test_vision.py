"""Questions about images, and the sampled answers."""

from __future__ import annotations

from collections import Counter
from io import BytesIO

import pytest
from PIL import Image, ImageDraw

from harness.simulator.model.images import detect_shapes
from harness.simulator.model.rng import RandomStream
from harness.simulator.model.skills import generate_text
from harness.simulator.model.skills.vision import BLIND, Reading, read_scene
from harness.simulator.model.types import Prompt, Sampling, Turn


def drawn(*shapes: tuple[str, str, tuple[int, int, int, int]], ground: bool = False) -> bytes:
    image = Image.new("RGB", (200, 150), "white")
    pen = ImageDraw.Draw(image)
    for kind, colour, box in shapes:
        if kind == "circle":
            pen.ellipse(box, fill=colour)
        else:
            pen.rectangle(box, fill=colour)
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


MIXED = drawn(
    ("circle", "red", (10, 10, 50, 50)),
    ("circle", "blue", (70, 10, 110, 50)),
    ("circle", "red", (130, 10, 150, 30)),
    ("square", "green", (10, 80, 69, 139)),
    ("square", "red", (120, 100, 139, 119)),
)
CHART = drawn(
    ("bar", "red", (10, 80, 30, 129)),
    ("bar", "blue", (50, 20, 70, 129)),
    ("bar", "green", (90, 60, 110, 129)),
    ("bar", "orange", (130, 100, 150, 129)),
)


def asked(question: str, file: bytes) -> Reading | None:
    scene = detect_shapes(file)
    assert scene is not None
    return read_scene(question, scene)


@pytest.mark.parametrize(
    ("question", "right"),
    [
        ("How many circles are there?", "3"),
        ("How many red circles are there?", "2"),
        ("Count the red shapes.", "3"),
        ("How many shapes do you see?", "5"),
        ("How many triangles are there?", "0"),
        ("How many different colours are there?", "3"),
        ("What is the colour of the largest shape?", "green"),
        ("What color is the square? The biggest one.", "green"),
        ("Which colour has the smallest shape?", "red"),
        ("What is the main colour of the picture?", "green"),
        ("What colour is the background?", "white"),
        ("Which shape is blue?", "circle"),
        ("What shape is the largest?", "square"),
        ("Is there a blue circle?", "yes"),
        ("Is there a blue square?", "no"),
        ("Are there any triangles?", "no"),
        (
            "Describe the picture.",
            "one green square, two red circles, one blue circle, one red square on white",
        ),
    ],
)
def test_questions_about_an_image(question: str, right: str) -> None:
    reading = asked(question, MIXED)
    assert reading is not None
    if not question.startswith("Describe"):
        assert reading.right == right
    else:
        assert sorted(reading.right.removesuffix(" on white").split(", ")) == sorted(
            right.removesuffix(" on white").split(", ")
        )
    assert reading.right not in reading.wrong


@pytest.mark.parametrize(
    ("question", "right"),
    [
        ("Which bar is the tallest?", "blue"),
        ("What colour is the shortest bar?", "orange"),
        ("The bars are labelled A, B, C and D. Which bar is the tallest?", "B"),
        ("The bars are labeled W, X, Y, Z from the left. Which is the lowest bar?", "Z"),
        ("At which position from the left is the highest bar?", "2"),
        ("How many bars are there?", "4"),
    ],
)
def test_questions_about_a_bar_chart(question: str, right: str) -> None:
    reading = asked(question, CHART)
    assert reading is not None
    assert reading.right == right


def test_a_question_not_about_the_image_is_left_to_other_skills() -> None:
    assert asked("Tell me a story.", MIXED) is None
    assert asked("What is 2 + 2?", MIXED) is None


def say(question: str, *files: bytes, temperature: float = 0, draw: int = 0) -> str:
    prompt = Prompt("tiny-70b", (Turn("user", question, images=files),), Sampling(temperature))
    return generate_text(prompt, RandomStream("test", draw))


def test_wrong_answers_increase_with_temperature() -> None:
    question = "How many circles are there? Answer with the number only."
    assert say(question, MIXED) == "3"
    assert say("What is 2 + 2? Answer with the number only.", MIXED) == "4"
    right = {
        temperature: Counter(
            say(question, MIXED, temperature=temperature, draw=draw) for draw in range(300)
        )["3"]
        / 300
        for temperature in (0.3, 4)
    }
    assert right[0.3] > 0.7 > 0.5 > right[4]


def test_an_image_is_chosen_by_its_position_else_the_last() -> None:
    assert (
        say("In the first picture, how many circles are there? The number only.", MIXED, CHART)
        == "3"
    )
    assert (
        say("In the second picture, how many bars are there? The number only.", MIXED, CHART) == "4"
    )
    assert say("How many circles are there? The number only.", CHART, MIXED) == "3"


def test_an_undecodable_image_is_reported() -> None:
    assert say("How many circles are there?", b"no picture") == BLIND
