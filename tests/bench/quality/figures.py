# SPDX-License-Identifier: Apache-2.0
"""From pictures to the figures of a table: first frame by frame, which is what is stored, then of a clip."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from .flicker import Steps, warping_errors
from .likeness import decibel, detail, gmsd, psnr, ssim
from .pictures import Bytes
from .registration import Motion, brought_to

__all__ = ["HARM", "Figures", "Frames", "figures", "flicker_of", "mean_of", "measure"]

HARM = 0.1  # dB that a single frame may lose

Frames = dict[str, dict[int, float]]
"""Measure -> frame -> value: ``psnr``, ``ssim``, ``aligned_psnr``, ``aligned_ssim``, ``gmsd``, ``detail`` (of the
truth's; 1 is as sharp), ``touched`` (1 where the frame differs from the input) and ``warping`` (frame i to i + 1)."""


def measure(
    truth: Sequence[Bytes],
    before: Sequence[Bytes],
    after: Mapping[int, Bytes],
    *,
    align: Motion | None = "homography",
    aligned: Collection[int] = (),
) -> Frames:
    """How near each frame in ``after`` is to its truth (frame number -> uint8 [H, W, 3]; some may be missing).

    ``aligned``: frames to measure after ``align`` as well; the others are taken as they are.
    """
    if not len(truth) == len(before) or not set(after) <= set(range(len(truth))):
        raise ValueError(f"{len(truth)} truths, {len(before)} inputs, outputs {sorted(after)}")
    found: Frames = {name: {} for name in ("psnr", "ssim", "aligned_psnr", "aligned_ssim", "gmsd", "detail", "touched")}
    for i, picture in sorted(after.items()):
        if picture.shape != truth[i].shape:
            raise ValueError(f"frame {i} is {picture.shape[1]}x{picture.shape[0]}, its truth is not")
        found["psnr"][i], found["ssim"][i] = psnr(truth[i], picture), ssim(truth[i], picture)
        moved, mask = brought_to(truth[i], picture, align) if align and i in aligned else (picture, None)
        same = moved is picture
        found["aligned_psnr"][i] = found["psnr"][i] if same else psnr(truth[i], moved, mask)
        found["aligned_ssim"][i] = found["ssim"][i] if same else ssim(truth[i], moved, mask)
        found["gmsd"][i] = gmsd(truth[i], picture)
        found["detail"][i] = detail(picture) / max(detail(truth[i]), 1e-12)
        found["touched"][i] = float(not np.array_equal(before[i], picture))
    return found


def flicker_of(after: Mapping[int, Bytes], steps: Steps) -> Frames:
    """The warping errors of a clip along the truth's motion; none where frames are missing."""
    count = len(steps.flows) + 1
    if len(after) < count:
        return {"warping": {}}
    return {"warping": dict(enumerate(warping_errors([after[i] for i in range(count)], steps)))}


@dataclass(frozen=True)
class Figures:
    """What became of a clip; nan where there is nothing to say. PSNR in dB, ``inf``: equal to the last bit."""

    frames: int  # measured
    blurry: int  # of these
    blurry_left: int  # of these, as they were: taken for sharp, or not believed in
    blurry_psnr: float  # this and the next: means over the blurry frames
    blurry_ssim: float
    blurry_gain: float  # mean over the blurry frames of PSNR gained over the input
    blurry_ssim_gain: float
    aligned_psnr: float  # after global alignment of result and input each
    aligned_gain: float
    aligned_ssim: float
    aligned_ssim_gain: float
    gmsd: float  # 0 is perfect
    gmsd_gain: float  # input's less the row's: above 0 is better
    sharpness: float  # gradient energy over the truth's: 1 is as sharp
    flicker: float  # root mean square warping error in code values, all frames
    flicker_ratio: float  # over the input's: above 1 flickers more
    sharp_psnr: float  # of all sharp frames' pixels together
    sharp_touched: int  # sharp frames that differ from the input at all
    harmed: int  # frames that lost more than HARM dB
    worst_change: float  # the least PSNR(output) - PSNR(input) of any single frame; 0 where nothing was touched
    worst_frame: int


def figures(
    row: Frames, base: Frames, is_blurry: npt.NDArray[np.bool_], only: Collection[int] | None = None
) -> Figures:
    """The figures of a row by its frames and the input's; ``only``: of these frames (no flicker then)."""
    frames = [i for i in row["psnr"] if only is None or i in only]
    if not frames:
        raise ValueError("a row without frames has no figures")
    blurry, sharp = [i for i in frames if is_blurry[i]], [i for i in frames if not is_blurry[i]]

    def mean(name: str, of: Frames = row) -> float:
        return _mean(of[name][i] for i in blurry)

    def gain(name: str) -> float:
        return _mean(_less(row[name][i], base[name][i]) for i in blurry)

    changes = {i: _less(row["psnr"][i], base["psnr"][i]) if row["touched"][i] else 0.0 for i in frames}
    worst = min(changes, key=changes.__getitem__)
    flicker, input_flicker = (_rms(f.get("warping", {}).values()) if only is None else math.nan for f in (row, base))
    errors = [255.0**2 / 10 ** (row["psnr"][i] / 10) for i in sharp]
    return Figures(
        frames=len(frames),
        blurry=len(blurry),
        blurry_left=sum(not row["touched"][i] for i in blurry),
        blurry_psnr=mean("psnr"),
        blurry_ssim=mean("ssim"),
        blurry_gain=gain("psnr"),
        blurry_ssim_gain=gain("ssim"),
        aligned_psnr=mean("aligned_psnr"),
        aligned_gain=gain("aligned_psnr"),
        aligned_ssim=mean("aligned_ssim"),
        aligned_ssim_gain=gain("aligned_ssim"),
        gmsd=mean("gmsd"),
        gmsd_gain=-gain("gmsd"),
        sharpness=mean("detail"),
        flicker=flicker,
        flicker_ratio=flicker / input_flicker if input_flicker > 0 else math.nan,
        sharp_psnr=decibel(_mean(errors)) if sharp else math.nan,
        sharp_touched=sum(int(row["touched"][i]) for i in sharp),
        harmed=sum(value < -HARM for value in changes.values()),
        worst_change=changes[worst],
        worst_frame=worst,
    )


_COUNTS = ("frames", "blurry", "blurry_left", "sharp_touched", "harmed")


def mean_of(several: Sequence[Figures]) -> Figures:
    """Figures of several clips or seeds as one: means, but the sum of counts and the worst of the worst."""
    worst = min(several, key=lambda f: f.worst_change)
    counts = {name: sum(getattr(f, name) for f in several) for name in _COUNTS}
    means = {
        f.name: _mean(v for v in (getattr(one, f.name) for one in several) if not math.isnan(v))
        for f in fields(Figures)
        if f.name not in counts
    }
    return Figures(**{**means, **counts, "worst_change": worst.worst_change, "worst_frame": worst.worst_frame})  # type: ignore[arg-type]


def _less(after: float, before: float) -> float:
    """The difference; 0 for two infinities."""
    return 0.0 if after == before else after - before


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return float(np.mean(listed)) if listed else math.nan


def _rms(squares: Iterable[float]) -> float:
    known = [value for value in squares if not math.isnan(value)]
    return math.sqrt(float(np.mean(known))) if known else math.nan
