# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from artifact.small_net import SmallNet
from deblur_engine.artifact import Artifact, load_model
from deblur_engine.artifact.schema import INPUTS
from deblur_engine.artifact.torchscript import to_torchscript
from deblur_engine.artifact.variants import to_fixed_size, to_flame_json, to_fp16
from deblur_engine.artifact.verify import made_up_inputs
from deblur_engine.errors import ModelError, OutputError, UsageError


def _run(path: Path, inputs: tuple[np.ndarray, ...]) -> np.ndarray:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = dict(zip(INPUTS, inputs, strict=True))
    return session.run(None, {value.name: feed[value.name] for value in session.get_inputs()})[0]


def test_fixed_size_runs_that_size_only(artifact: Artifact, tmp_path: Path) -> None:
    path = to_fixed_size(artifact, tmp_path / "fixed.onnx", 50, 35)
    graph = onnx.load(path).graph
    assert [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim] == [1, 3, 35, 50]
    assert not {node.op_type for node in graph.node} & {"Shape", "Mod", "Gather"}
    inputs = made_up_inputs(35, 50, seed=1)
    np.testing.assert_allclose(_run(path, inputs), _run(artifact.path, inputs), atol=1e-5)
    assert load_model(path).metadata.fixed_size == (50, 35)
    with pytest.raises(UsageError):
        to_fixed_size(load_model(path), tmp_path / "again.onnx", 50, 35)


@pytest.mark.parametrize("size", [(0, 40), (40, 100_000), (-8, 8)])
def test_sizes_beyond_reason_are_refused(artifact: Artifact, tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"8\.\.16384"):
        to_fixed_size(artifact, tmp_path / "fixed.onnx", *size)
    assert not list(tmp_path.iterdir())


def test_fp16_of_a_file(artifact: Artifact, tmp_path: Path) -> None:
    half = load_model(to_fp16(artifact, tmp_path / "half.onnx"))
    assert half.metadata.precision == "fp16"
    assert half.analysis_bytes == artifact.analysis_bytes
    with pytest.raises(UsageError, match="already"):
        to_fp16(half, tmp_path / "again.onnx")


@pytest.mark.parametrize("size", [None, (50, 35)])
def test_flame_gets_one_picture_and_a_description(
    artifact: Artifact, tmp_path: Path, size: tuple[int, int] | None
) -> None:
    model, sidecar = to_flame_json(artifact, tmp_path / "flame.onnx", size=size)
    assert sidecar == tmp_path / "flame.json"
    graph = onnx.load(model).graph
    description = json.loads(sidecar.read_text())["ModelDescription"]
    assert [value.name for value in graph.input] == [port["Name"] for port in description["Inputs"]] == ["frame"]
    assert [value.name for value in graph.output] == [port["Name"] for port in description["Outputs"]] == ["restored"]
    frame = made_up_inputs(35, 50, seed=2)[0]
    alone = (frame, *(np.zeros((1, channels, 35, 50), np.float32) for channels in list(INPUTS.values())[1:]))
    np.testing.assert_allclose(_run(model, alone), _run(artifact.path, alone), atol=1e-5)
    with pytest.raises(ModelError, match="inputs are frame"):
        load_model(model)


def test_flame_overwrites_neither_file(artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "flame.json").write_text("mine")
    with pytest.raises(OutputError):
        to_flame_json(artifact, tmp_path / "flame.onnx")
    assert [entry.name for entry in tmp_path.iterdir()] == ["flame.json"]


def test_torchscript_is_the_same_network(artifact: Artifact, tmp_path: Path) -> None:
    path = to_torchscript(artifact, tmp_path / "net.pt", network=lambda data: SmallNet(data.recipe["width"], seed=9))
    script = torch.jit.load(str(path))
    inputs = made_up_inputs(45, 70, seed=3)
    given = script(*(torch.from_numpy(value) for value in inputs)).numpy()
    np.testing.assert_allclose(given, _run(artifact.path, inputs), atol=1e-4)


def test_torchscript_of_another_network_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="do not fit"):
        to_torchscript(artifact, tmp_path / "net.pt", network=lambda data: SmallNet(8))
    with pytest.raises(ModelError, match="lacks the weight"):
        to_torchscript(artifact, tmp_path / "net.pt", network=lambda data: torch.nn.Linear(2, 2))
    assert not list(tmp_path.iterdir())
