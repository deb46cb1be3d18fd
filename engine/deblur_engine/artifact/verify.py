# SPDX-License-Identifier: Apache-2.0
"""What a graph does, measured by running it: does it agree, how far does it look, how much memory does it take."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from ..errors import ModelError
from .schema import INPUTS, OUTPUT

__all__ = ["TOLERANCE", "Inputs", "made_up_inputs", "measure_context", "measure_memory", "run_graph", "worst_error"]

Array = npt.NDArray[np.float32]
Inputs = tuple[Array, ...]  # in the order of INPUTS; float32 [N, C, H, W]

TOLERANCE = {"fp32": 1e-4, "fp16": 4e-3}  # largest absolute error against torch, in units of a 0..1 picture


# Multiples of 16, as tiles must keep the phase of strided layers. The further ones take far larger pictures to measure,
# so they are tried only where the near ones do not suffice.
_NEAR, _FAR = (16, 32, 48, 64, 80, 96, 128), (160, 192, 224, 256)
_BLUR = 24.0  # pixels


def made_up_inputs(height: int, width: int, seed: int, blur: float = 30.0) -> Inputs:
    """A made-up frame, what resembles it less itself, a confidence with holes, and blur of that many pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.stack([0.5 + 0.4 * np.sin(x / 7 + y / (5 + c)) for c in range(3)])
    frame = waves + 0.1 * rng.standard_normal(waves.shape)
    estimate, reference = (waves + 0.1 * rng.standard_normal(waves.shape) - frame for _ in range(2))
    believed = np.clip(rng.random((height, width)) * 1.5 - 0.25, 0, 1)
    confidence = np.stack([believed, 0.1 * rng.standard_normal((height, width))])
    motion = blur * np.stack([np.sin(y / 40 + x / 90), np.cos(y / 40 + x / 90)])
    return tuple(value[None].astype(np.float32) for value in (frame, estimate, reference, confidence, motion))


def run_graph(model: onnx.ModelProto, *, profile: str | None = None) -> Callable[[Inputs], Array]:
    """A function that runs the graph on the CPU; raises ``ModelError`` if ONNX Runtime refuses it."""
    session = _session(model, profile)

    def run(inputs: Inputs) -> Array:
        wanted = {value.name for value in session.get_inputs()}
        feed = {name: value for name, value in zip(INPUTS, inputs, strict=True) if name in wanted}
        try:
            result: Array = session.run([OUTPUT], feed)[0]
        except Exception as error:
            shape = inputs[0].shape
            raise ModelError(f"ONNX Runtime fails on pictures of {shape[3]}x{shape[2]}: {error!s:.300}") from error
        return result

    return run


def worst_error(given: Array, expected: Array) -> float:
    """Largest absolute difference; infinite where shapes differ or anything is not finite."""
    if given.shape != expected.shape or not (np.isfinite(given).all() and np.isfinite(expected).all()):
        return float("inf")
    return float(np.abs(given - expected).max())


def measure_context(model: onnx.ModelProto) -> tuple[int, float]:
    """How many pixels of surroundings a tile needs so that its middle comes out as in the whole picture.

    Returns the margin without motion, and how much more each pixel of blur length asks for (a network may look along
    the blur's path).
    """
    still = _margin(model, 0.0)
    asks = any("motion" in node.input for node in model.graph.node)
    moved = _margin(model, _BLUR) if asks else still
    return still, max(0, moved - still) / _BLUR


def _margin(model: onnx.ModelProto, blur: float) -> int:
    """The smallest margin with which a cut-out's middle comes out as it should; the largest if none does."""
    run = run_graph(model)
    return _smallest(run, _NEAR, blur) or _smallest(run, _FAR, blur) or _FAR[-1]


def _smallest(
    run: Callable[[Inputs], Array], margins: tuple[int, ...], blur: float, *, size: int = 64, limit: float = 1 / 8192
) -> int | None:
    most = margins[-1] + 32
    whole = made_up_inputs(size + 2 * most, size + 2 * most, seed=7, blur=blur)
    middle = slice(most, most + size)
    expected = run(whole)[..., middle, middle]

    def suffices(margin: int) -> bool:
        cut = slice(most - margin, most + size + margin)
        given = run(tuple(np.ascontiguousarray(value[..., cut, cut]) for value in whole))
        inner = slice(margin, margin + size)
        return worst_error(given[..., inner, inner], expected) <= limit

    if not suffices(margins[-1]):
        return None
    return next((margin for margin in margins[:-1] if suffices(margin)), margins[-1])


def measure_memory(model: onnx.ModelProto, *, side: int = 128) -> int:
    """Working memory that a run takes, in bytes per pixel, from the sizes that ONNX Runtime's profile states.

    Taken as all activations that one node reads and writes at its peak, and half as much again for those that wait
    in skip connections, times two for the layouts that the CPU kernels copy into.
    """
    with tempfile.TemporaryDirectory(prefix="deblur-engine-") as folder:
        session = _session(model, os.path.join(folder, "profile"))
        session.run([OUTPUT], dict(zip(INPUTS, made_up_inputs(side, side, seed=3), strict=True)))
        with open(session.end_profiling(), encoding="utf-8") as file:
            events = json.load(file)
    peak = 0
    for event in events:
        details = event.get("args", {})
        if "output_size" in details:
            peak = max(peak, int(details["output_size"]) + int(details.get("activation_size", 0)))
    return max(1, 3 * peak // (side * side))


def _session(model: onnx.ModelProto, profile: str | None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"ONNX Runtime refuses the graph: {error!s:.300}") from error
