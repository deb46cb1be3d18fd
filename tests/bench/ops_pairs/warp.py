# SPDX-License-Identifier: Apache-2.0
"""warp beside OpenCV and torch."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from deblur_engine import ops

from .shared import DevicePairs, HostPairs, Work, grid_of, nchw, sample, smooth_flow


def host_pairs(width: int, height: int, threads: int) -> HostPairs:
    rng = np.random.default_rng(0)
    rgb, flow = rng.random((height, width, 3), np.float32), smooth_flow(rng, height, width, 12)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    map_x, map_y = x + flow[..., 0], y + flow[..., 1]
    out, remapped = np.empty_like(rgb), np.empty_like(rgb)
    image, tensor_flow = nchw(rgb[None], "cpu"), nchw(flow[None], "cpu")
    planar_out, grid = torch.empty_like(image), grid_of(tensor_flow)

    def remap(how: int) -> Work:
        return lambda: cv2.remap(rgb, map_x, map_y, how, dst=remapped, borderMode=cv2.BORDER_REPLICATE)

    return {
        ("warp bilinear f32x3", "cv2.remap"): (
            lambda: ops.warp(rgb, flow, out=out, threads=threads),
            remap(cv2.INTER_LINEAR),
        ),
        ("warp bicubic f32x3", "cv2.remap cubic"): (
            lambda: ops.warp(rgb, flow, "bicubic", out=out, threads=threads),
            remap(cv2.INTER_CUBIC),
        ),
        ("warp bilinear NCHW", "torch grid_sample"): (
            lambda: ops.warp(image, tensor_flow, out=planar_out, threads=threads),
            lambda: sample(image, grid),  # which takes no memory for its result
        ),
    }


def device_pairs(width: int, height: int) -> DevicePairs:
    rng = np.random.default_rng(0)
    picture = nchw(rng.random((1, height, width, 3), np.float32), "cuda")
    flow = nchw(smooth_flow(rng, height, width, 12)[None], "cuda")
    grid, out = grid_of(flow), torch.empty_like(picture)
    least = width * height * 4 * (3 + 2 + 3)
    return {
        ("warp bilinear f32x3", "grid_sample"): (
            lambda: ops.warp(picture, flow, out=out),
            lambda: sample(picture, grid),
            least,
        ),
        ("warp bicubic f32x3", "grid_sample bicubic"): (
            lambda: ops.warp(picture, flow, "bicubic", out=out),
            lambda: sample(picture, grid, "bicubic"),
            least,
        ),
    }
