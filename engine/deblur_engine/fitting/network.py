# SPDX-License-Identifier: Apache-2.0
"""The network that is fitted to a clip: small, fully convolutional, a residual over the confidence blend."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DeblurNet", "Residual", "along_path", "unsigned"]

TAPS = (-1.5, -1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0, 1.5)
"""Where the frame's luma is sampled along the blur path, in blur lengths from the pixel.

A box blur undone along its own path is the same filter for every direction and, but for sampling, every length. With
the picture read at these places a 1x1 convolution can be that filter, which plain convolutions would have to learn
anew for each direction and length.
"""
_DIVISOR = 8  # sides are padded to a multiple: pixel-unshuffle by 2, then two halvings
_VECTOR_UNIT = 16.0  # pixels of blur that the network sees as 1


class Residual(nn.Module):
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
    """Restores a frame from itself, what alignment proposes to change in it, and its motion.

    All inputs are float, of any height and width; zeros say that nothing is known. ``frame`` [N, 3, H, W]: R'G'B'.
    ``estimate`` [N, 3, H, W]: the frame with its blur undone along its motion, less the frame. ``reference``
    [N, 3, H, W]: sharp frames aligned to it, less the frame. ``confidence`` [N, 2, H, W]: how far the reference is
    believed, 0..1, and what it differs by, in luma, once it is blurred as the frame is. ``motion`` [N, 2, H, W]: blur
    vector in pixels (fits are told either way along a path). Returns the restored frame [N, 3, H, W]. A network just
    made returns the blend ``frame + estimate + confidence[:, :1] * (reference - estimate)``.

    ``width``: channels at half resolution; twice and three times as many at a quarter and an eighth.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.width = width
        w1, w2, w3 = width, 2 * width, 3 * width
        self.stem = nn.Conv2d(4 * (3 + 3 + 3 + 2 + 3 + len(TAPS)), w1, 3, padding=1)
        self.fine = Residual(w1)
        self.down2 = nn.Conv2d(w1, w2, 2, stride=2)
        self.middle = nn.Sequential(Residual(w2), Residual(w2))
        self.down3 = nn.Conv2d(w2, w3, 2, stride=2)
        self.coarse = nn.Sequential(Residual(w3), Residual(w3), Residual(w3))
        self.up2 = nn.Conv2d(w3, 4 * w2, 1)
        self.middle_out = Residual(w2)
        self.up1 = nn.Conv2d(w2, 4 * w1, 1)
        self.fine_out = Residual(w1)
        self.head = nn.Conv2d(w1, 12, 3, padding=1)
        self.keep_blend()

    def keep_blend(self) -> None:
        """Make the network return the confidence blend, whatever it learned."""
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, frame: Tensor, estimate: Tensor, reference: Tensor, confidence: Tensor, motion: Tensor) -> Tensor:
        height, width = frame.shape[2], frame.shape[3]
        return self.restored(*self.told(frame, estimate, reference, confidence, motion))[:, :, :height, :width]

    @staticmethod
    def told(
        frame: Tensor, estimate: Tensor, reference: Tensor, confidence: Tensor, motion: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The first half of ``forward``, of which nothing is learned: what the convolutions see, and the plain blend.

        [N, C, h/2, w/2] and [N, 3, h, w], sides padded to a multiple of 8.
        """
        bottom, right = -frame.shape[2] % _DIVISOR, -frame.shape[3] % _DIVISOR
        frame, estimate, reference, confidence, motion = (
            F.pad(given, (0, right, 0, bottom), mode="replicate")
            for given in (frame, estimate, reference, confidence, motion)
        )
        blend = frame + estimate + confidence[:, :1] * (reference - estimate)
        seen = torch.cat(
            [
                frame - 0.5,
                estimate,
                reference,
                confidence,
                unsigned(motion),
                along_path(_luma(frame), motion, TAPS),
            ],
            1,
        )
        return F.pixel_unshuffle(seen, 2), blend

    def restored(self, told: Tensor, blend: Tensor) -> Tensor:
        """The second half: the restored frame [N, 3, h, w], still padded."""
        fine = self.fine(F.leaky_relu(self.stem(told), 0.1))
        middle = self.middle(self.down2(fine))
        coarse = self.coarse(self.down3(middle))
        middle = self.middle_out(middle + F.pixel_shuffle(self.up2(coarse), 2))
        fine = self.fine_out(fine + F.pixel_shuffle(self.up1(middle), 2))
        return blend + F.pixel_shuffle(self.head(fine), 2)


def unsigned(motion: Tensor, unit: float = _VECTOR_UNIT) -> Tensor:
    """Length and doubled angle of vectors [N, 2, H, W], in ``unit`` pixels: the same for a path and its reverse."""
    dx, dy = motion[:, 0:1] / unit, motion[:, 1:2] / unit
    length = torch.sqrt(dx * dx + dy * dy + 1e-8)
    return torch.cat([length, (dx * dx - dy * dy) / length, 2 * dx * dy / length], 1)


def _luma(frame: Tensor) -> Tensor:
    return 0.299 * frame[:, 0:1] + 0.587 * frame[:, 1:2] + 0.114 * frame[:, 2:3]


def along_path(luma: Tensor, motion: Tensor, taps: tuple[float, ...]) -> Tensor:
    """``luma`` [N, 1, H, W] read at ``taps`` along ``motion`` [N, 2, H, W], less itself: [N, len(taps), H, W]."""
    height, width = luma.shape[2], luma.shape[3]
    x = torch.arange(width, dtype=luma.dtype, device=luma.device).view(1, 1, width)
    y = torch.arange(height, dtype=luma.dtype, device=luma.device).view(1, height, 1)
    # All taps in one sampling, one below the other: fewer, larger pieces of work.
    at_x = torch.cat([x + tap * motion[:, 0] for tap in taps], 1)
    at_y = torch.cat([y + tap * motion[:, 1] for tap in taps], 1)
    grid = torch.stack([at_x * (2.0 / width) + (1.0 / width - 1.0), at_y * (2.0 / height) + (1.0 / height - 1.0)], -1)
    read = F.grid_sample(luma, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return read.reshape(-1, len(taps), height, width) - luma
