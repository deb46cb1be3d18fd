# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for what the renderer works with: an aligner that knows, a clip in memory, a writer that remembers."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from deblur_engine.media.types import Frame
from deblur_engine.rendering.contracts import AlignedFrame

Array = npt.NDArray[np.float32]
HEIGHT, WIDTH = 48, 80


def picture(number: int, height: int = HEIGHT, width: int = WIDTH) -> Array:
    """A picture that tells its frame number: waves of its own phase with a little noise."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.stack([0.5 + 0.3 * np.sin(x / 6 + number + c) * np.cos(y / 9) for c in range(3)], axis=2)
    return (waves + 0.05 * rng.standard_normal(waves.shape)).astype(np.float32)


def alignment(number: int, height: int = HEIGHT, width: int = WIDTH, weight: Array | None = None) -> AlignedFrame:
    rng = np.random.default_rng(1000 + number)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    motion = 8 * np.stack([np.sin(y / 30), np.cos(x / 40)], axis=2)
    return AlignedFrame(
        estimate=0.1 * rng.standard_normal((height, width, 3), dtype=np.float32),
        reference=picture(number + 500, height, width) - picture(number, height, width),
        confidence=rng.random((height, width, 2), dtype=np.float32),
        motion=motion.astype(np.float32),
        weight=np.ones((height, width), np.float32) if weight is None else weight,
        used=(number + 1,),
    )


def guides(found: AlignedFrame) -> tuple[Array, ...]:
    """What the network takes beside the frame, in its order."""
    return found.estimate, found.reference, found.confidence, found.motion


class FakeAnalysis:
    def __init__(self, count: int, reach: int = 4) -> None:
        self.frame_count = count
        self.reach = reach
        self.blurry = np.arange(count) % 3 != 0


class FakeAligner:
    """Needs frames up to ``reach`` away and says so; checks that it gets them, and counts what is asked of it."""

    def __init__(self, count: int, reach: int = 4, fail_at: int | None = None) -> None:
        self.analysis = FakeAnalysis(count, reach)
        self.fail_at = fail_at
        self.asked: list[int] = []
        self._lock = threading.Lock()

    def needs(self, i: int) -> tuple[int, ...]:
        last, reach = self.analysis.frame_count - 1, self.analysis.reach
        return tuple(sorted({max(0, i - reach), max(0, i - 1), i, min(last, i + 1), min(last, i + reach)}))

    def align(self, i: int, pictures: Mapping[int, Array], references: bool = True) -> AlignedFrame:
        with self._lock:
            self.asked.append(i)
        if i == self.fail_at:
            raise RuntimeError(f"no luck with frame {i}")
        for number in self.needs(i):
            np.testing.assert_array_equal(pictures[number], picture(number, *pictures[i].shape[:2]))
        found = alignment(i, *pictures[i].shape[:2])
        if references:
            return found
        nothing = np.zeros_like(found.reference), np.zeros_like(found.confidence)
        return AlignedFrame(found.estimate, *nothing, found.motion, found.weight)


class FakeClip:
    """A clip of ``picture``s; may break off or fail, and counts the frames that are alive at a time."""

    def __init__(self, count: int, *, breaks_at: int | None = None, fails_at: int | None = None) -> None:
        self.count, self.breaks_at, self.fails_at = count, breaks_at, fails_at
        self.read_again: list[int] = []

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        for number in range(start, self.count if stop is None else min(stop, self.count)):
            if number == self.breaks_at:
                return
            if number == self.fails_at:
                raise OSError("the disk is gone")
            yield Frame(number, number / 25, picture(number))

    def read(self, indices: Iterable[int]) -> dict[int, Frame]:
        wanted = list(indices)
        self.read_again += wanted
        return {number: Frame(number, number / 25, picture(number)) for number in wanted}


class FakeWriter:
    def __init__(self, fail_at: int | None = None) -> None:
        self.written: dict[int, Array] = {}
        self.fail_at = fail_at

    def write(self, frame: Frame, rgb: Array) -> None:
        if frame.index == self.fail_at:
            raise OSError(28, "No space left on device")
        self.written[frame.index] = rgb
