"""Image analysis without a model: areas of one colour on a background, and the shape of each.

The pixels are decoded and each is mapped to the nearest of twelve colours; touching pixels of one
colour form an area (connected components over the runs of each row). The share of its bounding box
that an area fills tells a square (all of it), a circle (π/4) and an upright triangle (half) apart.
Large images are scaled down first.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 160, 70),
    "blue": (40, 90, 220),
    "yellow": (245, 205, 40),
    "orange": (245, 130, 30),
    "purple": (130, 50, 170),
    "pink": (250, 150, 190),
    "brown": (125, 75, 40),
    "cyan": (50, 200, 210),
    "black": (15, 15, 15),
    "grey": (128, 128, 128),
    "white": (250, 250, 250),
}
MOST_PIXELS = 50_000_000
"""A larger image is not decoded."""
SIDE = 320
"""Pixels of the longer side, to which larger images are scaled down."""
THIN = 4
"""A narrower area is a line: an axis, a border, a letter's stroke."""


class Shape(NamedTuple):
    """An area of one colour: its number of pixels and its bounding box
    (right and bottom excluded)."""

    colour: str
    area: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def kind(self) -> str:
        """`square`, `rectangle`, `circle`, `triangle`, or `shape` where it is none of them."""
        filled = self.area / (self.width * self.height)
        if filled > 0.93:
            return "square" if 0.85 < self.width / self.height < 1.18 else "rectangle"
        if 0.7 < filled < 0.87:
            return "circle"
        return "triangle" if 0.42 < filled < 0.6 else "shape"


class Scene(NamedTuple):
    """What an image shows; shapes from left to right."""

    background: str
    shapes: tuple[Shape, ...]

    @property
    def bars(self) -> tuple[Shape, ...]:
        """The bars of a bar chart: at least three rectangles with a common base line; empty for any
        other image."""
        upright = [shape for shape in self.shapes if shape.kind in ("rectangle", "square")]
        standing = Counter(shape.bottom for shape in upright)
        ground, count = max(standing.items(), key=lambda item: item[1], default=(0, 0))
        return tuple(shape for shape in upright if shape.bottom == ground) if count >= 3 else ()


class _Run(NamedTuple):
    """Adjacent pixels of one colour in a row."""

    colour: int
    row: int
    left: int
    right: int


@lru_cache(maxsize=256)
def detect_shapes(file: bytes) -> Scene | None:
    """The background and the shapes in an image file; None if it cannot be decoded."""
    indexed = _quantize_colours(file)
    if indexed is None:
        return None
    width, height, pixels = indexed
    rows = [pixels[start : start + width] for start in range(0, width * height, width)]
    border = Counter([*rows[0], *rows[-1], *(row[0] for row in rows), *(row[-1] for row in rows)])
    background = border.most_common(1)[0][0]
    names = list(COLOURS)
    shapes = [
        _bounding_shape(names[runs[0].colour], runs)
        for runs in _connected_areas(rows)
        if runs[0].colour != background
    ]
    least = max(12, width * height // 3000)
    seen = [
        shape for shape in shapes if shape.area >= least and min(shape.width, shape.height) >= THIN
    ]
    return Scene(names[background], tuple(sorted(seen, key=lambda shape: (shape.left, shape.top))))


@lru_cache(maxsize=1024)
def image_size(file: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, from the header; None if it cannot be read."""
    picture = _open_image(file)
    return None if picture is None else picture.size


def _open_image(file: bytes) -> Image | None:
    from PIL import Image as Pillow  # noqa: PLC0415 - only where there are pictures

    try:
        picture = Pillow.open(BytesIO(file), formats=["PNG", "JPEG", "WEBP", "GIF"])
    except (
        OSError,
        ValueError,
        SyntaxError,
        Pillow.DecompressionBombError,
        Pillow.DecompressionBombWarning,
    ):
        return None
    return picture if picture.width * picture.height <= MOST_PIXELS else None


def _quantize_colours(file: bytes) -> tuple[int, int, bytes] | None:
    """Width, height, and for each pixel the index of the nearest of `COLOURS`."""
    from PIL import Image as Pillow  # noqa: PLC0415 - only where there are pictures

    picture = _open_image(file)
    if picture is None:
        return None
    try:
        plain = Pillow.new("RGBA", picture.size, "white")
        plain.alpha_composite(picture.convert("RGBA"))
    except (OSError, ValueError, SyntaxError):  # the header was right, the rest is not
        return None
    plain.thumbnail((SIDE, SIDE), Pillow.Resampling.NEAREST)
    palette = Pillow.new("P", (1, 1))
    palette.putpalette([level for colour in COLOURS.values() for level in colour])
    quantized = plain.convert("RGB").quantize(palette=palette, dither=Pillow.Dither.NONE)
    return (*quantized.size, quantized.tobytes())


def _connected_areas(rows: Sequence[bytes]) -> list[list[_Run]]:
    """The runs of each area: a run joins the areas of its colour that it
    touches in the row above."""
    areas: dict[int, list[_Run]] = {}
    owner: dict[_Run, int] = {}
    above: list[_Run] = []
    for number, row in enumerate(rows):
        runs = list(_row_runs(number, row))
        for run, touching in _touching_runs(runs, above):
            names = sorted({owner[each] for each in touching})
            name = names[0] if names else len(owner)
            joined = [run, *(each for other in names[1:] for each in areas.pop(other))]
            owner.update(dict.fromkeys(joined, name))
            areas.setdefault(name, []).extend(joined)
        above = runs
    return list(areas.values())


def _row_runs(number: int, row: bytes) -> Iterator[_Run]:
    left = 0
    for colour, pixels in groupby(row):
        right = left + sum(1 for _ in pixels)
        yield _Run(colour, number, left, right)
        left = right


def _touching_runs(
    runs: Sequence[_Run], above: Sequence[_Run]
) -> Iterator[tuple[_Run, list[_Run]]]:
    """Each run with the runs of its colour that touch it from above; both rows are walked once."""
    first = 0
    for run in runs:
        while first < len(above) and above[first].right <= run.left:
            first += 1
        touching = []
        for other in above[first:]:
            if other.left >= run.right:
                break
            if other.colour == run.colour:
                touching.append(other)
        yield run, touching


def _bounding_shape(colour: str, runs: Sequence[_Run]) -> Shape:
    return Shape(
        colour,
        area=sum(run.right - run.left for run in runs),
        left=min(run.left for run in runs),
        top=min(run.row for run in runs),
        right=max(run.right for run in runs),
        bottom=max(run.row for run in runs) + 1,
    )


def decode_data_uri(uri: str) -> bytes:
    """The file in a base64 `data:` URI; empty for any other URI."""
    header, _, content = uri.partition(",")
    if not header.endswith(";base64"):
        return b""
    return decode_base64(content)


def decode_base64(content: str) -> bytes:
    """The file in base64; empty if it is not valid base64."""
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return b""
