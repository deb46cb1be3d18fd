# SPDX-License-Identifier: Apache-2.0
"""What is kept for when it is asked for again, within a bound of bytes; what was used longest ago goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from .contracts import AlignmentLike

__all__ = ["AlignmentCache", "ByteCache"]

Value = TypeVar("Value")


class ByteCache(Generic[Value]):
    """Least-recently-used values, together at most ``most_bytes`` by ``size_of``. Safe to use from several threads."""

    def __init__(self, most_bytes: int, size_of: Callable[[Value], int]) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0
        self._size_of = size_of
        self._entries: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value; one that is larger than the whole cache is not kept."""
        size = self._size_of(value)
        with self._lock:
            if key in self._entries:
                self.held_bytes -= self._size_of(self._entries.pop(key))
            if size > self.most_bytes:
                return
            self._entries[key] = value
            self.held_bytes += size
            while self.held_bytes > self.most_bytes:
                self.held_bytes -= self._size_of(self._entries.popitem(last=False)[1])

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)


class AlignmentCache(ByteCache[AlignmentLike]):
    """Alignments, for when the same frame is asked for again, as when a slider is moved."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(most_bytes, _bytes)


def _bytes(alignment: AlignmentLike) -> int:
    parts = (alignment.estimate, alignment.reference, alignment.confidence, alignment.motion, alignment.weight)
    return sum(part.nbytes for part in parts)
