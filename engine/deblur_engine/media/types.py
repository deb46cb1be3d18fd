# SPDX-License-Identifier: Apache-2.0
"""The things of the media world: what a clip is, and what one of its frames is."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ClipInfo", "ColourTags", "Frame"]

Picture = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ColourTags:
    """A stream's colour description as ITU-T H.273 code points; ``2`` means "unspecified" and stays unspecified.

    ``full_range`` is None where the stream does not say. What is *assumed* to decode an untagged stream is the
    decoder's business and is stated by ``probe``; it is never written into a file.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool | None = None
    chroma_location: int = 0


@dataclass(frozen=True)
class ClipInfo:
    """What a clip or an image sequence is, read without decoding all of it."""

    path: Path
    width: int  # of the decoded pictures, in pixels, after rotation has been applied if it is applied
    height: int
    frame_count: int | None  # None where only decoding would tell
    fps: Fraction  # average rate; frames carry their own times
    duration: float | None  # seconds
    codec: str  # "h264", "prores", ...; the file format for image sequences
    pixel_format: str  # as FFmpeg names it: "yuv420p10le"; for sequences "half", "uint16", ...
    bit_depth: int
    colour: ColourTags
    rotation: int = 0  # degrees clockwise that a player turns the coded picture by: 0, 90, 180, 270
    pixel_aspect: Fraction = Fraction(1)
    field_order: str = "progressive"
    has_alpha: bool = False
    is_sequence: bool = False
    first_number: int = 0  # file number of frame 0 of an image sequence
    audio_streams: int = 0
    subtitle_streams: int = 0
    timecode: str | None = None
    variable_rate: bool = False
    notes: tuple[str, ...] = ()  # unknown or odd things that the user should be told of
    details: dict[str, Any] = field(default_factory=dict)  # container, chapters, HDR metadata: JSON-ready


@dataclass
class Frame:
    """One decoded picture.

    ``rgb``: float32 [H, W, 3], R'G'B' in the clip's own primaries and transfer (display-referred clips: 0..1 is
    the nominal range, superwhites may pass it; scene-linear EXR: whatever the file holds). ``alpha``: float32
    [H, W] or None. ``time`` is in seconds from the clip's start. ``native`` is the decoder's own frame, which the
    writer uses so that untouched pixels come out exactly as they went in.
    """

    index: int
    time: float
    rgb: Picture
    alpha: Picture | None = None
    pts: int | None = None
    native: Any = None
