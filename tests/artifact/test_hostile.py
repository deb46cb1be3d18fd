# SPDX-License-Identifier: Apache-2.0
"""Whatever stands in a model file: an artifact or a ModelError, and nothing else is read, run or filled."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from artifact.conftest import metadata
from deblur_engine.artifact import Artifact, load_model
from deblur_engine.artifact.load import MAX_FILE_BYTES, parse_model
from deblur_engine.artifact.schema import JSON_KEY
from deblur_engine.errors import ModelError
from deblur_engine.rendering.session import Session


def test_the_good_file_loads(model_path: Path) -> None:
    assert load_model(model_path).metadata.clip == "shot.mov"


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="deblur-engine fit"):
        load_model(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"not a model at all\n" * 50, b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, b"PK\3\4" + b"\0" * 90],
)
def test_other_files_are_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"m\.onnx"):
        load_model(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a regular file"):
        load_model(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ModelError, match="not a regular file"):
            load_model(tmp_path / "pipe")
    with pytest.raises(ModelError):
        load_model("a\0b")


def test_an_oversized_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room
    with pytest.raises(ModelError, match="at most"):
        load_model(path)


def test_a_model_of_somebody_else_is_told_apart(model_path: Path, tmp_path: Path) -> None:
    model = onnx.load(model_path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="no metadata of ours"):
        load_model(tmp_path / "m.onnx")


def _tensor_elsewhere(location: str) -> TensorProto:
    tensor = TensorProto(name="first.weight", data_type=TensorProto.FLOAT, dims=[4, 36, 3, 3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def _external(model: onnx.ModelProto) -> None:
    at = [tensor.name for tensor in model.graph.initializer].index("first.weight")
    model.graph.initializer[at].CopyFrom(_tensor_elsewhere("../../etc/passwd"))


def _external_constant(model: onnx.ModelProto) -> None:
    model.graph.node.add(op_type="Constant", output=["x"]).attribute.append(
        helper.make_attribute("value", _tensor_elsewhere("/etc/passwd"))
    )


def _half_external(model: onnx.ModelProto) -> None:
    # The location alone, without the flag that says it counts.
    model.graph.initializer[0].external_data.add(key="location", value="weights.bin")


def _foreign_domain(model: onnx.ModelProto) -> None:
    model.opset_import.add(domain="com.example", version=1)
    model.graph.node[0].domain = "com.example"


def _foreign_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "ReadFile"


def _control_flow(model: onnx.ModelProto) -> None:
    model.graph.node.add(op_type="If", input=["c"], output=["y"])


def _hidden_graph(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("body", onnx.GraphProto(name="inner")))


def _function(model: onnx.ModelProto) -> None:
    model.functions.add(name="Conv", domain="")


def _extra_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("secret", TensorProto.FLOAT, [1]))


def _missing_input(model: onnx.ModelProto) -> None:
    del model.graph.input[0]


def _other_type(model: onnx.ModelProto) -> None:
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64


def _other_channels(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4


def _secretly_fixed(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 64


def _extra_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


def _old_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 11


def _future_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 10_000


def _dangling(model: onnx.ModelProto) -> None:
    model.graph.node[3].input[0] = "nowhere"


def _twice(model: onnx.ModelProto) -> None:
    model.metadata_props.add(key=JSON_KEY, value="{}")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_external, "outside the file.*passwd"),
        (_external_constant, "outside the file.*passwd"),
        (_half_external, "outside the file"),
        (_foreign_domain, "foreign domain"),
        (_foreign_node, "not allowed"),
        (_unknown_operator, "'ReadFile'"),
        (_control_flow, "'If'"),
        (_hidden_graph, "holds a graph"),
        (_function, "functions"),
        (_extra_input, "secret"),
        (_missing_input, "inputs are"),
        (_other_type, "not float32"),
        (_other_channels, "shape"),
        (_secretly_fixed, "metadata says any"),
        (_extra_output, "outputs are"),
        (_old_opset, "opset 11"),
        (_future_opset, "opset 10000"),
        (_dangling, "not valid ONNX"),
        (_twice, "twice"),
    ],
)
def test_a_hostile_graph_is_refused(
    change: Callable[[onnx.ModelProto], None], words: str, model_path: Path, tmp_path: Path
) -> None:
    model = onnx.load(model_path)
    change(model)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=words):
        load_model(path)


def _field(number: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + body


def test_deep_nesting_is_refused() -> None:
    graph = b""
    for _ in range(3000):  # a graph in an attribute of a node of a graph in ...
        graph = _field(1, _field(5, _field(6, graph)))
    with pytest.raises(ModelError):
        parse_model(_field(7, graph))


def test_a_file_that_would_unfold_in_memory_is_refused_before_it_does() -> None:
    crowd = _field(7, b"\x0a\x00" * 5_000_000)  # ten megabytes of empty nodes: near a gigabyte once parsed
    with pytest.raises(ModelError, match="far larger"):
        parse_model(crowd)


def test_a_hostile_tensor_size_ends_in_an_error(model_path: Path, tmp_path: Path) -> None:
    model = onnx.load(model_path)
    pad = next(node for node in model.graph.node if node.op_type == "Pad")
    pads = helper.make_tensor("huge", TensorProto.INT64, [8], [0, 0, 0, 0, 0, 0, 1 << 24, 1 << 8])
    model.graph.initializer.append(pads)
    pad.input[1] = "huge"
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="refuses the model"):
        Session(load_model(path), "cpu", 1)


def _survives(data: bytes) -> None:
    try:
        model, data_inside = parse_model(data)
        Session(Artifact(model.SerializeToString(), data_inside, b"", Path("m.onnx")), "cpu", 1)
    except ModelError:
        pass


@given(part=st.floats(0, 1))
def test_a_truncated_file_is_refused(model_path: Path, part: float) -> None:
    data = model_path.read_bytes()
    cut = data[: int(part * (len(data) - 1))]
    with pytest.raises(ModelError):
        parse_model(cut)


@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_do_no_harm(model_path: Path, changes: list[tuple[float, int]]) -> None:
    data = bytearray(model_path.read_bytes())
    for where, value in changes:
        data[int(where * (len(data) - 1))] = value
    _survives(bytes(data))


@given(st.binary(max_size=300))
def test_random_bytes_do_no_harm(data: bytes) -> None:
    with pytest.raises(ModelError):
        parse_model(data)
    with pytest.raises(ModelError):
        parse_model(_field(7, data))


def test_damaged_metadata_is_refused(model_path: Path) -> None:
    model = onnx.load(model_path)
    for value in ("{", "[]", metadata().to_json().replace('"width":64', '"width":"wide"')):
        model.metadata_props[0].value = value
        with pytest.raises(ModelError):
            parse_model(model.SerializeToString())
