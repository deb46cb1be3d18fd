# SPDX-License-Identifier: Apache-2.0
"""reblur beside loops of OpenCV and torch."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from deblur_engine import ops

from .shared import F32, DevicePairs, HostPairs, Work, grid_of, nchw, sample, smooth_flow

MOMENTS = [(i + 0.5) / 17 - 0.5 for i in range(17)]


def grid_loop(crops: torch.Tensor, motions: torch.Tensor) -> Work:
    grids = [grid_of(motions * s) for s in MOMENTS]

    def loop() -> torch.Tensor:
        total = torch.zeros_like(crops)
        for grid in grids:
            total += sample(crops, grid)
        return total / 17

    return loop


def host_pairs(width: int, height: int, threads: int) -> HostPairs:
    rng = np.random.default_rng(0)
    crops = rng.random((16, 256, 256, 3), np.float32)
    motions = np.stack([smooth_flow(rng, 256, 256, 12) for _ in range(16)])
    blurred = np.empty_like(crops)
    x, y = np.meshgrid(np.arange(256, dtype=np.float32), np.arange(256, dtype=np.float32))
    crop_tensor, motion_tensor = nchw(crops, "cpu"), nchw(motions, "cpu")

    def remap_loop() -> F32:
        for n in range(16):
            total = np.zeros((256, 256, 3), np.float32)
            for s in MOMENTS:
                mx, my = x + np.float32(s) * motions[n, ..., 0], y + np.float32(s) * motions[n, ..., 1]
                total += cv2.remap(crops[n], mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            blurred[n] = total / 17
        return blurred

    # A training batch: crops of full frames, blurred in linear light, turned.
    frames = rng.random((2, height, width, 3), np.float32)
    fields = np.stack([smooth_flow(rng, height, width, 12) for _ in range(2)])
    places = np.stack([rng.integers(0, stop, 16) for stop in (2, max(1, height - 255), max(1, width - 255), 8)], -1)

    def crop_loop() -> F32:
        batch = np.empty((16, 256, 256, 3), np.float32)
        for n, (frame, top, left, way) in enumerate(places.tolist()):
            field = fields[frame, top : top + 256, left : left + 256]
            y0, x0 = max(0, top - 16), max(0, left - 16)
            around = frames[frame, y0 : top + 272, x0 : left + 272]
            linear = np.where(around <= 0.04045, around / 12.92, ((around + 0.055) / 1.055) ** 2.4)
            total = np.zeros((256, 256, 3), np.float32)
            for s in MOMENTS:
                mx, my = x + (left - x0) + np.float32(s) * field[..., 0], y + (top - y0) + np.float32(s) * field[..., 1]
                total += cv2.remap(linear, mx, my, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            total /= 17
            made = np.where(total <= 0.0031308, total * 12.92, 1.055 * total ** (1 / 2.4) - 0.055)
            made = made[:: -1 if way & 2 else 1, :: -1 if way & 1 else 1]
            batch[n] = made.transpose(1, 0, 2) if way & 4 else made
        return batch

    return {
        ("reblur_crops 17 x 16 x 256², sRGB", "loop of cv2.remap"): (
            lambda: ops.reblur_crops(frames, fields, places, 256, samples=17, transfer="srgb", threads=threads),
            crop_loop,
        ),
        ("reblur 17 x 16 x 256²", "loop of cv2.remap"): (
            lambda: ops.reblur(crops, motions, samples=17, out=blurred, threads=threads),
            remap_loop,
        ),
        ("reblur 17 x 16 x 256²", "loop of grid_sample"): (
            lambda: ops.reblur(crop_tensor, motion_tensor, samples=17, threads=threads),
            grid_loop(crop_tensor, motion_tensor),
        ),
    }


def device_pairs(width: int, height: int) -> DevicePairs:
    rng = np.random.default_rng(0)
    crops = torch.rand(16, 3, 256, 256, device="cuda")
    motions = nchw(np.stack([smooth_flow(rng, 256, 256, 12) for _ in range(16)]), "cuda")
    blurred = torch.empty_like(crops)
    frames = torch.rand(2, 3, height, width, device="cuda")
    fields = nchw(np.stack([smooth_flow(rng, height, width, 12) for _ in range(2)]), "cuda")
    places = np.stack([rng.integers(0, stop, 16) for stop in (2, max(1, height - 255), max(1, width - 255), 8)], -1)
    return {
        ("reblur_crops 17 x 16 x 256², sRGB", "loop of grid_sample, no crops, no curve"): (
            lambda: ops.reblur_crops(frames, fields, places, 256, samples=17, transfer="srgb"),
            grid_loop(crops, motions),
            None,
        ),
        ("reblur 17 x 16 x 256²", "loop of grid_sample"): (
            lambda: ops.reblur(crops, motions, samples=17, out=blurred),
            grid_loop(crops, motions),
            None,
        ),
    }
