# SPDX-License-Identifier: Apache-2.0
"""Alignments kept for the next time the same frame is asked for, as when a slider is moved; the oldest go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

from .contracts import AlignmentLike

__all__ = ["AlignmentCache"]


class AlignmentCache:
    """Least-recently-used alignments, together at most ``most_bytes``. Safe to use from several threads."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0
        self._entries: OrderedDict[Hashable, AlignmentLike] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> AlignmentLike | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: Hashable, alignment: AlignmentLike) -> None:
        """Keep an alignment; one that is larger than the whole cache is not kept."""
        size = _bytes(alignment)
        with self._lock:
            if key in self._entries:
                self.held_bytes -= _bytes(self._entries.pop(key))
            if size > self.most_bytes:
                return
            self._entries[key] = alignment
            self.held_bytes += size
            while self.held_bytes > self.most_bytes:
                self.held_bytes -= _bytes(self._entries.popitem(last=False)[1])

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)


def _bytes(alignment: AlignmentLike) -> int:
    parts = (alignment.estimate, alignment.reference, alignment.confidence, alignment.motion, alignment.weight)
    return sum(part.nbytes for part in parts)
