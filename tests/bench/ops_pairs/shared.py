# SPDX-License-Identifier: Apache-2.0
"""What the pairs of all ops are made of: pictures, flows, and torch's way of sampling.

Each module here has ``host_pairs(width, height, threads)`` and ``device_pairs(width, height)``: by op and peer, ours
and the peer's work; on the device also the bytes that the op must move at least, where memory bounds it; on the host,
where the peer is a plain copy, those bytes as a share of what the copy reads and writes.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

Work = Callable[[], object]
HostPairs = dict[tuple[str, str], tuple[Work, Work] | tuple[Work, Work, float]]
DevicePairs = dict[tuple[str, str], tuple[Work, Work, float | None]]
F32 = npt.NDArray[np.float32]


def smooth_flow(rng: np.random.Generator, height: int, width: int, reach: float) -> F32:
    """A flow as clips have it: neighbouring pixels move alike."""
    coarse = (rng.random((6, 8, 2), np.float32) - 0.5) * 2 * reach
    return np.ascontiguousarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def nchw(picture: F32, device: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, -1, -3))).to(device)


def grid_of(flow: torch.Tensor) -> torch.Tensor:
    """Positions as grid_sample wants them, made outside the timed part."""
    _, _, height, width = flow.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    base = torch.stack([x, y], -1).to(flow)
    scale = torch.tensor([max(1, width - 1) / 2, max(1, height - 1) / 2]).to(flow)
    return (base + flow.permute(0, 2, 3, 1)) / scale - 1


def sample(image: torch.Tensor, grid: torch.Tensor, mode: str = "bilinear") -> torch.Tensor:
    return F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=True)
