# SPDX-License-Identifier: Apache-2.0
"""VGG-19's weights from a file of the user's: a torch state dict or MatConvNet's. Nothing is ever downloaded."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...errors import ModelError
from .matfile import MAX_BYTES, read_mat
from .vgg import BLOCKS, Vgg

__all__ = ["ENVIRONMENT", "HUB_NAME", "find_vgg", "load_vgg"]

ENVIRONMENT = "DEBLUR_VGG"
HUB_NAME = "vgg19-dcbb9e9d.pth"  # torchvision's name of its file
_MOST_CHANNELS = 1024
_LARGEST = 1e4  # of any weight; VGG's own are below 100

# torchvision.models.vgg19: pictures 0..1, less these means, over these deviations.
_TORCH_MEAN, _TORCH_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# imagenet-vgg-verydeep-19.mat: pictures 0..255 less the mean picture, of which only the mean colour matters here.
_MAT_MEAN = (123.68, 116.779, 103.939)

Arrays = list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]


def find_vgg(given: str | Path | None) -> Path:
    """The file to load: ``given``, else the one that ``$DEBLUR_VGG`` names, else the one in torch's hub cache.

    Raises ``ModelError``, saying where to get it, if there is none.
    """
    cached = Path(torch.hub.get_dir()) / "checkpoints" / HUB_NAME
    named = given or os.environ.get(ENVIRONMENT)
    path = Path(named) if named else cached
    if path.is_file():
        return path
    raise ModelError(
        f"VGG-19's weights are not at {path}; the paper's recipe needs them, and nothing is downloaded by itself",
        hint=f"get https://download.pytorch.org/models/{HUB_NAME} or, from www.vlfeat.org/matconvnet/pretrained, "
        f"imagenet-vgg-verydeep-19.mat; put it at {cached}, or name it with --vgg or ${ENVIRONMENT}",
    )


def load_vgg(path: str | Path) -> Vgg:
    """VGG-19 from a state dict (``features.N.weight``, as torchvision saves it) or from MatConvNet's ``.mat``.

    Both give the same network if they hold the same weights: channels in the order R, G, B, pictures 0..1. Narrower
    networks of the same form are taken as they are. Raises ``ModelError`` for a file that is damaged, holds something
    else, or tries to do harm: no code in it is run, and no shape believed unchecked.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path}: {path.stat().st_size} bytes; at most {MAX_BYTES} are read")
        with path.open("rb") as file:
            head = file.read(128)
        if head.startswith(b"MATLAB") or path.suffix.lower() == ".mat":
            arrays, mean = _from_mat(path)
        else:
            arrays, mean = _from_torch(path)
    except OSError as problem:
        raise ModelError(f"{path} cannot be read: {problem.strerror or problem}") from problem
    _check(path, arrays)
    return Vgg([(torch.from_numpy(w.copy()), torch.from_numpy(b.copy())) for w, b in arrays], mean)


def _from_torch(path: Path) -> tuple[Arrays, Sequence[float]]:
    if zipfile.is_zipfile(path):  # an archive may unpack to more than it takes
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise ModelError(f"{path}: it unpacks to more than {MAX_BYTES} bytes")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)  # tensors only: no code in the file is run
    except Exception as problem:  # whatever a damaged file makes torch raise
        raise ModelError(
            f"{path}: neither a torch state dict nor a MAT file ({type(problem).__name__})",
            hint=f"{HUB_NAME} or imagenet-vgg-verydeep-19.mat are wanted",
        ) from problem
    arrays, number = [], 0
    for block, count in enumerate(BLOCKS):
        number += 1 if block else 0  # the pooling between blocks; a convolution and its ReLU count for two
        for _ in range(count):
            pair = [_tensor(path, state, f"features.{number}.{name}") for name in ("weight", "bias")]
            arrays.append((pair[0], pair[1]))
            number += 2
    deviation = np.array(_TORCH_DEVIATION, np.float32).reshape(1, 3, 1, 1)
    if arrays[0][0].ndim == 4 and arrays[0][0].shape[1] == 3:
        arrays[0] = (arrays[0][0] / deviation, arrays[0][1])
    return arrays, _TORCH_MEAN


def _tensor(path: Path, state: Any, name: str) -> npt.NDArray[Any]:
    value = state.get(name) if isinstance(state, dict) else None
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or value.is_quantized:
        raise ModelError(f"{path}: there is no tensor {name!r}", hint="a state dict of VGG-19 is wanted")
    if not value.dtype.is_floating_point or value.dim() > 4 or max(value.shape, default=0) > _MOST_CHANNELS:
        raise ModelError(f"{path}: {name} is {value.dtype} of shape {tuple(value.shape)}")
    return value.detach().to(torch.float32).numpy()


def _from_mat(path: Path) -> tuple[Arrays, Sequence[float]]:
    found = read_mat(path, frozenset({"layers", "meta", "normalization"}))
    layers = found.get("layers")
    if not isinstance(layers, list):
        raise ModelError(f"{path}: it holds no list of layers", hint="imagenet-vgg-verydeep-19.mat is wanted")
    arrays = []
    for layer in layers:
        if not isinstance(layer, dict) or layer.get("type") != "conv":
            continue
        # Later files keep both in "weights", earlier ones each under its own name.
        weights = layer.get("weights")
        if isinstance(weights, list) and len(weights) == 2:
            filters, biases = weights
        else:
            filters, biases = layer.get("filters"), layer.get("biases")
        if not isinstance(filters, np.ndarray) or not isinstance(biases, np.ndarray):
            raise ModelError(f"{path}: a convolution has no weights")
        if filters.ndim != 4 or max(*filters.shape, biases.size) > _MOST_CHANNELS:
            raise ModelError(f"{path}: a convolution has filters of shape {filters.shape}")
        # MatConvNet: height, width, in, out, as they lie over the picture (vl_nnconv does not mirror them).
        arrays.append((filters.transpose(3, 2, 0, 1).astype(np.float32), biases.reshape(-1).astype(np.float32)))
        if len(arrays) == sum(BLOCKS):
            break
    if len(arrays) < sum(BLOCKS):
        raise ModelError(f"{path}: {len(arrays)} convolutions; {sum(BLOCKS)} of VGG-19 are wanted")
    arrays[0] = (arrays[0][0] * np.float32(255), arrays[0][1])
    return arrays, [value / 255 for value in _mat_mean(path, found)]


def _mat_mean(path: Path, found: dict[str, Any]) -> Sequence[float]:
    meta = found.get("meta")
    inside = found.get("normalization") or (meta.get("normalization") if isinstance(meta, dict) else None)
    picture = inside.get("averageImage") if isinstance(inside, dict) else None
    if not isinstance(picture, np.ndarray) or picture.size == 0:
        return _MAT_MEAN
    colour = picture.astype(np.float64).reshape(-1, picture.shape[-1]).mean(0) if picture.ndim == 3 else picture.ravel()
    if colour.size != 3 or not np.isfinite(colour).all() or colour.min() < 0 or colour.max() > 255:
        raise ModelError(f"{path}: its mean picture is no picture of three colours in 0..255")
    return [float(value) for value in colour]


def _check(path: Path, arrays: Arrays) -> None:
    before = 3
    for number, (weight, bias) in enumerate(arrays):
        if weight.ndim != 4 or weight.shape[1:] != (before, 3, 3) or bias.shape != (weight.shape[0],):
            raise ModelError(
                f"{path}: convolution {number + 1} has shapes {weight.shape} and {bias.shape}; VGG-19's are "
                f"[out, {before}, 3, 3] and [out]"
            )
        before = weight.shape[0]
        if not 1 <= before <= _MOST_CHANNELS:
            raise ModelError(f"{path}: convolution {number + 1} has {before} channels")
        for values in (weight, bias):
            if not np.isfinite(values).all() or float(np.abs(values).max()) > 256 * _LARGEST:
                raise ModelError(f"{path}: convolution {number + 1} holds weights that no network has")
