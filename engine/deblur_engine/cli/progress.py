# SPDX-License-Identifier: Apache-2.0
"""Where progress goes: a bar on a terminal, an occasional line off it, NDJSON, or the lines that render farms read.

Each listener takes ``task.Event``s, which may come from any thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn
from rich.progress import Task as Row
from rich.text import Text

from ..task import Event
from . import wording
from .jsonable import dumps
from .pace import Overall, Pace

__all__ = ["Bar", "Farm", "Lines", "Listener", "Stream"]


class Listener(Protocol):
    """Somewhere that progress goes."""

    def event(self, event: Event) -> None:
        """Take one event; warnings do not come here."""

    def close(self) -> None:
        """The work is over, well or badly."""


def describe(pace: Pace) -> str:
    """One line on a stage: ``1200/3000 steps   40%  12.3 steps/s  2:31 left  loss 0.0123``."""
    unit = pace.event.unit
    percent = [] if pace.fraction is None else [f"{pace.fraction:4.0%}"]
    return "  ".join([f"{_count(pace)} {unit}".rstrip(), *percent, *_going(pace, unit)])


def describe_briefly(pace: Pace) -> str:
    """The same beside a bar, where room is short: ``1200/3000  12.3/s  2:31 left  loss 0.0123``."""
    return "  ".join([_count(pace), *_going(pace, "")])


def _count(pace: Pace) -> str:
    event = pace.event
    return wording.number(event.done) + ("" if event.total is None else f"/{wording.number(event.total)}")


def _going(pace: Pace, unit: str) -> list[str]:
    parts = []
    if pace.rate is not None:
        parts.append(f"{wording.rate(pace.rate)}{unit and ' '}{unit}/s")
    if pace.remaining:
        parts.append(f"{wording.duration(pace.remaining)} left")
    # A rate of its own that the stage reports is this one again.
    said = {name: value for name, value in pace.event.figures.items() if name != "fps" or pace.rate is None}
    if said:
        parts.append(wording.figures(said))
    return parts


class Lines:
    """Plain lines: one when a stage begins, one when it ends, and one every ``interval`` seconds between."""

    def __init__(self, stream: TextIO, *, interval: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._interval, self._clock = stream, interval, clock
        self._lock = threading.Lock()
        self._paces: dict[str, Pace] = {}
        self._said: dict[str, float] = {}

    def event(self, event: Event) -> None:
        with self._lock:
            known = self._paces.get(event.stage)
            if known is None or event.done < known.event.done:  # new, or begun again for the next clip
                pace = self._paces[event.stage] = Pace(event, self._clock)
            else:
                pace = known
                ended_before = known.fraction == 1.0
                pace.update(event)
                now_ends = pace.fraction == 1.0 and not ended_before
                if not now_ends and self._clock() - self._said[event.stage] < self._interval:
                    return
            self._said[event.stage] = self._clock()
            print(f"{event.stage:<8}  {describe(pace)}", file=self._stream, flush=True)

    def close(self) -> None:
        pass


_LINE_WIDTH = 80  # stage, count, rate, time left, loss and held-out gain


class _Rest(ProgressColumn):
    """What follows the bar: count, rate, time left and figures."""

    def render(self, task: Row) -> Text:
        pace: Pace | None = task.fields.get("pace")
        return Text(describe_briefly(pace) if pace else "", no_wrap=True, overflow="ellipsis")


class Bar:
    """A bar for each stage on a terminal."""

    def __init__(self, console: Console) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[TaskID, Pace]] = {}
        # Figures matter more than the bar: it takes what a fit's line leaves of the terminal's width.
        width = min(30, console.width - _LINE_WIDTH)
        bar = [BarColumn(bar_width=width)] if width >= 4 else []
        self._progress = Progress(
            TextColumn("{task.description:<8}"), *bar, _Rest(), console=console, refresh_per_second=5
        )
        self._started = False

    def event(self, event: Event) -> None:
        with self._lock:
            if not self._started:
                self._progress.start()
                self._started = True
            known = self._rows.get(event.stage)
            if known is None or event.done < known[1].event.done:
                if known is not None:
                    self._progress.remove_task(known[0])
                pace = Pace(event)
                row = self._progress.add_task(event.stage, pace=pace)
                self._rows[event.stage] = row, pace
            else:
                row, pace = known
                pace.update(event)
            self._progress.update(row, total=event.total, completed=event.done)

    def close(self) -> None:
        if self._started:
            self._progress.stop()


class Stream:
    """NDJSON on stdout: one object a line for every event, while the work runs."""

    def __init__(self, stream: TextIO, *, interval: float = 0.2) -> None:
        self._stream, self._interval = stream, interval
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}

    def event(self, event: Event) -> None:
        with self._lock:
            # A reader wants the beginning and the end of a stage, and no flood between.
            now, at_end = time.monotonic(), event.total is not None and event.done >= event.total
            if not at_end and now - self._said.get(event.stage, -1e9) < self._interval:
                return
            self._said[event.stage] = now
            self._write(
                "progress",
                stage=event.stage,
                done=event.done,
                total=event.total,
                unit=event.unit,
                figures=event.figures,
            )

    def message(self, kind: str, **fields: object) -> None:
        """Write an object that is no progress: ``warning``, ``result`` or ``error``."""
        with self._lock:
            self._write(kind, **fields)

    def _write(self, kind: str, **fields: object) -> None:
        print(dumps({"event": kind, **fields}), file=self._stream, flush=True)

    def close(self) -> None:
        pass


class Farm:
    """Lines that render farms look for in a process's output.

    Open Job Description: ``openjd_progress: 42.0`` (0..100), ``openjd_status: ...``, ``openjd_fail: ...``, each at
    the start of its line. Deadline's command-line plug-in: ``Progress: 42%``, whole numbers.
    """

    def __init__(self, stream: TextIO, verb: str) -> None:
        self._stream, self._overall = stream, Overall(verb)
        self._lock = threading.Lock()
        self._stage = ""
        self._percent = -1

    def event(self, event: Event) -> None:
        with self._lock:
            status = f"{event.stage} {event.figures.get('clip', '')}".strip()
            if status != self._stage:
                self._stage = status
                self._say(f"openjd_status: {status}")
            self._advance(self._overall.update(event))

    def succeed(self) -> None:
        with self._lock:
            self._advance(100.0)
            self._say("openjd_status: done")

    def fail(self, message: str) -> None:
        with self._lock:
            self._say("openjd_fail: " + " ".join(message.split()))

    def _advance(self, percent: float) -> None:
        if int(percent) > self._percent:
            self._percent = int(percent)
            self._say(f"openjd_progress: {percent:.1f}")
            self._say(f"Progress: {self._percent}%")

    def _say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)

    def close(self) -> None:
        pass
