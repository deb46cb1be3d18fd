# SPDX-License-Identifier: Apache-2.0
"""The shared memory of one client: descriptors checked once, pictures found in it by number and offset."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from ..errors import OutOfMemory
from . import system
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

    def attach(self, number: int, size: int, given: int | str) -> None:
        """Map the memory of a descriptor, which stays the caller's, or of a name; what had this number is let go.

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
        try:
            self._held[number] = system.map_memory(given, size)
        except (OSError, ValueError, OverflowError) as error:
            raise SurfaceError(f"surface {number} cannot be used: {error}") from error

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
