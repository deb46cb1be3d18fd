# SPDX-License-Identifier: Apache-2.0
"""Batches made one ahead, in a thread of their own, while the network learns from the one before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

import torch

from .batches import Batch

__all__ = ["Ahead", "Source"]

T = TypeVar("T")


class Source(Protocol):
    """Where batches come from."""

    def draw(self) -> Batch: ...

    def state(self) -> dict[str, object]: ...

    def restore(self, state: dict[str, object]) -> None: ...


class Ahead(Generic[T]):
    """What ``prepare`` makes of ``source``'s batches, in their order; without ``thread`` each when it is drawn.

    While there is a thread, torch has one less for everything else; ``close`` gives it back.

    ``state`` tells where the sequence stands for whoever draws: what was made ahead and not drawn does not count, so
    that a fit that goes on from a checkpoint meets the very same batches.
    """

    def __init__(self, source: Source, prepare: Callable[[Batch], T], *, thread: bool) -> None:
        self._source, self._prepare, self._thread = source, prepare, thread
        self._pool: ThreadPoolExecutor | None = None
        self._next: Future[T] | None = None
        self._before: dict[str, object] = {}
        self._threads = 1

    def draw(self) -> T:
        """The next one; raises what making it raised."""
        if not self._thread:
            return self._make()
        made = (self._next or self._begin()).result()
        self._begin()
        return made

    def state(self) -> dict[str, object]:
        """Where the random sequence stands, for a checkpoint."""
        return self._source.state() if self._next is None else self._before

    def restore(self, state: dict[str, object]) -> None:
        self.close()
        self._source.restore(state)

    def close(self) -> None:
        """Wait for the thread and end it; drawing goes on where it was."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
            torch.set_num_threads(self._threads)
        if self._next is not None:
            self._next = None
            self._source.restore(self._before)

    def _begin(self) -> Future[T]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "batches")
            # The thread is one of those that torch may use, and the step has the others. With all of them a step took
            # three times the processor time on two busy cores: oneDNN's threads seem to spin as they wait. Part of
            # this setting is a thread's own and part the process's, so the order matters.
            self._threads = torch.get_num_threads()
            self._pool.submit(torch.set_num_threads, 1).result()
            torch.set_num_threads(max(1, self._threads - 1))
        self._before = self._source.state()
        self._next = self._pool.submit(self._make)
        return self._next

    def _make(self) -> T:
        with torch.no_grad():
            return self._prepare(self._source.draw())
