# SPDX-License-Identifier: Apache-2.0
"""How long work reports progress and is told to stop. Every long call takes a ``Task``; the default is silent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from .errors import Cancelled

__all__ = ["Event", "Task"]


@dataclass(frozen=True)
class Event:
    """One step of progress.

    ``stage`` is a short stable name ("analyse", "align", "fit", "render", ...); ``done`` of ``total`` units
    (``total`` None where unknown); ``figures`` holds numbers worth showing (loss, held_out_gain_db, fps, ...).
    """

    stage: str
    done: float
    total: float | None = None
    unit: str = "frames"
    figures: dict[str, float | str] = field(default_factory=dict)


class Task:
    """A handle on one piece of long work: reports go to ``on_event``; ``cancel()`` may come from any thread."""

    def __init__(self, on_event: Callable[[Event], None] | None = None) -> None:
        self._on_event = on_event
        self._cancel = threading.Event()

    def report(
        self, stage: str, done: float, total: float | None = None, unit: str = "frames", **figures: float | str
    ) -> None:
        """Tell the listener how far the work is, and stop here if it was cancelled (raises ``Cancelled``)."""
        self.check()
        if self._on_event is not None:
            self._on_event(Event(stage, done, total, unit, figures))

    def warn(self, message: str) -> None:
        """Tell the listener of something that the user should know but that stops nothing."""
        if self._on_event is not None:
            self._on_event(Event("warning", 0, None, "", {"message": message}))

    def cancel(self) -> None:
        """Ask the work to stop at its next safe point."""
        self._cancel.set()

    @property
    def cancelled(self) -> bool:
        return self._cancel.is_set()

    def check(self) -> None:
        """Raise ``Cancelled`` if the work was asked to stop."""
        if self._cancel.is_set():
            raise Cancelled("stopped on request")
