# SPDX-License-Identifier: Apache-2.0
"""VGG-19's form with a sixteenth of its channels and made-up weights, in both of the files it comes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch

INDICES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30)  # of the convolutions in torchvision's ``features``
CHANNELS = (4, 4, 8, 8, 16, 16, 16, 16, 32, 32, 32, 32, 32, 32)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def state_dict(seed: int = 0) -> dict[str, torch.Tensor]:
    """As torchvision saves it: for pictures 0..1 less the mean, over the deviation, with a classifier."""
    generator = torch.Generator().manual_seed(seed)
    found, before = {}, 3
    for index, count in zip(INDICES, CHANNELS, strict=True):
        spread = (2 / (9 * before)) ** 0.5
        found[f"features.{index}.weight"] = torch.randn(count, before, 3, 3, generator=generator) * spread
        found[f"features.{index}.bias"] = torch.randn(count, generator=generator) * 0.05
        before = count
    found["classifier.0.weight"] = torch.randn(8, 32, generator=generator)
    return found


def write_torch(path: Path, seed: int = 0) -> Path:
    torch.save(state_dict(seed), path)
    return path


def mat_variables(seed: int = 0, *, old: bool = False) -> dict[str, Any]:
    """The same network as MatConvNet keeps it: [h, w, in, out], for pictures 0..255 less their mean."""
    state = state_dict(seed)
    layers: list[dict[str, Any]] = []
    for number, index in enumerate(INDICES):
        weight, bias = state[f"features.{index}.weight"].numpy(), state[f"features.{index}.bias"].numpy()
        if number == 0:
            weight = weight / (255 * np.array(DEVIATION, np.float32).reshape(1, 3, 1, 1))
        filters, biases = weight.transpose(2, 3, 1, 0), bias[None] if old else bias[:, None]
        if old:
            held: dict[str, Any] = {"filters": filters, "biases": biases}
        else:
            pair = np.empty((1, 2), object)
            pair[0, 0], pair[0, 1] = filters, biases
            held = {"weights": pair}
        layers.append({"name": f"conv{number}", "type": "conv", "pad": np.ones((1, 4)), **held})
        layers.append({"name": f"relu{number}", "type": "relu"})
    cell = np.empty((1, len(layers)), object)
    for number, layer in enumerate(layers):
        cell[0, number] = layer
    colour = 255 * np.array(MEAN, np.float32)
    picture = np.tile(colour, (4, 4, 1)) if old else colour.reshape(1, 1, 3)
    normalisation = {"averageImage": picture, "imageSize": np.array([[224.0, 224.0, 3.0]])}
    if old:
        return {"layers": cell, "normalization": normalisation, "classes": {"name": np.array(["a"], object)}}
    return {"layers": cell, "meta": {"normalization": normalisation, "classes": {"name": np.array(["a"], object)}}}


def write_mat(path: Path, seed: int = 0, *, old: bool = False, compressed: bool = False) -> Path:
    scipy.io.savemat(path, mat_variables(seed, old=old), do_compression=compressed)
    return path
