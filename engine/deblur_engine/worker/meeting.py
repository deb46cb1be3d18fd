# SPDX-License-Identifier: Apache-2.0
"""Where client and worker meet: a folder that is the user's alone, a socket and a lock in it, and who is let in."""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import IO

from ..errors import OutputError, UsageError
from .wire import VERSION

__all__ = ["Meeting", "peer_user"]

_LONGEST = 100  # bytes of a socket's path; the system's own limit is 104 or 108


class Meeting:
    """The socket, lock and log of one device's worker. Makes the folder; raises ``OutputError`` if it is not safe."""

    def __init__(self, device: str, folder: Path | None = None) -> None:
        if not hasattr(os, "getuid"):
            raise UsageError(
                "the worker is served on Linux and macOS only so far: Windows needs a named pipe",
                hint="use deblur-engine render",
            )
        self.folder = folder or runtime_folder()
        name = f"worker-{VERSION}-{device.replace(':', '-')}"
        self.socket = self.folder / f"{name}.sock"
        self.lock = self.folder / f"{name}.lock"
        self.log = self.folder / f"{name}.log"
        if len(os.fsencode(self.socket)) > _LONGEST:
            raise UsageError(f"{self.socket} is too long for a socket's name", hint="set DEBLUR_RUNTIME_DIR")
        _private(self.folder)

    def claim(self) -> IO[bytes] | None:
        """Take the lock, held as long as the file is open; None if another worker has it."""
        import fcntl  # not on Windows

        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        file = os.fdopen(os.open(self.lock, flags, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        file.truncate(0)
        file.write(b"%d\n" % os.getpid())
        file.flush()
        return file

    def listen(self) -> socket.socket:
        """The listening socket; call with the lock held. One that a dead worker left is removed."""
        self.socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(os.fspath(self.socket))
            os.chmod(self.socket, 0o600)
            listener.listen(128)
        except OSError as error:
            listener.close()
            raise OutputError(f"no socket can be made at {self.socket}: {error.strerror or error}") from error
        return listener

    def connect(self, timeout: float = 10.0) -> socket.socket:
        """A connection to the worker, whose user has been checked; raises ``OSError`` where nobody answers."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout)
        try:
            connection.connect(os.fspath(self.socket))
            if peer_user(connection) != os.getuid():
                raise PermissionError(f"{self.socket} is served by another user")
        except BaseException:
            connection.close()
            raise
        return connection


def runtime_folder() -> Path:
    """Where the user's sockets lie: the variables first, a folder of one's own under /tmp at last."""
    if own := os.environ.get("DEBLUR_RUNTIME_DIR"):
        return Path(own)
    if system := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(system) / "deblur-engine"
    return Path(f"/tmp/deblur-engine-{os.getuid()}")


def _private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError as error:
        raise OutputError(
            f"the folder {folder} cannot be made: {error.strerror or error}", hint="set DEBLUR_RUNTIME_DIR"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise OutputError(f"{folder} is not a folder, or a link to one", hint="remove it, or set DEBLUR_RUNTIME_DIR")
    if found.st_uid != os.getuid():
        raise OutputError(f"{folder} belongs to another user", hint="set DEBLUR_RUNTIME_DIR to a folder of your own")
    if found.st_mode & 0o077:
        raise OutputError(f"others may enter {folder}", hint=f"chmod 700 {folder}, or set DEBLUR_RUNTIME_DIR")


def peer_user(connection: socket.socket) -> int:
    """The user id of the process at the other end, as the kernel knows it; raises ``OSError``."""
    if hasattr(socket, "SO_PEERCRED"):
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[1])
    if sys.platform == "win32":
        raise OSError("Windows does not tell who is at the other end")
    user, group = ctypes.c_uint32(), ctypes.c_uint32()
    library = ctypes.CDLL(None, use_errno=True)
    if library.getpeereid(connection.fileno(), ctypes.byref(user), ctypes.byref(group)):
        raise OSError(ctypes.get_errno(), "getpeereid failed")
    return user.value
