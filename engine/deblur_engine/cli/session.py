# SPDX-License-Identifier: Apache-2.0
"""What every verb shares: where data, progress, notes and errors go, how a run is stopped, how it ends.

Data goes to stdout and nothing else does; progress, notes and errors go to stderr. ``--json`` turns the data (and
an error) into one JSON object, ``--json-events`` into a stream of them that begins while the work runs.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import typer
from rich.console import Console, RenderableType

from ..errors import Cancelled, DeblurError, ExitCode, deliberate
from ..task import Event, Task
from . import wording
from .jsonable import dumps
from .progress import Bar, Farm, Lines, Listener, Stream
from .signals import stopping

__all__ = ["Session", "fault", "report_error"]


class Session:
    """One run of one verb. Use as a context manager around the work, which takes ``session.task``.

    ``if_stopped`` is what to tell someone who stopped the work: what is kept, and how to go on.
    """

    def __init__(
        self,
        verb: str,
        *,
        json: bool = False,
        json_events: bool = False,
        quiet: bool = False,
        debug: bool = False,
        farm: bool = False,
        if_stopped: str | None = None,
    ) -> None:
        self.verb, self.quiet, self.debug = verb, quiet, debug
        self._json, self._if_stopped = json and not json_events, if_stopped
        self._err = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)
        self._stream = Stream(sys.stdout) if json_events else None
        # Farms read stdout and stderr as one; a JSON reader wants stdout for itself.
        self._farm = Farm(sys.stderr if json or json_events else sys.stdout, verb) if farm else None
        self._listeners: list[Listener] = [each for each in (self._stream, self._farm) if each is not None]
        if not quiet and self._stream is None:
            # A farm's log keeps every line, and rewriting a bar there makes thousands of them.
            bar = self._err.is_terminal and not farm
            self._listeners.append(Bar(self._err) if bar else Lines(sys.stderr))
        self._warnings: list[str] = []
        self._done = False
        self._stack = ExitStack()
        self.task = Task(self._on_event)

    def __enter__(self) -> Session:
        self._stack.enter_context(stopping(self.task, quiet=self.quiet))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_listeners()
        self._stack.close()
        if error is None or isinstance(error, typer.Exit | SystemExit):
            return
        if isinstance(error, BrokenPipeError):
            # Nothing may be flushed into the pipe at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if self._done:  # the result was cut short by who reads it (| head): no error
                raise typer.Exit(ExitCode.DONE) from error
            error = Cancelled("whoever read the output has gone")
        raise typer.Exit(self._fail(error)) from error

    def result(
        self,
        data: Mapping[str, Any],
        text: RenderableType | None = None,
        *,
        summary: Sequence[str] = (),
        following: Sequence[object] = (),
        exit_code: ExitCode = ExitCode.DONE,
    ) -> None:
        """End the verb: ``data`` for machines, ``text`` (to stdout) and ``summary`` (to stderr) for people.

        ``following`` is the command that comes next. An ``exit_code`` other than DONE ends the process with it.
        """
        self._close_listeners()
        self._done = True
        outcome = {
            "verb": self.verb,
            "status": _status(exit_code),
            "exit_code": exit_code,
            **data,
            "warnings": self._warnings,
        }
        if self._stream is not None:
            self._stream.message("result", **outcome)
        elif self._json:
            print(dumps(outcome, indent=2), flush=True)
        elif isinstance(text, str):
            print(text, flush=True)
        elif text is not None:
            _print(text)
        for line in summary:
            self.note(line)
        if following:
            self.note(f"next: {wording.command_line(following)}")
        if self._farm is not None and exit_code is ExitCode.DONE:
            self._farm.succeed()
        elif self._farm is not None:
            self._farm.fail(f"{self.verb} ended with exit code {exit_code.value}")
        if exit_code is not ExitCode.DONE:
            raise typer.Exit(exit_code.value)

    def note(self, line: str) -> None:
        """Something worth saying to a person, on stderr."""
        if not self.quiet and self._stream is None:
            self._err.print(line)

    def warn(self, message: str) -> None:
        """Something that the user should know though it stops nothing: said even where notes are not."""
        self._warnings.append(message)
        if self._stream is not None:
            self._stream.message("warning", message=message)
        else:
            self._err.print(f"warning: {message}", style="yellow")

    def _on_event(self, event: Event) -> None:
        if event.stage == "warning":
            message = str(event.figures.get("message", ""))
            if message not in self._warnings:
                self.warn(message)
            return
        for listener in self._listeners:
            listener.event(event)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _fail(self, error: BaseException) -> int:
        known = deliberate(error)
        if known is not None and known.exit_code is ExitCode.CANCELLED and self._if_stopped:
            known = type(known)(known.message, hint=self._if_stopped)
        if self.debug:
            traceback.print_exception(error)
        known = known or fault(error)
        report_error(known, self._err)
        failure = {
            "kind": type(known).__name__ if deliberate(error) else type(error).__name__,
            "message": known.message,
            "hint": known.hint,
        }
        outcome = {
            "verb": self.verb,
            "status": _status(known.exit_code),
            "exit_code": known.exit_code,
            "error": failure,
            "warnings": self._warnings,
        }
        if self._stream is not None:
            self._stream.message("error", **outcome)
        elif self._json:
            print(dumps(outcome, indent=2), flush=True)
        if self._farm is not None:
            self._farm.fail(str(known))
        return known.exit_code.value


def _print(text: RenderableType) -> None:
    out = Console(markup=False, highlight=False)
    if out.is_terminal:
        out.print(text)
        return
    out.width = max(out.width, 160)  # a pipe has no edge to wrap at, and needs no padding up to it
    with out.capture() as printed:
        out.print(text)
    print("\n".join(line.rstrip() for line in printed.get().splitlines()), flush=True)


def report_error(error: DeblurError, console: Console) -> None:
    """What was given and what is wrong with it; under it, what would be right."""
    console.print(f"error: {error.message}", style="bold red")
    if error.hint:
        console.print(f"hint: {error.hint}")


def fault(error: BaseException) -> DeblurError:
    """An exception that nobody meant to raise, worded for the user."""
    first_line = str(error).strip().partition("\n")[0]
    return DeblurError(
        f"unexpected {type(error).__name__}: {first_line}",
        hint="this is a fault of deblur-engine; run the same command with --debug and report what it prints",
    )


def _status(exit_code: ExitCode) -> str:
    return {ExitCode.DONE: "done", ExitCode.CANCELLED: "cancelled"}.get(exit_code, "failed")
