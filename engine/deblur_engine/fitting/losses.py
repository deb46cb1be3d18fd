# SPDX-License-Identifier: Apache-2.0
"""What the fit minimises."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["restoration_loss"]

_EPSILON = 1e-3  # of Charbonnier's root: below about this error (0..1 units) the loss is quadratic
_SPECTRUM = 0.05  # weight of the spectrum's L1, with orthonormal transforms


def restoration_loss(restored: Tensor, sharp: Tensor, importance: Tensor | None = None) -> Tensor:
    """Charbonnier plus L1 of the spectrum, after MIMO-UNet (Cho et al., ICCV 2021), a scalar.

    ``restored``, ``sharp``: [N, 3, H, W], R'G'B'. ``importance``: [N, 1, 1, 1], weight of each picture.
    """
    off = restored.float() - sharp.float()
    pixels = torch.sqrt(off * off + _EPSILON * _EPSILON)
    spectrum = torch.fft.rfft2(off, norm="ortho").abs()
    if importance is not None:
        return (pixels * importance).mean() + _SPECTRUM * (spectrum * importance).mean()
    return pixels.mean() + _SPECTRUM * spectrum.mean()
