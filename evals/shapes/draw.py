"""Draws the pictures of this eval and writes its cases: `python evals/shapes/draw.py`. The same pixels every time.

Nothing is smoothed and no font is used, so that no version of a library changes a pixel. A case is known before it is drawn:
what is expected comes from the plan of the picture, never from looking at it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

HERE = Path(__file__).parent
WHITE, INK = (255, 255, 255), (20, 20, 20)
COLOURS = {
    "red": (214, 40, 40),
    "green": (44, 160, 70),
    "blue": (38, 90, 214),
    "yellow": (247, 207, 40),
    "orange": (245, 130, 30),
    "purple": (130, 50, 170),
}
KINDS = ("circle", "square", "triangle")
LETTERS = {
    "A": ("01110", "10001", "10001", "11111", "10001", "10001", "10001"),
    "B": ("11110", "10001", "10001", "11110", "10001", "10001", "11110"),
    "C": ("01110", "10001", "10000", "10000", "10000", "10001", "01110"),
    "D": ("11110", "10001", "10001", "10001", "10001", "10001", "11110"),
    "E": ("11111", "10000", "10000", "11110", "10000", "10000", "11111"),
}
SIZE = (192, 144)
PAIRS = (("count-05", "count-06", "count-05"), ("shape-01", "chart-03", "chart-03"), ("colour-03", "colour-02", "colour-03"))
"""Two pictures, and which of them is asked about."""


class Shape(NamedTuple):
    """A shape to draw: its bounding box is a square of `size` pixels with its corner at (x, y)."""

    kind: str
    colour: str
    x: int
    y: int
    size: int


class Bar(NamedTuple):
    """A bar of a chart, as tall as `height` pixels."""

    colour: str
    height: int


Plan = list[Shape] | list[Bar]
Drawn = tuple[str, Plan]


# ── Planning ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def scattered(random: Random, wanted: list[tuple[str, str]], sizes: tuple[int, int] = (22, 34)) -> list[Shape]:
    """Shapes of these kinds and colours, each in a cell of its own of a grid of 4 × 3."""
    cells = [(column * 48, row * 48) for column in range(4) for row in range(3)]
    random.shuffle(cells)
    shapes = []
    for (kind, colour), (left, top) in zip(wanted, cells, strict=False):
        size = random.randint(*sizes) // 2 * 2 + 1  # an odd size has a middle
        room = 46 - size
        shapes.append(Shape(kind, colour, left + 1 + random.randint(0, room), top + 1 + random.randint(0, room), size))
    return shapes


def mixed(random: Random, count: int) -> list[tuple[str, str]]:
    """So many kinds with colours."""
    return [(random.choice(KINDS), random.choice(list(COLOURS))) for _ in range(count)]


def counting(random: Random) -> Iterator[tuple[Drawn, dict[str, Any]]]:
    """How many there are of a kind, of a colour, of both, or in all."""
    for number in range(18):
        count = 2 + number // 2 if number < 14 else 9 + number % 3
        wanted = mixed(random, count)
        kind, colour = wanted[0]
        asked = (
            ("How many shapes are there?", count),
            (f"How many {kind}s are there?", sum(each[0] == kind for each in wanted)),
            (f"How many {colour} shapes are there?", sum(each[1] == colour for each in wanted)),
            (f"How many {colour} {kind}s are there?", wanted.count((kind, colour))),
        )
        question, expected = asked[number % 4]
        tags = ["count", *(["hard"] if count >= 9 else [])]
        name = f"count-{number + 1:02d}"
        yield (name, scattered(random, wanted)), case(name, question, str(expected), tags)


def naming(random: Random) -> Iterator[tuple[Drawn, dict[str, Any]]]:
    """Which colour a shape has, and which shape a colour has: each kind and each colour once in a picture."""
    for number in range(18):
        colours = random.sample(list(COLOURS), 3)
        wanted = list(zip(random.sample(KINDS, 3), colours, strict=True))[: 2 + number % 2]
        kind, colour = random.choice(wanted)
        name, question, expected, tag = (
            (f"colour-{number // 2 + 1:02d}", f"What colour is the {kind}?", colour, "colour")
            if number % 2
            else (f"shape-{number // 2 + 1:02d}", f"Which shape is {colour}?", kind, "shape")
        )
        yield (name, scattered(random, wanted)), case(name, question, expected, [tag])


def presence(random: Random) -> Iterator[tuple[Drawn, dict[str, Any]]]:
    """Whether a coloured kind is there; where it is not, its colour and its kind are, apart."""
    for number in range(6):
        kind, other = random.sample(KINDS, 2)
        colour, another = random.sample(list(COLOURS), 2)
        there = number % 2 == 0
        wanted = [(kind, colour), (other, another)] if there else [(kind, another), (other, colour)]
        name = f"there-{number + 1:02d}"
        question = f"Is there a {colour} {kind}? Answer yes or no."
        yield (name, scattered(random, wanted)), case(name, question, "yes" if there else "no", ["presence"])


def charts(random: Random) -> Iterator[tuple[Drawn, dict[str, Any]]]:
    """Which bar is the tallest, or the shortest: by its letter or by its colour."""
    for number in range(12):
        letters = "ABCDE"[: 4 + number % 2]
        close = number >= 8
        heights = [40 + (6 if close else 12) * step + random.randint(0, 2) for step in range(len(letters))]
        random.shuffle(heights)
        bars = [Bar(colour, height) for colour, height in zip(random.sample(list(COLOURS), len(letters)), heights, strict=True)]
        superlative, chosen = ("tallest", max(heights)) if number % 3 else ("shortest", min(heights))
        place = heights.index(chosen)
        listed = f"{', '.join(letters[:-1])} and {letters[-1]}"
        question, expected = (
            (f"The bars are labelled {listed}. Which bar is the {superlative}?", letters[place])
            if number % 2
            else (f"What colour is the {superlative} bar?", bars[place].colour)
        )
        name = f"chart-{number + 1:02d}"
        yield (name, bars), case(name, question, expected, ["chart", *(["hard"] if close else [])])


def pairs(known: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Two of the pictures in one question, which is about one of them."""
    for number, (one, other, which) in enumerate(PAIRS, start=1):
        place = "first" if which == one else "second"
        question = known[which]["vars"]["question"]
        pictures = [f"pictures/{name}.png" for name in (one, other)]
        asked = f"In the {place} picture: {question[0].lower()}{question[1:]}"
        yield case(f"pair-{number:02d}", asked, known[which]["expected"], ["pair"], pictures)


def case(name: str, question: str, expected: str, tags: list[str], pictures: list[str] | None = None) -> dict[str, Any]:
    """A line of `cases.jsonl`."""
    picture = pictures or f"pictures/{name}.png"
    return {"id": name, "vars": {"picture": picture, "question": question}, "expected": expected, "tags": tags}


# ── Drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def draw(plan: Plan) -> Image.Image:
    """The picture of a plan."""
    picture = Image.new("RGB", SIZE, WHITE)
    pen = ImageDraw.Draw(picture)
    bars = [each for each in plan if isinstance(each, Bar)]
    for shape in plan:
        if isinstance(shape, Shape):
            _shape(pen, shape)
    if bars:
        _chart(pen, bars)
    return picture


def _shape(pen: ImageDraw.ImageDraw, shape: Shape) -> None:
    """Row by row, by the shape's own formula: a library's circle may change."""
    middle = shape.size // 2
    for row in range(shape.size):
        half = {
            "square": middle,
            "circle": int(max(middle * middle - (row - middle) ** 2, 0) ** 0.5),
            "triangle": row * middle // (shape.size - 1),
        }[shape.kind]
        left, y = shape.x + middle - half, shape.y + row
        pen.rectangle((left, y, left + 2 * half, y), fill=COLOURS[shape.colour])


def _chart(pen: ImageDraw.ImageDraw, bars: list[Bar]) -> None:
    ground, width = 124, 22
    gap = (SIZE[0] - 16 - width * len(bars)) // len(bars)
    pen.rectangle((8, ground, SIZE[0] - 8, ground), fill=INK)
    pen.rectangle((8, 8, 8, ground), fill=INK)
    for place, bar in enumerate(bars):
        left = 14 + place * (width + gap)
        pen.rectangle((left, ground - bar.height, left + width - 1, ground - 1), fill=COLOURS[bar.colour])
        _letter(pen, "ABCDE"[place], left + width // 2 - 2, ground + 6)


def _letter(pen: ImageDraw.ImageDraw, letter: str, x: int, y: int) -> None:
    for row, bits in enumerate(LETTERS[letter]):
        for column, bit in enumerate(bits):
            if bit == "1":
                pen.point((x + column, y + row), fill=INK)


# ── Writing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def everything() -> tuple[dict[str, Image.Image], list[dict[str, Any]]]:
    """Every picture by its name, and every case in order."""
    random = Random(2026)
    found = [*counting(random), *naming(random), *presence(random), *charts(random)]
    cases = [each for _, each in found]
    return {name: draw(plan) for (name, plan), _ in found}, [*cases, *pairs({each["id"]: each for each in cases})]


def main() -> None:
    """Write `pictures/` and `cases.jsonl`."""
    pictures, cases = everything()
    (HERE / "pictures").mkdir(exist_ok=True)
    for name, picture in pictures.items():
        picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=16).save(HERE / "pictures" / f"{name}.png", optimize=True)
    lines = [json.dumps(each, ensure_ascii=False) for each in cases]
    (HERE / "cases.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
