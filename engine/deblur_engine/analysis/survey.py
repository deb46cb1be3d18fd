# SPDX-License-Identifier: Apache-2.0
"""The pass over a clip that finds out what it is like: ``analyse``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops
from ..errors import BadInput
from ..media import Clip
from ..task import Task
from .exposure import exposures
from .flow import dense_flow, eight_bit, homography_flow, homography_of, reduced, resize_flow, size_by
from .record import Analysis
from .scenes import CutFinder
from .second_look import look_again

__all__ = ["analyse", "small_size"]

_SMALL_SIDE = 480  # longest side of the pictures that flow is computed on
_TILE = 16  # pixels, of the sharpness maps
_FLAT = 2e-5  # Laplacian energy below which a tile holds noise only, in 0..1 units squared
_DROP_LIMITS = (0.2, 1.0)  # log energy; codec noise alone moves sharp frames by up to 0.8, blur by 0.3 and up
_OWN_SCENE = 4.0  # how much a scene's own drops count beside all scenes', for one that is all of the clip
_LEVEL = 0.05  # log energy: added before the root by which small differences between drops count for more
_CHANGES = (0.008, 0.028)  # luma, 0..1, that a tile changes by: up to here noise, from here something that moves
_SMOOTH = 1.0  # sigma in pixels of the small pictures: what is smaller is noise
_SOMETHING = 1e-4  # summed Laplacian energy that is next to nothing
_DRIFT = 0.03  # log energy a frame that summed-up sharpness may be off by
_BLURRY_PIXELS = 1.2  # a frame must be blurred by this much to be treated ...
_BLURRY_SHARE = 0.1  # ... and for this share of its motion: less says that something else made it look less sharp
_FAST = 8.0  # pixels a frame from which motion counts in full
_REACH = 12


@dataclass
class _Seen:
    """What is kept of the frame before, while the next is looked at."""

    small: npt.NDArray[np.uint8]
    energy: npt.NDArray[np.float32]


def small_size(width: int, height: int) -> tuple[int, int]:
    """The (width, height) at which flow between frames is computed: at most half, and at most 480 on the long side."""
    factor = min(0.5, _SMALL_SIDE / max(width, height))
    if max(width, height) * factor < 64:
        factor = 1.0
    return size_by(factor, width, height)


def analyse(clip: Clip, *, references: int = 4, task: Task | None = None) -> Analysis:
    """Look at every frame once: scenes, sharpness along the flow track, motion; then at what the shutter left.

    Decodes luma only. Memory does not grow with the clip's length beyond a few hundred bytes a frame. Raises
    ``BadInput`` for a clip without frames.
    """
    task = task or Task()
    width, height = clip.info.width, clip.info.height
    size = small_size(width, height)
    scale = np.array([width / size[0], height / size[1]])
    cuts = CutFinder(float(clip.info.fps) or 25.0)
    total = len(clip)
    scene: list[int] = []
    ratios: list[float] = []  # log sharpness of a frame over the one before, along the track
    of_what_moves: list[float] = []  # the same of what moves by itself, without a track
    between: list[npt.NDArray[np.float64]] = []  # homography from the frame before
    speeds: list[float] = []  # typical motion of what moves, from the frame before, pixels
    before: _Seen | None = None
    for index, luma in clip.lumas():
        small = eight_bit(reduced(luma, size))
        energy = ops.sharpness(luma, tile=_TILE)
        now = _Seen(small, energy)
        ratio, moving, homography, speed, cut = 0.0, 0.0, np.eye(3), 0.0, False
        if before is not None:
            back = dense_flow(small, before.small)
            cut = cuts.begins_scene(small, before.small, back)
            if not cut:
                forth = dense_flow(before.small, small)
                camera = homography_of(forth)
                # Reading a map between its tiles levels it, which makes the other frame look sharper; half the
                # difference of both directions is free of that, where it would add up from frame to frame.
                ratio = (_log_ratio(energy, before.energy, back) - _log_ratio(before.energy, energy, forth)) / 2
                moving = _log_ratio_of_what_moves(now, before, np.asarray(np.linalg.inv(camera), np.float64)) / 2
                moving -= _log_ratio_of_what_moves(before, now, camera) / 2
                homography = _full_size(camera, scale)
                speed = _typical_speed(forth, scale)
        else:
            cuts.begins_scene(small, None, None)
        scene.append((scene[-1] if scene else 0) + int(cut))
        ratios.append(ratio)
        of_what_moves.append(moving)
        between.append(homography)
        speeds.append(speed)
        before = now
        task.report("analyse", index + 1, total)
    count = len(scene)
    if count == 0:
        raise BadInput(f"{clip.info.path.name} holds no frame that can be decoded")
    scenes = np.array(scene, np.int32)
    sharpness = np.cumsum(ratios).astype(np.float32)
    # What follows the flow is blind to what is too fast for it; what does not, to much that moves with the camera.
    drop = _drops(np.cumsum(np.add(ratios, of_what_moves) / 2).astype(np.float32), scenes)
    speed_at = _speed_at_frames(np.array(speeds, np.float32), scenes)
    homographies = np.stack([*between[1:], np.eye(3)])
    sharp = drop < _drop_limits(drop, scenes)
    analysis = Analysis(
        width=width,
        height=height,
        times=_times(clip, count),
        scene=scenes,
        sharpness=sharpness,
        drop=drop,
        speed=speed_at,
        exposure=np.zeros(count, np.float32),
        homography=homographies,
        sharp=sharp,
        blurry=~sharp,
        references=references,
        reach=_REACH,
    )
    exposure = exposures(clip, analysis, task)
    blurry = ~sharp & (exposure * speed_at >= _BLURRY_PIXELS) & (exposure >= _BLURRY_SHARE)
    return look_again(clip, replace(analysis, exposure=exposure, blurry=blurry), task)


def _full_size(homography: npt.NDArray[np.float64], scale: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    grow = np.diag([scale[0], scale[1], 1.0])
    return grow @ homography @ np.linalg.inv(grow)


def _log_ratio(
    energy: npt.NDArray[np.float32], before: npt.NDArray[np.float32], back: npt.NDArray[np.float32]
) -> float:
    """How much sharper a frame is than the one before it: the log of Laplacian energies of the same things.

    The map of the frame before is read where the flow says that each tile's content was, so that texture which
    enters or leaves the picture is not taken for sharpness.
    """
    rows, columns = energy.shape
    per_tile = resize_flow(back, (columns, rows))  # vectors in tiles
    followed, inside = ops.warp(before, per_tile, return_mask=True)
    textured = (np.maximum(energy, followed) > _FLAT) & (inside > 0.5)
    if textured.sum() < 4:
        return 0.0
    now, then = energy[textured], followed[textured]
    ratio = np.log((now + _FLAT / 4) / (then + _FLAT / 4))
    return _weighted_median(ratio, np.sqrt(now * then + 1e-12) * (_motion_weight(per_tile * _TILE)[textured] + 1e-3))


def _log_ratio_of_what_moves(here: _Seen, there: _Seen, camera: npt.NDArray[np.float64]) -> float:
    """``_log_ratio`` where a picture changes by more than the camera's motion (homography from ``here`` to ``there``).

    Things that cross a still scene, several of their own lengths in an interval, leave no flow to follow. But the
    places where they were and where they are now change, and the detail there, taken together, is the same if they are
    as sharp.
    """
    rows, columns = here.energy.shape
    height, width = here.small.shape
    flow = homography_flow(camera, height, width)
    aligned, inside = ops.warp(there.small.astype(np.float32), flow, return_mask=True)
    off = np.abs(cv2.GaussianBlur(here.small - aligned, (0, 0), _SMOOTH)) / np.float32(255)
    moves = np.clip((reduced(off, (columns, rows)) - _CHANGES[0]) / (_CHANGES[1] - _CHANGES[0]), 0, 1)
    moves[reduced(inside, (columns, rows)) < 0.9] = 0  # what comes into the picture was nowhere before
    followed = ops.warp(there.energy, resize_flow(flow, (columns, rows)))
    return math.log((float((here.energy * moves).sum()) + _SOMETHING) / (float((followed * moves).sum()) + _SOMETHING))


def _motion_weight(flow: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How much each place says about motion blur, 0..1: what stands still is not blurred by motion, however it looks.

    Where the whole picture moves all places count alike; where only something in it moves, that something counts.
    """
    squared = flow[..., 0] ** 2 + flow[..., 1] ** 2
    return np.minimum(squared / _FAST**2, 1.0)


def _typical_speed(flow: npt.NDArray[np.float32], scale: npt.NDArray[np.float64]) -> float:
    """The median speed of what moves, in pixels of the full picture."""
    full = (flow * scale.astype(np.float32))[::4, ::4]
    speed = np.hypot(full[..., 0], full[..., 1])
    return _weighted_median(speed.ravel(), _motion_weight(full).ravel() + 1e-3)


def _weighted_median(values: npt.NDArray[np.float32], weights: npt.NDArray[np.float32]) -> float:
    order = np.argsort(values)
    upto = np.cumsum(weights[order], dtype=np.float64)
    return float(values[order][np.searchsorted(upto, upto[-1] / 2)])


def _drops(sharpness: npt.NDArray[np.float32], scene: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """How far each frame lies below the sharpest within reach in its scene.

    Sharpness is summed up from frame to frame, and what is seen changes, so a distant frame counts for a little less.
    """
    count = len(sharpness)
    drops = np.zeros(count, np.float32)
    for i in range(count):
        near = np.arange(max(0, i - _REACH), min(count, i + _REACH + 1))
        near = near[scene[near] == scene[i]]
        drops[i] = (sharpness[near] - _DRIFT * np.abs(near - i)).max() - sharpness[i]
    return drops


def _drop_limits(drop: npt.NDArray[np.float32], scene: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """The drop that parts sharp frames from blurry ones, for each frame: the one that leaves two groups most unlike.

    In some scenes all moves and blur takes much of the detail, in others a small thing does. So each scene's frames are
    looked at, and all of the clip's beside them, without which those of a scene that has no blur would be parted too.
    """
    candidates = np.linspace(*_DROP_LIMITS, 81)
    every = _unlike(drop, candidates)
    limits = np.empty(len(drop), np.float32)
    for number in np.unique(scene):
        own = scene == number
        unlike = every + _OWN_SCENE * math.sqrt(own.mean()) * _unlike(drop[own], candidates)
        # Between two drops all limits are alike; the middle of the best ones errs least.
        limits[own] = candidates[unlike >= 0.999 * unlike.max()].mean()
    return limits


def _unlike(drop: npt.NDArray[np.float32], limits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How unlike the frames are that each of ``limits`` parts: Otsu's criterion (IEEE Trans. SMC 9, 1979).

    On the root of the drops, since those of blurry frames are spread the wider.
    """
    values = np.sqrt(drop + _LEVEL)
    unlike = np.zeros(len(limits))
    for k, limit in enumerate(limits):
        blurry = drop >= limit
        if blurry.any() and not blurry.all():
            unlike[k] = blurry.mean() * (1 - blurry.mean()) * (values[blurry].mean() - values[~blurry].mean()) ** 2
    return unlike


def _speed_at_frames(speeds: npt.NDArray[np.float32], scene: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Motion at each frame from the motions on either side of it."""
    count = len(speeds)
    at = np.zeros(count, np.float32)
    for i in range(count):
        sides = [speeds[j] for j in (i, i + 1) if 0 < j < count and scene[j] == scene[j - 1]]
        at[i] = np.mean(sides) if sides else 0.0
    return at


def _times(clip: Clip, count: int) -> npt.NDArray[np.float64]:
    rate = float(clip.info.fps) or 25.0
    return np.arange(count, dtype=np.float64) / rate
