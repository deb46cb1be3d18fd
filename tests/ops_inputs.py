# SPDX-License-Identifier: Apache-2.0
"""What the ops are tested with: small random pictures, fields and layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from hypothesis import strategies as st

F32 = npt.NDArray[np.float32]
Floats = TypeVar("Floats", F32, npt.NDArray[np.float16])
Case = tuple[str, type[Exception], str, Callable[[], Any]]
"""A call that cannot be meant: name, error, what it says (a regular expression), the call."""

MODES = ["bilinear", "bicubic"]
BORDERS = ["replicate", "zero", "reflect"]
TRANSFERS = [None, "srgb", "bt709", "gamma2.2"]
sides = st.integers(1, 41)
seeds = st.integers(0, 2**31)
layouts = st.sampled_from(["plain", "mirrored", "planar", "crop", "spread"])
odd = st.sampled_from([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e20, 2.0**31, -(2.0**31), 1e-45, -0.0, 5.25])
"""Values that nobody wants in a field."""

_rng = np.random.default_rng(11)
IMAGE = _rng.random((9, 14, 3), dtype=np.float32)
FLOW = (_rng.random((9, 14, 2), dtype=np.float32) - 0.5) * 6
HW = np.zeros((9, 14), np.float32)
READ_ONLY = IMAGE.copy()
READ_ONLY.flags.writeable = False
T_IMAGE, T_FLOW = torch.from_numpy(IMAGE).permute(2, 0, 1), torch.from_numpy(FLOW).permute(2, 0, 1)


def picture(rng: np.random.Generator, height: int, width: int, channels: int) -> F32:
    return rng.random((height, width, channels), dtype=np.float32)


def field(rng: np.random.Generator, height: int, width: int, reach: float) -> F32:
    return ((rng.random((height, width, 2)) - 0.5) * 2 * reach).astype(np.float32)


def laid_out(values: Floats, layout: str) -> Floats:
    """The same values in other memory: a crop, mirrored, planar or every second element of something larger."""
    if layout == "plain":
        return values.copy(order="C")
    if layout == "mirrored":
        return values[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "planar":
        return np.moveaxis(values, -1, 0).copy().transpose(1, 2, 0)
    big = np.full((2 * values.shape[0] + 3, 2 * values.shape[1] + 3, values.shape[2] + 1), np.nan, values.dtype)
    place = (slice(3, None), slice(2, -1)) if layout == "crop" else (slice(2, -1, 2), slice(1, -2, 2))
    view = big[place][: values.shape[0], : values.shape[1], : values.shape[2]]
    view[...] = values
    return view


def tensor(values: F32) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(values, -1, 0).copy())[None]
