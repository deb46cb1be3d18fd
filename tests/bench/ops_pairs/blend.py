# SPDX-License-Identifier: Apache-2.0
"""blend_tiles and mix beside NumPy and torch."""

from __future__ import annotations

import numpy as np
import torch

from deblur_engine import ops

from .shared import DevicePairs, HostPairs


def host_pairs(width: int, height: int, threads: int) -> HostPairs:
    rng = np.random.default_rng(0)
    base, result = (rng.random((height, width, 3), np.float32) for _ in range(2))
    weight, out = rng.random((height, width), np.float32), np.empty_like(base)
    return {
        ("mix f32x3", "NumPy"): (
            lambda: ops.mix(base, result, weight, out=out, threads=threads),
            lambda: base + weight[..., None] * (result - base),
        ),
    }


def device_pairs(width: int, height: int) -> DevicePairs:
    base, result, out = (torch.rand(1, 3, height, width, device="cuda") for _ in range(3))
    weight = torch.rand(1, 1, height, width, device="cuda")
    return {
        ("mix f32x3", "torch"): (
            lambda: ops.mix(base, result, weight, out=out),
            lambda: base + weight * (result - base),
            width * height * 4 * (3 + 3 + 1 + 3),
        ),
    }
