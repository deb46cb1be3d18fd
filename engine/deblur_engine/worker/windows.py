# SPDX-License-Identifier: Apache-2.0
"""What the worker asks of Windows; ``posix`` is its twin, of the same names. See docs/wire.md.

Pipes are in ``windows_pipe``, calls that the standard library does not have in ``windows_calls``.
"""

from __future__ import annotations

import contextlib
import mmap
import msvcrt
import os
import secrets
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..errors import OutputError

assert sys.platform == "win32"

from . import windows_calls as calls  # noqa: E402
from .windows_pipe import Connection, Listener, Stream, connect, listen, same_user  # noqa: E402

__all__ = [
    "ENDING",
    "Connection",
    "Listener",
    "Stream",
    "allow_many_files",
    "ask_to_end",
    "check_name",
    "check_private",
    "connect",
    "listen",
    "lock",
    "map_memory",
    "new_memory",
    "own_session",
    "resident_bytes",
    "runtime_folder",
    "same_user",
]

ENDING = ".pipe"
_MEMORY = "Local\\deblur-engine-"
_FAR = 1 << 30  # what is locked can be read by nobody else: a byte beyond the file's end


def runtime_folder() -> Path:
    """Where the user's workers leave their pipes' names: $DEBLUR_RUNTIME_DIR, or a folder in %LOCALAPPDATA%."""
    if own := os.environ.get("DEBLUR_RUNTIME_DIR"):
        return Path(own)
    if data := os.environ.get("LOCALAPPDATA"):
        return Path(data) / "deblur-engine"
    raise OutputError("LOCALAPPDATA names no folder", hint="set DEBLUR_RUNTIME_DIR")


def check_private(folder: Path) -> None:
    """Make the folder where it is missing; raises ``OutputError`` where it is not this user's."""
    try:
        calls.make_private_folder(str(folder))
        found = os.lstat(folder)
        owner = calls.owner_of(str(folder))
    except OSError as error:
        raise OutputError(
            f"the folder {folder} cannot be made: {error.strerror or error}", hint="set DEBLUR_RUNTIME_DIR"
        ) from error
    link = found.st_file_attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT
    if link or not stat.S_ISDIR(found.st_mode):
        raise OutputError(f"{folder} is not a folder, or a link to one", hint="remove it, or set DEBLUR_RUNTIME_DIR")
    if owner not in calls.own_sids():
        raise OutputError(f"{folder} belongs to another user", hint="set DEBLUR_RUNTIME_DIR to a folder of your own")


def check_name(path: Path) -> None:
    """The pipe's own name is always short enough."""


def lock(descriptor: int) -> bool:
    """Lock an open file for as long as it is open; False if another process has."""
    os.lseek(descriptor, _FAR, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return True


def map_memory(given: int | str, size: int) -> tuple[mmap.mmap, int]:
    """Map what a client has made under a name; -1, since it cannot shrink.

    Raises ``ValueError`` for a name that is none of ours, ``OSError`` for what is not there or smaller.
    """
    if not isinstance(given, str):
        raise ValueError("memory comes by name here: ATTACH_NAMED")
    digits = given.removeprefix(_MEMORY)
    if len(digits) != 32 or digits == given or not set(digits) <= set("0123456789abcdef"):
        raise ValueError("its name does not begin as it should, or is not as long")
    # Held open meanwhile: mmap would make it where it is not there.
    with calls.existing_memory(given):
        return mmap.mmap(-1, size, tagname=given), -1


def new_memory(size: int) -> tuple[mmap.mmap, int, str]:
    """Memory to share, of the paging file; -1 for a descriptor, and its name."""
    name = _MEMORY + secrets.token_hex(16)
    return mmap.mmap(-1, size, tagname=name), -1, name


def resident_bytes() -> int:
    """What this process holds in memory now."""
    return calls.working_set()


def allow_many_files() -> None:
    """There is no such limit."""


def own_session() -> dict[str, Any]:
    """For ``subprocess.Popen``: a process of its own, which a Ctrl-C at this one's console does not reach."""
    return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}


def ask_to_end(process: subprocess.Popen[str]) -> None:
    """Ctrl-Break, which the command line takes as a wish to stop; where there is no console, that is the end."""
    try:
        process.send_signal(signal.CTRL_BREAK_EVENT)
    except OSError:
        with contextlib.suppress(OSError):
            process.terminate()
