# SPDX-License-Identifier: Apache-2.0
"""The frames around the one that is being worked on: decoded once, in order, and kept while somebody needs them.

Memory is bounded by bytes, not by the clip. Where the bound is reached and a frame further on is needed, the frame
that is needed last gives way and is read from the clip once more when its time comes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..media.types import Frame

__all__ = ["FrameWindow"]

_AHEAD = 8  # frames decoded before anybody asks: enough that nobody waits, few enough that memory stays small


@dataclass
class _Held:
    frame: Frame
    size: int


class FrameWindow:
    """Hands each job the frames that it needs.

    ``needs[p]`` names the frames of the ``p``-th job. One thread calls ``put`` with frames in rising order and then
    ``end``; others call ``take`` and, when a job is finished with its frames, ``done``. ``reread`` gets frames from
    the clip again. ``stopped`` says that everything is over: then ``put`` and ``take`` come back at once.
    """

    def __init__(
        self,
        needs: Sequence[tuple[int, ...]],
        most_bytes: int,
        reread: Callable[[Iterable[int]], dict[int, Frame]],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._needs = needs
        self._most = most_bytes
        self._reread = reread
        self._stopped = stopped
        self._uses: dict[int, deque[int]] = {}
        for position, frames in enumerate(needs):
            for number in frames:
                self._uses.setdefault(number, deque()).append(position)
        self._held: dict[int, _Held] = {}
        self._bytes = 0
        self._decoded = -1  # highest frame number that has come in
        self._ended = False
        self._furthest = -1  # highest frame that any job has asked for so far
        self._wanted: dict[int, int] = {}  # job that waits -> highest frame that it waits for
        self._in_hand: dict[int, frozenset[int]] = {}  # job -> frames of the window that it works with
        self._changed = threading.Condition()
        self.peak_bytes = 0
        self.read_again = 0

    @property
    def span(self) -> tuple[int, int]:
        """First frame that any job needs, and the one after the last."""
        return (min(self._uses), max(self._uses) + 1) if self._uses else (0, 0)

    def put(self, frame: Frame) -> bool:
        """Take in the next frame; waits while the window is full. False if everything is over."""
        size = _size(frame)
        with self._changed:
            while not self._stopped() and not self._starving() and self._held and self._full(frame.index, size):
                self._changed.wait(0.1)
            if self._stopped():
                return False
            self._decoded = frame.index
            if self._uses.get(frame.index):
                while self._bytes + size > self._most and self._evict():
                    pass
                self._held[frame.index] = _Held(frame, size)
                self._bytes += size
                self.peak_bytes = max(self.peak_bytes, self._bytes)
            self._changed.notify_all()
            return True

    def end(self) -> None:
        """No more frames come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def take(self, position: int) -> dict[int, Frame] | None:
        """The frames of a job, once they are all there. None if everything is over.

        A frame that the clip turns out not to have, since it broke off, is left out.
        """
        numbers = self._needs[position]
        with self._changed:
            last = max(numbers)
            self._wanted[position] = last
            self._furthest = max(self._furthest, last)
            self._changed.notify_all()
            while self._decoded < last and not self._ended and not self._stopped():
                self._changed.wait(0.1)
            self._wanted.pop(position, None)
            if self._stopped():
                return None
            found = {number: self._held[number].frame for number in numbers if number in self._held}
            self._in_hand[position] = frozenset(found)
            lost = [number for number in numbers if number not in found and number <= self._decoded]
        if lost:
            found.update(self._reread(lost))
            self.read_again += len(lost)
        return found

    def done(self, position: int) -> None:
        """The job has finished with its frames; those that no other needs are let go."""
        with self._changed:
            self._in_hand.pop(position, None)
            for number in self._needs[position]:
                uses = self._uses.get(number)
                if uses and position in uses:
                    uses.remove(position)
                if not uses:
                    self._uses.pop(number, None)
                    self._drop(number)
            self._changed.notify_all()

    def _full(self, number: int, size: int) -> bool:
        return self._bytes + size > self._most or number > self._furthest + _AHEAD

    def _starving(self) -> bool:
        return any(last > self._decoded for last in self._wanted.values())

    def _evict(self) -> bool:
        """Let the frame go that is needed last; False if all are in hand or wanted by who waits."""
        busy = {number for position in self._wanted for number in self._needs[position]}.union(*self._in_hand.values())
        idle = [number for number in self._held if number not in busy]
        if not idle:
            return False
        self._drop(max(idle, key=lambda number: self._uses[number][0]))
        return True

    def _drop(self, number: int) -> None:
        held = self._held.pop(number, None)
        if held is not None:
            self._bytes -= held.size


def _size(frame: Frame) -> int:
    alpha = 0 if frame.alpha is None else frame.alpha.nbytes
    return frame.rgb.nbytes * 5 // 4 + alpha  # a quarter, at most, for the decoder's own picture
