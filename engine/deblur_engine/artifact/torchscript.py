# SPDX-License-Identifier: Apache-2.0
"""The network as TorchScript, for programs that load that (Nuke's CatFileCreator)."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from ..errors import ModelError, UsageError
from .load import Artifact
from .schema import ModelMetadata
from .verify import TOLERANCE, made_up_inputs, run_graph, worst_error
from .write import check_free, write_whole

__all__ = ["to_torchscript"]


def to_torchscript(
    artifact: Artifact,
    path: str | Path,
    *,
    network: Callable[[ModelMetadata], torch.nn.Module] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the model as TorchScript with the same inputs and one output; returns its path.

    The network's code is not in the ONNX file: ``network(metadata)`` builds it anew (default: the recipe's own, of the
    width that it names), and the weights are taken from the file by name. Raises ``ModelError``, and writes nothing,
    unless the result agrees with the ONNX file to 1e-4.
    """
    path = Path(path)
    check_free(path, overwrite)
    if artifact.metadata.precision != "fp32" or artifact.metadata.fixed_size:
        raise UsageError(f"{artifact.path} is an export itself", hint="export TorchScript from the CLIP.deblur.onnx")
    model = onnx.ModelProto.FromString(artifact.model_bytes)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:  # the exporter keeps weights that are equal (zero biases) but once
        if node.op_type == "Identity" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    module = network(artifact.metadata) if network else _fitted(artifact.metadata, weights)
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in weights]
    if missing:
        raise ModelError(
            f"{artifact.path} lacks the weight {missing[0]!r} of the network",
            hint="it was fitted by another version of deblur-engine: export with that one",
        )
    try:
        module.load_state_dict(
            {name: torch.from_numpy(np.array(numpy_helper.to_array(weights[name]))) for name in wanted}
        )
    except RuntimeError as error:
        raise ModelError(f"{artifact.path}: its weights do not fit the network: {error!s:.300}") from error
    module.eval().requires_grad_(False)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # a size that tracing fixed would show in the comparison below
        example = tuple(torch.from_numpy(value) for value in made_up_inputs(64, 72, seed=0))
        script = torch.jit.trace(module, example, check_trace=False)
        run = run_graph(model)
        for seed, (height, width) in enumerate(((64, 64), (65, 71), (37, 129))):
            inputs = made_up_inputs(height, width, seed=seed)
            try:
                given = script(*(torch.from_numpy(value) for value in inputs)).numpy()
            except RuntimeError as error:
                raise ModelError(f"the network as TorchScript fails at {width}x{height}: {error!s:.300}") from error
            worst = worst_error(given, run(inputs))
            if not worst <= TOLERANCE["fp32"]:
                raise ModelError(f"TorchScript differs by {worst:.3g} from the model at {width}x{height}")
    buffer = io.BytesIO()
    torch.jit.save(script, buffer)
    return write_whole(path, buffer.getvalue(), overwrite=overwrite)


def _fitted(metadata: ModelMetadata, weights: Mapping[str, onnx.TensorProto]) -> torch.nn.Module:
    # Artifact comes before fitting: only this one export looks back.
    from ..fitting.network import DeblurNet
    from ..fitting.paper.network import HypercolumnNet
    from ..fitting.paper.vgg import BLOCKS, Vgg

    width = metadata.recipe.get("width")
    if not isinstance(width, int) or not 1 <= width <= 1024:
        raise ModelError(f"the model's recipe names no network width (it says {width!r:.40})")
    if metadata.recipe.get("name") != "paper":
        return DeblurNet(width)
    shapes = [list(weights[name].dims) for n in range(sum(BLOCKS)) if (name := _VGG.format(n)) in weights]
    if len(shapes) != sum(BLOCKS) or not all(len(dims) == 4 and max(dims) <= 1024 for dims in shapes):
        raise ModelError("the model's recipe is the paper's, but its VGG weights are not")
    return HypercolumnNet(Vgg([(torch.zeros(dims), torch.zeros(dims[0])) for dims in shapes], (0.0, 0.0, 0.0)), width)


_VGG = "vgg.convolutions.{}.weight"
