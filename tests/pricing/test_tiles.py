"""Llama 4's tiles: known grids, and what holds of all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import Image, Message, Request, Text
from harness.pricing.tiles import (
    IMAGE_BOUND,
    LLAMA_4_MOST,
    TILE,
    image_bound,
    image_tokens,
    tile_grid,
)
from harness.pricing.tokens import estimate_request

PIXELS = st.integers(1, 20_000)


@pytest.mark.parametrize(
    ("width", "height", "rows", "columns"),
    [
        (64, 64, 1, 1),
        (336, 336, 1, 1),
        (337, 336, 1, 2),  # a pixel more than a tile: two are enlarged least
        (400, 300, 1, 2),
        (300, 400, 2, 1),
        (672, 672, 2, 2),
        (1000, 1000, 3, 3),
        (1344, 1344, 4, 4),
        (4000, 4000, 4, 4),  # too large for any canvas: shrunk least
        (10_000, 500, 1, 16),
        (500, 10_000, 16, 1),
        (1600, 900, 3, 5),
    ],
)
def test_the_grid_is_the_best_fitting_canvas(
    width: int, height: int, rows: int, columns: int
) -> None:
    assert tile_grid(width, height) == (rows, columns)


def test_tokens_are_those_of_the_prompt_format() -> None:
    assert image_tokens(100, 100) == 147
    assert image_tokens(672, 672) == 147 + 4 * 145
    assert image_tokens(1344, 1344) == 2_467 == LLAMA_4_MOST


@given(PIXELS, PIXELS)
def test_no_image_takes_more_than_the_bound_and_a_turned_one_takes_the_same(
    width: int, height: int
) -> None:
    rows, columns = tile_grid(width, height)
    assert tile_grid(height, width) in {(columns, rows), (rows, columns)}
    assert 147 <= image_tokens(width, height) == image_tokens(height, width) <= LLAMA_4_MOST
    if width <= TILE and height <= TILE:
        assert (rows, columns) == (1, 1)


def test_a_request_is_estimated_with_its_images_and_bounded_by_its_model() -> None:
    picture = Image("image/png", "", 672, 672)
    seen = Request((Message("user", (picture, Text("What is it?"), picture)),))
    plain = Request((Message("user", "What is it?"),))
    assert estimate_request(seen) == estimate_request(plain) + 2 * (147 + 4 * 145)
    assert image_bound("@cf/meta/llama-4-scout-17b-16e-instruct") == LLAMA_4_MOST
    assert image_bound("gpt-4o-mini") == IMAGE_BOUND
