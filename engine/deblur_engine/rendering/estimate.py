# SPDX-License-Identifier: Apache-2.0
"""What a render would take, before it is started: for ``--dry-run``."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..artifact import Artifact, default_model_path, load_model
from ..media import Clip, default_output, fingerprint, open_clip
from ..settings import RenderSettings
from .contracts import AlignedFrame
from .memory import available_memory
from .pipeline import align_workers, window_bytes
from .renderer import Renderer

__all__ = ["Estimate", "estimate"]

_BASE_BYTES = 400 << 20  # the interpreter, ONNX Runtime, FFmpeg
_ALIGN_BYTES_PER_PIXEL = 400  # what one alignment has in hand at its peak, about
_BITS_PER_PIXEL = 0.4  # of the high-quality encoding that is the default, about


@dataclass(frozen=True)
class Estimate:
    """About what a render takes. ``seconds`` comes from timing a frame here and now, the rest from sizes."""

    out: Path
    frames: int
    treated: int  # frames that alignment and network run on
    seconds: float
    memory_bytes: int
    disk_bytes: int
    tile: int  # side of the largest tile, pixels
    provider: str
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**asdict(self), "out": str(self.out)}


def estimate(
    clip: Clip | str | Path,
    model: Artifact | str | Path | None = None,
    out: str | Path | None = None,
    *,
    settings: RenderSettings | None = None,
) -> Estimate:
    """Estimate ``render`` with the same arguments: decodes and renders one frame, and writes nothing.

    Raises what ``render`` would raise for a clip, model or device that cannot be used.
    """
    settings = (settings or RenderSettings()).checked()
    notes: list[str] = []
    with ExitStack() as open_things:
        if not isinstance(clip, Clip):
            clip = open_things.enter_context(open_clip(clip))
        artifact = model if isinstance(model, Artifact) else load_model(model or default_model_path(clip.path))
        chosen = clip.select(settings.frames)
        order = range(len(clip)) if chosen is None else chosen
        renderer = Renderer(artifact, settings, cache_bytes=0)
        if artifact.metadata.clip_fingerprint != fingerprint(clip):
            notes.append("the model was fitted to another clip; the time to analyse this one is not counted")
        treated = [number for number in order if not renderer.untouched(number)]
        sample = treated[len(treated) // 2] if treated else order[0]
        decode, align, restore = _time_one(clip, renderer, sample, bool(treated))
    pixels = clip.info.width * clip.info.height
    on_cpu = renderer.session.device == "cpu"
    workers = align_workers(settings.threads)
    # The encoder takes about three times the decoder's time. Where everything runs on the same cores nothing is
    # gained by overlapping; on a GPU the slowest stage sets the pace.
    parts = [decode * len(order), align * len(treated) / workers, restore * len(treated), 3 * decode * len(order)]
    tile = min(renderer.tile_side(), max(clip.info.width, clip.info.height))
    frames_bytes = min(window_bytes(), 15 * pixels * (2 * _reach(renderer) + 1))
    network = artifact.metadata.bytes_per_pixel * min(pixels, tile * tile) if on_cpu else 0
    memory = _BASE_BYTES + frames_bytes + min(512 << 20, 96 * 44 * pixels) + workers * _ALIGN_BYTES_PER_PIXEL * pixels
    if memory + network > available_memory():
        notes.append("this machine's free memory may not suffice")
    return Estimate(
        out=Path(out) if out is not None else default_output(clip.path),
        frames=len(order),
        treated=len(treated),
        seconds=sum(parts) if on_cpu else max(parts),
        memory_bytes=memory + network,
        disk_bytes=_disk(clip, len(order), pixels),
        tile=tile,
        provider=renderer.session.provider,
        notes=tuple(notes),
    )


def _time_one(clip: Clip, renderer: Renderer, number: int, treat: bool) -> tuple[float, float, float]:
    """Seconds to decode, align and restore one frame."""
    needed = renderer.needs(number) if treat else (number,)
    start = time.perf_counter()
    frames = clip.read(needed)
    decode = (time.perf_counter() - start) / max(1, max(needed) - min(needed) + 1)
    if not treat:
        return decode, 0.0, 0.0
    pictures = {index: frame.rgb for index, frame in frames.items()}
    start = time.perf_counter()
    renderer.align(number, pictures)
    align = time.perf_counter() - start
    start = time.perf_counter()
    picture = pictures[number]
    renderer.restore(picture, AlignedFrame.alone(*picture.shape[:2]))  # all of it: the dearest case
    return decode, align, time.perf_counter() - start


def _reach(renderer: Renderer) -> int:
    return 0 if renderer.analysis is None else int(renderer.analysis.reach)


def _disk(clip: Clip, frames: int, pixels: int) -> int:
    """Like the source, or what the default quality takes if that is more."""
    count = max(1, len(clip))
    size = clip.path.stat().st_size if clip.path.is_file() else 0
    if clip.info.is_sequence or not size:
        return frames * pixels * (4 if clip.info.has_alpha else 3) * (clip.info.bit_depth // 8 or 1)
    return int(max(size * frames / count, frames * pixels * _BITS_PER_PIXEL / 8))
