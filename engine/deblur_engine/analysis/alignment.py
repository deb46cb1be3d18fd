# SPDX-License-Identifier: Apache-2.0
"""Blur-aware alignment: sharp frames brought to where a blurry frame shows the same things.

Flow between a blurry and a sharp picture is unreliable, since it compares an edge with a smear. So the sharp picture
is warped by the flow so far, blurred by the blurry frame's own motion, and flow is computed between two equally
blurry pictures; a few rounds of that, coarse to fine. At last the frame is restored by what was found, and flow is
computed between two sharp ones. What the reblurred reference still differs by is the evidence for the confidence: where
reference, flow and blur model are all right, nothing is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops
from .exposure import motion_by_homography
from .flow import compose, dense_flow, eight_bit, falling, homography_flow, moving, reduced, resize_flow, size_by
from .motion import Motion, motion_between
from .record import Analysis
from .references import SHADED, Aligned, best_of, fused_luma, hearsay, shares_of, slow_part, strangeness
from .refining import refined_motion
from .undoing import agreed_change, estimated_change, exposure_by_detail, longest_exposure, looks_blurred, undone

__all__ = ["Aligner", "Alignment", "treated"]

Array = npt.NDArray[np.float32]

_WORK_SIDE = 640  # longest side of the pictures that alignment works on ...
_FINE_SIDE = 800  # ... and where the blur is short; twice the other size at most
_SHORT = 6.0  # pixels of blur: half a pixel more or less of it decides, which half a size does not show
_UNTOUCHED, _TREATED = 0.5, 1.5  # blur in pixels up to which a pixel is left alone, and from which it is not
_EXPOSURES = tuple(np.geomspace(0.08, 1.0, 13).tolist())  # fractions tried
_MOST = 0.9  # of what moves, with no more strangeness than SHADED: then an exposure is judged by that alone
_OTHER = (0.07, 0.11)  # strangeness in any colour: up to here it may be lamps, from here another thing lies there
_FAR = (0.03, 0.045)  # blur length over the picture's width: from here on most things fit some place by chance ...
_SPOT = (0.1, 0.3)  # ... where the mean belief over twice the path is up to the first; from the second on it holds
_EDGE = 0.02  # of the picture's width: how far around a place blur is compared ...
_UNEVEN = (0.4, 0.8)  # ... and how much its length may change there, of the longest: up to here alike, from here not
_TOLD = (0.016, 0.026)  # mean belief in the references where a frame may be blurred: up to here none, from here some
_SHORT_WAYS = (0.006, 0.012)  # of the picture's width: blur up to this speaks for itself, from this it does not
_SURE = (0.2, 0.6)  # belief in a reference up to which a place has to look blurred, too, and from which not
_STARTS = (0.35, 0.8)  # fractions that alignment is tried with beside the estimate: that which is further from it
_HARDLY_WORSE = 1.02  # times the least residual
_POOR = 0.12  # of the frame's detail, left unexplained by a reference that is no judge
_CLEARLY, _LONGER = 0.85, 1.4  # such a one lengthens the estimate so far, and only if it fits by so much better
_HARDLY_BETTER = 0.6  # times what is left without any blur: a reference that leaves more is no judge either ...
_MILD = 6.0  # ... of less blur than that, pixels of what moves, which misalignment may pass for: ...
_SHARP = 0.15  # up to this fraction, by the detail that it lacks, a frame is sharp
_SAME = 0.05  # change of the fraction that needs no other alignment
_FINEST = (2, 3)  # scale of flows before the last, how often halved: mostly, and for even motion at the larger size
_NO_SHARE = 0.1  # of a frame: a reference of less is left where it is
_EVEN = 1.5  # times what three quarters of the picture stay below that nearly all of an even motion stays below
_NO_SHIFT = 0.03  # pixels that nothing is moved for


@dataclass(frozen=True)
class Alignment:
    """What is known about one frame; arrays are float32 at full size, R'G'B' where they have three channels.

    ``estimate`` [H, W, 3]: the frame with its blur undone along its motion, less the frame. ``reference`` [H, W, 3]:
    the sharp references, aligned and fused, less the frame. ``confidence`` [H, W, 2]: how far the reference is
    believed, 0..1, and the luma that it differs by once it is blurred as the frame is. ``motion`` [H, W, 2]: blur
    vector in pixels. ``weight`` [H, W] 0..1: 0 leaves the pixel as it is. ``used``: the frames that the reference was
    made of. ``exposure``: the fraction of the frame interval that explained the blur best.
    """

    estimate: Array
    reference: Array
    confidence: Array
    motion: Array
    weight: Array
    used: tuple[int, ...]
    exposure: float

    @property
    def believed(self) -> Array:
        """How far the reference is believed, [H, W] 0..1."""
        return self.confidence[..., 0]

    @property
    def change(self) -> Array:
        """What a plain blend, without a network, adds to the frame, [H, W, 3]."""
        return self.estimate + self.confidence[..., :1] * (self.reference - self.estimate)


class Aligner:
    """Aligns the sharp references of one clip to its blurry frames. May be called from several threads.

    ``transfer`` names the clip's transfer curve (as ``ops.reblur`` takes it; others are integrated as they are).
    ``fine`` works at the larger size, which one without it does by itself for frames whose blur is short.
    """

    def __init__(
        self, analysis: Analysis, *, transfer: str = "bt709", threads: int | None = None, fine: bool = False
    ) -> None:
        self.analysis = analysis
        self.transfer = transfer if transfer in ("bt709", "srgb", "gamma2.2") else None
        self.threads = threads
        self._fine = fine
        self._finer = None if fine else Aligner(analysis, transfer=transfer, threads=threads, fine=True)
        side = max(analysis.width, analysis.height)
        factor = min(0.5, _WORK_SIDE / side)
        if fine:
            factor = min(2 * factor, _FINE_SIDE / side)
        if min(analysis.width, analysis.height) * factor < 48:
            factor = 1.0
        self.size = size_by(factor, analysis.width, analysis.height)

    def needs(self, i: int) -> tuple[int, ...]:
        """The frames that ``align(i, ...)`` takes: ``i``, its neighbours and its references."""
        return tuple(sorted({i, *self.analysis.neighbours(i), *self.analysis.references_for(i)}))

    def align(self, i: int, pictures: Mapping[int, Array], references: bool = True) -> Alignment:
        """Everything the network is told about frame ``i``.

        ``pictures``: frame number -> R'G'B' float32 [H, W, 3] for the frames of ``needs(i)``; references that are
        missing are done without; with ``references`` False all are.
        """
        used = [j for j in self.analysis.references_for(i) if j in pictures] if references else []
        motion = self.motion(i, pictures)
        return self.fuse(i, pictures[i], motion, {j: pictures[j] for j in used}, float(self.analysis.exposure[i]))

    def fuse(
        self,
        i: int,
        picture: Array,
        motion: Motion,
        references: Mapping[int, Array],
        exposure: float,
        off_by: float = 1.0,
        agree: bool = True,
    ) -> Alignment:
        """Align ``references`` (frame number -> picture) to ``picture`` and fuse them.

        ``motion``: at working size; ``exposure``: the fraction of an interval to start from; ``off_by``: a factor that
        the exposure found is wrong by, for trials; ``agree``: whether the picture that they restore is made to agree
        with this one, or they are to be seen as they are.
        ``align`` calls this for a real frame, fitting for a synthetically blurred one.
        """
        height, width = picture.shape[:2]
        interval = motion.interval
        typical, longest = np.percentile(np.hypot(interval[..., 0], interval[..., 1]), (75, 97)) * width / self.size[0]
        if self._finer is not None and references and exposure * typical < _SHORT:
            finer = motion.resized(self._finer.size)
            return self._finer.fuse(i, picture, finer, references, exposure, off_by, agree)
        frame = self._luma(picture)
        # Flow at a fine scale follows parallax and things that move, and noise; at a coarse one it is less led astray.
        even = bool(longest < _EVEN * typical)
        found: dict[int, Aligned] = {}
        sharps = {j: self._luma(reference) for j, reference in references.items()}
        for j, sharp in sharps.items():
            if not found and exposure > 0:
                first, exposure = self._choose_exposure(i, j, frame, sharp, interval, exposure, even)
                if off_by != 1:
                    exposure = min(1.0, exposure * off_by)
                    first = self._one(i, j, frame, sharp, interval * np.float32(exposure), even, first.flow)
                found[j] = first
            else:
                found[j] = self._one(i, j, frame, sharp, interval * np.float32(exposure), even)
        if not found and exposure > 0:
            exposure = min(exposure, longest_exposure(frame, interval, self.transfer, self.threads))
        blur = interval * np.float32(exposure)
        if found and exposure > 0:
            blur, found = self._refined(i, frame, blur, even, found, sharps)
            found = self._placed(frame, blur, found, sharps)
        vectors = resize_flow(blur, (width, height))
        believable = motion.believable(exposure)
        looks, of_camera = looks_blurred(frame, blur, self.transfer, self.threads), motion.of_camera()
        inside = _inside(blur)
        # Blur is centred on the path's centroid, the picture wanted is that of mid-exposure; where the motion
        # accelerates they part: for x(s) = s v + s² a / 2, s in -1/2..1/2 of the exposure, by a / 24.
        offset = None if motion.bend is None else motion.bend * np.float32(exposure * exposure / 24)
        if not found:
            estimate, weight = self._undone(picture, vectors, believable * inside * np.maximum(looks, of_camera))
            estimate += weight[..., None] * (self._shifted(picture + estimate, offset) - picture - estimate)
            nothing = np.zeros((height, width, 2), np.float32)
            return Alignment(estimate, np.zeros_like(picture), nothing, vectors, weight, (), exposure)
        shares, believed, proven = shares_of(list(found.values()))
        fused = np.zeros_like(picture)
        for (j, aligned), share in zip(found.items(), shares, strict=True):
            flow = aligned.flow if offset is None else compose(offset, aligned.flow)
            flow = resize_flow(flow, (width, height))
            warped = ops.warp(references[j], flow, mode="bicubic", threads=self.threads)
            fused += warped * cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        shading = self._shading(picture, fused, blur)
        fused += cv2.resize(shading, (width, height), interpolation=cv2.INTER_LINEAR)
        same = falling(strangeness(shading).max(axis=2), _OTHER)
        either = np.maximum(believable, proven * same)
        believed *= either * same
        believed *= np.maximum(self._borne_out(believed, blur), motion.camera_rests())
        # Sharp things pass before a camera at rest, too. If hardly any reference tells of blur that long, it is none.
        there = treated(blur * np.float32(width / self.size[0]))
        told = 1 - falling((there * believed).sum() / (there.sum() + np.float32(1e-6)), _TOLD)
        longest = np.percentile(np.hypot(blur[..., 0], blur[..., 1]), 97) / self.size[0]
        none = motion.camera_rests() * (1 - told) * (1 - falling(longest, _SHORT_WAYS))
        looks *= 1 - none
        believed *= 1 - none
        shown = inside * np.maximum(looks, of_camera)
        estimate, by = self._undone(picture, vectors, believable * shown)
        shown = np.maximum(shown, 1 - falling(believed, _SURE))
        weight = treated(vectors) * cv2.resize(either * shown, (width, height), interpolation=cv2.INTER_LINEAR)
        believed = np.clip(cv2.resize(believed, (width, height), interpolation=cv2.INTER_LINEAR), 0, 1)
        centred = self._shifted(fused, offset, -1)
        mismatch = self._reblur(cv2.cvtColor(centred, cv2.COLOR_RGB2GRAY), vectors)
        mismatch -= cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        centred -= picture
        if agree:
            restored = picture + estimate + believed[..., None] * (centred - estimate)
            agreed = agreed_change(picture, restored, vectors, believed * weight, self.transfer, self.threads)
            fused += self._shifted(agreed, offset)
        estimate += by[..., None] * (self._shifted(picture + estimate, offset) - picture - estimate)
        confidence = np.stack([believed, mismatch], -1)
        return Alignment(estimate, fused - picture, confidence, vectors, weight, tuple(found), exposure)

    def _shifted(self, picture: Array, offset: Array | None, way: int = 1) -> Array:
        """``picture`` [H, W, 3] read from an ``offset`` [h, w, 2] away, at working size, or against it (-1)."""
        if offset is None or np.abs(offset).max() * picture.shape[1] / offset.shape[1] < _NO_SHIFT:
            return picture.copy()
        flow = resize_flow(np.float32(way) * offset, (picture.shape[1], picture.shape[0]))
        return ops.warp(picture, flow, mode="bicubic", threads=self.threads)

    def _borne_out(self, believed: Array, blur: Array) -> Array:
        """0..1, [h, w]: whether belief in a place is borne out along the path that blurred it, and beyond.

        Smeared far enough nearly all things look alike: a red letter, blurred, is a hand's skin. But a reference that
        does show what was there shows what is beside it, too. (Not before a camera at rest: what lies beside is not
        blurred there, and small things move by more than their size.)
        """
        along = ops.reblur(believed, 2 * blur, threads=self.threads)
        length = np.hypot(blur[..., 0], blur[..., 1]) / np.float32(blur.shape[1])
        return np.maximum(1 - falling(along, _SPOT), falling(length, _FAR))

    def _undone(self, picture: Array, vectors: Array, where: Array) -> tuple[Array, Array]:
        """The ``estimate`` by blur vectors at full size, as far as ``where`` at working size; and by what weight."""
        height, width = picture.shape[:2]
        weight = treated(vectors) * cv2.resize(where, (width, height), interpolation=cv2.INTER_LINEAR)
        return estimated_change(picture, vectors, weight, self.transfer, self.threads), weight

    def motion(self, i: int, pictures: Mapping[int, Array]) -> Motion:
        """Motion at frame ``i``, by those of its neighbours that are in ``pictures``, at working size."""
        there = {j - i: eight_bit(self._luma(pictures[j])) for j in self.analysis.neighbours(i) if j in pictures}
        if not there:
            return Motion(resize_flow(motion_by_homography(self.analysis, i), self.size))
        return motion_between(eight_bit(self._luma(pictures[i])), there)

    # --- at working size ----------------------------------------------------------------------------------------

    def _luma(self, picture: Array) -> Array:
        return reduced(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), self.size)

    def _reblur(self, sharp: Array, blur: Array) -> Array:
        return ops.reblur(sharp, blur, transfer=self.transfer, threads=self.threads)  # type: ignore[arg-type]

    def _choose_exposure(
        self, i: int, j: int, frame: Array, sharp: Array, interval: Array, estimate: float, even: bool
    ) -> tuple[Aligned, float]:
        """The exposure fraction that the reblurred reference explains the frame best by, and the alignment with it.

        An alignment bends the flow until it fits the fraction that it was made with, so more than one is tried.
        """
        # What stands still is blurred alike by any fraction, and would drown what is not.
        length = np.hypot(interval[..., 0], interval[..., 1])
        there = moving(length)
        mild = _MILD / float(np.median(length[there]) * self.analysis.width / self.size[0] + 1e-6)
        detail = np.square(frame - slow_part(frame))
        longest = cache(lambda: longest_exposure(frame, interval, self.transfer, self.threads))
        told: list[float] = []  # asked once at most: how well things are aligned makes little difference to it

        def judged(fraction: float, start: Array | None = None) -> tuple[float, float, Aligned]:
            aligned = self._one(i, j, frame, sharp, interval * np.float32(fraction), even, start)
            same = there & (aligned.strange <= SHADED)
            judges = same if same.sum() > _MOST * there.sum() else there
            trusted = judges & (aligned.residual <= np.median(aligned.residual[judges]))

            def left(other: float) -> float:
                off, _ = self._unexplained(aligned.warped, interval * np.float32(other), frame)
                return float(np.mean((off * off)[trusted]))

            least, found = _least(left)
            if least > _POOR * float(np.mean(detail[trusted])):
                # A poor reference fits the better the more it is blurred.
                found = min(found, estimate * (_LONGER if least < _CLEARLY * left(estimate) else 1.0), longest())
            if found < mild and least > _HARDLY_BETTER * left(0.0):
                if not told:
                    args = (frame, sharp, aligned.flow, interval, trusted, self.transfer, self.threads)
                    told.append(exposure_by_detail(*args))
                found = min(found, told[0]) if told[0] >= _SHARP else 0.0
            return least, found, aligned

        other = _STARTS[0] if estimate > math.sqrt(_STARTS[0] * _STARTS[1]) else _STARTS[1]
        _, best, aligned = min((judged(start) for start in (estimate, other)), key=lambda found: found[0])
        _, again, aligned = judged(best, aligned.flow)
        if abs(again - best) > _SAME * best:
            best = again
            aligned = self._one(i, j, frame, sharp, interval * np.float32(best), even, aligned.flow)
        return aligned, best

    def _refined(
        self, i: int, frame: Array, blur: Array, even: bool, found: dict[int, Aligned], sharps: Mapping[int, Array]
    ) -> tuple[Array, dict[int, Aligned]]:
        """The blur vectors as the frame's own blur tells them, and the references aligned by those."""
        shares, believed, proven = shares_of(list(found.values()))
        fused = fused_luma(found, shares)
        better = refined_motion(
            frame, fused, blur, np.maximum(believed, proven), self._reblur, slow_part, threads=self.threads
        )
        if better is None:
            return blur, found
        blur, place = better
        return blur, {
            j: self._one(i, j, frame, sharps[j], blur, even, compose(place, aligned.flow))
            for j, aligned in found.items()
        }

    def _placed(
        self, frame: Array, blur: Array, found: dict[int, Aligned], sharps: Mapping[int, Array]
    ) -> dict[int, Aligned]:
        """The references where they show what the frame, restored by them, does.

        Pictures that are blurred alike tell little of where exactly things lie. With its blur undone, and with what is
        believed of the references, the frame is nearly as sharp as they are; what reblurring leaves decides as before.
        """
        alone = undone(frame, blur, self.transfer, self.threads)
        shares, _, _ = shares_of(list(found.values()))
        found = self._nearer(frame, blur, found, shares, sharps, alone)
        shares, believed, _ = shares_of(list(found.values()))
        fused = fused_luma(found, shares)
        _, shading = self._unexplained(fused, blur, frame)
        return self._nearer(frame, blur, found, shares, sharps, alone + believed * (fused - shading - alone))

    def _nearer(
        self,
        frame: Array,
        blur: Array,
        found: dict[int, Aligned],
        shares: list[Array],
        sharps: Mapping[int, Array],
        restored: Array,
    ) -> dict[int, Aligned]:
        """The references moved by the flow from the ``restored`` frame, wherever that explains the frame better."""
        nearer = dict(found)
        for (j, aligned), share in zip(found.items(), shares, strict=True):
            if share.mean() < _NO_SHARE:
                continue
            shown = aligned.warped - slow_part(aligned.warped - restored)
            flow = compose(dense_flow(eight_bit(restored), eight_bit(shown), finest=0), aligned.flow)
            moved = self._judged(frame, sharps[j], blur, flow)
            left, before = (cv2.GaussianBlur(np.square(a.residual), (0, 0), 3.0) for a in (moved, aligned))
            nearer[j] = aligned.where(left >= before, moved)
        return nearer

    def _one(
        self, i: int, j: int, frame: Array, sharp: Array, blur: Array, even: bool, start: Array | None = None
    ) -> Aligned:
        """Align one sharp picture to the frame; ``even``: all of it moves much alike."""
        finest, last = _FINEST[self._fine and even], 2 if even else 1
        width, height = self.size
        coarse = (max(1, width // 2), max(1, height // 2))
        if start is None:
            small_frame, small_sharp = reduced(frame, coarse), reduced(sharp, coarse)
            small_blur = resize_flow(blur, coarse)
            starts = [
                dense_flow(
                    eight_bit(small_frame),
                    eight_bit(small_sharp),
                    preset=cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
                    finest=finest - 1,
                )
            ]
            if abs(j - i) <= self.analysis.reach and self.analysis.same_scene(i, j):
                chained = homography_flow(self._small_homography(i, j, coarse), coarse[1], coarse[0])
                starts.append(chained)
            finished = [self._refine(small_frame, small_sharp, small_blur, flow, [finest, finest]) for flow in starts]
            flow = best_of(finished, [self._off(small_frame, small_sharp, small_blur, flow) for flow in finished])
            start = resize_flow(flow, self.size)
            rounds = [finest, last]
        else:
            rounds = [last]
        return self._judged(frame, sharp, blur, self._refine(frame, sharp, blur, start, rounds))

    def _judged(self, frame: Array, sharp: Array, blur: Array, flow: Array) -> Aligned:
        """What a sharp picture that lies in the frame by ``flow`` shows there, and how far it is off."""
        warped, inside = ops.warp(sharp, flow, "bicubic", return_mask=True, threads=self.threads)
        off, shading = self._unexplained(warped, blur, frame)
        change = warped - shading - frame
        residual = cv2.GaussianBlur(off * off, (0, 0), 3.0) + hearsay(frame, flow)
        # Outside the reference nothing is known; half a unit off is as bad as it gets.
        residual += cv2.GaussianBlur((1 - inside) * np.float32(0.25), (0, 0), 3.0)
        changed = np.sqrt(cv2.GaussianBlur(change * change, (0, 0), 3.0))
        return Aligned(flow, warped, np.sqrt(residual), changed, strangeness(shading))

    def _refine(self, frame: Array, sharp: Array, blur: Array, flow: Array, rounds: list[int]) -> Array:
        """``rounds``: the finest scale of each one's flow."""
        target = eight_bit(frame)
        for finest in rounds:
            # Bicubic: what linear interpolation softens would pass for blur.
            equally_blurry = self._reblur(ops.warp(sharp, flow, "bicubic", threads=self.threads), blur)
            equally_blurry -= slow_part(equally_blurry - frame)
            flow = compose(dense_flow(target, eight_bit(equally_blurry), finest=finest), flow)
        return flow

    def _unexplained(self, warped: Array, blur: Array, frame: Array) -> tuple[Array, Array]:
        """What the reblurred reference differs from the frame by: in detail, and in slow shading."""
        off = self._reblur(warped, blur) - frame
        shading = slow_part(off)
        off -= shading
        return off, shading

    def _off(self, frame: Array, sharp: Array, blur: Array, flow: Array) -> Array:
        warped, inside = ops.warp(sharp, flow, "bicubic", return_mask=True, threads=self.threads)
        off, _ = self._unexplained(warped, blur, frame)
        return cv2.GaussianBlur(off * off + (1 - inside) * np.float32(0.25), (0, 0), 3.0)

    def _shading(self, picture: Array, fused: Array, blur: Array) -> Array:
        """What the fused reference lacks of the frame's slow shading (lamps, auto exposure), at working size."""
        small = self._reblur(reduced(fused, self.size), blur)
        return slow_part(reduced(picture, self.size) - small)

    def _small_homography(self, i: int, j: int, size: tuple[int, int]) -> npt.NDArray[np.float64]:
        shrink = np.diag([size[0] / self.analysis.width, size[1] / self.analysis.height, 1.0])
        return shrink @ self.analysis.between(i, j) @ np.linalg.inv(shrink)


def treated(motion: Array) -> Array:
    """0..1, [H, W]: which pixels are blurred by enough to be touched, by their blur vectors [H, W, 2] in pixels."""
    length = np.hypot(motion[..., 0], motion[..., 1])
    return np.clip((length - _UNTOUCHED) / (_TREATED - _UNTOUCHED), 0, 1).astype(np.float32)


def _inside(blur: Array) -> Array:
    """0..1, [h, w]: how far places lie within what moves alike, by their blur vectors [h, w, 2].

    Where things pass before others both show through, which is no blur along any path; nor does flow end where they do.
    """
    length = np.hypot(blur[..., 0], blur[..., 1])
    side = round(_EDGE * length.shape[1]) | 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    most = cv2.dilate(length, around)
    return falling((most - cv2.erode(length, around)) / (most + np.float32(_UNTOUCHED)), _UNEVEN)


def _least(left: Callable[[float], float]) -> tuple[float, float]:
    """The least that ``left`` comes to over the fractions tried, and the smallest fraction that is hardly worse.

    What a reference is off by, blur covers up, so the best fraction is too large rather than too small; and too long a
    blur undone does more harm than too short a one.
    """
    # Every third first, then those around the best of them.
    left_at = {k: left(_EXPOSURES[k]) for k in range(0, len(_EXPOSURES), 3)}
    best = min(left_at, key=lambda k: left_at[k])
    around = range(max(0, best - 2), min(len(_EXPOSURES), best + 3))
    left_at |= {k: left(_EXPOSURES[k]) for k in around if k not in left_at}
    known = sorted(left_at)
    values = np.array([left_at[k] for k in known])
    scale = np.log([_EXPOSURES[k] for k in known])
    fine = np.linspace(scale[0], scale[-1], 100 * len(scale))  # so fine that what hardly differs stays together
    between = np.interp(fine, scale, values)
    k = int(np.clip(np.argmin(values), 1, len(values) - 2))
    near = (fine >= scale[k - 1]) & (fine <= scale[k + 1])
    between[near] = np.polyval(np.polyfit(scale[k - 1 : k + 2], values[k - 1 : k + 2], 2), fine[near])
    least = float(between.min())
    return least, float(np.exp(fine[np.argmax(between <= _HARDLY_WORSE * max(least, 0) + 1e-12)]))
