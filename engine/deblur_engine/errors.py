# SPDX-License-Identifier: Apache-2.0
"""Every error that deblur-engine raises on purpose, and the exit code each one ends a command with.

An error says what was given, what is wrong with it and, in ``hint``, what would be right. Errors also
inherit the matching builtin, so that a caller of the Python API can catch either.
"""

from __future__ import annotations

import errno
import re
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
    "deliberate",
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


_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}

# torch's CPU allocator and ONNX Runtime raise plain runtime errors: their words are all there is to go by.
_ALLOCATION_FAILED = re.compile(
    r"can't allocate memory|not enough memory|failed to allocate memory|out of memory", re.I
)
_CV_NO_MEMORY = -4  # cv::Error::StsNoMem


def deliberate(error: BaseException) -> DeblurError | None:
    """The deliberate error that a foreign exception amounts to; None where it can only be a fault of ours.

    Libraries below us report a full disk, exhausted memory or a missing file each in its own way; whoever
    reports to a user (the command line, a batch, a worker) asks here, so that all give the same answer.
    """
    if isinstance(error, DeblurError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled("stopped on request")
    number = getattr(error, "errno", None)
    if _is_out_of_memory(error) or number == errno.ENOMEM:
        return OutOfMemory(
            f"memory ran out: {_first_line(error) or type(error).__name__}",
            hint="close other programs, or try a smaller --tile (render), --preset draft (fit) or --device cpu",
        )
    if not isinstance(error, OSError):
        return None
    if number in _DISK_FULL:
        return OutputError(f"cannot write: {_first_line(error)}", hint="free some space, or choose another folder")
    if isinstance(error, FileNotFoundError):
        return BadInput(f"not found: {error.filename or _first_line(error)}", hint="check the path")
    if isinstance(error, PermissionError) or number == errno.EROFS:
        return OutputError(f"no permission: {_first_line(error)}", hint="choose a folder that can be written to")
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    # The libraries' own kinds by name: none of them may be imported for this.
    library = type(error).__module__.partition(".")[0]
    if library == "cv2":
        return getattr(error, "code", None) == _CV_NO_MEMORY
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    runtime_error = isinstance(error, RuntimeError) or library == "onnxruntime"
    return runtime_error and _ALLOCATION_FAILED.search(str(error)) is not None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
