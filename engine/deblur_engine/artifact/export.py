# SPDX-License-Identifier: Apache-2.0
"""Writing a fitted network as ``CLIP.deblur.onnx``. Nothing is written unless ONNX Runtime agrees with torch."""

from __future__ import annotations

import copy
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from .. import __version__
from ..errors import ModelError
from .load import parse_model
from .schema import INPUTS, OUTPUT, ModelMetadata
from .torchscript import to_torchscript
from .variants import embed, shrink_to_fp16, to_fixed_size, to_flame_json, to_fp16
from .verify import TOLERANCE, Inputs, made_up_inputs, measure_context, measure_memory, run_graph, worst_error
from .write import check_free, write_whole

__all__ = ["OPSET", "export_model", "to_fixed_size", "to_flame_json", "to_fp16", "to_torchscript"]

OPSET = 18
SIZES = ((64, 64), (96, 72), (65, 71), (37, 129), (8, 8), (7, 5))  # (height, width): even, odd, tiny


def export_model(
    module: torch.nn.Module,
    metadata: ModelMetadata,
    path: str | Path,
    *,
    fp16: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write ``module`` and ``metadata`` as one ONNX file; returns its path.

    ``module.forward`` takes ``INPUTS`` (see ``schema``) in their order, float32 [N, C, H, W] of any N, H and W, and
    gives [N, 3, H, W]; it must pad to its own multiple by tensor operations, so that the size stays free in the graph.
    The file is refused (``ModelError``, and nothing is left behind) unless ONNX Runtime's CPU provider agrees with
    torch to 1e-4 at several sizes, odd ones among them. With ``fp16`` the weights and the arithmetic inside are
    half precision, inputs and output stay float32, and the agreement asked for is 4e-3, one 8-bit code value.
    ``engine_version``, ``context``, ``context_per_pixel``, ``bytes_per_pixel`` and ``precision`` of the metadata are
    filled in here.
    Raises ``OutputError`` if ``path`` exists and ``overwrite`` is not set, or if it cannot be written.
    """
    path = Path(path)
    check_free(path, overwrite)
    # Traced on the CPU from a copy in float32: the caller's module keeps its device, type, layout and mode.
    twin = _cpu_copy(module)
    model = _trace(twin)
    _compare(model, twin, TOLERANCE["fp32"])
    context, context_per_pixel = measure_context(model)
    metadata = replace(
        metadata,
        engine_version=metadata.engine_version or __version__,
        context=context,
        context_per_pixel=context_per_pixel,
        bytes_per_pixel=measure_memory(model),
        precision="fp32",
        fixed_size=None,
    )
    if fp16:
        model = shrink_to_fp16(model)
        _compare(model, twin, TOLERANCE["fp16"])
        metadata = replace(metadata, precision="fp16")
    data = embed(model, metadata)
    parse_model(data)  # what the loader would refuse must not be written
    return write_whole(path, data, overwrite=overwrite)


def _cpu_copy(module: torch.nn.Module) -> torch.nn.Module:
    twin = copy.deepcopy(module).to("cpu", torch.float32)
    for parameter in twin.parameters():
        parameter.data = parameter.data.contiguous()  # channels-last weights would be exported transposed
    return twin.eval().requires_grad_(False)


def _trace(module: torch.nn.Module) -> onnx.ModelProto:
    axes = {0: "batch", 2: "height", 3: "width"}
    # The TorchScript exporter, on purpose: it keeps height and width free through padding to a multiple, keeps the
    # parameters' names (to_torchscript lives by them) and needs no further package.
    with tempfile.TemporaryDirectory(prefix="deblur-engine-") as folder, warnings.catch_warnings(), torch.no_grad():
        # What the tracer warns of, a size that stays fixed, shows when the sizes above are compared.
        warnings.simplefilter("ignore")
        target = os.path.join(folder, "traced.onnx")
        try:
            torch.onnx.export(
                module,
                tuple(torch.from_numpy(value) for value in made_up_inputs(64, 72, seed=0)),
                target,
                dynamo=False,
                opset_version=OPSET,
                input_names=list(INPUTS),
                output_names=[OUTPUT],
                dynamic_axes=dict.fromkeys((*INPUTS, OUTPUT), axes),
                training=torch.onnx.TrainingMode.EVAL,
            )
        except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
            raise ModelError(f"the network cannot be written as ONNX: {str(error).strip():.400}") from error
        model = onnx.load(target)
    for node in model.graph.node:
        node.doc_string = ""  # source paths of the machine that fitted it
    _free_splits(model)
    _declare_inputs(model)
    # The tracer may lose track of what is known: three channels, and the frame's own size.
    restored = model.graph.output[0].type.tensor_type.shape
    restored.CopyFrom(next(value for value in model.graph.input if value.name == "frame").type.tensor_type.shape)
    return model


def _declare_inputs(model: onnx.ModelProto) -> None:
    """Give the graph all of ``INPUTS``: the exporter drops those that the network does not look at."""
    known = {value.name: value for value in model.graph.input}
    inputs = [
        known.get(name) or helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", count, "height", "width"])
        for name, count in INPUTS.items()
    ]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


def _free_splits(model: onnx.ModelProto) -> None:
    """Write splits into equal parts as such: the tracer notes the parts' sizes, which hold for one picture size."""
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    values |= {node.output[0]: node.attribute[0].t for node in model.graph.node if node.op_type == "Constant"}
    for node in model.graph.node:
        if node.op_type != "Split" or len(node.input) < 2 or node.input[1] not in values:
            continue
        sizes = numpy_helper.to_array(values[node.input[1]])
        if len(set(sizes.tolist())) == 1:
            del node.input[1:]
            node.attribute.append(helper.make_attribute("num_outputs", len(node.output)))


def _compare(model: onnx.ModelProto, module: torch.nn.Module, tolerance: float) -> None:
    run = run_graph(model)
    for height, width, inputs in _trials():
        with torch.no_grad():
            expected = module(*(torch.from_numpy(value) for value in inputs)).numpy()
        error = worst_error(run(inputs), expected)
        if not error <= tolerance:
            raise ModelError(
                f"ONNX Runtime and torch differ by {error:.3g} at {width}x{height}; at most {tolerance:g} is allowed, "
                "so no model was written",
                hint="a size that was fixed while tracing, or weights that are not finite, are the usual causes",
            )


def _trials() -> Iterator[tuple[int, int, Inputs]]:
    for seed, (height, width) in enumerate(SIZES):
        yield height, width, made_up_inputs(height, width, seed=seed)
    height, width = SIZES[0]
    two = [made_up_inputs(height, width, seed=seed) for seed in (90, 91)]
    yield height, width, tuple(np.concatenate(pair) for pair in zip(*two, strict=True))
    alone = list(made_up_inputs(height, width, seed=92))
    yield height, width, (alone[0], *(np.zeros_like(value) for value in alone[1:]))
