# SPDX-License-Identifier: Apache-2.0
"""What the worker does with the requests that take the engine: models looked at, frames rendered."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from .. import ops
from ..artifact import ModelMetadata
from ..errors import OutOfMemory, UsageError, deliberate
from ..rendering import Renderer
from ..rendering.cache import AlignmentCache
from ..rendering.contracts import AlignedFrame, AlignmentLike
from ..rendering.pipeline import align_workers, window_bytes
from ..rendering.session import cpu_threads
from ..rendering.tiles import Box
from ..settings import RenderSettings
from . import wire
from .clips import PictureCache
from .gathering import Gathered, gather, settled
from .models import FROM_HOST, FROM_MODEL, NO_REFERENCES, Models, Use
from .surfaces import SurfaceError, Surfaces, check_size
from .turns import Turns

__all__ = ["Desk"]

Array = npt.NDArray[np.float32]
_ALIGNED_BYTES = 1 << 30
_TRANSFERS = {"bt709": 1, "srgb": 2, "gamma2.2": 3, "linear": 4, "gamma2.8": 5, "pq": 6, "hlg": 7}
_LOG, _UNTAGGED = 8, 9
_BY_TAG = {2: _UNTAGGED, 9: _LOG, 10: _LOG}  # H.273's codes that are read as BT.709 for want of better
_MAP_TILE = 16  # pixels of the map of sharpness
_MAP_RANGE = (-5.5, -1.5)  # logarithm of the Laplacian energy that is drawn black, and white


class Desk:
    """Answers MODEL, NEEDS and RENDER. Safe to use from several threads."""

    def __init__(self, device: str = "auto", threads: int | None = None) -> None:
        self._settings = RenderSettings(device=device, threads=threads).checked()
        most = window_bytes()
        self._alignments = AlignmentCache(min(_ALIGNED_BYTES, most))
        self.models = Models(self._settings, PictureCache(min(2 << 30, most)))
        workers = align_workers(threads)
        cv2.setNumThreads(max(1, cpu_threads(threads) // workers))
        self._aligning, self._restoring = Turns(workers), Turns(1)
        self.rendered = 0

    def model(self, request: wire.Model) -> wire.ModelInfo:
        use = self.models.use(request.model, request.clip)
        data, analysis = use.model.artifact.metadata, use.model.analysis
        return wire.ModelInfo(
            model=wire.shortened(str(use.model.path)),
            clip=wire.shortened(use.clip),
            width=data.width,
            height=data.height,
            frames=data.frame_count or (0 if analysis is None else analysis.frame_count),
            transfer=_transfer(data),
            route=use.route,
            generation=use.model.generation,
            note=wire.shortened(use.note),
        )

    def needs(self, request: wire.Needs) -> wire.Needed:
        use = self.models.use(request.model, request.clip)
        frames = {request.frame}
        analysis, position = use.model.analysis, use.position(request.frame)
        given = use.route in (FROM_HOST, FROM_MODEL)
        if given and analysis is not None and 0 <= position < analysis.frame_count:
            # A frame judged sharp needs no other, also where it is treated for want of protection.
            others = {*analysis.neighbours(position), *analysis.references_for(position)}
            others -= use.model.references.keys() if analysis.blurry[position] else others
            frames |= {use.frame(j) for j in others}
        return wire.Needed(use.route, tuple(sorted(frames)))

    def render(self, request: wire.Render, surfaces: Surfaces, check: Callable[[], None]) -> wire.Rendered:
        """Write the frame into its surface; ``check`` is called between steps and may raise to end it.

        Without pictures: say whether any are needed.
        """
        started = time.perf_counter()
        if not 0 <= request.strength <= 1:
            raise UsageError(f"strength is {request.strength}; it must lie in 0..1")
        if request.view not in (0, 1):
            raise UsageError(f"view {request.view} is unknown", hint="0 is the result, 1 the map of sharpness")
        if not request.pictures:
            return self._foretell(request, started)
        host = {
            frame: surfaces.picture(surface, offset, request.width, request.height)
            for frame, surface, offset, _ in request.pictures
        }
        if request.frame not in host:
            raise SurfaceError(f"the picture of frame {request.frame} itself is missing")
        out = surfaces.picture(request.out_surface, request.out_offset, request.width, request.height)
        if request.view == 1:
            sharpness_map(host[request.frame], out)
            return wire.Rendered(0, 0, NO_REFERENCES, 0, 0, 0, _micros(started), "")
        use = self.models.use(request.model, request.clip)
        try:
            answer = self._render(request, use, host, out, started, check)
        except Exception as error:
            known = deliberate(error)
            if isinstance(known, OutOfMemory):
                # What holds the memory goes, so that the next frame begins anew.
                use.model.forget_session()
                self._alignments.clear()
                raise known from error
            raise
        self.rendered += 1
        return answer

    def _foretell(self, request: wire.Render, started: float) -> wire.Rendered:
        check_size(request.width, request.height)
        use = self.models.use(request.model, request.clip)
        if request.strength == 0 and request.view == 0:
            return wire.Rendered(wire.Rendered.UNCHANGED, 0, use.route, 0, 0, 0, _micros(started), "")
        protect = bool(request.flags & wire.Render.PROTECT)
        if protect and request.view == 0 and use.model.analysis is not None:
            scale = request.scale if 0 < request.scale < 1e4 else 0.0
            renderer = use.renderer(request.width, request.height, scale, self._alignments, self._settings)
            known = settled(request, use, renderer, protect)
            if known is not None:
                route, notes = known
                notes = [note for note in (use.note, renderer.session.note, *notes) if note]
                flags = wire.Rendered.UNCHANGED | (wire.Rendered.NOTED if notes else 0)
                self.rendered += 1
                return wire.Rendered(flags, 0, route, 0, 0, 0, _micros(started), _joined(notes))
        return wire.Rendered(wire.Rendered.WANTED, 0, NO_REFERENCES, 0, 0, 0, _micros(started), "")

    def _render(
        self,
        request: wire.Render,
        use: Use,
        host: dict[int, Array],
        out: Array,
        started: float,
        check: Callable[[], None],
    ) -> wire.Rendered:
        strength, protect = float(request.strength), bool(request.flags & wire.Render.PROTECT)
        urgent = bool(request.flags & wire.Render.INTERACTIVE)
        scale = request.scale if 0 < request.scale < 1e4 else 0.0
        picture, analysis = host[request.frame], use.model.analysis
        if strength == 0:
            return wire.Rendered(wire.Rendered.UNCHANGED, 0, use.route, 0, 0, 0, _micros(started), "")
        renderer = use.renderer(request.width, request.height, scale, self._alignments, self._settings)
        notes = [note for note in (use.note, renderer.session.note) if note]
        gathered = gather(request, use, renderer, host, scale, protect, check)
        notes += gathered.notes
        if gathered.untouched:
            flags = wire.Rendered.UNCHANGED | (wire.Rendered.NOTED if notes else 0)
            flags |= wire.Rendered.FORSAKEN if gathered.forsaken else 0
            return wire.Rendered(
                flags, 0, gathered.route, 0, 0, 0, _micros(started), _joined([*notes, *gathered.remarks])
            )
        asked = time.perf_counter()
        alignment = gathered.alignment
        if alignment is None:
            with self._aligning.one(urgent, check):
                waited = time.perf_counter() - asked
                check()
                begun = time.perf_counter()
                alignment = _align(renderer, gathered, strength, protect)
                aligned = time.perf_counter() - begun
        else:
            waited = aligned = 0.0
        notes += gathered.missing(alignment)
        check()
        asked = time.perf_counter()
        clean = gathered.clean
        if clean is picture and np.shares_memory(picture, out):
            clean = picture.copy()
        with self._restoring.one(urgent, check):
            begun = time.perf_counter()
            waited += begun - asked
            result = renderer.restore(clean, alignment, strength=strength, protect=protect, out=out, check=check)
            restored = time.perf_counter() - begun
        unchanged = result is clean
        if not unchanged and clean is not picture and not np.shares_memory(picture, out):
            broken = picture != clean
            out[broken] = picture[broken]
        if not unchanged and analysis is not None:
            _keep_bars(out, clean, analysis.placed(request.width, request.height, scale))
        flags = (wire.Rendered.UNCHANGED if unchanged else 0) | (wire.Rendered.NOTED if notes else 0)
        used = len(alignment.used)
        if not used and (gathered.forsaken or use.unreadable):
            flags |= wire.Rendered.FORSAKEN
        times = (_whole(waited), _whole(aligned), _whole(restored), _micros(started))
        route = gathered.route if used else NO_REFERENCES
        return wire.Rendered(flags, used, route, *times, _joined([*notes, *gathered.remarks]))


def _transfer(data: ModelMetadata) -> int:
    """What the clip that the model was fitted to is coded by, as MODEL_INFO names it."""
    tag = data.colour.get("transfer")
    known = _BY_TAG.get(tag) if isinstance(tag, int) and data.transfer == "bt709" else None
    return known or _TRANSFERS.get(data.transfer, 0)


def sharpness_map(picture: Array, out: Array) -> None:
    """The Laplacian energy of each 16 x 16 pixels on a fixed logarithmic scale as grey, written to ``out``."""
    energy = ops.sharpness(np.nan_to_num(picture, posinf=1.0, neginf=0.0), tile=_MAP_TILE)
    low, high = _MAP_RANGE
    grey = np.clip((np.log10(energy + 1e-12) - low) / (high - low), 0, 1).astype(np.float32)
    height, width = picture.shape[:2]
    grey = cv2.resize(np.repeat(np.repeat(grey, _MAP_TILE, 0), _MAP_TILE, 1)[:height, :width], (width, height))
    out[:] = grey[..., None]


def _align(renderer: Renderer, gathered: Gathered, strength: float, protect: bool) -> AlignmentLike:
    pictures = gathered.pictures()
    if pictures is None:
        return AlignedFrame.alone(*gathered.clean.shape[:2])
    found = renderer.align(
        gathered.position, pictures, strength=strength, protect=protect, some=True, mark=gathered.mark
    )
    assert found is not None  # ``gathered`` says that the frame is not left as it is
    return found


def _keep_bars(out: Array, picture: Array, placed: tuple[float, float, float, float]) -> None:
    """Where a timeline shows bars beside the clip, they stay what they are."""
    left, top = (max(0, math.floor(side)) for side in placed[2:])
    height, width = out.shape[:2]
    for rows, columns in Box(top, max(0, height - top), left, max(0, width - left)).around(height, width):
        out[rows, columns] = picture[rows, columns]


def _whole(seconds: float) -> int:
    return min(round(seconds * 1e6), 0xFFFFFFFF)


def _micros(started: float) -> int:
    return _whole(time.perf_counter() - started)


def _joined(notes: list[str]) -> str:
    return wire.shortened("; ".join(dict.fromkeys(notes)))
