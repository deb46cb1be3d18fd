# SPDX-License-Identifier: Apache-2.0
"""The paper's network: dilated convolutions over VGG-19's hypercolumns.

What of it is from Ren, Qian and Chen (Video Deblurring by Fitting to Test Data, arXiv 2012.05228, 2020): a network
fitted to one clip whose input is the frame and its VGG-19 hypercolumns. What is inferred, since the paper's code was
never released, from the published code of the same group's earlier work (Zhang, Ng and Chen, Single Image Reflection
Separation with Perceptual Losses, CVPR 2018; after Chen, Xu and Koltun, ICCV 2017): which features, the first
convolution to 64 channels, dilations of 1, 2, 4, .. 64 and then 1, leaky ReLU of 0.2, a start at the identity. Left out
is that code's adaptive batch normalisation: it would make a pixel depend on the whole picture, and tiles differ from
it. What is ours: the network gives what is to be added to the frame.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .vgg import PHASE, Vgg

__all__ = ["DILATIONS", "HypercolumnNet"]

DILATIONS = (1, 2, 4, 8, 16, 32, 64, 1)


class HypercolumnNet(nn.Module):
    """Restores a frame from itself and its VGG features; of the inputs it takes only ``frame``.

    ``forward`` takes and gives what ``DeblurNet`` does, so that the same renderer runs both. ``width``: channels.
    Around a pixel it looks at (1 + 2 + .. + 64 + 1) + 94 + 16 pixels each way: dilations, VGG, and what enlarging its
    coarsest features reaches. The VGG weights are part of the module and of what is exported, but are never fitted.
    """

    def __init__(self, vgg: Vgg, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.vgg = vgg
        self.from_frame = nn.Conv2d(3, width, 1)
        self.from_features = nn.ModuleList(nn.Conv2d(count, width, 1, bias=False) for count in vgg.channels)
        self.dilated = nn.ModuleList(nn.Conv2d(width, width, 3, padding=d, dilation=d) for d in DILATIONS)
        self.head = nn.Conv2d(width, 3, 1)
        with torch.no_grad():
            for layer in self.from_features:
                layer.get_parameter("weight").mul_(len(vgg.channels) ** -0.5)
            for layer in self.dilated:
                weight = layer.get_parameter("weight")
                weight.mul_(0.2)
                weight[range(width), range(width), 1, 1] += 1
                layer.get_parameter("bias").zero_()
        self.keep_blend()

    def keep_blend(self) -> None:
        """Make the network return the frame, whatever it learned."""
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, frame: Tensor, estimate: Tensor, reference: Tensor, confidence: Tensor, motion: Tensor) -> Tensor:
        height, width = frame.shape[2], frame.shape[3]
        return self.restored(*self.told(frame, estimate, reference, confidence, motion))[:, :, :height, :width]

    def told(self, frame: Tensor, *unused: Tensor) -> tuple[Tensor, ...]:
        """The first half of ``forward``, of which nothing is learned: the frame less 0.5, the frame, VGG's features.

        Sides are padded to a multiple of ``PHASE``.
        """
        frame = F.pad(frame, (0, -frame.shape[3] % PHASE, 0, -frame.shape[2] % PHASE), mode="replicate")
        return frame - 0.5, frame, *self.vgg(frame)

    def restored(self, told: Tensor, frame: Tensor, *features: Tensor) -> Tensor:
        """The second half: the restored frame [N, 3, h, w], still padded."""
        # Enlarging and a 1x1 convolution can change places, so the 1475 channels of the paper's concatenated input need
        # never be there at full size: the sum below is the 1x1 convolution of it.
        x = self.from_frame(told)
        for level, (layer, found) in enumerate(zip(self.from_features, features, strict=True)):
            part = layer(found)
            if level:
                part = F.interpolate(part, scale_factor=2**level, mode="bilinear", align_corners=False)
            x = x + part
        x = F.leaky_relu(x, 0.2)
        for layer in self.dilated:
            x = F.leaky_relu(layer(x), 0.2)
        return frame + self.head(x)
