# SPDX-License-Identifier: Apache-2.0
"""What the way from an editor to the engine and back costs, at 1080p in float RGBA.

    python tests/bench/timeline.py               # --frames 1000 --rounds 40 --size 1920x1080

The test host stands for the editor; plug-in, worker and a model with its analysis are the real ones. Overhead is the
time of a frame in the effect less what the worker spent on aligning and on the network. Frames are asked for again and
again, so alignments come from the cache, as in scrubbing. The host's own work on its pictures is no part of it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import deblur_engine
from artifact.small_net import SmallNet
from deblur_engine.analysis import analyse
from deblur_engine.artifact import ModelMetadata
from deblur_engine.artifact.export import export_model
from deblur_engine.media import fingerprint, open_clip
from ofx import driving
from ofx.conftest import end_workers_of
from panned import Panned, Scene, write_lossless

BLURRY, SHARP = 2, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--frames", type=int, default=1000, help="of the run that looks at memory")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    folder = Path(tempfile.mkdtemp(prefix="ofx-"))
    try:
        print(f"{width}x{height}, float RGBA, {os.cpu_count()} cores (shared), load {os.getloadavg()[0]:.1f}")
        measure(folder, (width, height), options.rounds, options.frames)
    finally:
        end_workers_of(folder / "run")
        shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, size: tuple[int, int], rounds: int, many: int) -> None:
    """Print the table; everything that is made lies in ``folder``."""
    frames, model = shot(folder, size)
    package = Path(deblur_engine.__file__).parents[1]
    program = driving.program(folder / "engine", sys.executable, "-m", "deblur_engine", PYTHONPATH=str(package))
    host = driving.Host(driving.build(), folder, program)
    begin = ("--no-identifiers", "set:device=1", f"set:model={model}")

    ran = host.run(frames, *begin, f"render:{SHARP}", f"render:{BLURRY}", timeout=500)
    print(f"first frame, with the worker's start     {ran.of(f'render:{SHARP}')['ms']:9.1f} ms")
    print(f"first blurry frame, aligned anew         {ran.of(f'render:{BLURRY}')['ms']:9.1f} ms")
    for name, number in (("blurry", BLURRY), ("unchanged", SHARP)):
        command = f"repeat:{rounds}:{number}-{number}"
        words = [word for _ in range(rounds // 2 + 1) for word in (f"render:{number}", "press:reload", "get:status")]
        ran = host.run(frames, *begin, f"repeat:3:{number}-{number}", command, *words, timeout=500)
        assert ran.of(command)["status"] == 0, ran.lines
        times = [stages(line["value"]) for line in ran.lines if line["do"] == "get:status"]
        copied_in, engine, copied_out, aligned, restored = np.median(times, axis=0)
        total = float(np.median(ran.of(command)["value"]))
        print(f"{name} frame, median of {rounds}             {total:15.1f} ms")
        print(f"  copied in {copied_in:.1f}, copied out {copied_out:.1f}, engine and wire {engine:.1f} ms,")
        print(f"  of which aligned {aligned:.1f}, network {restored:.1f};")

        print(f"  overhead {copied_in + copied_out + engine - aligned - restored:.1f} ms")
    last = len(frames) - 1
    command = f"instances:8:0-{last}"
    ran = host.run(frames, *begin, command, timeout=550)
    count = 8 * len(frames)
    print(f"8 instances at once, {count} frames          {ran.of(command)['ms'] / count:9.1f} ms a frame")
    assert ran.of(command)["status"] == 0

    command = f"repeat:{max(1, many // 2)}:0-1"
    before = worker_memory(host.runtime)
    ran = host.run(frames, *begin, "repeat:20:0-1", "rss", command, "rss", timeout=590)
    resident = [line["value"] / 1024 for line in ran.lines if line["do"] == "rss"]
    after = worker_memory(host.runtime)
    print(f"memory over {many} frames: host {resident[0]:.0f} -> {resident[1]:.0f} MiB,", end=" ")
    print(f"worker {before:.0f} -> {after:.0f} MiB")


def shot(folder: Path, size: tuple[int, int]) -> tuple[np.ndarray, Path]:
    """Frames float32 [N, H, W, 4], and a model of them with its clip beside it."""
    shown = Panned([Scene([0, 0, 0.7, 0, 0, 0], start=(60, 80))], size)
    clip = write_lossless(folder / "shot.mkv", shown.pictures)
    with open_clip(clip) as opened:
        metadata = ModelMetadata(clip.name, fingerprint(opened), *size, frame_count=len(shown.pictures))
        found = analyse(opened)
    metadata = replace(metadata, analysis=found.to_bytes())
    print("blurry frames:", np.flatnonzero(found.blurry).tolist())
    frames = np.ones((*shown.pictures.shape[:3], 4), np.float32)
    frames[..., :3] = shown.pictures / np.float32(255)
    return frames, export_model(SmallNet(), metadata, folder / "shot.deblur.onnx")


def stages(status: str) -> list[float]:
    """Milliseconds: copied in, engine, copied out, aligned, restored."""
    found = re.search(r"in ([\d.]+) \+ ([\d.]+) \+ ([\d.]+) ms .*aligned ([\d.]+), restored ([\d.]+)", status)
    assert found, status
    return [float(number) for number in found.groups()]


def worker_memory(runtime: Path) -> float:
    """MiB resident of the worker that serves in ``runtime``; 0 without one."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = {os.readlink(link) for link in (process / "fd").iterdir()}
            if any(name.startswith(f"{runtime}/worker-1-") and name.endswith(".lock") for name in held):
                return int(re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text()).group(1)) / 1024
        except OSError:
            continue
    return 0.0


if __name__ == "__main__":
    main()
