# SPDX-License-Identifier: Apache-2.0
"""The demo: fit to the clip that lies here, render it, and say by how much it came nearer to the truth.

    python demo/run.py [--preset draft|standard|high]

Leaves in demo/out/: handheld.deblur.onnx (the model), handheld_deblur.mp4 (the result) and before_after.png.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

HERE = Path(__file__).resolve().parent
CLIP, TRUTH, NOTE = HERE / "handheld.mp4", HERE / "handheld_truth.mp4", HERE / "handheld.json"
BLURRED_FROM = 2.0  # pixels of blur from which a frame counts as blurry

Bytes = npt.NDArray[np.uint8]


def run_verb(*words: str) -> None:
    """Run a deblur-engine command as a user would; a failure ends the demo with the command's own exit code."""
    print("$ deblur-engine", *words, file=sys.stderr, flush=True)
    code = subprocess.run([sys.executable, "-m", "deblur_engine", *words], check=False).returncode
    if code != 0:
        raise SystemExit(code)


def read(path: Path) -> list[Bytes]:
    """All frames of a video as uint8 [H, W, 3]."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def psnr(truth: Bytes, picture: Bytes) -> float:
    """Peak signal-to-noise ratio in dB."""
    error = float(np.mean((truth.astype(np.float32) - picture.astype(np.float32)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def report(before: Sequence[float], after: Sequence[float], is_blurry: npt.NDArray[np.bool_]) -> str:
    """The gain as text; PSNRs in dB of every frame of the clip and of the result."""
    was, now = np.asarray(before), np.asarray(after)
    gain = now - was
    best, worst = int(np.argmax(gain)), int(np.argmin(gain))
    lines = ["", "PSNR against the truth, dB      before   after    gain"]
    for what, chosen in (("blurry frames", is_blurry), ("sharp frames", ~is_blurry)):
        mean, new = was[chosen].mean(), now[chosen].mean()
        lines.append(f"  {what:<14} ({chosen.sum():2d})         {mean:7.2f} {new:7.2f} {new - mean:+7.2f}")
    for what, i in (("best", best), ("worst", worst)):
        lines.append(f"  {what:<6} frame  ({i:2d})         {was[i]:7.2f} {now[i]:7.2f} {gain[i]:+7.2f}")
    lines.append(
        "Measured on the written file. Sharp frames are passed on untouched: what they lose is the encoder's doing."
    )
    return "\n".join(lines)


def before_after(
    clip: Sequence[Bytes], result: Sequence[Bytes], truth: Sequence[Bytes], frames: Sequence[int], path: Path
) -> None:
    """Write a PNG with a row for each of ``frames``: before, after and truth where the blur did most damage."""
    width, height, bar = 320, 240, 24
    rows = []
    for i in frames:
        damage = ((clip[i].astype(np.float32) - truth[i].astype(np.float32)) ** 2).mean(2)
        # Soft sums rather than single pixels, so that the crop shows things and not one edge.
        total = cv2.boxFilter(damage, -1, (width, height), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
        total = total[: damage.shape[0] - height + 1, : damage.shape[1] - width + 1]
        y, x = np.unravel_index(int(np.argmax(total)), total.shape)
        cells = []
        for name, picture in (("before", clip[i]), ("after", result[i]), ("truth", truth[i])):
            cell = np.zeros((height + bar, width, 3), np.uint8)
            cell[bar:] = picture[y : y + height, x : x + width]
            label = f"{name}, frame {i}" + ("" if name == "truth" else f": {psnr(truth[i], picture):.1f} dB")
            cv2.putText(cell, label, (6, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
            cells.append(cell)
        rows.append(np.hstack(cells))
    if not cv2.imwrite(str(path), np.vstack(rows)[..., ::-1]):
        raise SystemExit(f"error: {path} cannot be written")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit to the demo clip, render it and measure the gain.")
    parser.add_argument("--preset", default="draft", choices=("draft", "standard", "high"), help="how long to fit")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda[:N]")
    parser.add_argument("--out", type=Path, default=HERE / "out", help="folder to write to")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    model, result_path = options.out / "handheld.deblur.onnx", options.out / "handheld_deblur.mp4"
    run_verb("fit", str(CLIP), "--out", str(model), "--preset", options.preset, "--device", options.device, "--yes")
    run_verb("render", str(CLIP), "--model", str(model), "--out", str(result_path), "--device", options.device, "--yes")

    clip, truth, result = read(CLIP), read(TRUTH), read(result_path)
    if not len(clip) == len(truth) == len(result):
        raise SystemExit(f"error: {len(clip)} frames went in and {len(result)} came out; {len(truth)} were expected")
    is_blurry = np.array(json.loads(NOTE.read_text())["blur"]) >= BLURRED_FROM
    before = [psnr(t, p) for t, p in zip(truth, clip, strict=True)]
    after = [psnr(t, p) for t, p in zip(truth, result, strict=True)]
    # The blurriest frame of each swing of the hand, blurriest first.
    swings = np.split(np.arange(len(clip)), np.flatnonzero(np.diff(is_blurry.astype(int))) + 1)
    peaks = sorted(
        (min(swing, key=lambda i: before[i]) for swing in swings if is_blurry[swing[0]]), key=before.__getitem__
    )
    picture = options.out / "before_after.png"
    before_after(clip, result, truth, peaks[:4], picture)
    print(report(before, after, is_blurry))
    for what, path in (("model", model), ("result", result_path), ("picture", picture)):
        print(f"{what:<8} {path}")


if __name__ == "__main__":
    main()
