# SPDX-License-Identifier: Apache-2.0
"""Every product is rounded before it is added to: a build that fuses the two gives other bits, on processors that can.

Each op is compared, bit by bit, with the same steps in NumPy's float32, which never fuses. That fusing would show is
asserted as well, by doing one of the steps so.
"""

from __future__ import annotations

import numpy as np

from deblur_engine import ops
from ops_inputs import F32, field, picture

rng = np.random.default_rng(17)
ONE = np.float32(1)


def fused(a: F32, b: F32, c: F32) -> F32:
    """``a * b + c``, rounded once: the product of two floats is exact in float64, and so nearly is the sum."""
    return (a.astype(np.float64) * b + c).astype(np.float32)


def differ(a: F32, b: F32) -> bool:
    """In so many places that no test passes by chance."""
    return float((a != b).mean()) > 0.02


def test_mix() -> None:
    base, result, weight = picture(rng, 40, 50, 3), picture(rng, 40, 50, 3), rng.random((40, 50), np.float32)
    w = weight[..., None]
    wanted = base + w * (result - base)
    assert differ(wanted, fused(np.broadcast_to(w, base.shape), result - base, base))
    np.testing.assert_array_equal(ops.mix(base, result, weight), wanted)


def test_tiles() -> None:
    sums, weights = picture(rng, 30, 60, 3), rng.random((30, 60), np.float32)
    tile = picture(rng, 30, 20, 3)
    i = np.arange(20, dtype=np.float32)
    slope = ONE / np.float32(7)
    half = np.float32(0.5)
    w = np.minimum(np.minimum(ONE, (i + half) * slope), (np.float32(19) - i + half) * slope)
    wanted = sums.copy()
    wanted[:, 10:30] += w[None, :, None] * tile
    assert differ(wanted[:, 10:30], fused(np.broadcast_to(w[None, :, None], tile.shape), tile, sums[:, 10:30]))
    ops.blend_tiles(sums, weights, tile, 0, 10, 7)
    np.testing.assert_array_equal(sums, wanted)
    np.testing.assert_array_equal(ops.finish_tiles(sums, weights), sums / weights[..., None])


def taps(image: F32, at_x: F32, at_y: F32) -> tuple[list[F32], list[F32]]:
    """The four taps (upper left, lower left, upper right, lower right) and x's and y's weights (near, far)."""
    x, y = np.floor(at_x), np.floor(at_y)
    i, j = x.astype(int), y.astype(int)
    far_x, far_y = (at_x - x)[..., None], (at_y - y)[..., None]
    read = [image[j, i], image[j + 1, i], image[j, i + 1], image[j + 1, i + 1]]
    return read, [ONE - far_x, far_x, ONE - far_y, far_y]


def test_warp() -> None:
    image, flow = picture(rng, 40, 50, 3), field(rng, 40, 50, 4.0)
    y, x = np.mgrid[:40, :50].astype(np.float32)
    inner = (slice(5, -6), slice(5, -6))
    (ul, ll, ur, lr), (left, right, above, below) = taps(image, (x + flow[..., 0])[inner], (y + flow[..., 1])[inner])
    across = left * (above * ul + below * ll)
    wanted = across + right * (above * ur + below * lr)
    assert differ(wanted, fused(np.broadcast_to(right, ul.shape), above * ur + below * lr, across))
    for given in (image, np.moveaxis(image, -1, 0).copy().transpose(1, 2, 0)):  # packed and planar
        np.testing.assert_array_equal(ops.warp(given, flow)[inner], wanted)


def test_warp_backward() -> None:
    grad, image, flow = picture(rng, 40, 50, 1), picture(rng, 40, 50, 1), field(rng, 40, 50, 4.0)
    y, x = np.mgrid[:40, :50].astype(np.float32)
    inner = (slice(5, -6), slice(5, -6))
    (ul, ll, ur, lr), (_, _, above, below) = taps(image, (x + flow[..., 0])[inner], (y + flow[..., 1])[inner])
    first, second = above * ul + below * ll, above * ur + below * lr
    assert differ(second, fused(np.broadcast_to(below, ur.shape), lr, above * ur))
    _, to_flow = ops.warp_backward(grad, image, flow)
    np.testing.assert_array_equal(to_flow[inner][..., :1], grad[inner] * (second - first))


def test_reblur() -> None:
    image, motion = picture(rng, 40, 50, 3), field(rng, 40, 50, 8.0)
    y, x = np.mgrid[:40, :50].astype(np.float32)
    inner = (slice(5, -6), slice(5, -6))
    half = np.float32(0.5)
    one_over_n = ONE / np.float32(4)
    sums = [np.zeros((29, 39, 3), np.float32) for _ in range(4)]
    for moment in range(2):
        s = (np.float32(moment) + half) * one_over_n - half
        u = s * motion[inner]
        whole = np.floor(u)
        far = u - whole
        near = ONE - far
        i, j = whole[..., 0].astype(int), whole[..., 1].astype(int)
        here_x, here_y = x[inner].astype(int), y[inner].astype(int)
        for k, (right, lower) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
            pair = image[here_y + j + lower, here_x + i + right] + image[here_y - j - lower, here_x - i - right]
            weight = (far if right else near)[..., :1] * (far if lower else near)[..., 1:]
            if moment == 1:
                assert differ(sums[k] + pair * weight, fused(pair, np.broadcast_to(weight, pair.shape), sums[k]))
            sums[k] = sums[k] + pair * weight
    wanted = ((sums[0] + sums[2]) + (sums[1] + sums[3])) * one_over_n
    np.testing.assert_array_equal(ops.reblur(image, motion, samples=4)[inner], wanted)


def test_sharpness() -> None:
    image = picture(rng, 1, 900, 3)
    weights = np.array([0.2126, 0.7152, 0.0722], np.float32)
    red_green = weights[0] * image[..., 0] + weights[1] * image[..., 1]
    luma = red_green + weights[2] * image[..., 2]
    assert differ(luma, fused(image[..., 2], np.broadcast_to(weights[2], luma.shape), red_green))
    line = np.pad(luma[0], 1, mode="edge")
    here = line[1:-1]
    v = (here + here) + (line[:-2] + line[2:]) - np.float32(4) * here
    np.testing.assert_array_equal(ops.sharpness(image, 1)[0], v * v)
