# SPDX-License-Identifier: Apache-2.0
"""How much memory there is to work with: the machine's, or the container's if that is less."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

__all__ = ["available_memory"]

_FALLBACK = 2 << 30


def available_memory() -> int:
    """Bytes that this process may still take without swapping; a cautious guess where the system does not say."""
    found = [value for value in (_system(), _cgroup()) if value is not None]
    return max(min(found, default=_FALLBACK), 64 << 20)


def _system() -> int | None:
    if sys.platform == "win32":
        return _windows()
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):
        return None


def _cgroup() -> int | None:
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            most = int(Path(limit).read_text())  # "max" where there is no limit: no number
            if most < 1 << 60:
                return max(0, most - int(Path(used).read_text()))
        except (OSError, ValueError):
            continue
    return None


def _windows() -> int | None:
    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_uint32), ("load", ctypes.c_uint32)] + [
            (name, ctypes.c_uint64) for name in ("total", "available", "c", "d", "e", "f", "g")
        ]

    status = Status(length=ctypes.sizeof(Status))
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - absent from the types of other systems
    return int(status.available) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None
