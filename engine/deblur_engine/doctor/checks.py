# SPDX-License-Identifier: Apache-2.0
"""The checks, each a function that says what it found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from .gpu import driver
from .packages import importable, installed
from .report import Check, Report

__all__ = ["Check", "Report", "examine"]

OLDEST_PYTHON = (3, 10)
ENCODERS = {
    "libx264": "H.264",
    "libx265": "HEVC",
    "prores_ks": "ProRes",
    "dnxhd": "DNxHD and DNxHR",
    "ffv1": "FFV1",
}
SPARE_DISK = 10 << 30  # bytes; an hour of 1080p in a mezzanine codec takes several times this
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
_REINSTALL = "install deblur-engine again: pip install --force-reinstall deblur-engine"


def examine(folder: str | Path = ".") -> Report:
    """Look at everything that deblur-engine stands on; ``folder`` is where results would be written.

    Nothing is changed. A check that itself goes wrong is a failed check, never an exception.
    """
    checks: list[Check] = []
    for examiner in (
        _python,
        _native_ops,
        _graphics,
        _onnxruntime_install,
        _onnxruntime_providers,
        _torch,
        _opencv,
        _pyav,
        _openimageio,
        lambda: _disk(Path(folder)),
        _threads,
    ):
        checks.extend(_guarded(examiner))
    return Report(tuple(checks))


def _guarded(examiner: Callable[[], Iterator[Check]]) -> list[Check]:
    try:
        return list(examiner())
    except Exception as error:  # a broken library may raise anything, and the rest is still worth knowing
        name = getattr(examiner, "__name__", "check").strip("_<>").replace("_", " ")
        return [Check(name, "failed", f"{type(error).__name__}: {error}", _REINSTALL)]


def _python() -> Iterator[Check]:
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        yield Check("Python", "failed", found, f"use Python {oldest} or later")
    else:
        yield Check("Python", "ok", found)


def _native_ops() -> Iterator[Check]:
    ops = import_module("deblur_engine.ops")
    info = ops.build_info()
    yield Check("native ops", "ok", ", ".join(f"{key} {_short(value)}" for key, value in info.items()))
    if driver().cards and not ops.cuda_available():
        yield Check(
            "native ops on CUDA",
            "note",
            "built without CUDA, or the card is not one that they were built for",
            "fits compute their pairs on the CPU; with nvcc on the path, build again: pip install --no-binary "
            "deblur-engine deblur-engine",
        )


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)


def _graphics() -> Iterator[Check]:
    found = driver()
    serves = f"driver serves CUDA {found.version[0]}.{found.version[1]}" if found.version else ""
    if not found.cards:
        advice = "deblur-engine works on the CPU; for a GPU, install its NVIDIA driver"
        if os.environ.get("CUDA_VISIBLE_DEVICES") is not None:
            advice += f" (CUDA_VISIBLE_DEVICES is {os.environ['CUDA_VISIBLE_DEVICES']!r})"
        yield Check("GPU", "note", "; ".join(filter(None, [found.problem or "none", serves])), advice)
    for index, card in enumerate(found.cards):
        major, minor = card.capability
        text = f"cuda:{index} {card.name}, {card.memory / 2**30:.0f} GiB, compute capability {major}.{minor}; {serves}"
        yield Check("GPU", "ok", text)


def _onnxruntime_install() -> Iterator[Check]:
    found = installed("onnxruntime", "onnxruntime-gpu")
    text = ", ".join(f"{name} {number}" for name, number in found.items())
    if len(found) > 1:
        yield Check(
            "onnxruntime install",
            "failed",
            f"{text}: two packages that write the same files",
            "keep one: pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu",
        )
    elif not found:
        yield Check("onnxruntime install", "failed", "not installed", "pip install onnxruntime-gpu")
    else:
        yield Check("onnxruntime install", "ok", text)


def _onnxruntime_providers() -> Iterator[Check]:
    onnxruntime = import_module("onnxruntime")
    onnxruntime.set_default_logger_severity(4)  # what it has to say about a missing GPU is said below
    model = _identity_model()
    available = onnxruntime.get_available_providers()
    usable = [name for name in available if _runs(onnxruntime, model, name)]
    short = [name.removesuffix("ExecutionProvider") for name in usable]
    if "CPUExecutionProvider" not in usable:
        yield Check("onnxruntime providers", "failed", f"usable: {', '.join(short) or 'none'}", _REINSTALL)
        return
    yield Check("onnxruntime providers", "ok", f"usable: {', '.join(short)}")
    if driver().cards and "CUDAExecutionProvider" not in usable:
        if "CUDAExecutionProvider" in available:
            advice = "its CUDA and cuDNN libraries do not load: pip install 'onnxruntime-gpu[cuda,cudnn]'"
        else:
            advice = "this build has no CUDA: pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
        yield Check("onnxruntime on CUDA", "note", "a GPU is there but renders run on the CPU", advice)


def _runs(onnxruntime: object, model: bytes, provider: str) -> bool:
    """True where a session really gets the provider: ONNX Runtime falls back to the CPU without an error."""
    if provider.startswith("Tensorrt"):
        return False  # never used by deblur-engine
    try:
        session = onnxruntime.InferenceSession(model, providers=[provider])  # type: ignore[attr-defined]
    except Exception:  # its exceptions share no public base
        return False
    return provider in session.get_providers()


def _identity_model() -> bytes:
    onnx = import_module("onnx")
    helper = onnx.helper
    value = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "doctor", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def _torch() -> Iterator[Check]:
    number = installed("torch").get("torch")
    if number is None:
        yield Check("torch", "note", "not installed", "renders do without; to fit: pip install torch")
    elif not driver().cards:
        yield Check("torch", "ok", number)
    elif number.endswith("+cpu"):
        advice = "fits run on the CPU; a build with CUDA: pip install --force-reinstall torch"
        yield Check("torch", "note", f"{number}: a GPU is there but this build cannot use it", advice)
    else:
        yield _torch_on_cuda(number)


def _torch_on_cuda(number: str) -> Check:
    # In a process of its own: torch takes seconds and a gigabyte, and a broken driver may end the process.
    code = "import torch; print(torch.zeros(1, device='cuda').device, torch.version.cuda)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    if answer.returncode == 0:
        return Check("torch", "ok", f"{number} on {answer.stdout.strip()}")
    lines = answer.stderr.strip().splitlines() or [f"exit code {answer.returncode}"]
    return Check(
        "torch", "note", f"{number} cannot use the GPU: {lines[-1]}", "install the torch build for this driver"
    )


def _opencv() -> Iterator[Check]:
    found = installed(*_OPENCV)
    text = ", ".join(f"{name} {number}" for name, number in found.items())
    if len(found) > 1:
        advice = f"keep one: pip uninstall -y {' '.join(found)} && pip install opencv-python-headless"
        yield Check("OpenCV", "failed", f"{text}: packages that write the same files", advice)
    elif not importable("cv2"):
        yield Check("OpenCV", "failed", "not installed", "pip install opencv-python-headless")
    else:
        yield Check("OpenCV", "ok", text or import_module("cv2").__version__)


def _pyav() -> Iterator[Check]:
    av = import_module("av")
    there = [name for name in ENCODERS if _encodes(av, name)]
    missing = [f"{name} ({ENCODERS[name]})" for name in ENCODERS if name not in there]
    text = f"PyAV {av.__version__}, encoders {', '.join(there)}"
    if missing:
        advice = "clips in these formats come out in another codec: pip install --only-binary av av"
        yield Check("video", "note", f"{text}; without {', '.join(missing)}", advice)
    else:
        yield Check("video", "ok", text)


def _encodes(av: object, name: str) -> bool:
    try:
        av.codec.Codec(name, "w")  # type: ignore[attr-defined]
    except ValueError:  # PyAV's UnknownCodecError
        return False
    return True


def _openimageio() -> Iterator[Check]:
    if not importable("OpenImageIO"):
        yield Check("image sequences", "failed", "OpenImageIO is not installed", "pip install OpenImageIO")
        return
    oiio = import_module("OpenImageIO")
    formats = set(oiio.get_string_attribute("format_list").split(","))
    missing = [name for name in ("openexr", "png", "tiff", "dpx") if name not in formats]
    text = f"OpenImageIO {oiio.VERSION_STRING}"
    if missing:
        yield Check("image sequences", "failed", f"{text} without {', '.join(missing)}", "pip install OpenImageIO")
    else:
        yield Check("image sequences", "ok", f"{text}, EXR, PNG, TIFF, DPX")


def _disk(folder: Path) -> Iterator[Check]:
    free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free in {folder.resolve()}"
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Check("disk", "note", f"{text}, not writable: {error.strerror}", "give another folder with --out")
        return
    if free < SPARE_DISK:
        yield Check("disk", "note", text, "enough for short clips; free some space before long ones")
    else:
        yield Check("disk", "ok", text)


def _threads() -> Iterator[Check]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    text = f"{usable} usable of {os.cpu_count()}"
    limits = [f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ]
    if limits:
        yield Check("CPU threads", "note", f"{text}; limited by {', '.join(limits)}", "unset it to use all of them")
    else:
        yield Check("CPU threads", "ok", text)
