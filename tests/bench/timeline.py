# SPDX-License-Identifier: Apache-2.0
"""What the way from an editor to the engine and back costs, at 1080p in float RGBA.

    python tests/bench/timeline.py               # --size 1920x1080 --rounds 40 --frames 1000

The test host stands for the editor; plug-in, worker and a model with its analysis are the real ones. A frame's time is
that of the host's Render action less what the host itself took to make the pictures. Overhead is that time less what
the worker spent on aligning and on the network. The network is a small one with random weights: its own time says
nothing about a fitted model's, the overhead is the same.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from artifact.small_net import SmallNet
from deblur_engine.analysis import analyse
from deblur_engine.artifact import ModelMetadata
from deblur_engine.artifact.export import export_model
from deblur_engine.media import fingerprint, open_clip
from ofx.conftest import Workplace, build, script
from ofx.hosting import OK, Host, rgba
from panned import Panned, Scene, write_lossless

BLURRY, OTHER, SHARP = 2, 5, 0
LAST = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--rounds", type=int, default=40, help="frames that a median is of")
    parser.add_argument("--frames", type=int, default=1000, help="of the run that looks at memory; 0 leaves it out")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    place = Workplace(build("-DCMAKE_BUILD_TYPE=Release", name="ofx-bench"), engine)
    try:
        print(f"{width}x{height}, float RGBA, {os.cpu_count()} cores (shared), load {os.getloadavg()[0]:.1f}")
        measure(place, (width, height), options.rounds, options.frames)
        place.close_hosts()
    finally:
        for host in place.hosts:
            if host.process.poll() is None:
                host.kill()
        place.leave()


def engine(path: Path) -> Path:
    return script(path, "-m", "deblur_engine")


def shot(folder: Path, size: tuple[int, int]) -> tuple[dict[int, np.ndarray], Path]:
    """Frames float32 [H, W, 4], and a model of them with its clip beside it."""
    shown = Panned([Scene([0, 0, 0.7, 0, 0, 0.7, 0, 0], start=(60, 80))], size)
    clip = write_lossless(folder / "shot.mkv", shown.pictures)
    with open_clip(clip) as opened:
        metadata = ModelMetadata(clip.name, fingerprint(opened), *size, frame_count=len(shown.pictures))
        found = analyse(opened)
    metadata = replace(metadata, analysis=found.to_bytes())
    print(f"blurry frames: {np.flatnonzero(found.blurry).tolist()} of {len(shown.pictures)}")
    frames = {n: rgba(picture / np.float32(255)) for n, picture in enumerate(shown.pictures)}
    return frames, export_model(SmallNet(), metadata, folder / "shot.deblur.onnx")


def measure(place: Workplace, size: tuple[int, int], rounds: int, many: int) -> None:
    """Print the table."""
    frames, model = shot(place.data, size)

    def start(*options: str) -> Host:
        host = place.host(frames, "--no-checks", "--manner", "natron", *options)
        host.set(device="cpu", model=model, footage="Display referred")
        host.do("interactive 0")
        return host

    host = start()
    begun = time.perf_counter()
    first = host.one(SHARP)
    took = (time.perf_counter() - begun) * 1000
    assert first.status == OK, first.said
    row("first frame after the host's start, with the worker's", took)
    row("first blurry frame, aligned anew", render(host, BLURRY))
    render(host, OTHER)
    # By now the worker knows how the host numbers the clip's frames: the steady state begins.
    forth = [render(host, n) for n in range(LAST + 1)]
    back = [render(host, n) for n in reversed(range(LAST + 1))]
    row("scrubbing over all frames, the mean", float(np.mean(forth)))
    row("  and back", float(np.mean(back)))
    for name, numbers in (("blurry", (BLURRY, OTHER)), ("unchanged", (SHARP, 3))):
        taken = np.array([stages(host, number) for _ in range(rounds // 2) for number in numbers])
        total, copied_in, engine, copied_out, aligned, restored = taken.T
        row(f"{name} frame, alignment cached: median of {len(taken)}", total)
        row("    copied in", copied_in)
        row("    asked and answered, less the two that follow", engine - aligned - restored)
        row("    aligned", aligned)
        row("    network", restored)
        row("    copied out", copied_out)
        row("    the host's calls and the rest", total - copied_in - engine - copied_out)
        row("  overhead", total - aligned - restored)
        if name == "blurry":
            alone = float(np.median(restored))
    host.close()

    pair = start("--instances", "2", "--threads", "2")
    pair.render(BLURRY, OTHER, verb="parallel")
    begun = time.perf_counter()
    done = pair.render(*[BLURRY, OTHER] * (rounds // 4), verb="parallel")
    assert all(frame.status == OK for frame in done)
    each = (time.perf_counter() - begun) * 1000 / len(done)
    row(f"two threads of the host, {len(done)} blurry frames: each", each)
    row("  over the network's time for a frame alone", each - alone)
    pair.close()

    crowd = start("--instances", "8", "--threads", "8")
    begun = time.perf_counter()
    done = crowd.render(*range(LAST + 1), verb="parallel")
    assert all(frame.status == OK for frame in done)
    row(f"8 instances at once, {len(done)} frames: each", (time.perf_counter() - begun) * 1000 / len(done))
    crowd.close()
    place.hosts.clear()
    if many:
        memory(place, start(), many)


def memory(place: Workplace, host: Host, many: int) -> None:
    """The resident memory of host and worker over a long run, after one that fills all caches."""
    run = lambda count: host.render(*[n % (LAST + 1) for n in range(count)])  # noqa: E731
    run(3 * (LAST + 1))
    before = resident(host, place)
    for _ in range(0, many, 50):
        run(50)
    after = resident(host, place)
    for name, old, new in zip(("host", "worker"), before, after, strict=True):
        print(f"{f'VmRSS of the {name} over {many} frames':<56}{old:8.1f} -> {new:.1f} MiB")


def render(host: Host, number: int) -> float:
    """Milliseconds of a frame."""
    frame = host.one(number)
    assert frame.status == OK and not frame.message, frame.said
    return float(frame.said["ms"])


def stages(host: Host, number: int) -> list[float]:
    """Milliseconds of one frame: in all, copied in, asked and answered, copied out; of these aligned, restored."""
    total = render(host, number)
    status = host.do("press reload")[0]["values"]["status"]
    found = re.search(r"in ([\d.]+) \+ ([\d.]+) \+ ([\d.]+) ms .*aligned ([\d.]+), restored ([\d.]+)", status)
    assert found, status
    return [total, *(float(part) for part in found.groups())]


def resident(host: Host, place: Workplace) -> tuple[float, float]:
    """MiB of host and worker."""
    worker = int((place.folder / "worker-1-cpu.lock").read_text())
    text = Path(f"/proc/{worker}/status").read_text()
    return host.do("memory")[0]["resident_kb"] / 1024, int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024


def row(name: str, milliseconds: float | np.ndarray) -> None:
    """A line of the table; of several frames their median, frame by frame."""
    print(f"{name:<56}{float(np.median(milliseconds)):8.1f} ms", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with contextlib.suppress(KeyboardInterrupt):
        main()
