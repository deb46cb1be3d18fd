# SPDX-License-Identifier: Apache-2.0
"""The shared memory of one client: descriptors checked once, pictures found in it by number and offset."""

from __future__ import annotations

import mmap
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

from ..errors import OutOfMemory
from .wire import NO_SURFACE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

__all__ = ["SurfaceError", "Surfaces"]

MOST = 64  # surfaces of a connection ...
MOST_BYTES = 16 << 30  # ... and what they may take together
MOST_SIDE = 1 << 16  # pixels
ALIGNMENT = 64  # of a picture's offset, bytes


class SurfaceError(Exception):
    """A surface that is not there or cannot be used, or a picture outside of it."""

    code = NO_SURFACE


class Surfaces:
    """The surfaces that one connection has attached. For one thread."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[mmap.mmap, int]] = {}  # the memory, and a descriptor where it may still shrink

    def attach(self, number: int, size: int, descriptor: int) -> None:
        """Map ``descriptor``, which stays the caller's; one attached under this number before is let go.

        Raises ``SurfaceError`` for memory that has another size or can shrink, ``OutOfMemory`` beyond what one client
        may pin.
        """
        self.detach(number, missing_ok=True)
        if size == 0:
            raise SurfaceError("a surface of 0 bytes")
        if len(self._held) >= MOST or sum(len(held) for held, _ in self._held.values()) + size > MOST_BYTES:
            raise OutOfMemory(
                f"a client may attach {MOST} surfaces, of {MOST_BYTES >> 30} GiB together", hint="detach some first"
            )
        _check(descriptor, size)
        try:
            memory = mmap.mmap(descriptor, size)
        except (OSError, ValueError, OverflowError) as error:
            raise SurfaceError(f"surface {number} cannot be mapped: {error}") from error
        kept = -1 if sys.platform == "linux" else os.dup(descriptor)
        self._held[number] = memory, kept

    def detach(self, number: int, *, missing_ok: bool = False) -> None:
        held = self._held.pop(number, None)
        if held is not None:
            # Views of it may still be in use; the memory goes with the last of them.
            if held[1] >= 0:
                os.close(held[1])
        elif not missing_ok:
            raise SurfaceError(f"there is no surface {number}")

    def picture(self, number: int, offset: int, width: int, height: int) -> Array:
        """The picture at ``offset`` of a surface: float32 [height, width, 3], not a copy."""
        import numpy as np

        if number not in self._held:
            raise SurfaceError(f"there is no surface {number}")
        memory, descriptor = self._held[number]
        check_size(width, height)
        if offset % ALIGNMENT or offset + width * height * 12 > len(memory):
            raise SurfaceError(f"a picture of {width}x{height} at byte {offset} does not lie in surface {number}")
        # Where nothing seals the memory, a client that has shrunk it since must not take the worker down.
        if descriptor >= 0 and os.fstat(descriptor).st_size < len(memory):
            raise SurfaceError(f"surface {number} has shrunk")
        flat = np.frombuffer(memory, np.float32, width * height * 3, offset)
        return flat.reshape(height, width, 3)

    def clear(self) -> None:
        for number in list(self._held):
            self.detach(number)


def check_size(width: int, height: int) -> None:
    """Raise ``SurfaceError`` for a size that no picture has."""
    if not (0 < width <= MOST_SIDE and 0 < height <= MOST_SIDE):
        raise SurfaceError(f"a picture of {width}x{height} pixels")


def _check(descriptor: int, size: int) -> None:
    try:
        found = os.fstat(descriptor)
    except OSError as error:
        raise SurfaceError(f"the surface's descriptor cannot be used: {error}") from error
    # Shared memory on macOS has no file type at all.
    if stat.S_IFMT(found.st_mode) not in (stat.S_IFREG, 0) or found.st_size != size:
        raise SurfaceError(f"a surface of {size} bytes was announced; what came has {found.st_size}")
    if sys.platform != "linux":
        return
    import fcntl

    wanted = fcntl.F_SEAL_SHRINK
    try:
        seals: Any = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError:
        seals = 0
    if seals & wanted != wanted:
        raise SurfaceError("the surface could shrink: it is not sealed by F_SEAL_SHRINK")
