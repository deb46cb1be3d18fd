# SPDX-License-Identifier: Apache-2.0
"""What is done with flows, against plain references."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine.analysis.flow import (
    compose,
    dense_flow,
    eight_bit,
    homography_flow,
    homography_of,
    reduced,
    resize_flow,
)
from panned import texture

HOMOGRAPHY = np.array([[1.02, -0.03, 4.0], [0.02, 0.98, -6.0], [1e-4, -5e-5, 1.0]])


def read_at(picture: npt.NDArray[np.float32], x: float, y: float) -> npt.NDArray[np.float64]:
    """The value between four pixels, as in a textbook; outside the nearest pixel counts."""
    height, width = picture.shape[:2]
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    fx, fy = x - left, y - top
    p = picture.astype(np.float64)
    upper = p[top, left] * (1 - fx) + p[top, right] * fx
    lower = p[bottom, left] * (1 - fx) + p[bottom, right] * fx
    return upper * (1 - fy) + lower * fy


def test_compose_follows_one_flow_and_then_the_other() -> None:
    rng = np.random.default_rng(3)
    first, second = (rng.uniform(-4, 4, (9, 13, 2)).astype(np.float32) for _ in range(2))
    wanted = np.empty_like(first)
    for y in range(9):
        for x in range(13):
            dx, dy = first[y, x]
            wanted[y, x] = first[y, x] + read_at(second, x + float(dx), y + float(dy))
    np.testing.assert_allclose(compose(first, second), wanted, atol=1e-4)


def test_compose_of_two_homographies_is_their_product() -> None:
    other = np.array([[0.99, 0.01, -3.0], [-0.02, 1.01, 2.0], [0.0, 1e-4, 1.0]])
    both = compose(homography_flow(HOMOGRAPHY, 96, 128), homography_flow(other, 96, 128))
    inside = (slice(16, -16), slice(16, -16))  # further out the second flow is read beyond its border
    np.testing.assert_allclose(both[inside], homography_flow(other @ HOMOGRAPHY, 96, 128)[inside], atol=0.01)


def test_homography_flow_leads_to_where_the_matrix_does() -> None:
    flow = homography_flow(HOMOGRAPHY, 20, 30)
    assert flow.shape == (20, 30, 2) and flow.dtype == np.float32
    for y, x in ((0, 0), (19, 29), (7, 22)):
        u, v, w = HOMOGRAPHY @ [x, y, 1]
        np.testing.assert_allclose(flow[y, x], [u / w - x, v / w - y], atol=1e-5)


def test_homography_flow_is_finite_where_the_horizon_crosses_the_picture() -> None:
    assert np.isfinite(homography_flow(np.array([[1.0, 0, 0], [0, 1, 0], [-0.1, 0, 1]]), 8, 30)).all()


def test_homography_of_finds_the_matrix_though_a_third_moves_otherwise() -> None:
    flow = homography_flow(HOMOGRAPHY, 192, 256)
    flow[:64] += (25, -14)
    found = homography_of(flow)
    corners = np.array([[[0, 0], [255, 0], [255, 191], [0, 191], [128, 96.0]]])
    off = cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, HOMOGRAPHY)
    assert np.abs(off).max() < 0.5
    np.testing.assert_array_equal(found, homography_of(flow))


@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (12, 14)])
def test_homography_of_a_flow_too_small_is_a_translation(shape: tuple[int, int]) -> None:
    flow = np.broadcast_to(np.array([3, -2], np.float32), (*shape, 2)).copy()
    np.testing.assert_allclose(homography_of(flow), [[1, 0, 3], [0, 1, -2], [0, 0, 1]], atol=1e-6)


@given(st.integers(1, 90), st.integers(1, 70), st.integers(1, 90), st.integers(1, 70))
def test_a_resized_flow_points_at_the_same_things(w: int, h: int, to_w: int, to_h: int) -> None:
    flow = np.broadcast_to(np.array([w / 10, -h / 5], np.float32), (h, w, 2)).copy()
    resized = resize_flow(flow, (to_w, to_h))
    assert resized.shape == (to_h, to_w, 2)
    np.testing.assert_allclose(resized, np.broadcast_to([to_w / 10, -to_h / 5], resized.shape), rtol=1e-4)
    np.testing.assert_array_equal(flow[0, 0], np.array([w / 10, -h / 5], np.float32))  # what was given is left alone


def test_resizing_keeps_where_in_the_picture_a_vector_lies() -> None:
    x = np.mgrid[0:60, 0:80][1].astype(np.float32)
    flow = np.stack([0.1 * (x + 0.5), np.zeros_like(x)], 2)  # grows with the place, counted from the left edge
    small = resize_flow(flow, (40, 30))
    # A tenth of the distance from the edge, in either picture's pixels.
    centres = np.arange(40, dtype=np.float32) + 0.5
    np.testing.assert_allclose(small[10, 2:-2, 0], (0.1 * centres)[2:-2], atol=0.02)


def test_reduced_averages() -> None:
    picture = np.indices((8, 12)).sum(0).astype(np.float32) % 2  # a chequerboard aliases unless averaged
    np.testing.assert_allclose(reduced(picture, (6, 4)), 0.5, atol=1e-6)
    assert reduced(picture, (12, 8)) is picture


def test_eight_bit_takes_every_depth() -> None:
    np.testing.assert_array_equal(eight_bit(np.array([[0, 255, 256, 65535]], np.uint16)), [[0, 0, 1, 255]])
    np.testing.assert_array_equal(eight_bit(np.array([[-1, 0, 0.5, 1, 7]], np.float32)), [[0, 0, 128, 255, 255]])
    eight = np.array([[3]], np.uint8)
    assert eight_bit(eight) is eight


def _grey(seed: int, x: int, y: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    return eight_bit(cv2.cvtColor(texture(seed), cv2.COLOR_RGB2GRAY)[y : y + height, x : x + width])


def test_dense_flow_is_backward() -> None:
    """``first(p) = second(p + flow(p))``, in x and in y."""
    flow = dense_flow(_grey(1, 50, 60, 160, 120), _grey(1, 45, 63, 160, 120))
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), [5, -3], atol=0.2)


@pytest.mark.parametrize("size", [(9, 7), (16, 40), (31, 31)])
def test_dense_flow_of_pictures_smaller_than_its_patches(size: tuple[int, int]) -> None:
    flow = dense_flow(_grey(1, 50, 60, *size), _grey(1, 49, 60, *size))
    assert flow.shape == (size[1], size[0], 2) and np.isfinite(flow).all()
    assert 0 < float(np.median(flow[..., 0])) < 2  # in its own pixels, not in the enlarged picture's


def test_dense_flow_in_threads_is_that_of_one() -> None:
    pairs = [(_grey(1, 50, 60, 128, 96), _grey(1, 50 + n, 60 - n, 128, 96)) for n in range(6)]
    wanted = [dense_flow(*pair) for pair in pairs]
    found: dict[int, npt.NDArray[np.float32]] = {}

    def work(n: int) -> None:
        for _ in range(4):
            found[n] = dense_flow(*pairs[n])

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, flow in enumerate(wanted):
        np.testing.assert_array_equal(found[n], flow)
