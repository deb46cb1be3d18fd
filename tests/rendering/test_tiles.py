# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine import ops
from deblur_engine.rendering.tiles import ALIGN, Box, box_of, plan_tiles, smallest_tile, tile_for_memory


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, Box, int, int, int]:
    height, width = draw(st.integers(1, 700)), draw(st.integers(1, 700))
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    box = Box(top, draw(st.integers(top + 1, height)), left, draw(st.integers(left + 1, width)))
    return height, width, box, draw(st.integers(16, 900)), draw(st.integers(0, 48)), draw(st.integers(0, 64))


@given(plans())
def test_tiles_cover_the_box_with_room_around(plan: tuple[int, int, Box, int, int, int]) -> None:
    height, width, box, side, overlap, context = plan
    tiles = plan_tiles(height, width, box, tile=side, overlap=overlap, context=context)
    covered = np.zeros((height, width), int)
    for tile in tiles:
        covered[tile.kept.top : tile.kept.bottom, tile.kept.left : tile.kept.right] += 1
        assert tile.read.top % ALIGN == 0
        assert tile.read.left % ALIGN == 0
        assert tile.read.top <= max(0, tile.kept.top - context)
        assert tile.read.left <= max(0, tile.kept.left - context)
        assert tile.read.bottom >= min(height, tile.kept.bottom + context)
        assert tile.read.right >= min(width, tile.kept.right + context)
        assert tile.read.bottom == height or tile.read.bottom % ALIGN == 0
        most = max(side, smallest_tile(overlap, context))
        assert tile.read.bottom - tile.read.top <= most + ALIGN
        assert tile.read.right - tile.read.left <= most + ALIGN
    inside = covered[box.top : box.bottom, box.left : box.right]
    assert (inside > 0).all()
    assert covered.sum() == inside.sum()


@given(plans())
def test_neighbours_overlap_and_blend_to_the_same(plan: tuple[int, int, Box, int, int, int]) -> None:
    height, width, box, side, overlap, context = plan
    tiles = plan_tiles(height, width, box, tile=side, overlap=overlap, context=context)
    rows = sorted({(tile.kept.top, tile.kept.bottom) for tile in tiles})
    assert all(one[1] - other[0] >= overlap for one, other in pairwise(rows))
    whole = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    total = np.zeros((box.bottom - box.top, box.right - box.left, 3), np.float32)
    weights = np.zeros(total.shape[:2], np.float32)
    for tile in tiles:
        part = tile.inner(tile.read.cut(whole))
        ops.blend_tiles(total, weights, part, tile.kept.top - box.top, tile.kept.left - box.left, overlap)
    np.testing.assert_allclose(total / weights[..., None], box.cut(whole), atol=1e-6)


@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_a_box_and_what_lies_around_it_are_the_picture(data: st.DataObject, height: int, width: int) -> None:
    rows = sorted(data.draw(st.tuples(st.integers(0, height), st.integers(0, height))))
    columns = sorted(data.draw(st.tuples(st.integers(0, width), st.integers(0, width))))
    box = Box(*rows, *columns)
    times = np.zeros((height, width), int)
    box.cut(times)[:] += 1
    for part in box.around(height, width):
        times[part] += 1
    assert (times == 1).all()


def test_the_box_holds_all_weights() -> None:
    weight = np.zeros((300, 500), np.float32)
    assert box_of(weight) is None
    weight[70, 130] = weight[200, 499] = 1e-6
    assert box_of(weight) == Box(64, 256, 128, 500)


def test_less_memory_gives_smaller_tiles() -> None:
    assert tile_for_memory(1 << 30, 1024) == 1024
    assert tile_for_memory(1 << 26, 1024) == 256
    assert tile_for_memory(0, 1024) == 0
