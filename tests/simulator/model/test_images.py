"""Shapes in images drawn otherwise than the eval's: smoothed, compressed, large, transparent,
broken."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, ImageDraw

from harness.simulator.model.images import Scene, detect_shapes, image_size
from tests.pictures import bomb, picture


def seen(image: Image.Image, kind: str = "PNG") -> Scene:
    file = BytesIO()
    image.save(file, kind)
    scene = detect_shapes(file.getvalue())
    assert scene is not None
    return scene


def scene(
    size: tuple[int, int] = (200, 150), background: str = "white"
) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", size, background)
    return image, ImageDraw.Draw(image)


def three() -> Image.Image:
    image, pen = scene()
    pen.ellipse((20, 20, 60, 60), fill="red")
    pen.rectangle((90, 30, 130, 70), fill="blue")
    pen.polygon([(150, 120), (170, 80), (190, 120)], fill="green")
    return image


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_shapes_and_colours_are_recognised_in_every_format(kind: str) -> None:
    scene = seen(three(), kind)
    assert scene.background == "white"
    assert [(shape.kind, shape.colour) for shape in scene.shapes] == [
        ("circle", "red"),
        ("square", "blue"),
        ("triangle", "green"),
    ]


def test_a_smoothed_and_a_large_picture_are_seen_alike() -> None:
    large = three().resize((2000, 1500), Image.Resampling.BICUBIC)
    assert [(shape.kind, shape.colour) for shape in seen(large).shapes] == [
        ("circle", "red"), ("square", "blue"), ("triangle", "green"),
    ]  # fmt: skip


def test_touching_shapes_of_two_colours_are_two_and_of_one_colour_one() -> None:
    image, pen = scene()
    pen.rectangle((20, 20, 59, 59), fill="red")
    pen.rectangle((60, 20, 99, 59), fill="blue")
    pen.rectangle((20, 90, 59, 129), fill="green")
    pen.rectangle((60, 90, 99, 129), fill="green")
    assert sorted((shape.colour, shape.kind) for shape in seen(image).shapes) == [
        ("blue", "square"), ("green", "rectangle"), ("red", "square"),
    ]  # fmt: skip


def test_an_area_that_meets_below_is_one() -> None:
    image, pen = scene()
    pen.rectangle((20, 20, 30, 100), fill="red")
    pen.rectangle((60, 20, 70, 100), fill="red")
    pen.rectangle((100, 20, 110, 100), fill="red")
    pen.rectangle((20, 100, 110, 110), fill="red")
    (comb,) = seen(image).shapes
    assert (comb.width, comb.height) == (91, 91)
    assert comb.area == 3 * 11 * 80 + 91 * 11


def test_bars_stand_on_one_line_and_lines_are_none() -> None:
    image, pen = scene()
    pen.line((10, 130, 190, 130), fill="black")
    for left, height, colour in ((20, 50, "red"), (60, 90, "blue"), (100, 70, "green")):
        pen.rectangle((left, 130 - height, left + 20, 129), fill=colour)
    assert [(bar.colour, bar.height) for bar in seen(image).bars] == [
        ("red", 50),
        ("blue", 90),
        ("green", 70),
    ]
    assert seen(three()).bars == ()


def test_transparent_pixels_are_white_and_any_background_is_recognised() -> None:
    clear = Image.new("RGBA", (60, 60), (0, 0, 0, 0))
    ImageDraw.Draw(clear).rectangle((10, 10, 39, 39), fill="red")
    assert (seen(clear).background, [shape.colour for shape in seen(clear).shapes]) == (
        "white",
        ["red"],
    )
    image, pen = scene(background="black")
    pen.rectangle((10, 10, 39, 39), fill="yellow")
    assert (seen(image).background, [shape.colour for shape in seen(image).shapes]) == (
        "black",
        ["yellow"],
    )


@pytest.mark.parametrize(
    "file",
    [b"", b"text", picture()[:50], b"\x89PNG\r\n\x1a\n"],
    ids=["nothing", "text", "cut", "magic"],
)
def test_an_undecodable_image_has_no_scene(file: bytes) -> None:
    assert detect_shapes(file) is None


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    assert detect_shapes(bomb()) is None
    assert image_size(bomb()) is None
    assert image_size(picture(size=(123, 45))) == (123, 45)
