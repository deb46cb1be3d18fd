# SPDX-License-Identifier: Apache-2.0
"""Pictures out of clips' files, a few of each clip kept, decoded forwards wherever that will do."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..media import Clip, Frame, fingerprint, open_clip
from ..rendering.cache import ByteCache
from ..settings import FrameRange
from .finding import Thumbnails

__all__ = ["ClipPictures", "PictureCache"]

Array = npt.NDArray[np.float32]
_AHEAD = 32  # frames that are rather decoded through than jumped over
_READERS = 3  # places of a clip that are read on from at a time
_NUMBERS = itertools.count()  # tell clips apart that share a cache


class PictureCache(ByteCache[Array]):
    """Pictures of all clips."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes, lambda picture: picture.nbytes)


class _Reader:
    """Frames one after the other from some place on."""

    def __init__(self, clip: Clip, start: int) -> None:
        self.next = start
        self._frames: Iterator[Frame] = clip.frames(start)

    def read(self) -> Frame | None:
        frame = next(self._frames, None)
        if frame is not None:
            self.next = frame.index + 1
        return frame

    def close(self) -> None:
        close = getattr(self._frames, "close", None)
        if close is not None:
            close()


class ClipPictures:
    """An open clip that gives pictures by number. Safe to use from several threads.

    ``frames``: the range that the clip was fitted to; numbers then count within it. Raises ``BadInput``.
    """

    def __init__(self, path: str | Path, cache: PictureCache, frames: FrameRange | None = None) -> None:
        self.clip = open_clip(path, frames=frames)
        self.mark = fingerprint(self.clip)
        self.thumbnails = Thumbnails(path, frames)
        self._cache = cache
        self._own = next(_NUMBERS)
        self._readers: list[_Reader] = []  # the one used last comes last
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.clip)

    def get(self, numbers: Iterable[int]) -> dict[int, Array]:
        """The pictures of these frames, R'G'B' float32 [H, W, 3]; not to be written to. Raises ``BadInput``."""
        wanted = sorted(set(numbers))
        found = {number: self._cache.get(self._key(number)) for number in wanted}
        missing = [number for number in wanted if found[number] is None]
        if missing:
            with self._lock:
                found.update(self._decode(missing))
        return {number: picture for number, picture in found.items() if picture is not None}

    def close(self) -> None:
        self.thumbnails.close()
        with self._lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()
            self.clip.close()

    def _key(self, number: int) -> Hashable:
        return self._own, number

    def _decode(self, numbers: list[int]) -> dict[int, Array]:
        found: dict[int, Array] = {}
        if self.clip.info.is_sequence:  # each file stands for itself
            for number, frame in self.clip.read(numbers).items():
                found[number] = self._keep(frame)
            return found
        for number in numbers:
            kept = self._cache.get(self._key(number))  # another thread's, or read on the way to the one before
            if kept is not None:
                found[number] = kept
            if number in found:
                continue
            reader = self._reader_for(number)
            while reader.next <= number:
                decoded = reader.read()
                if decoded is None:
                    # The clip breaks off before: ``read`` says what is wrong.
                    found[number] = self._keep(self.clip.read([number])[number])
                    break
                found[decoded.index] = self._keep(decoded)
        return {number: found[number] for number in numbers if number in found}

    def _keep(self, frame: Frame) -> Array:
        frame.rgb.flags.writeable = False
        self._cache.put(self._key(frame.index), frame.rgb)
        return frame.rgb

    def _reader_for(self, number: int) -> _Reader:
        near = [reader for reader in self._readers if 0 <= number - reader.next <= _AHEAD]
        if near:
            reader = max(near, key=lambda each: each.next)
            self._readers.remove(reader)
        else:
            reader = _Reader(self.clip, number)
            if len(self._readers) == _READERS:
                self._readers.pop(0).close()
        self._readers.append(reader)
        return reader


def file_state(path: Path) -> tuple[int, int, int] | None:
    """What tells that a file is another one than before; None for what is no file, as a sequence's pattern."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
