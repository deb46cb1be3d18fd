# SPDX-License-Identifier: Apache-2.0
"""What is in a clip and whether deblurring will pay, before any fit: ``probe``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ..errors import OutputError
from ..media import Clip, ClipInfo, open_clip
from ..media.colour import transfer_name
from ..settings import FrameRange
from ..task import Task
from .alignment import Aligner
from .flow import resize_flow
from .motion import Motion
from .record import Analysis
from .survey import analyse

__all__ = ["ProbeResult", "probe", "trial_gains"]

_TRIALS = 5
_WORTH_IT_DB = 0.3  # gain of the plain blend below which little is promised


@dataclass(frozen=True)
class ProbeResult:
    """What ``probe`` found.

    ``gains_db``: on sharp frames that were blurred as the clip's blurry frames are, what aligned references alone, with
    no network, brought back: PSNR in dB over the blurred frame, a value a trial. A fit adds to that.
    """

    info: ClipInfo
    analysis: Analysis
    gains_db: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """One of ``"benefits"``, ``"may benefit"``, ``"nothing to do"`` and ``"no sharp frames"``."""
        if not self.analysis.blurry.any():
            return "nothing to do"
        if not self.gains_db:
            return "no sharp frames"
        return "benefits" if float(np.median(self.gains_db)) >= _WORTH_IT_DB else "may benefit"

    def advice(self) -> str:
        """The verdict in words."""
        if self.verdict == "nothing to do":
            return "no frame is blurred by its motion: nothing to do"
        if self.verdict == "no sharp frames":
            return "blurry, but no sharp frame of the same scene is near: nothing to learn from"
        gain = float(np.median(self.gains_db))
        if self.verdict == "benefits":
            return (
                f"will benefit: the blurry frames by about {gain:.1f} dB from references alone, and a fit adds to that"
            )
        return "may benefit: its sharp frames do not align well with the blurry ones, so all depends on the network"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: figures of the clip, and a record a frame."""
        a, info = self.analysis, self.info
        return {
            "clip": str(info.path),
            "width": info.width,
            "height": info.height,
            "fps": float(info.fps),
            "codec": info.codec,
            "pixel_format": info.pixel_format,
            "bit_depth": info.bit_depth,
            "colour": info.colour.__dict__,
            "rotation": info.rotation,
            "variable_rate": info.variable_rate,
            "audio_streams": info.audio_streams,
            "timecode": info.timecode,
            "frame_count": a.frame_count,
            "scenes": int(a.scene[-1]) + 1,
            "sharp_frames": int(a.sharp.sum()),
            "blurry_frames": int(a.blurry.sum()),
            "blur_px": _median(a.blur[a.blurry]),
            "exposure": _median(a.exposure[a.blurry & (a.exposure > 0)]),
            "verdict": self.verdict,
            "advice": self.advice(),
            "trial_gains_db": [round(gain, 2) for gain in self.gains_db],
            "notes": list(self.notes),
            "frames": [
                {
                    "frame": i,
                    "time": round(float(a.times[i]), 4),
                    "scene": int(a.scene[i]),
                    "drop": round(float(a.drop[i]), 3),
                    "speed_px": round(float(a.speed[i]), 2),
                    "blur_px": round(float(a.blur[i]), 2),
                    "sharp": bool(a.sharp[i]),
                    "blurry": bool(a.blurry[i]),
                    "references": list(a.references_for(i)) if a.blurry[i] else [],
                }
                for i in range(a.frame_count)
            ],
        }

    def to_table(self) -> list[tuple[str, str]]:
        """Rows of (what, value) for people."""
        a, info = self.analysis, self.info
        coding = f"{info.codec} {info.pixel_format}"
        blurred = f"{int(a.blurry.sum())} of {a.frame_count}"
        rows = [
            ("clip", f"{info.path.name}: {info.width}x{info.height}, {float(info.fps):.3f} fps, {coding}"),
            ("scenes", str(int(a.scene[-1]) + 1)),
            ("sharp frames", f"{int(a.sharp.sum())} of {a.frame_count}  {_runs(a.sharp)}"),
            ("blurry frames", f"{blurred}  {_runs(a.blurry)}"),
        ]
        if a.blurry.any():
            rows.append(("blur", f"{_median(a.blur[a.blurry]):.1f} pixels (median), {float(a.blur.max()):.1f} at most"))
        rows += [("note", note) for note in self.notes]
        return [*rows, ("verdict", self.advice())]

    def plot(self, path: str | Path) -> None:
        """Draw sharpness and blur over time as PNG (or what the name's end says); raises ``OutputError``."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        a = self.analysis
        frames = np.arange(a.frame_count)
        figure = Figure(figsize=(10, 5), layout="constrained")
        FigureCanvasAgg(figure)  # draws without a screen
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot(frames, -a.drop, color="0.6", linewidth=1)
        upper.scatter(frames[a.sharp], -a.drop[a.sharp], s=12, color="tab:green", label="sharp")
        upper.scatter(frames[a.blurry], -a.drop[a.blurry], s=12, color="tab:red", label="blurry")
        upper.set_ylabel("sharpness below the best\nnear it (log energy)")
        upper.legend(loc="lower right")
        upper.set_title(f"{self.info.path.name}: {self.advice()}", fontsize=9)
        lower.bar(frames, a.blur, color=np.where(a.blurry, "tab:red", "0.7"))
        lower.set_ylabel("blur (pixels)")
        lower.set_xlabel("frame")
        for cut in np.flatnonzero(np.diff(a.scene)) + 1:
            for axes in (upper, lower):
                axes.axvline(cut - 0.5, color="tab:blue", linewidth=0.8)
        try:
            figure.savefig(path, dpi=110)
        except (OSError, ValueError) as problem:
            raise OutputError(f"{path} cannot be written: {problem}") from problem


def probe(clip: Clip | str | Path, *, frames: FrameRange | None = None, task: Task | None = None) -> ProbeResult:
    """Say what ``clip`` is like, where it is sharp and blurry, and about how much aligned references bring back.

    Takes about as long as decoding it, plus a second a trial. Raises ``BadInput`` for what is no clip.
    """
    task = task or Task()
    if not isinstance(clip, Clip):
        with open_clip(clip, frames=frames) as opened:
            return probe(opened, task=task)
    analysis = analyse(clip, task=task)
    gains = trial_gains(clip, analysis, _TRIALS, task)
    return ProbeResult(clip.info, analysis, tuple(gains), tuple(clip.notes))


def trial_gains(clip: Clip, analysis: Analysis, count: int, task: Task) -> list[float]:
    """What blending aligned references brings back of ``count`` sharp frames blurred as blurry ones are, in dB."""
    aligner = Aligner(analysis, transfer=transfer_name(clip.info.colour))
    blurry = np.flatnonzero(analysis.blurry)
    pairs: list[tuple[int, int]] = []
    for i in blurry[np.unique(np.linspace(0, len(blurry) - 1, count).astype(int))] if len(blurry) else ():
        near = analysis.references_for(int(i), 1)
        if near and analysis.references_for(near[0]):
            pairs.append((near[0], int(i)))
    gains = []
    for done, (target, i) in enumerate(pairs):
        around = (i, *analysis.neighbours(i))
        references = analysis.references_as_far(target, i)
        pictures = {n: frame.rgb for n, frame in clip.read({*around, target, *references}).items()}
        interval = aligner.motion(i, pictures).interval
        exposure = float(analysis.exposure[i]) or 0.5
        sharp = pictures[target]
        blur = resize_flow(interval, (sharp.shape[1], sharp.shape[0])) * np.float32(exposure)
        blurred = ops.reblur(sharp, blur, transfer=aligner.transfer)  # type: ignore[arg-type]
        found = aligner.fuse(target, blurred, Motion(interval), {j: pictures[j] for j in references}, exposure)
        blended = blurred + found.weight[..., None] * found.change
        gains.append(10 * math.log10(_error(blurred, sharp) / _error(blended, sharp)))
        task.report("try", done + 1, len(pairs), "trials")
    return gains


def _error(picture: npt.NDArray[np.float32], truth: npt.NDArray[np.float32]) -> float:
    return float(np.mean(np.square(picture - truth))) + 1e-9


def _median(values: npt.NDArray[np.float32]) -> float:
    return round(float(np.median(values)), 3) if len(values) else 0.0


def _runs(flags: npt.NDArray[np.bool_], most: int = 8) -> str:
    """The frames that are set, as ``0-4, 9, 12-15``."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    runs: Sequence[str] = [f"{a}" if b - a == 1 else f"{a}-{b - 1}" for a, b in edges.reshape(-1, 2)]
    return ", ".join(runs[:most]) + (f" and {len(runs) - most} more runs" if len(runs) > most else "")
