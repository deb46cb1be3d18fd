# SPDX-License-Identifier: Apache-2.0
"""How times, sizes, rates and figures are worded for people."""

from __future__ import annotations

import math
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence

__all__ = ["command_line", "duration", "figures", "number", "rate", "size"]


def duration(seconds: float) -> str:
    """``"42 s"``, ``"3:07"`` (minutes) or ``"1:02:03"`` (hours)."""
    if not math.isfinite(seconds):
        return "unknown"
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def size(count: float) -> str:
    """Bytes in the unit that reads best: ``"512 B"``, ``"3.4 MiB"``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def number(value: float | str) -> str:
    """A number short enough to read: four significant digits, whole numbers whole."""
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return "unknown"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def rate(value: float) -> str:
    """A rate in three digits: ``"0.0123"``, ``"12.3"``, ``"1230"``."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def figures(values: Mapping[str, float | str]) -> str:
    """Figures of an event on one line: ``loss 0.0123  held-out gain +1.23 dB``."""
    return "  ".join(_figure(name, value) for name, value in values.items())


def _figure(name: str, value: float | str) -> str:
    if name.endswith("_db") and not isinstance(value, str):
        return f"{name.removesuffix('_db').replace('held_out', 'held-out').replace('_', ' ')} {value:+.2f} dB"
    if name.endswith("psnr") and not isinstance(value, str):
        return f"{name.removesuffix('psnr').replace('_', ' ')}PSNR {value:.2f} dB"
    if name == "fps":
        return f"{number(value)} fps"
    return f"{name.replace('_', ' ')} {number(value)}"


def command_line(words: Sequence[object]) -> str:
    """Words quoted so that they can be pasted into this system's shell."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)
