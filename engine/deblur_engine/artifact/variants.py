# SPDX-License-Identifier: Apache-2.0
"""The same network in other forms: half precision, one fixed size, one picture in and one out for other programs."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from ..errors import ModelError, UsageError
from .load import Artifact
from .schema import ANALYSIS_KEY, INPUTS, JSON_KEY, OUTPUT, REFERENCES_KEY, ModelMetadata, pack_analysis
from .verify import TOLERANCE, made_up_inputs, run_graph, worst_error
from .write import check_free, write_whole

__all__ = ["embed", "shrink_to_fp16", "to_fixed_size", "to_flame_json", "to_fp16"]


def embed(model: onnx.ModelProto, metadata: ModelMetadata) -> bytes:
    """The file's bytes: the graph with its metadata inside. Equal arguments give equal bytes."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.producer_name = "deblur-engine"
    copy.producer_version = metadata.engine_version
    del copy.metadata_props[:]
    copy.metadata_props.add(key=JSON_KEY, value=metadata.to_json())
    if metadata.analysis:
        copy.metadata_props.add(key=ANALYSIS_KEY, value=pack_analysis(metadata.analysis))
    if metadata.references:
        copy.metadata_props.add(key=REFERENCES_KEY, value=base64.b64encode(metadata.references).decode("ascii"))
    return copy.SerializeToString(deterministic=True)


def to_fp16(artifact: Artifact, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the model with half-precision weights and arithmetic; inputs and output stay float32.

    Raises ``ModelError`` if the result differs by more than 4e-3 (one 8-bit code value) from the full model.
    """
    path = Path(path)
    check_free(path, overwrite)
    if artifact.metadata.precision == "fp16":
        raise UsageError(f"{artifact.path} is fp16 already")
    model = shrink_to_fp16(_graph(artifact))
    sizes = [artifact.metadata.fixed_size] if artifact.metadata.fixed_size else [(64, 64), (71, 65)]
    _agree(_graph(artifact), model, sizes, TOLERANCE["fp16"])
    return write_whole(path, embed(model, replace(artifact.metadata, precision="fp16")), overwrite=overwrite)


def to_fixed_size(artifact: Artifact, path: str | Path, width: int, height: int, *, overwrite: bool = False) -> Path:
    """Write the model for one picture of ``width`` x ``height`` pixels only, its shape arithmetic folded away.

    For runtimes that cannot do free sizes. Raises ``UsageError`` outside 8..16384 pixels, ``ModelError`` if the
    result differs from the full model.
    """
    path = Path(path)
    if not (8 <= width <= 16384 and 8 <= height <= 16384):
        raise UsageError(f"size {width}x{height}: each side must lie in 8..16384 pixels")
    if artifact.metadata.fixed_size:
        raise UsageError(f"{artifact.path} is of one fixed size already", hint="export from the CLIP.deblur.onnx")
    check_free(path, overwrite)
    model = _fixed(_graph(artifact), width, height)
    _agree(_graph(artifact), model, [(width, height)], _tolerance(artifact))
    return write_whole(path, embed(model, replace(artifact.metadata, fixed_size=(width, height))), overwrite=overwrite)


def to_flame_json(
    artifact: Artifact, path: str | Path, *, size: tuple[int, int] | None = None, overwrite: bool = False
) -> tuple[Path, Path]:
    """Write a one-picture model ``path`` and its description ``.json`` of the same name; returns both paths.

    Autodesk Flame's Inference node gives a model the current picture only, so all that alignment would tell is
    absent (zero) inside: what is left is what the network does without references. ``size`` (width,
    height) fixes the size too. The description's keys are those of Flame's Inference Builder; it is not tested in
    Flame itself.
    """
    path = Path(path)
    sidecar = path.with_suffix(".json")
    check_free(path, overwrite)
    check_free(sidecar, overwrite)
    full = _graph(artifact)
    model = _alone(full)
    if size is not None:
        model = _fixed(model, *size)
    sizes = [size or artifact.metadata.fixed_size or (65, 71)]
    _agree(full, model, sizes, _tolerance(artifact), alone=True)
    onnx.checker.check_model(model)
    write_whole(
        path,
        embed(model, replace(artifact.metadata, analysis=b"", references=b"", fixed_size=size)),
        overwrite=overwrite,
    )
    linear = artifact.metadata.transfer == "linear"
    port = {"Channels": "RGB"}
    description = {
        "ModelDescription": {
            "MinimumVersion": "2025.1",
            "Name": f"Deblur {Path(artifact.metadata.clip).stem}",
            "Description": f"Removes motion blur; fitted to {artifact.metadata.clip} by deblur-engine "
            f"{artifact.metadata.engine_version}. One picture in, one out; no sharp references.",
            "SupportsSceneLinear": linear,
            "KeepAspectRatio": False,
            "Padding": 1,
            "Inputs": [{"Name": "frame", "Description": "Blurry picture", "Type": "Front", "Gain": 1.0} | port],
            "Outputs": [
                {
                    "Name": OUTPUT,
                    "Description": "Deblurred picture",
                    "Type": "Result",
                    "InverseGain": 1.0,
                    "ScalingFactor": 1.0,
                }
                | port
            ],
        }
    }
    write_whole(sidecar, (json.dumps(description, indent=4) + "\n").encode(), overwrite=overwrite)
    return path, sidecar


def shrink_to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the graph that computes in half precision between casts; its inputs and output stay float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # slow to import and seldom needed

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    converted: onnx.ModelProto = convert_float_to_float16(copy, keep_io_types=True)
    _put_in_order(converted.graph)  # the converter appends its casts at the end
    return converted


def _put_in_order(graph: onnx.GraphProto) -> None:
    """Sort the nodes so that each comes after those it takes from."""
    made = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer} | {""}
    waiting, ordered = list(graph.node), []
    while waiting:
        ready = [node for node in waiting if made.issuperset(node.input)]
        if not ready:
            raise ModelError("the graph has a circle")
        made.update(name for node in ready for name in node.output)
        ordered += ready
        waiting = [node for node in waiting if not made.issuperset(node.output)]
    del graph.node[:]
    graph.node.extend(ordered)


def _fixed(model: onnx.ModelProto, width: int, height: int) -> onnx.ModelProto:
    """The graph for one picture of that size, with everything that then is constant folded by ONNX Runtime."""
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    del sized.graph.value_info[:]
    for value in (*sized.graph.input, *sized.graph.output):
        for axis, length in ((0, 1), (2, height), (3, width)):
            value.type.tensor_type.shape.dim[axis].dim_value = length
    with tempfile.TemporaryDirectory(prefix="deblur-engine-") as folder:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = os.path.join(folder, "folded.onnx")
        # BASIC keeps to stock operators; the levels above fuse into ones that only ONNX Runtime knows.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        try:
            ort.InferenceSession(sized.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"the model cannot be fixed to {width}x{height}: {error!s:.300}") from error
        folded = onnx.load(options.optimized_model_filepath)
    used = {node.domain for node in folded.graph.node}
    kept = [opset for opset in folded.opset_import if opset.domain in used or opset.domain in ("", "ai.onnx")]
    del folded.opset_import[:]
    folded.opset_import.extend(kept)
    return folded


def _alone(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with ``frame`` as its only input and zeros in place of the three others."""
    single = onnx.ModelProto()
    single.CopyFrom(model)
    graph = single.graph
    frame = next(value for value in graph.input if value.name == "frame")
    del graph.input[:]
    graph.input.append(frame)
    zeros: list[Any] = [helper.make_node("Shape", ["frame"], ["alone_shape"], name="alone_shape")]
    for name, channels in INPUTS.items():
        if name == "frame":
            continue
        # [N, 3, H, W] * [1, 0, 1, 1] + [0, channels, 0, 0] is the shape that this input would have had.
        for part, numbers in (("times", [1, 0, 1, 1]), ("plus", [0, channels, 0, 0])):
            graph.initializer.append(numpy_helper.from_array(np.array(numbers, np.int64), f"alone_{name}_{part}"))
        zeros += [
            helper.make_node(
                "Mul", ["alone_shape", f"alone_{name}_times"], [f"alone_{name}_a"], name=f"alone_{name}_a"
            ),
            helper.make_node(
                "Add", [f"alone_{name}_a", f"alone_{name}_plus"], [f"alone_{name}_b"], name=f"alone_{name}_b"
            ),
            helper.make_node(
                "ConstantOfShape",
                [f"alone_{name}_b"],
                [name],
                name=f"alone_{name}",
                value=helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
            ),
        ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend(zeros + rest)
    return single


def _graph(artifact: Artifact) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(artifact.model_bytes)


def _tolerance(artifact: Artifact) -> float:
    return TOLERANCE[artifact.metadata.precision]


def _agree(
    one: onnx.ModelProto,
    other: onnx.ModelProto,
    sizes: Sequence[tuple[int, int]],
    tolerance: float,
    *,
    alone: bool = False,
) -> None:
    run_one, run_other = run_graph(one), run_graph(other)
    for seed, (width, height) in enumerate(sizes):
        inputs = made_up_inputs(height, width, seed=seed)
        without = (inputs[0], *(np.zeros_like(value) for value in inputs[1:]))
        trials = (without,) if alone else (inputs, without)
        error = max(worst_error(run_other(trial), run_one(trial)) for trial in trials)
        if not error <= tolerance:
            raise ModelError(
                f"the export differs by {error:.3g} from the model at {width}x{height}; at most {tolerance:g} is "
                "allowed, so nothing was written"
            )
