# SPDX-License-Identifier: Apache-2.0
"""What the renderer asks of an alignment and of whoever makes it: ``analysis`` has the real ones, tests their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["AlignedFrame", "AlignerLike", "AlignmentLike", "AnalysisLike"]

Array = npt.NDArray[np.float32]


class AlignmentLike(Protocol):
    """What is known about one frame, each float32; see ``AlignedFrame`` for shapes and units."""

    @property
    def estimate(self) -> Array: ...
    @property
    def reference(self) -> Array: ...
    @property
    def confidence(self) -> Array: ...
    @property
    def motion(self) -> Array: ...
    @property
    def weight(self) -> Array: ...
    @property
    def used(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class AlignedFrame:
    """An alignment in its plainest form."""

    estimate: Array  # [H, W, 3] R'G'B', the frame with its blur undone, less the frame; 0 where unknown
    reference: Array  # [H, W, 3] R'G'B', sharp frames aligned to the frame, less the frame; 0 where there are none
    confidence: Array  # [H, W, 2] how far that is believed, 0..1; luma it differs by once blurred as the frame is
    motion: Array  # [H, W, 2] blur vector in pixels
    weight: Array  # [H, W] 0..1: 0 leaves the pixel as it is
    used: tuple[int, ...] = ()  # frames that the reference was made of

    @classmethod
    def alone(cls, height: int, width: int) -> AlignedFrame:
        """Of a frame of which nothing is known: no reference, no motion, all of it to be treated."""
        three, two = np.zeros((height, width, 3), np.float32), np.zeros((height, width, 2), np.float32)
        return cls(three, three, two, two, np.ones((height, width), np.float32))


class AnalysisLike(Protocol):
    @property
    def frame_count(self) -> int: ...
    @property
    def blurry(self) -> npt.NDArray[np.bool_]: ...  # [frame_count]: frames that need treatment
    @property
    def reach(self) -> int: ...  # the frames that aligning frame i needs lie within i - reach .. i + reach


class AlignerLike(Protocol):
    def needs(self, i: int) -> tuple[int, ...]: ...

    def align(self, i: int, pictures: Mapping[int, Array], references: bool = True) -> AlignmentLike: ...
