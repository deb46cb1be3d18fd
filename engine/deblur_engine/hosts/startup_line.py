# SPDX-License-Identifier: Apache-2.0
"""One guarded line in a start-up file of the user's, put there and taken away so that every other byte stays."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

__all__ = ["add_line", "has_line", "remove_line", "with_line", "without_line"]

GUARD = b'# written by "deblur-engine plugin install"'
_OURS = re.compile(rb"[^\r\n]*" + re.escape(GUARD) + rb"[ \t]*")


def with_line(text: bytes, line: bytes) -> bytes:
    """``text`` with the guarded ``line`` at its end, in place of an earlier one."""
    guarded = line + b"  " + GUARD
    if _OURS.findall(text) == [guarded]:
        return text
    text = without_line(text)
    newline = b"\r\n" if b"\r\n" in text else b"\n"
    # A text that did not end in a newline does not end in one afterwards: that is how removing knows.
    if text and not text.endswith((b"\n", b"\r")):
        return text + newline + guarded
    return text + guarded + newline


def without_line(text: bytes) -> bytes:
    """``text`` as it was before ``with_line``."""
    text = re.sub(rb"(?:\r\n|\n|\r)" + _OURS.pattern + rb"\Z", b"", text)
    return re.sub(_OURS.pattern + rb"(?:\r\n|\n|\r|\Z)", b"", text)


def has_line(path: Path) -> bool:
    """Whether the file holds a guarded line."""
    with contextlib.suppress(OSError):
        return GUARD in path.read_bytes()
    return False


def add_line(path: Path, line: str) -> bool:
    """Put the guarded line into the file, which is made where it is missing; returns whether anything changed."""
    before = path.read_bytes() if path.exists() else b""
    after = with_line(before, line.encode())
    if after != before:
        _replace(path, after)
    return after != before


def remove_line(path: Path, *, made: bool) -> bool:
    """Take the guarded line out; the file goes too if ``made`` (we made it) and nothing else is in it."""
    if not has_line(path):
        return False
    after = without_line(path.read_bytes())
    if made and not after:
        path.unlink()
    else:
        _replace(path, after)
    return True


def _replace(path: Path, text: bytes) -> None:
    path = path.resolve()  # a link to the file that is kept elsewhere stays a link
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(text)
    if path.exists():
        shutil.copymode(path, partial)
    os.replace(partial, path)
