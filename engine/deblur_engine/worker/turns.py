# SPDX-License-Identifier: Apache-2.0
"""Who works next, where only so many can: first come, first served, but who is looked at goes before who renders."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Turns"]

_POLL = 0.2  # seconds until a wait looks whether it is still wanted


class Turns:
    """Lets ``places`` threads in at a time."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._changed = threading.Condition()
        self._waiting: list[tuple[bool, int]] = []
        self._numbers = itertools.count()

    @contextmanager
    def one(self, urgent: bool, check: Callable[[], None]) -> Iterator[None]:
        """Wait for a place and hold it while inside; ``check`` is called while waiting and may raise."""
        ticket = (not urgent, next(self._numbers))
        with self._changed:
            heapq.heappush(self._waiting, ticket)
            try:
                while not self._free or self._waiting[0] != ticket:
                    self._changed.wait(_POLL)
                    check()
            except BaseException:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                self._changed.notify_all()
                raise
            heapq.heappop(self._waiting)
            self._free -= 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()
