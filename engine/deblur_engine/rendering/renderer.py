# SPDX-License-Identifier: Apache-2.0
"""One frame: its alignment, the network over it in tiles, and the blend with the frame as it was.

The same ``Renderer`` serves the command line, the batch and an editor's plug-in: the same frame, whoever asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

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
_MEMORY_SHARE = {"cpu": 0.25, "cuda": 0.6}  # of what is free, for the network alone


class Renderer:
    """Deblurs frames of one clip with one model.

    ``aligner`` and ``analysis`` are by default made from the analysis inside the artifact; if it has none, frames
    are restored alone, without references. ``session`` may be shared between renderers of the same artifact.
    ``cache_bytes`` bounds the alignments that are kept for frames asked for again. Safe to use from several threads.
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
    ) -> None:
        self.artifact = artifact
        self.settings = (settings or RenderSettings()).checked()
        if aligner is None and artifact.analysis_bytes:
            aligner, analysis = load_aligner(artifact)
        self.aligner = aligner
        self.analysis: AnalysisLike | None = analysis or getattr(aligner, "analysis", None)
        self.session = session or Session(artifact, self.settings.device, self.settings.threads)
        self._cache = AlignmentCache(cache_bytes)
        self._tile = self.settings.tile  # shrinks when memory runs out
        lengths, factors = zip(*artifact.metadata.trust, strict=True)
        self._trust = (np.asarray(lengths, np.float32), np.asarray(factors, np.float32))

    def untouched(self, i: int) -> bool:
        """Whether frame ``i`` comes out as it went in, so that neither alignment nor network is needed."""
        if self.settings.strength == 0:
            return True
        blurry = None if self.analysis is None else self.analysis.blurry
        return blurry is not None and not (0 <= i < len(blurry) and bool(blurry[i]))

    def needs(self, i: int) -> tuple[int, ...]:
        """The frames whose pictures ``render(i, ...)`` takes, ``i`` among them."""
        if self.aligner is None or self.untouched(i):
            return (i,)
        return tuple(self.aligner.needs(i))

    def render(self, i: int, pictures: Mapping[int, Array]) -> Array:
        """Frame ``i`` deblurred: float32 [H, W, 3], R'G'B' in the space of ``pictures``.

        ``pictures``: frame number -> float32 [H, W, 3], for every frame of ``needs(i)``; with frame ``i`` alone (a
        host that gives no other) it is restored without references. A frame that needs nothing, or at strength 0,
        is returned itself: the same object. Pixels of weight 0 keep their bits. Raises ``OutOfMemory``.
        """
        alignment = self.align(i, pictures)
        return pictures[i] if alignment is None else self.restore(pictures[i], alignment)

    def align(self, i: int, pictures: Mapping[int, Array]) -> AlignmentLike | None:
        """The first half of ``render``: frame ``i``'s alignment, cached; None if the frame stays as it is."""
        if self.untouched(i):
            return None
        if self.aligner is None or (set(pictures) == {i} and len(self.needs(i)) > 1):
            return AlignedFrame.alone(*pictures[i].shape[:2])
        missing = [number for number in self.needs(i) if number not in pictures]
        if missing:
            raise ValueError(f"frame {i} needs the pictures of frames {missing} too")
        key = (i, self.settings.use_references)
        alignment = self._cache.get(key)
        if alignment is None:
            alignment = self.aligner.align(i, pictures, references=self.settings.use_references)
            self._cache.put(key, alignment)
        return alignment

    def restore(self, picture: Array, alignment: AlignmentLike) -> Array:
        """The second half of ``render``: the network over ``picture`` as ``alignment`` describes it, and the blend."""
        weight = self._weight(alignment)
        box = box_of(weight)
        if box is None or self.settings.strength == 0:
            return picture
        result = picture.copy()
        inside = result[box.top : box.bottom, box.left : box.right]
        base = box.cut(picture)
        restored = self._restored(picture, alignment, box)
        # A network may overshoot, but not leave the range of pictures nor that of this frame; nor may a value that is
        # no number get through: there the frame stays.
        np.clip(restored, min(0.0, float(base.min())), max(1.0, float(base.max())), out=restored)
        shares = box.cut(weight)
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

    def _weight(self, alignment: AlignmentLike) -> Array:
        lengths, factors = self._trust
        weight = np.asarray(alignment.weight, np.float32) * np.float32(self.settings.strength)
        if (factors != 1).any():
            blur = np.hypot(alignment.motion[..., 0], alignment.motion[..., 1])
            weight *= np.interp(blur, lengths, factors).astype(np.float32)
        return np.clip(weight, 0, 1, out=weight)

    def _restored(self, picture: Array, alignment: AlignmentLike, box: Box) -> Array:
        side = self.tile_side()
        while True:
            try:
                return self._in_tiles(picture, alignment, box, side)
            except OutOfMemory:
                height, width = picture.shape[:2]
                smaller = min(side, max(height, width)) // 2
                least = smallest_tile(self.settings.overlap, self._context(alignment))
                if self.artifact.metadata.fixed_size or min(side, max(height, width)) <= least:
                    raise
                self._tile = side = max(smaller, least)

    def _in_tiles(self, picture: Array, alignment: AlignmentLike, box: Box, side: int) -> Array:
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
            if not tile.kept.cut(alignment.weight).any():
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
