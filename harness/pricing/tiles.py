"""Image tokens: Llama 4's tiles, and an upper bound for any model.

Llama 4 fits an image to a canvas of 336-pixel tiles, rows × columns ≤ 16: the canvas on which it is
enlarged least, else shrunk least, and of several the smallest. Each tile is 144 patches and a
separator; where there is more than one, the whole image follows as one more tile (llama-models
0.3.0, `llama4/preprocess.py` and `chat_format.py`). Whether a hosted service bills that is not
published.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

TILE = 336
MOST_TILES = 16
WHOLE_IMAGE = 147
"""144 patches, and markers for the start, the image and the end."""
EACH_TILE = 145
"""144 patches and a separator."""

LLAMA_4_MOST = WHOLE_IMAGE + EACH_TILE * MOST_TILES

IMAGE_BOUND = 48_169
"""The most tokens an image takes with any known model: eight high-detail tiles on gpt-4o-mini,
2,833 + 8 × 5,667."""

UNKNOWN_SIZE = WHOLE_IMAGE + EACH_TILE * 4
"""Assumed for an image of unknown size: four tiles."""

_CANVASES = [
    (rows, columns)
    for rows in range(1, MOST_TILES + 1)
    for columns in range(1, MOST_TILES // rows + 1)
]


def image_tokens(width: int | None, height: int | None) -> int:
    """About how many tokens an image of so many pixels takes, by Llama 4's rule."""
    if not width or not height:
        return UNKNOWN_SIZE
    rows, columns = tile_grid(width, height)
    tiles = rows * columns
    return WHOLE_IMAGE if tiles == 1 else WHOLE_IMAGE + EACH_TILE * tiles


@lru_cache(maxsize=1024)
def tile_grid(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of the canvas that an image is fitted to."""

    def fit(canvas: tuple[int, int]) -> tuple[bool, Fraction, int]:
        rows, columns = canvas
        scale = min(Fraction(TILE * columns, width), Fraction(TILE * rows, height))
        return (scale < 1, scale if scale >= 1 else -scale, rows * columns)

    return min(_CANVASES, key=fit)


@lru_cache
def image_bound(model: str) -> int:
    """The most tokens one image can take with `model`: Llama 4's largest canvas, else
    `IMAGE_BOUND`."""
    return LLAMA_4_MOST if "llama-4" in model.lower() else IMAGE_BOUND
