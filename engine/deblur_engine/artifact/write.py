# SPDX-License-Identifier: Apache-2.0
"""Files appear whole or not at all: written as ``NAME.partial``, then renamed."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import OutputError

__all__ = ["check_free", "write_whole"]


def check_free(path: Path, overwrite: bool) -> None:
    """Raise ``OutputError`` if ``path`` exists and may not be overwritten, or its folder is missing."""
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", hint="give -y to overwrite it, or another name")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist", hint="make it first, or give another name")


def write_whole(path: Path, data: bytes, *, overwrite: bool = False) -> Path:
    """Write ``data`` to ``path`` by way of ``NAME.partial``; raises ``OutputError`` and leaves nothing behind."""
    check_free(path, overwrite)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return path
