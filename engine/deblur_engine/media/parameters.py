# SPDX-License-Identifier: Apache-2.0
"""Stream parameters that PyAV has no attribute for, seen through what FFmpeg makes of them in a Matroska header.

A header is written to memory from the stream's parameters and the wanted elements are picked out of it. (FFmpeg's
own textual description would say the same, but reading that needs a log callback, and one that takes Python's lock
can hang a process whose decoder threads log at that moment.)
"""

from __future__ import annotations

import io
from contextlib import suppress

import av
import av.error

__all__ = ["chroma_location_of", "has_dolby_vision", "parameter_header"]

_SITING_HORIZONTAL, _SITING_VERTICAL = b"\x55\xb7\x81", b"\x55\xb8\x81"
_LOCATIONS = {(1, 2): 1, (2, 2): 2, (1, 1): 3, (2, 1): 4}  # Matroska's (horizontal, vertical) -> FFmpeg's code
_DOLBY = (b"dvcC", b"dvvC", b"dvwC")


def parameter_header(stream: av.VideoStream) -> bytes:
    """The Matroska header of a file that would hold just this stream; empty where Matroska cannot hold it."""
    memory = io.BytesIO()
    output = av.open(memory, "w", format="matroska")
    try:
        output.add_stream_from_template(stream, opaque=True)
        output.start_encoding()
    except (av.error.FFmpegError, ValueError, OSError):
        return b""
    finally:
        with suppress(av.error.FFmpegError, OSError):
            output.close()
    return memory.getvalue()


def chroma_location_of(header: bytes) -> int:
    """FFmpeg's chroma location code (0 unspecified, 1 left, 2 centre, 3 top-left, 4 top) from such a header."""
    places = [header.find(mark) for mark in (_SITING_HORIZONTAL, _SITING_VERTICAL)]
    if -1 in places:
        return 0
    horizontal, vertical = (header[place + 3] for place in places)
    return _LOCATIONS.get((horizontal, vertical), 0)


def has_dolby_vision(header: bytes) -> bool:
    """Whether the stream carries a Dolby Vision configuration."""
    return any(mark in header for mark in _DOLBY)
