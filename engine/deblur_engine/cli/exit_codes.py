# SPDX-License-Identifier: Apache-2.0
"""What each exit code means: the text under every ``--help``, and the table in the README (a test compares them)."""

from __future__ import annotations

from ..errors import ExitCode

__all__ = ["MEANING", "epilog"]

MEANING: dict[ExitCode, str] = {
    ExitCode.DONE: "done",
    ExitCode.INTERNAL: "a fault of deblur-engine (please report it); doctor, plugin status: something does not work",
    ExitCode.USAGE: "an option or argument that cannot be meant",
    ExitCode.BAD_INPUT: "a clip that cannot be read or cannot be worked on",
    ExitCode.NO_BENEFIT: "no sharp frames to learn from, or nothing to deblur",
    ExitCode.OUT_OF_MEMORY: "memory ran out",
    ExitCode.CANCELLED: "stopped by Ctrl-C or SIGTERM",
    ExitCode.MISSING_DEVICE: "the device asked for is not there",
    ExitCode.OUTPUT: "the result cannot be written: it exists, the folder is read-only, the disk is full",
    ExitCode.MODEL: "a model or weights file that is missing, damaged, not ours, or of a newer version",
}


def epilog() -> list[str]:
    """One line per exit code, ready to print."""
    return [f"{code.value}  {meaning}" for code, meaning in MEANING.items()]
