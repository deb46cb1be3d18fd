# SPDX-License-Identifier: Apache-2.0
"""The network that is fitted to a clip: small, fully convolutional, a residual over the confidence blend."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DeblurNet"]

TAPS = (-1.5, -1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Where the frame's luma is sampled along the blur path, in blur lengths from the pixel.

A box blur undone along its own path is the same filter for every direction and, but for sampling, every length. With
the picture read at these places a 1x1 convolution can be that filter, which plain convolutions would have to learn
anew for each direction and length.
"""
_DIVISOR = 8  # sides are padded to a multiple: pixel-unshuffle by 2, then two halvings
_VECTOR_UNIT = 16.0  # pixels of blur that the network sees as 1


class _Residual(nn.Module):
    """Two 3x3 convolutions around a residual; starts close to the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            self.second.weight *= 0.2
            self.second.bias.zero_()  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.leaky_relu(self.first(x), 0.1))


class DeblurNet(nn.Module):
    """Restores a frame from itself, an aligned sharp reference and its motion.

    All inputs are float, of any height and width. ``frame`` [N, 3, H, W]: R'G'B'. ``reference`` [N, 3, H, W]: sharp,
    aligned; ``confidence`` [N, 1, H, W]: 0..1, 0 where there is no reference. ``motion`` [N, 2, H, W]: blur vector in
    pixels, 0 where unknown (fits are told either way along a path). Returns the restored frame [N, 3, H, W]. A network
    just made returns the blend ``frame + confidence * (reference - frame)``.

    ``width``: channels at half resolution; twice and three times as many at a quarter and an eighth.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.width = width
        w1, w2, w3 = width, 2 * width, 3 * width
        self.stem = nn.Conv2d(4 * (3 + 3 + 1 + 3 + len(TAPS)), w1, 3, padding=1)
        self.fine = _Residual(w1)
        self.down2 = nn.Conv2d(w1, w2, 2, stride=2)
        self.middle = nn.Sequential(_Residual(w2), _Residual(w2))
        self.down3 = nn.Conv2d(w2, w3, 2, stride=2)
        self.coarse = nn.Sequential(_Residual(w3), _Residual(w3), _Residual(w3))
        self.up2 = nn.Conv2d(w3, 4 * w2, 1)
        self.middle_out = _Residual(w2)
        self.up1 = nn.Conv2d(w2, 4 * w1, 1)
        self.fine_out = _Residual(w1)
        self.head = nn.Conv2d(w1, 12, 3, padding=1)
        self.keep_blend()

    def keep_blend(self) -> None:
        """Make the network return the confidence blend, whatever it learned."""
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, frame: Tensor, reference: Tensor, confidence: Tensor, motion: Tensor) -> Tensor:
        height, width = frame.shape[2], frame.shape[3]
        bottom, right = -height % _DIVISOR, -width % _DIVISOR
        pad = (0, right, 0, bottom)
        frame = F.pad(frame, pad, mode="replicate")
        reference = F.pad(reference, pad, mode="replicate")
        confidence = F.pad(confidence, pad, mode="replicate")
        motion = F.pad(motion, pad, mode="replicate")
        blend = frame + confidence * (reference - frame)
        known = (confidence > 0).to(frame.dtype)
        told = torch.cat(
            [
                frame - 0.5,
                (reference - frame) * known,
                confidence,
                _unsigned(motion),
                _along_path(frame, motion),
            ],
            1,
        )
        fine = self.fine(F.leaky_relu(self.stem(F.pixel_unshuffle(told, 2)), 0.1))
        middle = self.middle(self.down2(fine))
        coarse = self.coarse(self.down3(middle))
        middle = self.middle_out(middle + F.pixel_shuffle(self.up2(coarse), 2))
        fine = self.fine_out(fine + F.pixel_shuffle(self.up1(middle), 2))
        restored = blend + F.pixel_shuffle(self.head(fine), 2)
        return restored[:, :, :height, :width]


def _unsigned(motion: Tensor) -> Tensor:
    """Length and doubled angle of a blur vector, [N, 3, H, W]: the same for a path and its reverse."""
    dx, dy = motion[:, 0:1] / _VECTOR_UNIT, motion[:, 1:2] / _VECTOR_UNIT
    length = torch.sqrt(dx * dx + dy * dy + 1e-8)
    return torch.cat([length, (dx * dx - dy * dy) / length, 2 * dx * dy / length], 1)


def _along_path(frame: Tensor, motion: Tensor) -> Tensor:
    """Luma at ``TAPS`` along the blur path less luma at the pixel itself, [N, len(TAPS), H, W]."""
    luma = 0.299 * frame[:, 0:1] + 0.587 * frame[:, 1:2] + 0.114 * frame[:, 2:3]
    height, width = frame.shape[2], frame.shape[3]
    x = torch.arange(width, dtype=frame.dtype, device=frame.device).view(1, 1, width)
    y = torch.arange(height, dtype=frame.dtype, device=frame.device).view(1, height, 1)
    # All taps in one sampling, one below the other: fewer, larger pieces of work.
    at_x = torch.cat([x + tap * motion[:, 0] for tap in TAPS], 1)
    at_y = torch.cat([y + tap * motion[:, 1] for tap in TAPS], 1)
    grid = torch.stack([at_x * (2.0 / width) + (1.0 / width - 1.0), at_y * (2.0 / height) + (1.0 / height - 1.0)], -1)
    read = F.grid_sample(luma, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return read.reshape(-1, len(TAPS), height, width) - luma
