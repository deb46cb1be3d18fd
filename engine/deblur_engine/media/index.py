# SPDX-License-Identifier: Apache-2.0
"""Which frame number stands at which timestamp, and where decoding can start."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["FrameIndex"]


@dataclass
class FrameIndex:
    """Timestamps of the shown frames in presentation order, and those of the frames where decoding can start."""

    times: list[int]  # pts in the stream's time base, ascending
    keys: list[int]  # pts of keyframes, ascending
    exact: bool  # False: counted from packets; True: from decoded frames
    _numbers: dict[int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.times.sort()
        self.keys = sorted(set(self.keys))
        self._numbers = {pts: number for number, pts in enumerate(self.times)}

    def __len__(self) -> int:
        return len(self.times)

    def number_of(self, pts: int | None) -> int | None:
        """The frame number at a timestamp, or None where no shown frame has it."""
        return None if pts is None else self._numbers.get(pts)

    @property
    def unambiguous(self) -> bool:
        """Whether every frame has a timestamp of its own, so that random access can tell frames apart."""
        return len(self._numbers) == len(self.times)

    def starts_before(self, number: int) -> Iterable[int]:
        """Keyframe timestamps at or before a frame, nearest first, thinned out the further back they lie.

        Only trailing pictures of a keyframe decode exactly from it (those shown before it, in an open GOP, need the
        previous one), hence "shown at or before".
        """
        last = bisect_right(self.keys, self.times[number]) - 1
        step = 0
        while last >= 0:
            yield self.keys[last]
            step = step * 2 + 1
            last -= step
