# SPDX-License-Identifier: Apache-2.0
"""Training pairs: sharp frames of the clip, blurred as the clip is blurred, each with its aligned references.

The references are aligned to the synthetic blurry frame by the very code that aligns them to real ones, so that the
network meets the aligner's true errors; the sharp frame itself is never among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops
from ..analysis import Aligner, Alignment, Analysis
from ..analysis.flow import resize_flow
from ..analysis.motion import Motion
from ..errors import NoBenefit
from ..media import Clip
from ..task import Task

__all__ = [
    "Frames",
    "Pair",
    "Shutter",
    "a_piece",
    "as_pair",
    "as_recorded",
    "expose",
    "make_pairs",
    "sharp_targets",
    "smooth_noise",
    "turned",
]

Array = npt.NDArray[np.float32]

_PIXELS_KEPT = 640 * 640  # of each pair: larger frames are cut to a piece of about this many pixels
_IDENTITY = 0.08  # share of pairs without blur that are said to have none
_FALSE_ALARM = 0.06  # share of pairs without blur that are said to have some
_STEPPED = 0.5  # share of pairs whose exposure is a few discrete steps, as retimed (frame-blended) footage has
_NOT_NEAREST = 0.3  # share of pairs without the nearest reference, which is not always there
_EXPOSURE_ERROR = 0.2  # of the exposure found in a real frame, in its logarithm: footage is less regular than pairs are
_OTHERS = 24  # frames kept decoded while pairs are made


@dataclass(frozen=True)
class Pair:
    """One training example, float16 [H, W, C] each (0..1, pixels), of a piece of a frame."""

    frame: npt.NDArray[np.float16]  # blurred
    sharp: npt.NDArray[np.float16]
    estimate: npt.NDArray[np.float16]  # this and the next three as in ``Alignment``
    reference: npt.NDArray[np.float16]
    confidence: npt.NDArray[np.float16]
    motion: npt.NDArray[np.float16]
    weight: npt.NDArray[np.float16]  # [H, W, 1], pass-through weight as at render time
    target: int  # the sharp frame that it was made from
    blurred: bool  # False: shown as it was recorded, so that sharp pictures are learned to be left alone


class Frames:
    """Pictures of a clip by number; the most recent stay decoded."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._kept: dict[int, Array] = {}

    def get(self, numbers: Sequence[int]) -> dict[int, Array]:
        missing = [n for n in numbers if n not in self._kept]
        if missing:
            for n, frame in self._clip.read(missing).items():
                self._kept[n] = frame.rgb
        found = {n: self._kept.pop(n) for n in dict.fromkeys(numbers)}
        self._kept.update(found)  # now the most recent
        for n in list(self._kept)[: max(0, len(self._kept) - _OTHERS)]:
            del self._kept[n]
        return found


def sharp_targets(clip: Clip, analysis: Analysis, count: int) -> list[int]:
    """``count`` sharp frames of scenes that have blurry ones, evenly spread; a frame comes again where there are fewer.

    In the clip's order, so that decoding mostly goes forward. Raises ``NoBenefit`` if nothing is blurry, or nothing
    sharp in a scene with blurry frames.
    """
    blurry = np.flatnonzero(analysis.blurry)
    if not len(blurry):
        raise NoBenefit(f"{clip.info.path.name}: no frame is blurred by its motion", hint="it needs no deblurring")
    scenes = set(analysis.scene[blurry].tolist())
    targets = np.array([j for j in np.flatnonzero(analysis.sharp) if int(analysis.scene[j]) in scenes])
    if not len(targets):
        raise NoBenefit(
            f"{clip.info.path.name}: no sharp frame in the scenes with blurry ones",
            hint="fitting learns from the clip's own sharp frames; give it a longer cut of the shot",
        )
    picked = np.arange(count) * len(targets) // count if count < len(targets) else np.arange(count) % len(targets)
    return [int(j) for j in np.sort(targets[picked])]


def make_pairs(clip: Clip, analysis: Analysis, aligner: Aligner, count: int, seed: int, task: Task) -> Iterator[Pair]:
    """Yield ``count`` pairs, spread over the clip's scenes; the same for the same seed.

    Raises ``NoBenefit`` if the clip has no blurry frame or no sharp one in a scene with them.
    """
    rng = np.random.default_rng(seed)
    chosen = sharp_targets(clip, analysis, count)
    blurry = np.flatnonzero(analysis.blurry)
    frames = Frames(clip)
    for done, target in enumerate(chosen):
        same = [int(b) for b in blurry if analysis.scene[b] == analysis.scene[target]]
        near = sorted(same, key=lambda b: abs(b - target))[:8]
        yield _pair(frames, analysis, aligner, target, int(rng.choice(near)), rng)
        task.report("pairs", done + 1, count, "pairs")


def _pair(
    frames: Frames, analysis: Analysis, aligner: Aligner, target: int, blurry: int, rng: np.random.Generator
) -> Pair:
    """The pair of one sharp frame, blurred as the frame ``blurry`` is."""
    around = (blurry, *analysis.neighbours(blurry))
    references = list(analysis.references_as_far(target, blurry))
    if len(references) > 1 and rng.random() < _NOT_NEAREST:
        references = references[1:]
    pictures = frames.get([*around, target, *references])
    interval = aligner.motion(blurry, {j: pictures[j] for j in around}).interval
    sharp = pictures[target]
    height, width = sharp.shape[:2]
    draw = rng.random()
    true_exposure = float(np.clip(_exposure(analysis, blurry) * rng.uniform(0.7, 1.7), 0.08, 1.0))
    if draw < _IDENTITY:
        interval = interval * np.float32(0)
    blur = resize_flow(interval, (width, height)) * np.float32(true_exposure)
    is_blurred = draw >= _IDENTITY + _FALSE_ALARM
    frame = as_recorded(expose(sharp, blur, aligner.transfer, rng) if is_blurred else sharp, rng)
    told = _misjudged(interval, rng)
    estimate = float(np.clip(true_exposure * rng.uniform(0.6, 1.6), 0.05, 1.0))
    off_by = float(np.exp(rng.normal(0, _EXPOSURE_ERROR)))
    alignment = aligner.fuse(target, frame, Motion(told), {j: pictures[j] for j in references}, estimate, off_by=off_by)
    return as_pair(frame, sharp, alignment, target, is_blurred, a_piece(sharp.shape, rng))


def _exposure(analysis: Analysis, i: int) -> float:
    """Frame ``i``'s exposure fraction, or the clip's typical one where the frame did not tell."""
    known = analysis.exposure[analysis.blurry & (analysis.exposure > 0)]
    own = float(analysis.exposure[i])
    return own if own > 0 else float(np.median(known)) if len(known) else 0.5


@dataclass(frozen=True)
class Shutter:
    """How an exposure goes along its path: in so many discrete steps (None: evenly), and how far the path turns."""

    steps: int | None
    turn: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Shutter:
        """A random one."""
        steps = int(rng.choice([3, 5])) if rng.random() < _STEPPED else None
        return cls(steps, float(rng.normal(0, 0.15)))

    def expose(self, sharp: Array, blur: Array, transfer: str | None) -> Array:
        """``sharp`` [H, W, C] integrated along its blur vectors ``blur``; ``transfer`` as ``ops.reblur`` takes it."""
        if self.steps:
            # The same spread as that of an even exposure: the variance of n evenly spaced steps is (1 - 1/n²)/12.
            blur = blur / np.float32(np.sqrt(1 - 1 / self.steps**2))
        curvature = np.stack([-blur[..., 1], blur[..., 0]], -1) * np.float32(self.turn)
        return ops.reblur(sharp, np.ascontiguousarray(blur), curvature, self.steps, transfer=transfer)  # type: ignore[arg-type]


def expose(sharp: Array, blur: Array, transfer: str | None, rng: np.random.Generator) -> Array:
    """``sharp`` integrated over a random exposure along curved paths, in linear light."""
    return Shutter.drawn(rng).expose(sharp, blur, transfer)


def as_recorded(picture: Array, rng: np.random.Generator) -> Array:
    """Noise, rounding and, in half of the cases, a codec's loss; then clipped as a camera does."""
    noisy = picture + rng.normal(0, rng.uniform(0, 0.006), picture.shape).astype(np.float32)
    code = np.clip(noisy * 255 + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(80, 97))
        _, stream = cv2.imencode(".jpg", code, [cv2.IMWRITE_JPEG_QUALITY, quality])
        code = cv2.imdecode(stream, cv2.IMREAD_COLOR)
    return code.astype(np.float32) / np.float32(255)


def turned(vectors: Array, angle: float, factor: float) -> Array:
    """Vectors [..., 2] turned by ``angle`` in radians and lengthened by ``factor``."""
    cos, sin = np.float32(factor * np.cos(angle)), np.float32(factor * np.sin(angle))
    return np.stack([cos * vectors[..., 0] - sin * vectors[..., 1], sin * vectors[..., 0] + cos * vectors[..., 1]], -1)


def _misjudged(interval: Array, rng: np.random.Generator) -> Array:
    """Motion as the flow to blurry neighbours would have it: off in length and direction, differently in each place."""
    height, width = interval.shape[:2]
    turn, factor = rng.normal(0, 0.08), rng.uniform(0.85, 1.15)
    smooth = smooth_noise((height, width), (4, 6), 2, rng)
    length = float(np.mean(np.hypot(interval[..., 0], interval[..., 1])))
    return np.ascontiguousarray(turned(interval, turn, factor) + smooth * np.float32(rng.uniform(0, 0.15) * length))


def smooth_noise(shape: tuple[int, int], nodes: tuple[int, int], channels: int, rng: np.random.Generator) -> Array:
    """Normal noise on (rows, columns) of ``nodes``, interpolated to [H, W, channels] of ``shape`` (H, W)."""
    coarse = rng.normal(0, 1, (*nodes, channels)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC).reshape(*shape, channels)


def a_piece(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[slice, slice]:
    """Where a frame's piece that is kept lies: anywhere in a large frame, all of a small one."""
    height, width = shape[:2]
    factor = min(1.0, float(np.sqrt(_PIXELS_KEPT / (height * width))))
    h, w = max(1, int(height * factor)), max(1, int(width * factor))
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    return slice(y, y + h), slice(x, x + w)


def as_pair(
    frame: Array,
    sharp: Array,
    alignment: Alignment,
    target: int,
    blurred: bool,
    where: tuple[slice, slice] = (slice(None), slice(None)),
) -> Pair:
    """The pair of a frame and its truth, by what alignment found out about it; of the piece ``where`` of it."""

    def piece(values: Array) -> npt.NDArray[np.float16]:
        inside = values[where]
        return (inside[..., None] if inside.ndim == 2 else inside).astype(np.float16)

    return Pair(
        piece(frame),
        piece(sharp),
        piece(alignment.estimate),
        piece(alignment.reference),
        piece(alignment.confidence),
        piece(alignment.motion),
        piece(alignment.weight),
        target,
        blurred,
    )
