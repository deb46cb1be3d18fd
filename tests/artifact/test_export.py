# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from artifact.conftest import metadata
from artifact.small_net import SmallNet
from deblur_engine.artifact import Artifact, load_model
from deblur_engine.artifact.export import export_model
from deblur_engine.artifact.schema import INPUTS
from deblur_engine.artifact.verify import made_up_inputs
from deblur_engine.errors import ModelError, OutputError


def test_any_size_agrees_with_torch(model_path: Path) -> None:
    session = ort.InferenceSession(str(model_path), providers=["CPUExecutionProvider"])
    net = SmallNet()
    for count, height, width in ((1, 1, 1), (1, 9, 31), (3, 40, 24), (1, 101, 67)):
        inputs = [np.concatenate([x] * count) for x in made_up_inputs(height, width, seed=height)]
        given = session.run(None, dict(zip(INPUTS, inputs, strict=True)))[0]
        expected = net(*(torch.from_numpy(x) for x in inputs)).numpy()
        assert given.shape == (count, 3, height, width)
        np.testing.assert_allclose(given, expected, atol=1e-4)


def test_the_graph_is_stock_and_free_in_size(model_path: Path) -> None:
    model = onnx.load(model_path)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert {node.domain for node in model.graph.node} == {""}
    assert not {node.op_type for node in model.graph.node} & {"If", "Loop", "Scan"}
    for value in (*model.graph.input, *model.graph.output):
        names = [dim.dim_param for dim in value.type.tensor_type.shape.dim]
        assert names == ["batch", "", "height", "width"]
    assert {value.name: value.type.tensor_type.shape.dim[1].dim_value for value in model.graph.input} == INPUTS


def test_metadata_and_analysis_come_back(artifact: Artifact) -> None:
    written = metadata()
    read = artifact.metadata
    assert (read.clip, read.recipe, read.trust, read.reference_frames) == (
        written.clip,
        written.recipe,
        written.trust,
        written.reference_frames,
    )
    assert artifact.analysis_bytes == written.analysis
    assert read.engine_version
    assert 0 < read.context <= 96


def test_equal_networks_give_equal_files(model_path: Path, tmp_path: Path) -> None:
    again = export_model(SmallNet(), metadata(), tmp_path / "again.onnx")
    assert again.read_bytes() == model_path.read_bytes()


def test_the_callers_network_is_left_as_it_was(tmp_path: Path) -> None:
    net = SmallNet().to(torch.float64).train().to(memory_format=torch.channels_last)
    export_model(net, metadata(), tmp_path / "m.onnx")
    assert net.training
    assert net.first.weight.dtype == torch.float64


def test_fp16_keeps_float32_ports(tmp_path: Path, model_path: Path) -> None:
    path = export_model(SmallNet(), metadata(), tmp_path / "half.onnx", fp16=True)
    half = load_model(path)
    assert half.metadata.precision == "fp16"
    kinds = {tensor.data_type for tensor in onnx.load(path).graph.initializer if tensor.name.endswith("weight")}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert path.stat().st_size < model_path.stat().st_size
    feed = dict(zip(INPUTS, made_up_inputs(33, 47, seed=5), strict=True))
    one, other = (
        ort.InferenceSession(str(p), providers=["CPUExecutionProvider"]).run(None, feed)[0] for p in (path, model_path)
    )
    assert one.dtype == np.float32
    assert 0 < np.abs(one - other).max() < 4e-3


class FixedWhileTraced(SmallNet):
    def forward(self, frame: Tensor, *guides: Tensor) -> Tensor:
        size = [int(side) for side in frame.shape[-2:]]
        return F.interpolate(super().forward(frame, *guides), size=size)


class OtherInTorch(SmallNet):
    def forward(self, *inputs: Tensor) -> Tensor:
        restored = super().forward(*inputs)
        return restored if torch.onnx.is_in_onnx_export() else restored + 2e-4


def _not_finite() -> nn.Module:
    net = SmallNet()
    net.deep.weight[0, 0, 0, 0] = float("nan")
    return net


@pytest.mark.parametrize("make", [FixedWhileTraced, OtherInTorch, _not_finite])
def test_a_model_that_disagrees_is_not_written(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"differ by|ONNX Runtime"):
        export_model(make(), metadata(), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        export_model(SmallNet(), metadata(), path)
    assert path.read_text() == "mine"
    export_model(SmallNet(), metadata(), path, overwrite=True)
    assert load_model(path).metadata.clip == "shot.mov"
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.onnx"]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        export_model(SmallNet(), metadata(), tmp_path / "no" / "m.onnx")
