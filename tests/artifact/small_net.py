# SPDX-License-Identifier: Apache-2.0
"""A network shaped like the real one, small enough for tests: strided, with skips, over the confidence blend."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SmallNet(nn.Module):
    """Random weights that matter: what it adds to the blend is up to some tenths."""

    def __init__(self, width: int = 4, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(4 * 13, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(2 * width, 2 * width, 3, padding=2, dilation=2)
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.last = nn.Conv2d(width, 12, 3, padding=1)
        self.eval().requires_grad_(False)

    def forward(self, frame: Tensor, estimate: Tensor, reference: Tensor, confidence: Tensor, motion: Tensor) -> Tensor:
        height, width = frame.shape[-2:]
        base = frame + estimate + confidence[:, :1] * (reference - estimate)
        x = torch.cat([frame, estimate, reference, confidence, motion / 32], 1)
        x = F.pad(x, (0, (-width) % 8, 0, (-height) % 8), mode="replicate")
        first = F.leaky_relu(self.first(F.pixel_unshuffle(x, 2)), 0.1)
        deep = F.leaky_relu(self.deep(F.leaky_relu(self.down(first), 0.1)), 0.1)
        smooth = F.interpolate(deep, scale_factor=2.0, mode="bilinear", align_corners=False)
        joined = first + self.up(deep) + smooth[:, : first.shape[1]]
        return base + F.pixel_shuffle(self.last(joined), 2)[..., :height, :width]
