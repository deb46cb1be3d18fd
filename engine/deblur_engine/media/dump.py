# SPDX-License-Identifier: Apache-2.0
"""What PyAV does not expose of an open container, read from FFmpeg's own description of it (``av_dump_format``)."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

import av
import av.logging

__all__ = ["StreamDump", "dump_streams"]

# The description is only complete at verbose level, and the level belongs to the whole process.
_LOCK = threading.Lock()
_STREAM = re.compile(r"^\s*Stream #\d+:(\d+)(?:\[0x[0-9a-f]+\])?(?:\(\S+?\))?: (\w+): (.*)$")
_TAG = re.compile(r"\((\S{4}) / 0x[0-9A-Fa-f]{8}\)")
_LOCATIONS = {"left": 1, "center": 2, "topleft": 3, "top": 4, "bottomleft": 5, "bottom": 6}


@dataclass(frozen=True)
class StreamDump:
    """One stream as described by FFmpeg: its kind, its four-character tag, chroma location code, side data."""

    kind: str  # "Video", "Audio", "Data", ...
    tag: str
    chroma_location: int
    side_data: tuple[str, ...]


def dump_streams(container: av.container.Container) -> dict[int, StreamDump]:
    """Descriptions by stream index; a stream that FFmpeg prints in an unforeseen way is left out."""
    with _LOCK:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.VERBOSE)
        av.logging.set_libav_level(av.logging.VERBOSE)
        try:
            text = container.dumps_format()
        finally:
            av.logging.set_libav_level(av.logging.INFO)
            av.logging.set_level(level)
    found: dict[int, StreamDump] = {}
    index: int | None = None
    in_side_data = False
    for line in text.splitlines():
        if match := _STREAM.match(line):
            index = int(match[1])
            in_side_data = False
            tag = _TAG.search(match[3])
            location = 0
            for group in re.findall(r"\(([^()]*)\)", match[3]):
                words = [word.strip() for word in group.split(",")]
                location = next((_LOCATIONS[word] for word in words if word in _LOCATIONS), location)
            found[index] = StreamDump(match[2], tag[1] if tag else "", location, ())
        elif index is not None and line.strip().lower() == "side data:":
            in_side_data = True
        elif in_side_data and index is not None and line.startswith("      "):
            previous = found[index]
            found[index] = StreamDump(
                previous.kind, previous.tag, previous.chroma_location, (*previous.side_data, line.strip())
            )
        else:
            in_side_data = False
    return found
