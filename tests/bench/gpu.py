# SPDX-License-Identifier: Apache-2.0
"""All that a claim about the GPU stands on, in one go: the ops' speed, and a fit and a render of the demo clip.

    python tests/bench/gpu.py [--preset draft]

Prints a table with the seconds of each step on cuda and on cpu, and the provider that ONNX Runtime really used.
Exits with 7 where no CUDA device can be used.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

import deblur_engine
import ops as bench_ops
from deblur_engine import ops
from deblur_engine.settings import FitSettings, RenderSettings

CLIP = Path(__file__).resolve().parents[2] / "demo" / "handheld.mp4"


def timed(call: Any, *arguments: Any, **settings: Any) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = call(*arguments, **settings)
    return time.perf_counter() - begin, result


def fit_and_render(device: str, preset: Any, folder: Path) -> list[tuple[str, str, str]]:
    """Rows of the table: step, seconds, remark. The fit has no bound in minutes, so that the devices do equal work."""
    model, out = folder / f"{device}.deblur.onnx", folder / f"{device}.mp4"
    fitting = replace(FitSettings(preset=preset, device=device).resolved(), minutes=1000.0)
    fit_seconds, _ = timed(deblur_engine.fit, CLIP, model, settings=fitting)
    render_seconds, rendered = timed(
        deblur_engine.render, CLIP, model, out, settings=RenderSettings(device=device, overwrite=True)
    )
    return [
        (f"fit, {preset}, {device}", f"{fit_seconds:.1f}", f"{fitting.steps} steps"),
        (f"render, {device}", f"{render_seconds:.1f}", f"{rendered.frames} frames, {rendered.provider}"),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=("draft", "standard", "high"), default="draft")
    parser.add_argument("--cpu", action="store_true", help="the fit and the render on the CPU as well")
    options = parser.parse_args()
    if not (ops.cuda_available() and torch.cuda.is_available()):
        print(f"no usable CUDA device: {ops.build_info()}", file=sys.stderr)
        return 7
    console = Console(width=120)
    bench_ops.show(bench_ops.measure_device(1920, 1080, 30), f"{torch.cuda.get_device_name()}, 1920 x 1080")
    table = Table(title=f"{CLIP.name}, {os.cpu_count()} CPU threads")
    for name in ("step", "seconds", "remark"):
        table.add_column(name, justify="right" if name == "seconds" else "left")
    with tempfile.TemporaryDirectory() as folder:
        for device in ("cuda", "cpu") if options.cpu else ("cuda",):
            for row in fit_and_render(device, options.preset, Path(folder)):
                table.add_row(*row)
    console.print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
