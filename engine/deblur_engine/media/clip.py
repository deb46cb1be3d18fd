# SPDX-License-Identifier: Apache-2.0
"""A clip as a sequence of numbered pictures, whatever file it comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy.typing as npt

from ..errors import BadInput
from ..settings import FrameRange
from .types import ClipInfo, Frame

__all__ = ["Clip"]


class Clip(ABC):
    """A video file or an image sequence, opened for reading.

    Frames are numbered from 0 in presentation order. With ``frames`` given to ``open_clip``, the clip is just that
    range and frame 0 is its first. Sequential iterators and ``read`` may be used at the same time from several
    threads; each iterator decodes on its own. Use it as a context manager, or call ``close``.
    """

    path: Path
    info: ClipInfo
    notes: list[str]  # what the user should be told of; grows while reading
    numbers: range | None = None  # the source's frame numbers where the clip is a range of them

    @abstractmethod
    def _count(self) -> int: ...

    @abstractmethod
    def _source_frames(self, start: int, stop: int | None) -> Iterator[Frame]: ...

    @abstractmethod
    def _source_read(self, numbers: list[int]) -> dict[int, Frame]: ...

    @abstractmethod
    def _source_lumas(self, start: int, stop: int | None) -> Iterator[tuple[int, npt.NDArray[Any]]]: ...

    def samples(self) -> list[bytes]:
        """Some of the clip's stored bytes, by which ``fingerprint`` knows it again."""
        return []

    @abstractmethod
    def close(self) -> None:
        """Free the decoders. Iterators in use stop working."""

    def __len__(self) -> int:
        """The exact number of frames; a file whose container does not say is read through once to count them."""
        return len(self.numbers) if self.numbers is not None else self._count()

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Decode frames ``start`` to ``stop`` (excluded; None: to the end) one after the other.

        Raises ``BadInput`` if nothing at all can be decoded; a file that breaks off ends early, with a note.
        """
        if self.numbers is None:
            yield from self._source_frames(start, stop)
            return
        wanted = self.numbers[start:stop]
        if not wanted:
            return
        for frame in self._source_frames(wanted[0], wanted[-1] + 1):
            if frame.index in wanted:
                frame.index = self.numbers.index(frame.index)
                yield frame

    def lumas(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """(number, luma) of frames one after the other, for looking at without colour: several times faster.

        Luma is [H, W] as the codec stores it: uint8, or uint16 scaled to the full 16 bits, or float32 in 0..1. RGB
        sources give their green channel's neighbour, a weighted sum.
        """
        if self.numbers is None:
            yield from self._source_lumas(start, stop)
            return
        wanted = self.numbers[start:stop]
        if not wanted:
            return
        for number, luma in self._source_lumas(wanted[0], wanted[-1] + 1):
            if number in wanted:
                yield self.numbers.index(number), luma

    def read(self, indices: Iterable[int]) -> dict[int, Frame]:
        """Decode just these frames, each exactly as ``frames`` gives it; ``BadInput`` for one that is not there."""
        wanted = sorted(set(indices))
        count = len(self)
        for number in wanted:
            if not 0 <= number < count:
                raise BadInput(f"{self.path.name} has no frame {number}", hint=f"it has frames 0 to {count - 1}")
        if self.numbers is None:
            return self._source_read(wanted)
        numbers = self.numbers
        found = self._source_read([numbers[number] for number in wanted])
        result = {}
        for number in wanted:
            frame = found[numbers[number]]
            frame.index = number
            result[number] = frame
        return result

    def select(self, frames: FrameRange | None) -> range | None:
        """The frames of this clip that a range names, as numbers of this clip; raises ``BadInput`` if there are none.

        ``FrameRange`` counts from 0 for video and in file numbers for image sequences.
        """
        if frames is None:
            return None
        first, last = frames.first, frames.last
        count = len(self)
        if first >= count:
            raise BadInput(f"{self.path.name} has no frames {frames}", hint=f"it has frames 0 to {count - 1}")
        return range(first, min(last, count - 1) + 1, frames.step)

    def note(self, text: str) -> None:
        """Keep a remark for the user, once."""
        if text not in self.notes:
            self.notes.append(text)

    def __enter__(self) -> Clip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
