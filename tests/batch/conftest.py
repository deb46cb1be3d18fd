# SPDX-License-Identifier: Apache-2.0
"""Tiny clips, and a fit and a render that write real files at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import deblur_engine
import numpy as np
import onnx
import pytest
from deblur_engine.artifact.schema import INPUTS, OUTPUT, ModelMetadata
from deblur_engine.artifact.variants import embed
from deblur_engine.media import fingerprint, open_clip
from onnx import TensorProto, helper


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """``make_clip("a.mp4", seed=1)``: four frames of 64x48, different for each seed."""

    def make(name: str, seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pictures = np.random.default_rng(seed).integers(0, 256, (4, 48, 64, 3), dtype=np.uint8)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            container.mux(stream.encode())
        return path

    return make


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


@dataclass
class Fitted:
    path: Path
    metadata: ModelMetadata


@dataclass
class Rendered:
    path: Path
    frames: int = 4
    changed: int = 2
    provider: str = "CPUExecutionProvider"
    stages: dict[str, float] = field(default_factory=dict)


class Workshop:
    """A fit and a render that do no work but keep the engine's promises: what is written, what is refused."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.trouble: dict[tuple[str, str], Any] = {}  # (verb, clip's name): an exception, or a call

    def fit(self, clip: Any, out: Any = None, *, settings: Any, task: Any, overwrite: bool = False) -> Fitted:
        self._begin("fit", clip, task)
        with open_clip(clip) as opened:
            metadata = ModelMetadata(
                clip=Path(clip).name,
                clip_fingerprint=fingerprint(opened),
                width=opened.info.width,
                height=opened.info.height,
                recipe={"preset": settings.preset},
                held_out={"gain_db": 2.0},
                engine_version="0",
            )
        assert overwrite or not Path(out).exists()
        Path(out).write_bytes(embed(identity_model(), metadata))
        return Fitted(Path(out), metadata)

    def render(self, clip: Any, model: Any = None, out: Any = None, *, settings: Any, task: Any) -> Rendered:
        self._begin("render", clip, task)
        assert Path(model).exists()
        assert settings.overwrite or not Path(out).exists()
        Path(out).write_bytes(b"rendered")
        return Rendered(Path(out))

    def _begin(self, verb: str, clip: Any, task: Any) -> None:
        self.calls.append((verb, Path(clip).name))
        task.report(verb, 0, 1)
        trouble = self.trouble.get((verb, Path(clip).name))
        if isinstance(trouble, BaseException):
            raise trouble
        if trouble is not None:
            trouble()


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch) -> Workshop:
    made = Workshop()
    monkeypatch.setitem(vars(deblur_engine), "fit", made.fit)
    monkeypatch.setitem(vars(deblur_engine), "render", made.render)
    return made
