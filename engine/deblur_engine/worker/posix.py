# SPDX-License-Identifier: Apache-2.0
"""What the worker asks of Linux and macOS; ``windows`` is its twin, of the same names. See docs/wire.md."""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import mmap
import os
import resource
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ..errors import OutputError, UsageError

assert sys.platform != "win32"

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
    "peer_user",
    "resident_bytes",
    "runtime_folder",
    "same_user",
]

ENDING = ".sock"
Connection = socket.socket
Listener = socket.socket
_LONGEST = 100  # bytes of a socket's path; the system's own limit is 104 or 108
_MOST_DESCRIPTORS = 4  # taken in at a time, to be closed again where they do not belong
_FILES = 8192
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


# ---- where to meet


def runtime_folder() -> Path:
    """Where the user's sockets lie: the variables first, a folder of one's own under /tmp at last."""
    if own := os.environ.get("DEBLUR_RUNTIME_DIR"):
        return Path(own)
    if system := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(system) / "deblur-engine"
    return Path(f"/tmp/deblur-engine-{os.getuid()}")


def check_private(folder: Path) -> None:
    """Make the folder where it is missing; raises ``OutputError`` where it is not this user's alone."""
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


def check_name(path: Path) -> None:
    if len(os.fsencode(path)) > _LONGEST:
        raise UsageError(f"{path} is too long for a socket's name", hint="set DEBLUR_RUNTIME_DIR")


def lock(descriptor: int) -> bool:
    """Lock an open file for as long as it is open; False if another process has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def listen(path: Path) -> Listener:
    """The listening socket; one that a dead worker left is removed. Raises ``OSError``."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(path))
        os.chmod(path, 0o600)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def connect(path: Path, timeout: float) -> Connection:
    """A connection to whoever listens there; raises ``OSError`` where nobody answers."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(os.fspath(path))
    except BaseException:
        connection.close()
        raise
    return connection


def same_user(connection: Connection) -> bool:
    """Whether the process at the other end is this user's, as the kernel knows it; raises ``OSError``."""
    return peer_user(connection) == os.getuid()


def peer_user(connection: Connection) -> int:
    """The user id of the process at the other end; raises ``OSError``."""
    if hasattr(socket, "SO_PEERCRED"):
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", raw)[1])
    user, group = ctypes.c_uint32(), ctypes.c_uint32()
    library = ctypes.CDLL(None, use_errno=True)
    if library.getpeereid(connection.fileno(), ctypes.byref(user), ctypes.byref(group)):
        raise OSError(ctypes.get_errno(), "getpeereid failed")
    return user.value


# ---- bytes


class Stream:
    """The bytes of a connection and the descriptors that come along. All raise ``OSError`` once it is broken."""

    def __init__(self, connection: Connection) -> None:
        self._socket = connection
        self._socket.setblocking(False)

    def read(self, most: int, seconds: float | None) -> tuple[bytes, list[int]]:
        """At most ``most`` bytes, as soon as there are any; b"" at the end. Raises ``TimeoutError``."""
        room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
        until = None if seconds is None else time.monotonic() + seconds
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(most, room, _CLOEXEC)
            except BlockingIOError:
                self._wait(select.POLLIN, until)
                continue
            found: list[int] = []
            for level, kind, raw in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    numbers = array.array("i")
                    numbers.frombytes(raw[: len(raw) - len(raw) % numbers.itemsize])
                    found.extend(numbers)
            return data, found

    def write(self, data: memoryview, descriptors: tuple[int, ...], seconds: float) -> int:
        """Send what goes at once, but something: how many bytes. Raises ``TimeoutError``."""
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        until = time.monotonic() + seconds
        while True:
            try:
                return self._socket.sendmsg([data], extra, _NOSIGNAL)
            except BlockingIOError:
                self._wait(select.POLLOUT, until)

    def offer(self, data: bytes) -> None:
        """Send it if it goes at once and whole; raises ``OSError`` if it was cut."""
        with contextlib.suppress(BlockingIOError):
            if self._socket.send(data, _NOSIGNAL) != len(data):
                raise OSError("a message was cut")

    def gone(self) -> bool:
        """Whether the other side has closed, and nothing is left to be read."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def shut(self) -> None:
        """Let a thread that waits in ``read`` see the end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self._socket.close()

    def _wait(self, event: int, until: float | None) -> None:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("the other side takes too long")
        poll = select.poll()
        poll.register(self._socket, event)
        poll.poll(None if left is None else max(1, int(left * 1000)))


# ---- memory


def map_memory(given: int | str, size: int) -> tuple[mmap.mmap, int]:
    """Map a client's descriptor, and a copy of it where the memory may still shrink, else -1.

    Raises ``ValueError`` for what has another size or can shrink, ``OSError`` for what cannot be mapped.
    """
    if isinstance(given, str):
        raise ValueError("memory has no names here: a descriptor comes with ATTACH")
    found = os.fstat(given)
    # On macOS shared memory has no file type, and is rounded up to whole pages.
    fits = found.st_size == size if sys.platform == "linux" else found.st_size >= size
    if stat.S_IFMT(found.st_mode) not in (stat.S_IFREG, 0) or not fits:
        raise ValueError(f"{size} bytes were announced; what came has {found.st_size}")
    if sys.platform == "linux":
        seals = 0
        with contextlib.suppress(OSError):
            seals = fcntl.fcntl(given, fcntl.F_GET_SEALS)
        if not seals & fcntl.F_SEAL_SHRINK:
            raise ValueError("it could shrink: it is not sealed by F_SEAL_SHRINK")
    memory = mmap.mmap(given, size)
    return memory, -1 if sys.platform == "linux" else os.dup(given)


def new_memory(size: int) -> tuple[mmap.mmap, int, str]:
    """Memory to share, sized once and sealed where the system can; its descriptor, and "" for the name."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("deblur-engine", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        library = ctypes.CDLL(None, use_errno=True)
        name = f"/deblur-{os.getpid()}-{time.monotonic_ns() % 10**9}".encode()
        descriptor = int(library.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, ctypes.c_int(0o600)))
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), "shm_open failed")
        library.shm_unlink(name)
    try:
        os.ftruncate(descriptor, size)
        if sys.platform == "linux":
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return mmap.mmap(descriptor, size), descriptor, ""
    except BaseException:
        os.close(descriptor)
        raise


def resident_bytes() -> int:
    """What this process holds in memory now, or where the system tells only that, at most so far."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def allow_many_files() -> None:
    """A mapped surface keeps its descriptor, so that some busy clients would reach the usual limit of 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


# ---- processes


def own_session() -> dict[str, Any]:
    """For ``subprocess.Popen``: a process of its own, which a Ctrl-C at this one's terminal does not reach."""
    return {"start_new_session": True}


def ask_to_end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
