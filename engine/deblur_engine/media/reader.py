# SPDX-License-Identifier: Apache-2.0
"""Opening whatever the user names."""

from __future__ import annotations

from pathlib import Path

from ..settings import FrameRange
from .clip import Clip
from .pattern import SequencePattern
from .sequence import SequenceClip
from .video import VideoClip

__all__ = ["VIDEO_SUFFIXES", "open_clip"]

VIDEO_SUFFIXES = frozenset(
    (
        ".3gp",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".webm",
        ".wmv",
        ".y4m",
    )
)
"""What names of videos end in, where a folder or a pattern is searched for them."""


def open_clip(path: str | Path, *, frames: FrameRange | None = None) -> Clip:
    """Open a video file or an image sequence for reading.

    ``path`` is a video file, a sequence pattern (``name.####.exr``, ``name.%04d.png``), one file of a sequence or a
    folder that holds one. ``frames`` limits the clip to a range. Raises ``BadInput`` for anything that is missing,
    unreadable or no moving picture.
    """
    path = Path(path)
    pattern = SequencePattern.of(path)
    if pattern is None:
        return VideoClip(path, frames)
    return SequenceClip(pattern, frames)
