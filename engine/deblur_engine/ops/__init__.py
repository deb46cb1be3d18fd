# SPDX-License-Identifier: Apache-2.0
"""The native ops, for NumPy arrays, torch tensors and what speaks DLPack: sharpness, warp, reblur, tile blending.

An op returns the kind it was given. NumPy pictures are ``[H, W]``, ``[H, W, C]`` or ``[N, H, W, C]``; torch tensors
are ``[C, H, W]`` or ``[N, C, H, W]``, on the CPU or on a CUDA device (then the work is queued on the caller's current
stream). A map of one value a pixel (mask, weight) is ``[H, W]`` beside ``[H, W(, C)]`` and ``[C, H, W]``,
``[N, H, W]`` beside ``[N, H, W, C]`` and ``[N, 1, H, W]`` beside ``[N, C, H, W]``. Any strides will do, inputs are
never copied unless their memory is misaligned, and pictures are float32 unless said otherwise. A flow is in pixels,
``(dx, dy)``, backward: ``warped(p) = image(p + flow(p))``. A displacement that is not finite counts as none.

Any other object with ``__dlpack__`` and ``__dlpack_device__`` (of CuPy, of JAX) is laid out as a NumPy array is. On the
CPU it counts as one: what is returned is a NumPy array. On a CUDA device ``out`` is required, as the ops allocate
nothing there, and the work is queued on the stream that the picture's ``__cuda_array_interface__`` names (CuPy: the
current one), or else on the legacy default stream.

Threads: ``threads`` bounds a call, ``OMP_NUM_THREADS`` bounds every call, the processors of this process bound both
where neither is set. The GIL is released. Results depend neither on the threads nor on the processor's instruction
set. Errors: ``TypeError`` for what has the wrong type or dtype, ``ValueError`` for a wrong shape, device or value;
both name the argument, what it is and what it should be. Nothing is recorded for automatic differentiation: a tensor
that requires a gradient is refused. ``fitting.warping`` makes a torch function of ``warp`` and ``warp_backward``.

torch is used where the caller brings its tensors, and never imported from here.
"""

from __future__ import annotations

from typing import Any

from .. import _ops
from .blend import blend_tiles, finish_tiles, mix
from .reblur import reblur, reblur_crops
from .sharpness import sharpness
from .warp import warp, warp_backward

__all__ = [
    "blend_tiles",
    "build_info",
    "cuda_available",
    "finish_tiles",
    "mix",
    "reblur",
    "reblur_crops",
    "sharpness",
    "warp",
    "warp_backward",
]


def cuda_available() -> bool:
    """Whether the CUDA kernels can run here: built in, and a driver and a device found."""
    return int(_ops.cuda_devices()) > 0


def build_info() -> dict[str, Any]:
    """How the native module was built and what it uses here.

    ``instruction_set`` (of the CPU loops: "base", "x86-64-v3", "x86-64-v4"), ``threads`` (of a call that names none),
    ``compiler``, ``cuda`` (built in), ``cuda_runtime`` (version number or None), ``cuda_archs``, ``cuda_devices``.
    """
    return {**_ops.build_info(), "cuda_devices": int(_ops.cuda_devices())}
