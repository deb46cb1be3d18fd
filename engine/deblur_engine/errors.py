# SPDX-License-Identifier: Apache-2.0
"""Every error that deblur-engine raises on purpose, and the exit code each one ends a command with.

An error says what was given, what is wrong with it and, in ``hint``, what would be right. Errors also
inherit the matching builtin, so that a caller of the Python API can catch either.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "BadInput",
    "Cancelled",
    "DeblurError",
    "ExitCode",
    "MissingDevice",
    "ModelError",
    "NoBenefit",
    "OutOfMemory",
    "OutputError",
    "UsageError",
]


class ExitCode(IntEnum):
    """The documented exit codes of the ``deblur-engine`` command."""

    DONE = 0
    INTERNAL = 1  # a fault of ours: please report it
    USAGE = 2
    BAD_INPUT = 3
    NO_BENEFIT = 4
    OUT_OF_MEMORY = 5
    CANCELLED = 6
    MISSING_DEVICE = 7
    OUTPUT = 8
    MODEL = 9


class DeblurError(Exception):
    """Base of all deliberate errors.

    ``message`` says what was given and what is wrong with it; ``hint`` says what to do about it.
    """

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(DeblurError, ValueError):
    """An option or argument that cannot be meant."""

    exit_code = ExitCode.USAGE


class BadInput(DeblurError, ValueError):
    """A clip or picture that cannot be read or cannot be worked on."""

    exit_code = ExitCode.BAD_INPUT


class NoBenefit(DeblurError):
    """Nothing to learn from (no sharp frames) or nothing to do (no blurry frames)."""

    exit_code = ExitCode.NO_BENEFIT


class OutOfMemory(DeblurError, MemoryError):
    """The host's or the device's memory ran out."""

    exit_code = ExitCode.OUT_OF_MEMORY


class Cancelled(DeblurError):
    """Stopped on request (Ctrl-C, SIGTERM or an editor's cancel button); a checkpoint is left where one helps."""

    exit_code = ExitCode.CANCELLED


class MissingDevice(DeblurError, RuntimeError):
    """A device was asked for by name and is not there."""

    exit_code = ExitCode.MISSING_DEVICE


class OutputError(DeblurError, OSError):
    """The result cannot be written: it exists already, the folder is read-only, the disk is full."""

    exit_code = ExitCode.OUTPUT


class ModelError(DeblurError, ValueError):
    """A model file that is damaged, hostile, of a newer schema or not ours."""

    exit_code = ExitCode.MODEL
