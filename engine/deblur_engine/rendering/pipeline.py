# SPDX-License-Identifier: Apache-2.0
"""Rendering a clip: decoding, aligning, computing and encoding at the same time, each in threads of its own.

    decode -> FrameWindow -> align (several threads, results in order) -> restore -> encode (the caller's thread)

Every arrow is bounded, so memory does not grow with the clip. An error or a cancel anywhere ends all of it, and the
writer removes what was half written.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from ..artifact import Artifact, default_model_path, load_model
from ..errors import BadInput
from ..media import Clip, ClipWriter, Frame, default_output, fingerprint, open_clip
from ..settings import RenderSettings
from ..task import Task
from .contracts import AlignerLike, AlignmentLike, AnalysisLike
from .memory import available_memory
from .renderer import Renderer
from .session import cpu_threads
from .stages import Channel, Clock, EndedError, Stages
from .window import FrameWindow

__all__ = ["RenderResult", "align_workers", "make_renderer", "render", "run_stages", "window_bytes"]

Picture = npt.NDArray[np.float32]
_QUEUE_BYTES = 512 << 20
_ALIGNED_BYTES_PER_PIXEL = 44  # a frame as decoded, and its alignment


@dataclass(frozen=True)
class RenderResult:
    """What ``render`` did.

    ``stages``: for decode, align, restore and encode ``busy_s`` (seconds at work, added over the stage's threads),
    ``frames``, ``threads`` and ``fps`` (the rate it would reach alone); ``seconds`` is the wall time of them together.
    """

    path: Path
    frames: int  # frames written
    changed: int  # of them, frames in which at least one pixel was treated
    provider: str  # what ran the network: CPUExecutionProvider or CUDAExecutionProvider
    device: str  # the same as --device names it
    seconds: float
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    peak_window_bytes: int = 0  # most that decoded frames took at a time

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**self.__dict__, "path": str(self.path), "fps": self.frames / self.seconds if self.seconds else 0.0}


class Writer(Protocol):
    def write(self, frame: Frame, rgb: Picture) -> None: ...


class Source(Protocol):
    def frames(self, start: int = 0, stop: int | None = None) -> Iterable[Frame]: ...

    def read(self, indices: Iterable[int]) -> dict[int, Frame]: ...


def render(
    clip: Clip | str | Path,
    model: Artifact | str | Path | None = None,
    out: str | Path | None = None,
    *,
    settings: RenderSettings | None = None,
    task: Task | None = None,
) -> RenderResult:
    """Deblur a clip into ``out`` (default: ``CLIP_deblur.<ext>`` beside it) with ``model`` (``CLIP.deblur.onnx``).

    Same length, timestamps, sound and colour as the source. A model that was fitted to another clip is used with a
    warning, and the clip is analysed anew. Raises ``BadInput``, ``ModelError``, ``OutputError`` (``out`` exists and
    ``settings.overwrite`` is not set, or cannot be written), ``MissingDevice``, ``OutOfMemory`` or ``Cancelled``;
    then nothing half-written is left.
    """
    settings = (settings or RenderSettings()).checked()
    task = task or Task()
    with ExitStack() as open_things:
        if not isinstance(clip, Clip):
            clip = open_things.enter_context(open_clip(clip))
        artifact = model if isinstance(model, Artifact) else load_model(model or default_model_path(clip.path))
        chosen = clip.select(settings.frames)
        order: Sequence[int] = range(len(clip)) if chosen is None else chosen
        out = Path(out) if out is not None else default_output(clip.path)
        # The writer first: an output that may not be written is known before the work, not after it.
        writer = open_things.enter_context(
            ClipWriter(clip, out, codec=settings.codec, overwrite=settings.overwrite, frames=settings.frames)
        )
        renderer = make_renderer(clip, artifact, settings, task)
        start = time.perf_counter()
        pixels = clip.info.width * clip.info.height
        counts, clocks, peak = run_stages(clip, order, renderer, writer, task, pixels=pixels)
        closing = time.perf_counter()
        writer.close()
        clocks["encode"][0].add(time.perf_counter() - closing, 0)
        seconds = time.perf_counter() - start
        stages = {name: clock.figures(threads) for name, (clock, threads) in clocks.items()}
        for note in clip.notes:
            task.warn(note)
    return RenderResult(
        out, counts[0], counts[1], renderer.session.provider, renderer.session.device, seconds, stages, peak
    )


def make_renderer(clip: Clip, artifact: Artifact, settings: RenderSettings, task: Task) -> Renderer:
    """A renderer for this clip: with the analysis inside the model if it is of this clip, else with a new one."""
    analysis: AnalysisLike | None = None
    aligner: AlignerLike | None = None
    data = artifact.metadata
    same = bool(data.clip_fingerprint) and data.clip_fingerprint == fingerprint(clip)
    # A fit to a range of frames numbered them from the range's first; here they are numbered from the clip's.
    whole = data.recipe.get("frames") is None
    if settings.strength > 0 and not (same and whole and artifact.analysis_bytes):
        if not same:
            task.warn(
                f"{artifact.path.name} was fitted to another clip ({data.clip}), not to {clip.path.name}: "
                "the result will be less good than with a fit of its own"
            )
        from .. import analysis as home  # only needed here: analysing at render time is the exception

        analysis = home.analyse(clip, task=task)
        aligner = home.Aligner(analysis, transfer=data.transfer)
    # Frames are asked for once and in order here, so nothing is worth caching.
    renderer = Renderer(artifact, settings, aligner, analysis=analysis, cache_bytes=0)
    if renderer.session.note:
        task.warn(renderer.session.note)
    return renderer


def run_stages(
    clip: Source, order: Sequence[int], renderer: Renderer, writer: Writer, task: Task, *, pixels: int
) -> tuple[tuple[int, int], dict[str, tuple[Clock, int]], int]:
    """Render the frames ``order`` of ``clip``, of so many ``pixels`` each, into ``writer``.

    Returns (frames written, frames changed), each stage's clock and number of threads, and the window's peak bytes.
    """
    stages = Stages()
    decode, align, restore, encode = (Clock() for _ in range(4))
    needs = [renderer.needs(number) for number in order]
    window = FrameWindow(needs, window_bytes(), clip.read, stages.stopped)
    workers = align_workers(renderer.settings.threads)
    # Blurry frames come in bursts: deep queues let alignment go ahead while sharp frames pass, where memory allows.
    depth = max(2, min(48, _QUEUE_BYTES // (_ALIGNED_BYTES_PER_PIXEL * pixels)))
    aligned: Channel[Future[tuple[Frame, AlignmentLike | None] | None]] = Channel(stages, max(workers, depth))
    restored: Channel[tuple[Frame, Picture] | None] = Channel(stages, depth)

    def decoding() -> None:
        first, stop = window.span
        frames = iter(clip.frames(first, stop))
        while True:
            start = time.perf_counter()
            frame = next(frames, None)
            decode.add(time.perf_counter() - start, frame is not None)
            if frame is None or not window.put(frame):
                break
        window.end()

    def align_one(position: int) -> tuple[Frame, AlignmentLike | None] | None:
        number = order[position]
        frames = window.take(position)
        if frames is None:
            raise EndedError
        try:
            if number not in frames:
                return None  # the clip broke off before this frame
            if renderer.untouched(number):
                return frames[number], None
            with align.working():
                pictures = {index: frame.rgb for index, frame in frames.items()}
                complete = all(index in pictures for index in needs[position])
                if not complete:
                    pictures = {number: pictures[number]}
                return frames[number], renderer.align(number, pictures)
        finally:
            window.done(position)

    def aligning() -> None:
        with ThreadPoolExecutor(workers, thread_name_prefix="deblur-align") as pool:
            for position in range(len(order)):
                aligned.put(pool.submit(align_one, position))

    def restoring() -> None:
        for _ in order:
            found = aligned.get().result()
            if found is None:
                restored.put(None)
                continue
            frame, alignment = found
            if alignment is None:
                restored.put((frame, frame.rgb))
                continue
            with restore.working():
                picture = renderer.restore(frame.rgb, alignment)
            restored.put((frame, picture))

    written = changed = 0
    start = time.perf_counter()
    # All of OpenCV's threads at once in each of several workers would only get in each other's way.
    cores, cv_threads = cpu_threads(renderer.settings.threads), cv2.getNumThreads()
    cv2.setNumThreads(max(1, cores // workers))
    try:
        stages.start("decode", decoding)
        stages.start("align", aligning)
        stages.start("restore", restoring)
        for _ in order:
            item = restored.get(task.check)
            if item is None:
                continue
            frame, picture = item
            with encode.working():
                writer.write(frame, picture)
            written += 1
            changed += picture is not frame.rgb
            elapsed = time.perf_counter() - start
            task.report("render", written, len(order), fps=written / elapsed if elapsed > 0 else 0.0)
    except EndedError:
        pass
    finally:
        stages.close()
        cv2.setNumThreads(cv_threads)
    stages.raise_error()
    if not written:
        raise BadInput("no frame of the clip could be rendered", hint="the clip breaks off before the frames asked for")
    clocks = {"decode": (decode, 1), "align": (align, workers), "restore": (restore, 1), "encode": (encode, 1)}
    return (written, changed), clocks, window.peak_bytes


def align_workers(threads: int | None = None) -> int:
    """How many frames are aligned at a time: half the cores, since decoding, network and encoding want some too."""
    return max(1, min(8, cpu_threads(threads) // 2))


def window_bytes() -> int:
    """What decoded frames may take together: an eighth of the memory that is free, at most 8 GiB."""
    return min(available_memory() // 8, 8 << 30)
