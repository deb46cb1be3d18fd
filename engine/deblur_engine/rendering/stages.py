# SPDX-License-Identifier: Apache-2.0
"""Threads that pass work along: bounded queues between them, one end for all of them, and a clock for each."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ..errors import OutOfMemory

__all__ = ["Channel", "Clock", "EndedError", "Stages"]

Item = TypeVar("Item")
_POLL = 0.05  # seconds; how long a stop takes to be noticed by who waits


class EndedError(Exception):
    """Another stage failed or the work was cancelled; who gets this just leaves."""


class Clock:
    """How long a stage worked (not waited), in how many pieces. Several threads may use it at once."""

    def __init__(self) -> None:
        self.busy = 0.0  # seconds of wall time at work, added up over the stage's threads
        self.count = 0
        self._lock = threading.Lock()

    @contextmanager
    def working(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.add(time.perf_counter() - start)

    def add(self, seconds: float, count: int = 1) -> None:
        with self._lock:
            self.busy += seconds
            self.count += count

    def figures(self, threads: int = 1) -> dict[str, float]:
        """``busy_s``, ``frames``, ``threads`` and ``fps``: what the stage reaches when it never waits."""
        fps = self.count * threads / self.busy if self.busy > 0 else 0.0
        return {"busy_s": self.busy, "frames": self.count, "threads": threads, "fps": fps}


class Stages:
    """The threads of one piece of work. The first error of any of them ends all; ``raise_error`` gives it."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread of its own."""

        def guarded() -> None:
            try:
                work()
            except EndedError:
                pass
            except BaseException as error:
                self.fail(error)

        thread = threading.Thread(target=guarded, name=f"deblur-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def fail(self, error: BaseException) -> None:
        """End all stages because of ``error``; the first one counts."""
        with self._lock:
            if self._error is None:
                self._error = error
        self._stop.set()

    def stopped(self) -> bool:
        return self._stop.is_set()

    def close(self) -> None:
        """End all stages and wait until their threads have left."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def raise_error(self) -> None:
        """Raise what ended the stages, if an error did."""
        if isinstance(self._error, MemoryError) and not isinstance(self._error, OutOfMemory):
            raise OutOfMemory(
                "the machine's memory ran out", hint="give a smaller --tile, or close other programs"
            ) from self._error
        if self._error is not None:
            raise self._error


class Channel(Generic[Item]):
    """A bounded queue that gives up (``EndedError``) when the stages end."""

    def __init__(self, stages: Stages, size: int) -> None:
        self._queue: queue.Queue[Item] = queue.Queue(size)
        self._stages = stages

    def put(self, item: Item) -> None:
        while not self._stages.stopped():
            try:
                return self._queue.put(item, timeout=_POLL)
            except queue.Full:
                continue
        raise EndedError

    def get(self, check: Callable[[], None] = lambda: None) -> Item:
        """The next item; ``check`` is called while waiting and may raise."""
        while True:
            check()
            try:
                return self._queue.get(timeout=_POLL)
            except queue.Empty:
                if self._stages.stopped():
                    raise EndedError from None
