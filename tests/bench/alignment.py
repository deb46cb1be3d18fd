# SPDX-License-Identifier: Apache-2.0
"""How long the alignment of sharp references to one frame takes, and where the time goes.

    python tests/bench/alignment.py                      # 1080p, one reference, all cores
    python tests/bench/alignment.py --references 4 --threads 1 --size 3840x2160

A made-up pan whose frames move and are blurred by some 20 pixels at 1080p. The picture with its blur undone along its
motion (Richardson-Lucy) is made in the same call and told apart. The peer is `cv2.DISOpticalFlow` (MEDIUM) between the
two frames at full size: what one flow alone would cost. Medians over --rounds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from deblur_engine.analysis import Aligner, alignment, analyse
from deblur_engine.rendering.session import cpu_threads
from panned import Panned, PictureClip, Scene

PARTS = {
    "motion": "motion of the frame, from its neighbours",
    "_choose_exposure": "first reference, and the exposure",
    "_one": "further references",
    "_refined": "motion refined by the frame's blur",
    "_placed": "references placed by the restored frame",
    "estimated_change": "blur undone (Richardson-Lucy)",
    "agreed_change": "what is restored made to agree with the frame",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--references", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    threads = cpu_threads(options.threads)
    cv2.setNumThreads(threads)
    clip = pan(width, height)
    found = replace(analyse(clip), references=options.references)
    blurry = int(np.flatnonzero(found.blurry)[0])
    aligner = Aligner(found, transfer="bt709", threads=threads)
    pictures = {n: frame.rgb for n, frame in clip.read(aligner.needs(blurry)).items()}
    parts = watched(aligner)
    used = aligner.align(blurry, pictures).used
    parts.clear()
    whole = [timed(lambda: aligner.align(blurry, pictures)) for _ in range(options.rounds)]
    grey = [np.round(cv2.cvtColor(pictures[n], cv2.COLOR_RGB2GRAY) * 255).astype(np.uint8) for n in (blurry, used[0])]
    flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc
    peer = float(np.median([timed(lambda: flow(*grey, None)) for _ in range(options.rounds)]))
    total = float(np.median(whole))
    undone = float(np.median(parts["estimated_change"]))
    print(f"{options.size}, {len(used)} of {options.references} references, {threads} threads, ms a frame (median)")
    for name, label in PARTS.items():
        each = sum(parts[name]) / options.rounds
        print(f"  {label:<46}{each * 1000:8.1f}")
    print(f"  {'all':<46}{total * 1000:8.1f}")
    print(f"  {'alignment alone':<46}{(total - undone) * 1000:8.1f}   {(total - undone) / peer:.2f} x one flow by DIS")
    print(f"  {'one flow by DIS at full size':<46}{peer * 1000:8.1f}")


def pan(width: int, height: int) -> PictureClip:
    """Nine frames of a pan, three of them blurred."""
    factor = width / 192  # of the small clips that the tests are made with
    scene = Scene(
        [0, 0, 0, 0.6, 0, 0.6, 0, 0.6, 0],
        speed=(3 * factor, 0.7 * factor),
        start=(4 * factor, 4 * factor),
        roll=0.001,
        zoom=0.001,
        extent=(width + int(40 * factor), height + int(20 * factor)),
    )
    return Panned([scene], size=(width, height)).clip()


def watched(aligner: Aligner) -> defaultdict[str, list[float]]:
    """Seconds of each call of the parts, by name, from now on. What one part spends within another counts as that's."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    inside = [False]

    def timing(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed_work(*given: Any, **named: Any) -> Any:
            if inside[0]:
                return work(*given, **named)
            inside[0] = True
            start = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                seconds[name].append(time.perf_counter() - start)
                inside[0] = False

        return timed_work

    for name in PARTS:
        place = Aligner if hasattr(Aligner, name) else alignment
        setattr(place, name, timing(name, getattr(place, name)))
    return seconds


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
