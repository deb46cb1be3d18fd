# SPDX-License-Identifier: Apache-2.0
"""finish_tiles and mix beside NumPy and torch: to floats, and to 10-bit codes."""

from __future__ import annotations

import numpy as np
import torch

from deblur_engine import ops

from .shared import DevicePairs, HostPairs


def host_pairs(width: int, height: int, threads: int) -> HostPairs:
    rng = np.random.default_rng(0)
    base, result = (rng.random((height, width, 3), np.float32) for _ in range(2))
    weight, out = rng.random((height, width), np.float32) + 0.1, np.empty_like(base)
    codes = (base * 1023).astype(np.uint16)
    codes_out = np.empty_like(codes)

    def mix_by_numpy() -> object:
        mixed = codes + weight[..., None] * (result * np.float32(1023) - codes)
        return np.where(weight[..., None] == 0, codes, np.rint(np.clip(mixed, 0, 1023)).astype(np.uint16))

    def mix_to_codes() -> object:
        return ops.mix(codes, result, weight, bits=10, out=codes_out, threads=threads)

    def tiles_to_codes() -> object:
        return ops.finish_tiles(base, weight, "uint16", bits=10, out=codes_out, threads=threads)

    # What bounds these is memory: a copy that moves as many bytes, half of them read and half written, is their floor.
    mixed_bytes = codes.nbytes + result.nbytes + weight.nbytes + codes_out.nbytes
    tiles_bytes = base.nbytes + weight.nbytes + codes_out.nbytes
    source = np.ones(mixed_bytes // 2, np.uint8)
    copied = np.empty_like(source)

    return {
        ("mix f32x3", "NumPy"): (
            lambda: ops.mix(base, result, weight, out=out, threads=threads),
            lambda: base + weight[..., None] * (result - base),
        ),
        ("mix to 10-bit", "NumPy"): (
            mix_to_codes,
            mix_by_numpy,
        ),
        ("mix to 10-bit", "np.copyto of as many bytes"): (
            mix_to_codes,
            lambda: np.copyto(copied, source),
            1.0,
        ),
        ("tiles to 10-bit", "NumPy"): (
            tiles_to_codes,
            lambda: np.rint(np.clip(base / weight[..., None], 0, 1) * np.float32(1023)).astype(np.uint16),
        ),
        ("tiles to 10-bit", "np.copyto of as many bytes"): (
            tiles_to_codes,
            lambda: np.copyto(copied[: tiles_bytes // 2], source[: tiles_bytes // 2]),
            1.0,
        ),
    }


def device_pairs(width: int, height: int) -> DevicePairs:
    base, result, out = (torch.rand(1, 3, height, width, device="cuda") for _ in range(3))
    weight = torch.rand(1, 1, height, width, device="cuda") + 0.1
    codes = (base * 1023).to(torch.uint16)
    codes_out = torch.empty_like(codes)
    pixels = width * height
    return {
        ("mix f32x3", "torch"): (
            lambda: ops.mix(base, result, weight, out=out),
            lambda: base + weight * (result - base),
            pixels * 4 * (3 + 3 + 1 + 3),
        ),
        ("mix to 10-bit", "torch"): (
            lambda: ops.mix(codes, result, weight, bits=10, out=codes_out),
            lambda: codes.float().lerp(result * 1023, weight).clamp(0, 1023).round().to(torch.uint16),
            pixels * (3 * 2 + 3 * 4 + 4 + 3 * 2),
        ),
        ("tiles to 10-bit", "torch"): (
            lambda: ops.finish_tiles(base, weight, "uint16", bits=10, out=codes_out),
            lambda: (base / weight).clamp(0, 1).mul(1023).round().to(torch.uint16),
            pixels * (3 * 4 + 4 + 3 * 2),
        ),
    }
