# SPDX-License-Identifier: Apache-2.0
"""One ONNX Runtime session over a model, on the device that was asked for or, with ``auto``, the best there is."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from ..artifact import Artifact
from ..artifact.schema import INPUTS, OUTPUT
from ..device import CudaDriver, parse_device, probe_cuda
from ..errors import MissingDevice, ModelError, OutOfMemory
from .memory import available_memory

__all__ = ["Session", "cpu_threads"]

Array = npt.NDArray[np.float32]
_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_LOCK = threading.Lock()  # ONNX Runtime's memory bound is one for the process: set it and open, without a gap
_TRIAL_BYTES = 256 << 20
_TRIAL_PIXELS = 1 << 21


class Session:
    """The network, ready to run. ``run`` may be called from several threads.

    ``provider`` names what really runs it: ``CUDAExecutionProvider`` or ``CPUExecutionProvider``; ``device`` the same
    in the words of ``--device``: ``cpu`` or ``cuda:N``. ``note`` says why ``auto`` did not take a GPU that is there.
    Raises ``MissingDevice`` if a GPU was asked for by name and cannot be used, ``ModelError`` if ONNX Runtime refuses
    the graph.
    """

    def __init__(self, artifact: Artifact, device: str = "auto", threads: int | None = None) -> None:
        self.artifact = artifact
        self.note = ""
        kind, index = parse_device(device)
        driver = probe_cuda() if kind != "cpu" else CudaDriver(0)
        if kind == "cuda":
            _require(device, index, driver)
        use_cuda = kind == "cuda" or (kind == "auto" and driver.count > 0 and _CUDA in ort.get_available_providers())
        self._driver, self._index = driver, index
        with _LOCK:
            self._try_out()
            self._session = self._open(use_cuda, index, threads)
        self.provider: str = self._session.get_providers()[0]
        if use_cuda and self.provider != _CUDA:
            why = "ONNX Runtime's CUDA provider does not start (CUDA or cuDNN libraries missing or too old?)"
            if kind == "cuda":
                raise MissingDevice(
                    f"device {device!r} was asked for, but {why}",
                    hint="pip install 'onnxruntime-gpu[cuda,cudnn]', or use --device cpu; see deblur-engine doctor",
                )
            self.note = f"a GPU is there, but {why}; the CPU is used"
        self.device = f"cuda:{index}" if self.provider == _CUDA else "cpu"

    def run(self, frame: Array, *guides: Array) -> Array:
        """Restore one picture or tile.

        ``frame``: R'G'B', ``guides``: estimate, reference, confidence and motion as ``AlignedFrame`` has them; float32
        [H, W, C] each. Returns float32 [H, W, 3]. Raises ``ValueError`` for other shapes,
        ``OutOfMemory`` if the device's memory does not suffice: try again with smaller pieces.
        """
        height, width = frame.shape[:2]
        feed = {}
        for name, value in zip(INPUTS, (frame, *guides), strict=True):
            if value.shape != (height, width, INPUTS[name]):
                raise ValueError(f"{name} has shape {value.shape}; it does not fit a frame of {width}x{height} pixels")
            feed[name] = np.ascontiguousarray(value.transpose(2, 0, 1), dtype=np.float32)[None]
        try:
            result: Array = self._session.run([OUTPUT], feed)[0]
        except Exception as error:  # ONNX Runtime's exceptions share no base of their own
            raise _translated(error, f"{width}x{height}", self.device) from error
        if result.shape != (1, 3, height, width):
            raise ModelError(f"{self.artifact.path}: the model turns {width}x{height} pixels into {result.shape}")
        return np.ascontiguousarray(result[0].transpose(1, 2, 0))

    def free_memory(self) -> int:
        """Bytes that the network may take on its device now; on the CPU, of this machine's or container's memory."""
        if self.provider == _CUDA:
            memory = self._driver.memory(self._index)
            if memory is not None:
                return memory[0]
        return available_memory()

    def _try_out(self) -> None:
        """Run the graph on a tiny picture with little memory, before it gets much: a hostile one shows here."""
        width, height = self.artifact.metadata.fixed_size or (24, 17)
        if width * height > _TRIAL_PIXELS:
            return  # an export for one very large size: a trial would cost what a frame costs
        options = _bounded(_TRIAL_BYTES + 16 * 1024 * width * height)
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        feed = {name: np.zeros((1, channels, height, width), np.float32) for name, channels in INPUTS.items()}
        try:
            session = ort.InferenceSession(self.artifact.model_bytes, options, providers=[_CPU], enable_fallback=0)
            shape = session.run([OUTPUT], feed)[0].shape
        except Exception as error:
            raise ModelError(f"{self.artifact.path}: ONNX Runtime refuses the model: {error!s:.300}") from error
        if shape != (1, 3, height, width):
            raise ModelError(f"{self.artifact.path}: the model turns {width}x{height} pixels into {shape}")

    def _open(self, use_cuda: bool, index: int, threads: int | None) -> ort.InferenceSession:
        options = _bounded(available_memory() // 4 * 3)
        options.intra_op_num_threads = cpu_threads(threads)
        # Tiles differ in size; a memory plan kept for every size seen would only grow.
        options.enable_mem_pattern = False
        # Idle workers that spin would take the cores from decoding, alignment and encoding.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = [_CPU]
        if use_cuda:
            # CUDA's libraries may lie in site-packages, as pip installs them, where the loader does not look.
            preload = getattr(ort, "preload_dlls", None)  # from ONNX Runtime 1.21 on
            if preload is not None:
                preload(directory="")
            cuda = {
                "device_id": str(index),
                "arena_extend_strategy": "kSameAsRequested",
                "cudnn_conv_algo_search": "HEURISTIC",  # exhaustive search would run anew for every tile size
                "use_tf32": "0",  # 10 bits of mantissa would show as seams and differ from the CPU
            }
            providers.insert(0, (_CUDA, cuda))
        try:
            return ort.InferenceSession(self.artifact.model_bytes, options, providers=providers, enable_fallback=0)
        except Exception as error:
            if use_cuda:
                return self._open(False, index, threads)
            raise ModelError(f"{self.artifact.path}: ONNX Runtime refuses the model: {error!s:.300}") from error


def cpu_threads(threads: int | None) -> int:
    """The number of CPU threads to use: as asked, or as many cores as this process may run on."""
    if threads is not None:
        return max(1, threads)
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def _bounded(most_bytes: int) -> ort.SessionOptions:
    """Options of a session that takes at most so much of the machine's memory; call with ``_LOCK`` held.

    Linux grants more memory than there is and then ends the process. With a bound, a picture that is too large, or a
    hostile graph that asks for a tensor of terabytes, is an error like any other.
    """
    arena = ort.OrtArenaCfg({"max_mem": most_bytes, "arena_extend_strategy": 1})
    where = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(where, arena)  # for all sessions opened from now on, in place of the last one
    options = ort.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.log_severity_level = 4  # what goes wrong comes back as an exception or in get_providers()
    return options


def _require(device: str, index: int, driver: CudaDriver) -> None:
    if _CUDA not in ort.get_available_providers():
        raise MissingDevice(
            f"device {device!r} was asked for, but this ONNX Runtime has no CUDA support",
            hint="pip install onnxruntime-gpu (and uninstall onnxruntime), or use --device cpu",
        )
    if driver.count == 0:
        raise MissingDevice(f"device {device!r} was asked for, but {driver.reason}", hint="use --device cpu or auto")
    if index >= driver.count:
        names = ", ".join(f"cuda:{number}" for number in range(driver.count))
        raise MissingDevice(f"device {device!r} was asked for; there is only {names}", hint=f"use one of {names}")


def _translated(error: Exception, size: str, device: str) -> Exception:
    # ONNX Runtime reports an allocation that failed as a general failure; only its text tells them apart.
    text = str(error)
    lowered = text.lower()
    signs = (
        "failed to allocate",
        "bad alloc",
        "bad_alloc",
        "out of memory",
        "memoryallocation",
        "alloc_failed",
        "available memory",
    )
    if isinstance(error, MemoryError) or any(sign in lowered for sign in signs):
        return OutOfMemory(
            f"the network ran out of memory on {device} with pieces of {size} pixels", hint="give a smaller --tile"
        )
    return ModelError(f"the model fails on pieces of {size} pixels: {text:.300}")
