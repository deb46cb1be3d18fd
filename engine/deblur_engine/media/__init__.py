# SPDX-License-Identifier: Apache-2.0
"""Read and write clips and image sequences; a clip that is written back stays what it was."""

from __future__ import annotations

from .clip import Clip
from .fingerprint import fingerprint
from .naming import default_output
from .reader import VIDEO_SUFFIXES, open_clip
from .types import ClipInfo, ColourTags, Frame
from .writer import ClipWriter

__all__ = [
    "VIDEO_SUFFIXES",
    "Clip",
    "ClipInfo",
    "ClipWriter",
    "ColourTags",
    "Frame",
    "default_output",
    "fingerprint",
    "open_clip",
]
