# SPDX-License-Identifier: Apache-2.0
"""sharpness beside OpenCV, torch and a plain copy."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from deblur_engine import ops

from .shared import DevicePairs, HostPairs


def host_pairs(width: int, height: int, threads: int) -> HostPairs:
    rng = np.random.default_rng(0)
    gray = rng.random((height, width), np.float32)
    gray8 = (gray * 255).astype(np.uint8)
    rgb8 = (rng.random((height, width, 3), np.float32) * 255).astype(np.uint8)
    many8, many = np.repeat(gray8[None, ..., None], 48, 0), np.repeat(gray[None, ..., None], 12, 0)
    copy8, copy = np.empty_like(many8), np.empty_like(many)
    return {
        ("sharpness u8", "cv2.Laplacian.var"): (
            lambda: ops.sharpness(gray8, threads=threads),
            lambda: cv2.Laplacian(gray8, cv2.CV_64F).var(),
        ),
        ("sharpness f32", "cv2.Laplacian.var"): (
            lambda: ops.sharpness(gray, threads=threads),
            lambda: cv2.Laplacian(gray, cv2.CV_32F).var(),
        ),
        ("sharpness u8x3", "cv2 gray + Laplacian.var"): (
            lambda: ops.sharpness(rgb8, threads=threads),
            lambda: cv2.Laplacian(cv2.cvtColor(rgb8, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var(),
        ),
        ("sharpness u8 x 48", "np.copyto"): (
            lambda: ops.sharpness(many8, threads=threads),
            lambda: np.copyto(copy8, many8),
            0.5,
        ),
        ("sharpness f32 x 12", "np.copyto"): (
            lambda: ops.sharpness(many, threads=threads),
            lambda: np.copyto(copy, many),
            0.5,
        ),
    }


def device_pairs(width: int, height: int) -> DevicePairs:
    gray = torch.rand(1, 1, height, width, device="cuda")
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], device="cuda")[None, None]

    def tiles_by_torch() -> torch.Tensor:
        energy = F.conv2d(F.pad(gray, (1, 1, 1, 1), mode="replicate"), kernel) ** 2
        return F.avg_pool2d(energy, 32, ceil_mode=True, count_include_pad=False)

    gray8 = (gray * 255).to(torch.uint8)
    return {
        ("sharpness u8", "conv2d + avg_pool2d"): (lambda: ops.sharpness(gray8), tiles_by_torch, width * height),
        ("sharpness f32", "conv2d + avg_pool2d"): (lambda: ops.sharpness(gray), tiles_by_torch, width * height * 4),
    }
