# SPDX-License-Identifier: Apache-2.0
"""Where output may go, and what is said when it cannot."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DeblurError, OutputError

__all__ = ["check_target", "output_errors"]

_REASONS = {
    errno.ENOSPC: ("the disk is full", "free some space, or write elsewhere"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or write elsewhere"),
    errno.EFBIG: ("the file grows past what this disk or user may have", "write to another disk"),
    errno.EROFS: ("the file system is read-only", "write elsewhere"),
    errno.EACCES: ("the folder may not be written to", "write elsewhere"),
    errno.EPERM: ("the folder may not be written to", "write elsewhere"),
    errno.ENOENT: ("the folder does not exist", "make it first"),
    errno.ENOTDIR: ("its parent is not a folder", "write elsewhere"),
    errno.EISDIR: ("it is a folder", "name a file"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EIO: ("the disk reports an error", "write elsewhere"),
}


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the system's and FFmpeg's write errors into ``OutputError`` with ``errno`` set."""
    try:
        yield
    except DeblurError:
        raise
    except OSError as error:
        reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), None))
        failure = OutputError(f"{path} cannot be written: {reason}", hint=hint)
        failure.errno = error.errno
        raise failure from error


def check_target(path: Path, source: Path, overwrite: bool) -> None:
    """Raise ``OutputError`` where the output is the source itself, or exists and may not be replaced."""
    if path.exists():
        if source.exists() and os.path.samefile(path, source):
            raise OutputError(f"{path} is the source itself", hint="choose another output")
        if path.is_dir():
            raise OutputError(f"{path} is a folder", hint="name a file in it")
        if not overwrite:
            raise OutputError(f"{path} exists already", hint="give -y (overwrite=True) to replace it")
    elif not path.parent.is_dir():
        raise OutputError(f"the folder of {path} does not exist", hint="make it first")
