# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM: the first asks the work to stop at its next safe point, the second ends the process at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from ..task import Task

__all__ = ["stopping"]

_SHOW_CURSOR = b"\x1b[?25h"
_NOTE = b"\nStopping at the next safe point; once more quits at once.\n"


@contextlib.contextmanager
def stopping(task: Task, *, quiet: bool = False) -> Iterator[None]:
    """While inside, SIGINT and SIGTERM (on Windows Ctrl-Break, too) cancel ``task``."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python delivers signals to the main thread only; whoever runs us in another one holds the task
        return
    watched = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        watched.append(signal.SIGBREAK)  # the only one that one process can send to another there
    before = {number: signal.getsignal(number) for number in watched}

    def on_signal(number: int, frame: FrameType | None) -> None:
        task.cancel()
        # The default action ends the process even while native code holds the interpreter.
        for each in watched:
            signal.signal(each, signal.SIG_DFL)
        if not quiet:
            # os.write: this may interrupt a write to stderr, which is not re-entrant.
            with contextlib.suppress(OSError, ValueError):
                descriptor = sys.stderr.fileno()
                os.write(descriptor, (_SHOW_CURSOR if os.isatty(descriptor) else b"") + _NOTE)

    for number in watched:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
