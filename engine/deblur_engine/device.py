# SPDX-License-Identifier: Apache-2.0
"""What ``auto``, ``cpu``, ``cuda`` and ``cuda:N`` mean on this machine, asked of the CUDA driver itself.

ONNX Runtime falls back to the CPU without an error, and prints one where nothing is wrong; so the driver is asked
first. It honours CUDA_VISIBLE_DEVICES by itself: ``cuda:0`` is the first of the visible ones.
"""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass

from .errors import UsageError

__all__ = ["CudaDriver", "parse_device", "probe_cuda"]


@dataclass(frozen=True)
class CudaDriver:
    """What the CUDA driver says: how many devices are visible, and if none, why."""

    count: int
    reason: str = ""

    def memory(self, index: int) -> tuple[int, int] | None:
        """Free and total bytes of a device, or None if the driver does not say."""
        driver = _driver()
        if driver is None or not 0 <= index < self.count:
            return None
        device, context = ctypes.c_int(), ctypes.c_void_p()
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        # The primary context is the one that ONNX Runtime uses too, so nothing is made that would not be made anyway.
        if driver.cuDeviceGet(ctypes.byref(device), index) or driver.cuDevicePrimaryCtxRetain(
            ctypes.byref(context), device
        ):
            return None
        try:
            if driver.cuCtxPushCurrent_v2(context):
                return None
            failed = driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
            driver.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
            return None if failed else (free.value, total.value)
        finally:
            driver.cuDevicePrimaryCtxRelease_v2(device)


def parse_device(text: str) -> tuple[str, int]:
    """``("auto"|"cpu"|"cuda", index)`` of ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; raises ``UsageError``."""
    kind, colon, number = text.partition(":")
    if kind in ("auto", "cpu", "cuda") and not colon:
        return kind, 0
    if kind == "cuda" and number.isascii() and number.isdigit() and len(number) < 4:
        return kind, int(number)
    raise UsageError(f"device {text!r} is unknown", hint="one of auto, cpu, cuda, cuda:N")


def probe_cuda() -> CudaDriver:
    """Ask the driver which devices are visible. Never raises."""
    driver = _driver()
    if driver is None:
        return CudaDriver(0, "no NVIDIA driver is installed")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = f" (CUDA_VISIBLE_DEVICES is {visible!r})" if visible is not None else ""
    code = driver.cuInit(0)
    if code == 100:  # CUDA_ERROR_NO_DEVICE
        return CudaDriver(0, f"the NVIDIA driver shows no device{hidden}")
    if code:
        return CudaDriver(0, f"the NVIDIA driver does not start: cuInit gives error {code}{hidden}")
    count = ctypes.c_int()
    if driver.cuDeviceGetCount(ctypes.byref(count)) or count.value == 0:
        return CudaDriver(0, f"the NVIDIA driver shows no device{hidden}")
    return CudaDriver(count.value)


def _driver() -> ctypes.CDLL | None:
    if sys.platform == "darwin":
        return None
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
