# SPDX-License-Identifier: Apache-2.0
"""The graphics cards, asked through the driver's own library: no process is started and no toolkit is needed."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

__all__ = ["Card", "Driver", "driver"]


@dataclass(frozen=True)
class Card:
    name: str
    memory: int  # bytes
    capability: tuple[int, int]


@dataclass(frozen=True)
class Driver:
    """What the CUDA driver says. ``problem`` is None where it answers."""

    version: tuple[int, int] | None  # highest CUDA version that it serves
    cards: tuple[Card, ...]
    problem: str | None = None


def driver() -> Driver:
    """Ask the CUDA driver; honours CUDA_VISIBLE_DEVICES, as the driver itself does."""
    try:
        cuda = ctypes.WinDLL("nvcuda.dll") if os.name == "nt" else ctypes.CDLL("libcuda.so.1")  # type: ignore[attr-defined,unused-ignore]
    except OSError:
        return Driver(None, (), "no NVIDIA driver is installed")
    status = cuda.cuInit(0)
    version = ctypes.c_int()
    if cuda.cuDriverGetVersion(ctypes.byref(version)) == 0 and version.value:
        number: tuple[int, int] | None = (version.value // 1000, version.value % 1000 // 10)
    else:
        number = None
    if status != 0:
        # 100: no device. A build host may hold the driver's library and no card.
        return Driver(number, (), "no device is visible" if status == 100 else f"the driver answers error {status}")
    count = ctypes.c_int()
    if cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return Driver(number, (), "the driver does not list its devices")
    return Driver(number, tuple(_card(cuda, index) for index in range(count.value)))


def _card(cuda: ctypes.CDLL, index: int) -> Card:
    device, memory, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    major, minor = ctypes.c_int(), ctypes.c_int()
    # 75 and 76: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
    cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
    return Card(name.value.decode(errors="replace"), memory.value, (major.value, minor.value))
