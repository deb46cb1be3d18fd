# SPDX-License-Identifier: Apache-2.0
"""One frame: its alignment, the network over it in tiles, and the blend with the frame as it was.

The same ``Renderer`` serves the command line, the batch and an editor's plug-in: the same frame, whoever asks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Mapping

import numpy as np
import numpy.typing as npt

from .. import ops
from ..artifact import Artifact
from ..errors import ModelError, OutOfMemory
from ..settings import RenderSettings
from .cache import AlignmentCache
from .contracts import AlignedFrame, AlignerLike, AlignmentLike, AnalysisLike
from .session import Session
from .tiles import Box, box_of, plan_tiles, smallest_tile, tile_for_memory

__all__ = ["Renderer"]

Array = npt.NDArray[np.float32]

_CACHE_BYTES = 512 << 20
_MOST_CONTEXT = 256
_NUMBERS = itertools.count()  # tell renderers apart that share a cache
_MEMORY_SHARE = {"cpu": 0.25, "cuda": 0.6}  # of what is free, for the network alone


def _go_on() -> None:
    """What is called between steps where nobody wants to end them."""


class Renderer:
    """Deblurs frames of one clip with one model.

    ``aligner`` and ``analysis`` are by default made from the analysis inside the artifact; if it has none, frames
    are restored alone, without references. ``session`` may be shared between renderers of the same artifact.
    ``cache_bytes`` bounds the alignments that are kept for frames asked for again; several renderers may share one
    ``cache`` instead. ``scale``: pixels of the pictures per pixel of the clip that the model was fitted to, where they
    are a proxy of it or an enlargement. Safe to use from several threads.

    The calls below take ``strength`` in place of the settings' (a slider may move from frame to frame) and
    ``protect``: without it, pixels and frames that were judged sharp are treated as well, at full strength.
    """

    def __init__(
        self,
        artifact: Artifact,
        settings: RenderSettings | None = None,
        aligner: AlignerLike | None = None,
        *,
        analysis: AnalysisLike | None = None,
        session: Session | None = None,
        cache_bytes: int = _CACHE_BYTES,
        cache: AlignmentCache | None = None,
        scale: float = 1.0,
    ) -> None:
        self.artifact = artifact
        self.settings = (settings or RenderSettings()).checked()
        if aligner is None and artifact.analysis_bytes:
            aligner, analysis = load_aligner(artifact)
        self.aligner = aligner
        self.analysis: AnalysisLike | None = analysis or getattr(aligner, "analysis", None)
        self.session = session or Session(artifact, self.settings.device, self.settings.threads)
        self._cache = AlignmentCache(cache_bytes) if cache is None else cache
        self._number = next(_NUMBERS)
        self._tile = self.settings.tile  # shrinks when memory runs out
        trust = artifact.metadata.trust
        # Without the reference, and where it is believed: blur lengths and what to take of the network's change.
        self._trust = [
            (np.array([length for length, _ in table], np.float32) * np.float32(scale), [factor for _, factor in table])
            for table in (trust, artifact.metadata.trust_believed or trust)
        ]

    def untouched(self, i: int, *, strength: float | None = None, protect: bool = True) -> bool:
        """Whether frame ``i`` comes out as it went in, so that neither alignment nor network is needed."""
        if self._strength(strength) == 0:
            return True
        if not protect:
            return False
        blurry = None if self.analysis is None else self.analysis.blurry
        return blurry is not None and not (0 <= i < len(blurry) and bool(blurry[i]))

    def needs(self, i: int, *, protect: bool = True) -> tuple[int, ...]:
        """The frames whose pictures ``render(i, ...)`` takes, ``i`` among them."""
        if self.aligner is None or not self._analysed(i) or self.untouched(i, protect=protect):
            return (i,)
        return tuple(self.aligner.needs(i))

    def render(
        self,
        i: int,
        pictures: Mapping[int, Array],
        *,
        strength: float | None = None,
        protect: bool = True,
        out: Array | None = None,
        check: Callable[[], None] = _go_on,
    ) -> Array:
        """Frame ``i`` deblurred: float32 [H, W, 3], R'G'B' in the space of ``pictures``.

        ``pictures``: frame number -> float32 [H, W, 3], for every frame of ``needs(i)``; with frame ``i`` alone (a
        host that gives no other) it is restored without references. A frame that needs nothing, or at strength 0,
        is returned itself: the same object, and ``out``, into which a result is written if it is given, stays as it is.
        Pixels of weight 0 keep their bits. ``check`` is called between steps and may raise to end the work. Raises
        ``OutOfMemory``.
        """
        alignment = self.align(i, pictures, strength=strength, protect=protect)
        if alignment is None:
            return pictures[i]
        check()
        return self.restore(pictures[i], alignment, strength=strength, protect=protect, out=out, check=check)

    def align(
        self,
        i: int,
        pictures: Mapping[int, Array],
        *,
        strength: float | None = None,
        protect: bool = True,
        some: bool = False,
        mark: Hashable = None,
    ) -> AlignmentLike | None:
        """The first half of ``render``: frame ``i``'s alignment, cached; None if the frame stays as it is.

        With ``some``, what is missing in ``pictures`` is done without, as far as the analysis tells of the motion.
        ``mark`` tells apart pictures of the same frame, which a host may change while it works.
        """
        if self.untouched(i, strength=strength, protect=protect):
            return None
        needs = self.needs(i, protect=protect)
        if self.aligner is None or not self._analysed(i) or (not some and set(pictures) == {i} and len(needs) > 1):
            return AlignedFrame.alone(*pictures[i].shape[:2])
        missing = [number for number in needs if number not in pictures]
        if missing and not some:
            raise ValueError(f"frame {i} needs the pictures of frames {missing} too")
        key = self._key(i, mark)
        alignment = self._cache.get(key)
        if alignment is None:
            alignment = self.aligner.align(i, pictures, references=self.settings.use_references)
            self._cache.put(key, alignment)
        return alignment

    def aligned(self, i: int, mark: Hashable = None) -> AlignmentLike | None:
        """The alignment that ``align`` made of frame ``i`` before, if it is still kept: no pictures needed then."""
        return self._cache.get(self._key(i, mark))

    def restore(
        self,
        picture: Array,
        alignment: AlignmentLike,
        *,
        strength: float | None = None,
        protect: bool = True,
        out: Array | None = None,
        check: Callable[[], None] = _go_on,
    ) -> Array:
        """The second half of ``render``: the network over ``picture`` as ``alignment`` describes it, and the blend.

        ``out``: float32 [H, W, 3] that shares no memory with ``picture``.
        """
        weight = self._weight(alignment, self._strength(strength), protect)
        box = box_of(weight)
        if box is None:
            return picture
        base = box.cut(picture)
        restored = self._restored(picture, alignment, box, weight, check)
        result = np.empty_like(picture) if out is None else out
        for rows, columns in box.around(*picture.shape[:2]):
            result[rows, columns] = picture[rows, columns]
        inside = result[box.top : box.bottom, box.left : box.right]
        shares = box.cut(weight)
        # A network may overshoot, but not leave the range of pictures nor that of this frame; nor may a value that is
        # no number get through: there the frame stays. Such a value is the least and the greatest of all.
        low, high = float(restored.min()), float(restored.max())
        if not (low >= 0.0 and high <= 1.0):
            np.clip(restored, min(0.0, float(base.min())), max(1.0, float(base.max())), out=restored)
        if not (math.isfinite(low) and math.isfinite(high)):
            broken = ~np.isfinite(restored).all(axis=2)
            if broken.any():
                shares[broken] = 0
        ops.mix(base, restored, shares, out=inside)
        return result

    def forget(self) -> None:
        """Drop the cached alignments: the clip's pictures have changed."""
        self._cache.clear()

    def tile_side(self) -> int:
        """The side of the largest tile that memory (or the settings, or an earlier shortage) allows, in pixels."""
        if self._tile is not None:
            return self._tile
        share = _MEMORY_SHARE["cpu" if self.session.device == "cpu" else "cuda"]
        return tile_for_memory(int(self.session.free_memory() * share), self.artifact.metadata.bytes_per_pixel)

    def _strength(self, strength: float | None) -> float:
        return self.settings.strength if strength is None else strength

    def _analysed(self, i: int) -> bool:
        return self.analysis is None or 0 <= i < self.analysis.frame_count

    def _key(self, i: int, mark: Hashable) -> Hashable:
        return self._number, i, self.settings.use_references, mark

    def _weight(self, alignment: AlignmentLike, strength: float, protect: bool) -> Array:
        if not protect:
            return np.full(alignment.weight.shape, strength, np.float32)
        weight = np.asarray(alignment.weight, np.float32) * np.float32(strength)
        if any(factor != 1 for _, factors in self._trust for factor in factors):
            blur = np.hypot(alignment.motion[..., 0], alignment.motion[..., 1])
            alone, believed = (np.interp(blur, *table).astype(np.float32) for table in self._trust)
            weight *= alone + alignment.confidence[..., 0] * (believed - alone)
        return np.clip(weight, 0, 1, out=weight)

    def _restored(
        self, picture: Array, alignment: AlignmentLike, box: Box, weight: Array, check: Callable[[], None]
    ) -> Array:
        side = self.tile_side()
        while True:
            try:
                return self._in_tiles(picture, alignment, box, weight, side, check)
            except OutOfMemory:
                height, width = picture.shape[:2]
                smaller = min(side, max(height, width)) // 2
                least = smallest_tile(self.settings.overlap, self._context(alignment))
                if self.artifact.metadata.fixed_size or min(side, max(height, width)) <= least:
                    raise
                self._tile = side = max(smaller, least)

    def _in_tiles(
        self,
        picture: Array,
        alignment: AlignmentLike,
        box: Box,
        weight: Array,
        side: int,
        check: Callable[[], None],
    ) -> Array:
        height, width = picture.shape[:2]
        fixed = self.artifact.metadata.fixed_size
        if fixed:
            if fixed != (width, height):
                raise ModelError(
                    f"{self.artifact.path} takes pictures of {fixed[0]}x{fixed[1]} only; this one is {width}x{height}",
                    hint="render with the CLIP.deblur.onnx that it was exported from",
                )
            whole = self._run(picture, alignment, Box(0, height, 0, width))
            return np.ascontiguousarray(box.cut(whole))
        overlap, context = self.settings.overlap, self._context(alignment)
        tiles = plan_tiles(height, width, box, tile=side, overlap=overlap, context=context)
        if len(tiles) == 1:
            return np.ascontiguousarray(tiles[0].inner(self._run(picture, alignment, tiles[0].read)))
        total = np.zeros((box.bottom - box.top, box.right - box.left, 3), np.float32)
        weights = np.zeros(total.shape[:2], np.float32)
        for tile in tiles:
            check()
            if not tile.kept.cut(weight).any():
                # Nothing here will be used; the frame itself stands in so that feathering has something to sum.
                part = tile.kept.cut(picture)
            else:
                part = tile.inner(self._run(picture, alignment, tile.read))
            y, x = tile.kept.top - box.top, tile.kept.left - box.left
            ops.blend_tiles(total, weights, part, y, x, overlap)
        return ops.finish_tiles(total, weights)

    def _context(self, alignment: AlignmentLike) -> int:
        """Pixels of surroundings that a tile of this frame needs: the network may look along the blur's path."""
        data = self.artifact.metadata
        if data.context_per_pixel == 0:
            return data.context
        longest = float(np.abs(alignment.motion).max(initial=0.0)) * math.sqrt(2)
        return min(data.context + math.ceil(data.context_per_pixel * longest), _MOST_CONTEXT)

    def _run(self, picture: Array, alignment: AlignmentLike, read: Box) -> Array:
        guides = (alignment.estimate, alignment.reference, alignment.confidence, alignment.motion)
        return self.session.run(read.cut(picture), *(read.cut(guide) for guide in guides))


def load_aligner(artifact: Artifact) -> tuple[AlignerLike, AnalysisLike]:
    """The aligner and the analysis that the artifact holds; raises ``ModelError`` if its analysis cannot be read."""
    from .. import analysis as home  # it brings OpenCV and more, of which a renderer with its own aligner has no need

    try:
        analysis = home.Analysis.from_bytes(artifact.analysis_bytes)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{artifact.path}: the clip's analysis inside is damaged: {error!s:.200}") from error
    return home.Aligner(analysis, transfer=artifact.metadata.transfer), analysis
