# SPDX-License-Identifier: Apache-2.0
"""How fast one stage goes, how long it will take, and how far the whole command is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..task import Event

__all__ = ["SHARES", "Overall", "Pace"]

SHARES: dict[str, Mapping[str, float]] = {
    "probe": {"analyse": 0.6, "expose": 0.4},
    "fit": {"analyse": 0.03, "expose": 0.02, "pairs": 0.25, "fit": 0.69, "export": 0.01},
    "render": {"analyse": 0.03, "expose": 0.02, "render": 0.95},
    "run": {"analyse": 0.03, "expose": 0.01, "pairs": 0.18, "fit": 0.57, "export": 0.01, "render": 0.20},
}
SHARES["batch"] = SHARES["run"]
SHARES["meta-train"] = {"analyse": 0.05, "expose": 0.03, "pairs": 0.12, "meta-train": 0.8}
"""About how much of a command's time each stage takes, in the order in which they come."""


class Pace:
    """Rate and remaining time of one stage; what was done before it was first seen (a resumed fit) does not count."""

    def __init__(self, event: Event, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._base = event.done
        self.event = event

    def update(self, event: Event) -> None:
        self.event = event

    @property
    def rate(self) -> float | None:
        """Units per second so far; None until there is something to tell."""
        elapsed = self._clock() - self._start
        gained = self.event.done - self._base
        return gained / elapsed if gained > 0 and elapsed > 0 else None

    @property
    def remaining(self) -> float | None:
        """Seconds left at this rate."""
        rate, total = self.rate, self.event.total
        return None if rate is None or total is None else max(0.0, total - self.event.done) / rate

    @property
    def fraction(self) -> float | None:
        total = self.event.total
        return None if not total else min(1.0, max(0.0, self.event.done / total))


class Overall:
    """The whole command's progress in percent: never falls, whatever order the stages report in."""

    def __init__(self, verb: str) -> None:
        self._shares = SHARES.get(verb, {})
        self._clip, self._clips = 0.0, 1.0
        self.percent = 0.0

    def update(self, event: Event) -> float:
        """Take in ``event``; returns the percentage, 0..100."""
        if event.stage == "clip":  # a batch has turned to its next clip
            self._clip, self._clips = event.done, max(1.0, event.total or 1.0)
            inner = 0.0
        else:
            inner = self._inner(event)
        self.percent = max(self.percent, min(100.0, 100.0 * (self._clip + inner) / self._clips))
        return self.percent

    def _inner(self, event: Event) -> float:
        if event.stage not in self._shares:
            return 0.0
        passed = 0.0
        for stage, share in self._shares.items():
            if stage == event.stage:
                return passed + share * (min(1.0, event.done / event.total) if event.total else 0.0)
            passed += share
        return 0.0
