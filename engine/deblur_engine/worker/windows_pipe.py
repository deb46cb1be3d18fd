# SPDX-License-Identifier: Apache-2.0
"""A named pipe that stands for a socket: its name, which nobody can guess, is written into a file of the user's."""

from __future__ import annotations

import _winapi
import contextlib
import os
import re
import secrets
import sys
import time
from pathlib import Path
from types import TracebackType

from . import windows_calls as calls

assert sys.platform == "win32"

__all__ = ["Connection", "Listener", "Stream", "connect", "listen", "same_user"]

_PREFIX = "\\\\.\\pipe\\deblur-engine-"
_NAME = re.compile(re.escape(_PREFIX) + "[0-9a-f]{32}")
_REJECT_REMOTE = 0x8  # PIPE_REJECT_REMOTE_CLIENTS; messages and blocking are no flags: both are 0
_IDENTIFICATION = 0x00110000  # SECURITY_SQOS_PRESENT: the server may learn who this is, and not act in their name
_BUFFER = 64 << 10
_BUSY, _NO_DATA, _ABORTED = 231, 232, 995
_ENDED = (109, _NO_DATA, 233)  # ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED


class Connection:
    """One end of a connected pipe. Everything raises ``OSError`` once the other end has gone."""

    def __init__(self, handle: int, *, serves: bool) -> None:
        self.handle, self._serves = handle, serves
        self._closed = False

    def peer(self) -> int:
        """The number of the process at the other end."""
        return calls.client_of(self.handle) if self._serves else calls.server_of(self.handle)

    def waiting(self) -> int:
        """How many bytes can be read; raises ``OSError`` if it is none and the other end is closed."""
        return int(_winapi.PeekNamedPipe(self.handle, 0)[0])

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            _winapi.CloseHandle(self.handle)

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Listener:
    """The end that is waited at; there is one instance of the pipe more than there are clients."""

    def __init__(self, path: Path) -> None:
        self._access = calls.OnlyThisUser()
        self._name = _PREFIX + secrets.token_hex(16)
        self._timeout: float | None = None
        # The first instance makes the name; one that exists already would be somebody else's.
        self._waiting: tuple[int, _winapi.Overlapped] | None = self._instance(_winapi.FILE_FLAG_FIRST_PIPE_INSTANCE)
        try:
            partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
            partial.write_bytes(f"{self._name}\n".encode("ascii"))  # the plug-in reads one line that ends in LF
            os.replace(partial, path)
        except BaseException:
            self.close()
            raise

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def accept(self) -> tuple[Connection, str]:
        """The next client; raises ``TimeoutError``, or ``OSError`` where one has gone before it was taken."""
        if self._waiting is None:
            self._waiting = self._instance()
        handle, connecting = self._waiting
        if not _done(connecting, self._timeout):
            raise TimeoutError("nobody came")
        self._waiting = None
        connection = Connection(handle, serves=True)
        try:
            connecting.GetOverlappedResult(True)
            self._waiting = self._instance()  # before the client gets its answer: the next one finds a place
        except BaseException:
            connection.close()
            raise
        return connection, self._name

    def close(self) -> None:
        if self._waiting is not None:
            handle, connecting = self._waiting
            self._waiting = None
            _cancel(connecting)
            _winapi.CloseHandle(handle)

    def _instance(self, first: int = 0) -> tuple[int, _winapi.Overlapped]:
        handle = _winapi.CreateNamedPipe(
            self._name,
            _winapi.PIPE_ACCESS_DUPLEX | _winapi.FILE_FLAG_OVERLAPPED | first,
            _REJECT_REMOTE,
            _winapi.PIPE_UNLIMITED_INSTANCES,
            _BUFFER,
            _BUFFER,
            0,
            self._access.address,
        )
        try:
            return handle, _winapi.ConnectNamedPipe(handle, overlapped=True)
        except BaseException:
            _winapi.CloseHandle(handle)
            raise

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


listen = Listener


def connect(path: Path, timeout: float) -> Connection:
    """A connection to the worker whose pipe's name stands in the file; raises ``OSError`` where nobody answers."""
    name = path.read_text(encoding="ascii", errors="replace").strip()
    if not _NAME.fullmatch(name):  # it might lead to another machine
        raise ConnectionRefusedError(f"{path} holds no name of a pipe")
    until = time.monotonic() + timeout
    while True:
        try:
            handle = _winapi.CreateFile(
                name,
                _winapi.GENERIC_READ | _winapi.GENERIC_WRITE,
                0,
                _winapi.NULL,
                _winapi.OPEN_EXISTING,
                _winapi.FILE_FLAG_OVERLAPPED | _IDENTIFICATION,
                _winapi.NULL,
            )
        except OSError as error:
            if error.winerror != _BUSY or time.monotonic() > until:
                raise
            with contextlib.suppress(OSError):  # it takes in others just now
                _winapi.WaitNamedPipe(name, 50)
            continue
        return Connection(handle, serves=False)


def same_user(connection: Connection) -> bool:
    """Whether the process at the other end is this user's; raises ``OSError``."""
    user = calls.user_of(connection.peer())
    with contextlib.suppress(OSError):
        # As long as the other end is open its process is there, and the number nobody else's.
        connection.waiting()
        return user == calls.user_of(os.getpid())
    raise ConnectionResetError("the other end has gone")


class Stream:
    """The bytes of a connection; there are no descriptors. All raise ``OSError`` once it is broken."""

    def __init__(self, connection: Connection) -> None:
        self._pipe = connection
        self._reading: _winapi.Overlapped | None = None
        self._shut = False

    def read(self, most: int, seconds: float | None) -> tuple[bytes, list[int]]:
        """At most ``most`` bytes, as soon as there are any; b"" at the end. Raises ``TimeoutError``."""
        try:
            reading, _ = _winapi.ReadFile(self._pipe.handle, most, overlapped=True)
            self._reading = reading
            if self._shut:  # before it had begun
                _cancel(reading)
                return b"", []
            if not _done(reading, seconds):
                _cancel(reading)
                raise TimeoutError("the other side takes too long")
            _, error = reading.GetOverlappedResult(True)
            if error == _ABORTED:
                return b"", []
            return bytes(reading.getbuffer() or b""), []
        except TimeoutError:
            raise
        except OSError as error:
            if error.winerror in (*_ENDED, _ABORTED):
                return b"", []
            raise
        finally:
            self._reading = None

    def write(self, data: memoryview, descriptors: tuple[int, ...], seconds: float) -> int:
        """Send it: how many bytes went. Raises ``TimeoutError``."""
        if descriptors:
            raise OSError("a pipe takes no descriptors")
        writing, _ = _winapi.WriteFile(self._pipe.handle, data, overlapped=True)
        if not _done(writing, seconds):
            _cancel(writing)
            raise TimeoutError("the other side takes too long")
        return int(writing.GetOverlappedResult(True)[0])

    def offer(self, data: bytes) -> None:
        """Send it if it goes at once and whole; raises ``OSError`` if it was cut."""
        writing, _ = _winapi.WriteFile(self._pipe.handle, data, overlapped=True)
        if not _done(writing, 0) and 0 < _cancel(writing) < len(data):
            raise OSError("a message was cut")

    def gone(self) -> bool:
        """Whether the other side has closed, and nothing is left to be read."""
        try:
            self._pipe.waiting()
        except OSError:
            return True
        return False

    def shut(self) -> None:
        """Let a thread that waits in ``read`` see the end."""
        self._shut = True
        reading = self._reading
        if reading is not None:
            with contextlib.suppress(OSError):
                reading.cancel()

    def close(self) -> None:
        self._pipe.close()


def _done(operation: _winapi.Overlapped, seconds: float | None) -> bool:
    """Whether it ends within that time."""
    wait = _winapi.INFINITE if seconds is None else max(0, int(seconds * 1000 + 0.999))
    return bool(_winapi.WaitForMultipleObjects([operation.event], False, wait) != _winapi.WAIT_TIMEOUT)


def _cancel(operation: _winapi.Overlapped) -> int:
    """End it; how many bytes it had moved all the same."""
    with contextlib.suppress(OSError):
        operation.cancel()
        return int(operation.GetOverlappedResult(True)[0])
    return 0
