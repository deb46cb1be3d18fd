# SPDX-License-Identifier: Apache-2.0
"""The paper's loss: how far VGG-19's features of two pictures lie apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .vgg import PHASE, Vgg

__all__ = ["FeatureLoss"]

_PICTURE = 4.0  # weight of the picture itself, which differs from its mean by about a quarter


class FeatureLoss:
    """Weighted L1 between pictures and between their features conv1_2 .. conv5_2 (Johnson et al., ECCV 2016).

    That the paper takes such a loss is from the paper, which layers is inferred from its group's published code. The
    weights there bring all terms to about the same size; ``Vgg`` does that by itself, so that here they are equal.
    """

    def __init__(self, vgg: Vgg) -> None:
        self._vgg = vgg

    def __call__(self, restored: Tensor, sharp: Tensor) -> Tensor:
        """A scalar; both [N, 3, H, W], R'G'B'."""
        margin = (0, -sharp.shape[3] % PHASE, 0, -sharp.shape[2] % PHASE)
        padded = [F.pad(picture, margin, mode="replicate") for picture in (restored, sharp)]
        loss = _PICTURE * F.l1_loss(restored.float(), sharp.float())
        with torch.no_grad():
            wanted = self._vgg(padded[1])
        for found, target in zip(self._vgg(padded[0]), wanted, strict=True):
            loss = loss + F.l1_loss(found.float(), target.float())
        return loss / (1 + len(wanted))
