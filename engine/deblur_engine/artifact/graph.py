# SPDX-License-Identifier: Apache-2.0
"""Which ONNX graphs count as ours: stock operators from a short list, nothing outside the file, our ports."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from ..errors import ModelError
from .schema import INPUTS, OUTPUT

__all__ = ["ALLOWED_OPERATORS", "MIN_OPSET", "check_graph"]

MIN_OPSET = 18
_HINT = "the file is damaged or was not made by deblur-engine"

# What a convolutional network for pictures may be made of. No control flow (If, Loop, Scan), nothing that calls out,
# no random numbers. What makes large tensors of small ones is held back by the session's memory bound.
_NAMES = """
    Abs Add And AveragePool BatchNormalization Cast Ceil Clip Concat Constant ConstantOfShape Conv ConvTranspose
    DepthToSpace Div Elu Equal Erf Exp Expand Flatten Floor Gather Gelu Gemm GlobalAveragePool Greater GridSample
    GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization LeakyRelu Less MatMul
    Max MaxPool Min Mish Mod Mul Neg Not Or PRelu Pad Pow Range Reciprocal ReduceMax ReduceMean ReduceMin ReduceSum Relu
    Reshape Resize Round Shape Sigmoid Sign Slice Softmax Softplus SpaceToDepth Split Sqrt Squeeze Sub Tanh Transpose
    Unsqueeze Where
"""
ALLOWED_OPERATORS = frozenset(_NAMES.split())


def check_graph(model: onnx.ModelProto, fixed_size: tuple[int, int] | None = None) -> None:
    """Raise ``ModelError`` unless the graph keeps to the rules of this file. Reads nothing but ``model``.

    ``fixed_size`` (width, height) is what the metadata says of the pictures' size; None: any size.
    """
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            raise ModelError(f"the model needs operators of the foreign domain {opset.domain!r:.60}", hint=_HINT)
        if opset.version < MIN_OPSET:
            raise ModelError(f"the model is of ONNX opset {opset.version}; at least {MIN_OPSET} is needed", hint=_HINT)
        if opset.version > onnx.defs.onnx_opset_version():
            raise ModelError(
                f"the model is of ONNX opset {opset.version}; up to {onnx.defs.onnx_opset_version()} is known here",
                hint="pip install --upgrade onnx onnxruntime-gpu",
            )
    if not model.opset_import:
        raise ModelError("the model names no ONNX opset", hint=_HINT)
    if model.functions or model.training_info:
        raise ModelError("the model holds functions or training steps", hint=_HINT)
    graph = model.graph
    if graph.sparse_initializer or graph.quantization_annotation:
        raise ModelError("the model holds sparse or quantised tensors", hint=_HINT)
    _check_tensors(graph.initializer)
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in ALLOWED_OPERATORS:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise ModelError(f"the model uses the operator {name!r:.80}, which is not allowed", hint=_HINT)
        for attribute in node.attribute:
            if (
                attribute.HasField("g")
                or attribute.graphs
                or attribute.HasField("sparse_tensor")
                or attribute.sparse_tensors
                or attribute.ref_attr_name
            ):
                raise ModelError(f"the model's operator {node.op_type!r} holds a graph or sparse tensor", hint=_HINT)
            _check_tensors(attribute.tensors)
            if attribute.HasField("t"):
                _check_tensors([attribute.t])
    _check_ports(graph, fixed_size)


def _check_tensors(tensors: Iterable[onnx.TensorProto]) -> None:
    for tensor in tensors:
        if tensor.data_location != onnx.TensorProto.DEFAULT or tensor.external_data:
            where = next((entry.value for entry in tensor.external_data if entry.key == "location"), "elsewhere")
            raise ModelError(
                f"the model's tensor {tensor.name!r:.60} points to data outside the file ({where!r:.80})",
                hint="a deblur-engine model is one file; nothing else is ever read",
            )


def _check_ports(graph: onnx.GraphProto, fixed_size: tuple[int, int] | None) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    # A name that is not valid UTF-8 arrives as bytes: str() gives it a form to compare and print.
    inputs = {str(value.name): value for value in graph.input if value.name not in constants}
    if set(inputs) != set(INPUTS) or len(graph.input) != len(INPUTS):
        raise ModelError(
            f"the model's inputs are {', '.join(sorted(inputs))[:120] or 'none'}; "
            f"a deblur-engine model has {', '.join(INPUTS)}",
            hint="single-picture exports for other programs cannot be rendered here; use the CLIP.deblur.onnx itself",
        )
    if [value.name for value in graph.output] != [OUTPUT]:
        names = ", ".join(str(value.name) for value in graph.output)[:120]
        raise ModelError(f"the model's outputs are {names or 'none'}; a deblur-engine model has {OUTPUT} only")
    for name, value in {**inputs, OUTPUT: graph.output[0]}.items():
        kind = value.type.tensor_type
        channels = INPUTS.get(name, 3)
        if kind.elem_type != onnx.TensorProto.FLOAT:
            raise ModelError(f"the model's {name} is not float32")
        if len(kind.shape.dim) != 4 or kind.shape.dim[1].dim_value != channels:
            raise ModelError(f"the model's {name} is not of shape [N, {channels}, H, W]")
        # A free axis has a name and no number, which reads as 0.
        sides = (kind.shape.dim[3].dim_value, kind.shape.dim[2].dim_value)
        if sides != (fixed_size or (0, 0)):
            raise ModelError(f"the model's {name} is for pictures of {sides}, its metadata says {fixed_size or 'any'}")
