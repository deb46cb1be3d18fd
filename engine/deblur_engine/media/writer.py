# SPDX-License-Identifier: Apache-2.0
"""Writing a clip back: the one writer that callers know, for video files and image sequences alike."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import OutputError
from ..settings import FrameRange
from .clip import Clip
from .output import output_errors
from .sequence import SequenceClip
from .sequence_writer import SequenceWriter
from .types import Frame, Picture
from .video import VideoClip
from .video_writer import VideoWriter

__all__ = ["ClipWriter"]


class ClipWriter:
    """Writes a clip that stays what ``source`` is, except for the pictures that were changed.

    ``path`` is the output; the container follows its suffix. ``codec`` None keeps the source's codec family.
    ``frames`` writes just a range (timestamps, sound, chapters and timecode are cut to it). Raises ``OutputError``
    where the output exists (without ``overwrite``), is the source, or cannot be written; nothing is touched then.

    Give every frame of the source (or range), in order, to ``write``; leave the context or call ``close`` to finish.
    A file is written as ``NAME.partial`` and renamed when whole; an exception removes it (of an image sequence the
    files that were already whole stay). ``notes`` says what the output cannot carry.
    """

    def __init__(
        self,
        source: Clip,
        path: str | Path,
        *,
        codec: str | None = None,
        overwrite: bool = False,
        frames: FrameRange | None = None,
    ) -> None:
        self.path = Path(path)
        self._source = source
        self._finished = False
        self._count = 0
        numbers = source.numbers
        if frames is not None:
            selected = source.select(frames)
            assert selected is not None
            numbers = selected if numbers is None else numbers[selected.start : selected.stop : selected.step]
        self._sink: VideoWriter | SequenceWriter
        if isinstance(source, SequenceClip):
            self._sink = SequenceWriter(source, self.path, codec, numbers, overwrite)
        elif isinstance(source, VideoClip):
            self._sink = VideoWriter(source, self.path, codec, numbers, overwrite)
        else:
            raise TypeError(f"source is a {type(source).__name__}; open it with open_clip")

    @property
    def notes(self) -> list[str]:
        """What the output cannot carry or was changed on the way, for the user."""
        return self._sink.notes

    @property
    def codec(self) -> str:
        """The codec that is written, by FFmpeg's name."""
        return self._sink.codec

    def write(self, frame: Frame, rgb: Picture) -> None:
        """Write one frame with the picture ``rgb`` (float32 [H, W, 3], in the space of ``frame.rgb``).

        Where ``rgb`` equals ``frame.rgb`` the source's own code values are written. Frames come in order.
        """
        if self._finished:
            raise ValueError("the writer is closed")
        if rgb.shape != frame.rgb.shape:
            raise ValueError(f"rgb is {rgb.shape}; the frame is {frame.rgb.shape}")
        with output_errors(self.path):
            self._sink.write(frame, np.asarray(rgb, np.float32))
        self._count += 1

    def close(self) -> None:
        """Finish the file and give it its name; ``OutputError`` (and no partial file) where that fails."""
        if self._finished:
            return
        self._finished = True
        try:
            if not self._count:
                raise OutputError(f"{self.path} was given no frames", hint="nothing is written")
            with output_errors(self.path):
                self._sink.finish()
        except BaseException:
            self._sink.abort()
            raise

    def abort(self) -> None:
        """Stop and remove the partial file."""
        if not self._finished:
            self._finished = True
            self._sink.abort()

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
