# SPDX-License-Identifier: Apache-2.0
"""VGG-19 (Simonyan and Zisserman, ICLR 2015) up to conv5_2: what the paper's network sees and is judged by."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BLOCKS", "PHASE", "Vgg"]

BLOCKS = (2, 2, 4, 4, 2)
"""Convolutions of each block, whose features are those of its second one; each is half as large as the one before."""
PHASE = 16  # pixels: what sides have to be a multiple of, so that every block is a whole fraction of the picture
_OUT = 1  # which convolution of a block its features come from


class Vgg(nn.Module):
    """Frozen convolutions with their features conv1_2, conv2_2, conv3_2, conv4_2 and conv5_2.

    ``weights``: (weight [out, in, 3, 3], bias [out]) of the fourteen convolutions, for pictures R'G'B' 0..1 less
    ``mean`` (three numbers). The channels may be any: tests use narrow ones. Between blocks the mean of 2x2 is taken,
    as in the published code of the paper's group (Chen and Koltun, ICCV 2017), where VGG itself takes the largest.

    Each convolution is scaled by a power of two, and the one after it by the inverse, so that features of a natural
    picture are of about 1 in the mean, after Gatys et al. (CVPR 2016). The network stays the same but for these
    factors, whichever file and value range it came from, and fits into half precision.
    """

    mean: Tensor

    def __init__(self, weights: Sequence[tuple[Tensor, Tensor]], mean: Sequence[float]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        for weight, bias in weights:
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            with torch.no_grad():
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)  # type: ignore[union-attr]
            self.convolutions.append(layer)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)
        self._level()

    @property
    def channels(self) -> tuple[int, ...]:
        """Of the five features."""
        ends = np.cumsum([0, *BLOCKS[:-1]]) + _OUT
        return tuple(self.convolutions[int(n)].out_channels for n in ends)  # type: ignore[misc]

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Features of ``picture`` [N, 3, H, W], sides multiples of ``PHASE``: [N, C, H / 2^k, W / 2^k], k = 0..4."""
        found = []
        layers = iter(self.convolutions)
        x = picture - self.mean
        for block, count in enumerate(BLOCKS):
            if block:
                x = F.avg_pool2d(x, 2)
            for number in range(count):
                x = F.relu(next(layers)(x))
                if number == _OUT:
                    found.append(x)
        return found

    def digest(self) -> str:
        """Tells one set of weights from another."""
        mark = hashlib.sha256()
        for value in self.state_dict().values():
            mark.update(value.detach().cpu().contiguous().numpy().tobytes())
        return mark.hexdigest()[:32]

    @torch.no_grad()
    def _level(self) -> None:
        x, before, layers = _made_up_picture() - self.mean, 1.0, iter(self.convolutions)
        for block, count in enumerate(BLOCKS):
            if block:
                x = F.avg_pool2d(x, 2)
            for _ in range(count):
                layer = next(layers)
                weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
                weight.mul_(before)
                size = float(F.relu(layer(x)).mean())
                before = 2.0 ** round(math.log2(size)) if 1e-20 < size < 1e20 else 1.0
                weight.div_(before)
                bias.div_(before)
                x = F.relu(layer(x))


def _made_up_picture(side: int = 64) -> Tensor:
    """[1, 3, side, side] of 0..1 with the spectrum of natural pictures, the same always."""
    rng = np.random.default_rng(0)
    y, x = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    spectrum = rng.normal(size=(3, side, side // 2 + 1)) + 1j * rng.normal(size=(3, side, side // 2 + 1))
    spectrum[1:] = 0.8 * spectrum[:1] + 0.2 * spectrum[1:]  # channels of natural pictures are much alike
    picture = np.fft.irfft2(spectrum / np.maximum(np.hypot(y, x), 1 / side), s=(side, side))
    picture = 0.45 + 0.22 * (picture - picture.mean()) / picture.std()
    return torch.from_numpy(np.clip(picture, 0, 1).astype(np.float32))[None]
