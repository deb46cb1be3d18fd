# SPDX-License-Identifier: Apache-2.0
"""Tiny clips, and a tiny model in our form, made on the spot."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import onnx
from onnx import TensorProto, helper

from deblur_engine.artifact.schema import INPUTS, OUTPUT


def noise_clip(path: Path, seed: int = 0, frames: int = 4) -> Path:
    """Frames of 64x48 noise, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = np.random.default_rng(seed).integers(0, 256, (frames, 48, 64, 3), dtype=np.uint8)
    return write_clip(path, pictures)


def write_clip(path: Path, pictures: np.ndarray) -> Path:
    """Write uint8 [N, H, W, 3] pictures as video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = pictures.shape[2], pictures.shape[1], "yuv420p"
        stream.bit_rate = 8_000_000
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return path


def identity_model() -> onnx.ModelProto:
    """A model in our form that gives the frame back."""
    shape = ["batch", "height", "width"]
    ports = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [shape[0], channels, *shape[1:]])
        for name, channels in {**INPUTS, OUTPUT: 3}.items()
    }
    graph = helper.make_graph(
        [helper.make_node("Identity", ["frame"], [OUTPUT])],
        "identity",
        [ports[name] for name in INPUTS],
        [ports[OUTPUT]],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
