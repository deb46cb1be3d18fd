# SPDX-License-Identifier: Apache-2.0
"""Where client and worker meet: a folder that is the user's alone, a socket or pipe and a lock, and who is let in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from ..errors import OutputError
from . import system
from .wire import VERSION

__all__ = ["Meeting", "runtime_folder", "same_user"]

runtime_folder = system.runtime_folder
same_user = system.same_user


class Meeting:
    """The socket, lock and log of one device's worker. Makes the folder; raises ``OutputError`` if it is not safe.

    On Windows ``socket`` is a file with the name of the worker's pipe in it.
    """

    def __init__(self, device: str, folder: Path | None = None) -> None:
        self.folder = folder or runtime_folder()
        name = f"worker-{VERSION}-{device.replace(':', '-')}"
        self.socket = self.folder / f"{name}{system.ENDING}"
        self.lock = self.folder / f"{name}.lock"
        self.log = self.folder / f"{name}.log"
        system.check_name(self.socket)
        system.check_private(self.folder)

    def claim(self) -> IO[bytes] | None:
        """Take the lock, held as long as the file is open; None if another worker has it."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        file = os.fdopen(os.open(self.lock, flags, 0o600), "r+b")
        if not system.lock(file.fileno()):
            file.close()
            return None
        file.truncate(0)
        file.write(b"%d\n" % os.getpid())
        file.flush()
        return file

    def listen(self) -> system.Listener:
        """What listens; call with the lock held. What a dead worker left is removed."""
        try:
            return system.listen(self.socket)
        except OSError as error:
            raise OutputError(f"nothing can listen at {self.socket}: {error.strerror or error}") from error

    def connect(self, timeout: float = 10.0) -> system.Connection:
        """A connection to the worker, whose user has been checked; raises ``OSError`` where nobody answers."""
        connection = system.connect(self.socket, timeout)
        try:
            if not same_user(connection):
                raise PermissionError(f"{self.socket} is served by another user")
        except BaseException:
            connection.close()
            raise
        return connection
