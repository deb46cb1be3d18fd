# SPDX-License-Identifier: Apache-2.0
"""Which pictures a frame is rendered from: the host's own, the clip file's made to look like it, or none but itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from av.error import FFmpegError

from ..errors import BadInput, OutOfMemory, deliberate
from ..rendering import Renderer
from ..rendering.contracts import AlignmentLike
from . import wire
from .finding import PROVEN, Hint, look_for
from .matching import Look, colours, place
from .models import FROM_FILE, NO_REFERENCES, Use

__all__ = ["Gathered", "gather", "settled", "signature"]

Array = npt.NDArray[np.float32]
_LARGEST = 65504.0  # of values that are worked on: what half precision holds; squares of far larger ones overflow


@dataclass
class Gathered:
    """What is known about one frame before it is aligned."""

    clean: Array  # the host's picture, 0 where a value is no number or beyond all measure
    position: int  # as the analysis counts
    route: int = NO_REFERENCES
    untouched: bool = False
    forsaken: bool = False  # the clip's file, which has its references, cannot be read
    alignment: AlignmentLike | None = None  # kept from before
    mark: Hashable = None
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)  # what is told, but warns of nothing
    wanted: int = 0  # references that there are
    pictures: Callable[[], dict[int, Array] | None] = lambda: None

    def missing(self, alignment: AlignmentLike) -> list[str]:
        """What to say where references were done without."""
        short = self.wanted - len(alignment.used)
        if short <= 0:
            return []
        if not alignment.used:
            return ["no sharp reference was there: the frame was done alone"]
        return [f"{short} of {self.wanted} sharp references were missing"]


def settled(request: wire.Render, use: Use, renderer: Renderer, protect: bool) -> tuple[int, list[str]] | None:
    """The route and notes of a frame that stays as it is, whatever its picture; None where that has to be seen."""
    position, analysis = use.position(request.frame), renderer.analysis
    if not protect or use.route == NO_REFERENCES or analysis is None:
        return None
    if use.pictures is not None and not request.flags & wire.Render.ALONE:
        # A clip that was cut lies on the time line more than once, and each time its numbers are off by something else:
        # what is to stay is looked at.
        if not request.flags & wire.Render.INTERACTIVE:
            return None
        hint = use.hints.get((request.width, request.height), Hint())
        at = position + hint.offset
        proven = hint.times >= PROVEN and 0 <= at < analysis.frame_count
        return (FROM_FILE, []) if proven and renderer.untouched(at) else None
    if not 0 <= position < analysis.frame_count:
        return None if use.unreadable else (NO_REFERENCES, [_foreign(request)])
    return (use.route, []) if renderer.untouched(position) else None


def gather(
    request: wire.Render,
    use: Use,
    renderer: Renderer,
    host: Mapping[int, Array],
    scale: float,
    protect: bool,
    check: Callable[[], None],
) -> Gathered:
    """Find out which frame of the clip the host shows, whether it needs treatment, and from which pictures.

    ``check`` is called while that takes long, and may raise.
    """
    picture, position = host[request.frame], use.position(request.frame)
    analysis = renderer.analysis
    known = settled(request, use, renderer, protect)
    if known is not None:
        return Gathered(picture, position, known[0], untouched=True, notes=known[1])
    if use.route == NO_REFERENCES or analysis is None:
        return _alone(request, picture, position)
    alone = bool(request.flags & wire.Render.ALONE)
    if use.pictures is not None and not alone and use.frame(position) == request.frame:
        return _from_file(request, use, renderer, picture, position, scale, protect, check)
    if not 0 <= position < analysis.frame_count:
        gathered = _outside(request, picture, position, protect)
        gathered.forsaken = use.unreadable  # the file would have told which frame it is
        return gathered
    return _from_host(request, use, renderer, host, position, scale, protect, alone)


def signature(picture: Array) -> tuple[bytes, bool]:
    """What tells one picture from another, and whether it is fit to be worked on: one pass over it."""
    flat = picture.reshape(picture.shape[0], -1)
    with np.errstate(all="ignore"):
        rows = np.einsum("ij,j->i", flat, _weights(flat.shape[1]))  # a BLAS would wake its threads for it
        sound = bool((np.abs(rows) < _LARGEST / 2).all()) or bool((np.abs(picture) <= _LARGEST).all())
    return hashlib.blake2b(rows.tobytes(), digest_size=16).digest(), sound


@lru_cache(8)
def _weights(length: int) -> Array:
    return np.random.default_rng(length).uniform(0.5, 1.5, length).astype(np.float32)


def _cleaned(picture: Array, given: int = 0) -> tuple[Hashable, Array]:
    """What tells it from another, and the picture fit to be worked on; ``given``: what its sender marked it by."""
    if given:
        return given, picture
    mark, sound = signature(picture)
    if sound:
        return mark, picture
    clean = np.where(np.abs(picture) <= _LARGEST, picture, np.float32(0))  # which is false for what is no number
    return signature(clean)[0], clean


def _alone(request: wire.Render, picture: Array, position: int) -> Gathered:
    """Of a frame that the analysis says nothing about."""
    return Gathered(_cleaned(picture, _marks(request)[request.frame])[1], position)


def _outside(request: wire.Render, picture: Array, position: int, protect: bool) -> Gathered:
    gathered = _alone(request, picture, position)
    gathered.notes.append(_foreign(request))
    gathered.untouched = protect
    return gathered


def _foreign(request: wire.Render) -> str:
    return f"frame {request.frame} is none of those that the model was fitted to"


def _from_host(
    request: wire.Render,
    use: Use,
    renderer: Renderer,
    host: Mapping[int, Array],
    position: int,
    scale: float,
    protect: bool,
    alone: bool,
) -> Gathered:
    needs = [position] if alone else renderer.needs(position, protect=protect)
    marks = _marks(request)
    given = {j: _cleaned(host[n], marks[n]) for j in needs if (n := use.frame(j)) in host}
    mark = ("host", scale, tuple((j, each[0]) for j, each in given.items()))
    found = {j: each[1] for j, each in given.items()}
    size = (request.width, request.height)

    def pictures() -> dict[int, Array]:
        analysis = use.model.analysis
        assert analysis is not None
        for number in needs:
            kept = None if number in found else use.kept(number)
            if kept is not None:
                found[number] = place(kept, *size, analysis.placed(*size, scale))
        return found

    return Gathered(
        found[position],
        position,
        NO_REFERENCES if alone else use.route,
        alignment=renderer.aligned(position, mark),
        mark=mark,
        wanted=0 if alone else _references(renderer, position),
        pictures=pictures,
    )


def _from_file(
    request: wire.Render,
    use: Use,
    renderer: Renderer,
    picture: Array,
    position: int,
    scale: float,
    protect: bool,
    check: Callable[[], None],
) -> Gathered:
    analysis, source = use.model.analysis, use.pictures
    assert analysis is not None and source is not None
    mark, clean = _cleaned(picture, _marks(request)[request.frame])
    size = (request.width, request.height)
    look = Look(*size, analysis.placed(*size, scale))
    sized = look.placed

    def own(number: int) -> Array | None:
        if not 0 <= number < analysis.frame_count:
            return None
        found = source.get([number])[number]
        return place(found, *size, sized)

    gathered = Gathered(clean, position, FROM_FILE)
    hint = use.hints.get(size, Hint())
    try:
        known = use.looks.get((position, size, mark))
        wait = None if request.flags & wire.Render.INTERACTIVE else check
        seen = known or look_for(position, hint, clean, own, sized, source.thumbnails, wait)
    except Exception as error:
        _unreadable(gathered, use, error)
        # What the analysis tells of the frame still holds.
        at = gathered.position = position + hint.offset
        gathered.mark = ("alone", mark)
        gathered.untouched = renderer.untouched(at, protect=protect)
        gathered.forsaken = not gathered.untouched
        gathered.pictures = lambda: {at: clean}
        return gathered
    trouble = "" if seen.matches else source.thumbnails.trouble
    if seen.final and not trouble:
        use.remember((position, size, mark), seen)
    if not seen.matches:
        if not 0 <= position < analysis.frame_count:
            gathered = _outside(request, picture, position, protect)
        else:
            gathered.route = NO_REFERENCES
            gathered.notes.append(f"frame {request.frame} does not match the clip: it was done alone")
        if not seen.final:
            gathered.notes.append("the clip is being looked through for the picture")
        elif trouble:
            gathered.notes.append(f"the clip cannot be read any more: {trouble}")
            gathered.forsaken = use.broken = True
        return gathered
    if known is None:
        use.hints[size] = hint.after(seen.offset)
    at = gathered.position = position + seen.offset
    if seen.offset:
        gathered.remarks.append(f"the picture is the clip's frame {use.frame(at)}, not {request.frame}")
    if seen.other_colours:
        gathered.remarks.append(
            "the colours here are far from those that the model was fitted to: put the effect before the grade, or "
            "set Footage Colour"
        )
    if renderer.untouched(at, protect=protect):
        gathered.untouched = True
        return gathered
    gathered.mark = ("file", mark, sized)
    gathered.alignment = renderer.aligned(at, gathered.mark)
    gathered.wanted = _references(renderer, at)

    def pictures() -> dict[int, Array]:
        others = [number for number in renderer.needs(at, protect=protect) if number != at]
        found = {at: clean}
        try:
            shown = own(at)
            assert shown is not None
            toned = Look(*size, sized, colours(shown, clean))
            found.update({number: toned(each) for number, each in source.get(others).items()})
        except Exception as error:
            _unreadable(gathered, use, error)
        return found

    gathered.pictures = pictures
    return gathered


def _marks(request: wire.Render) -> dict[int, int]:
    return {frame: mark for frame, _, _, mark in request.pictures}


def _references(renderer: Renderer, position: int) -> int:
    references = getattr(renderer.analysis, "references_for", None)
    return 0 if references is None else len(references(position))


def _unreadable(gathered: Gathered, use: Use, error: Exception) -> None:
    """The clip has moved, or is damaged here: its frame is done without it, and that is said."""
    known = deliberate(error) or (BadInput(str(error)) if isinstance(error, FFmpegError | OSError) else None)
    if known is None or isinstance(known, OutOfMemory):
        raise error
    gathered.route, gathered.forsaken, use.broken = NO_REFERENCES, True, True
    gathered.mark = ("alone", gathered.mark)
    gathered.notes.append(f"the clip cannot be read any more: {known.message}")
