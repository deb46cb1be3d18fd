# SPDX-License-Identifier: Apache-2.0
"""One connection: whole messages in and out, the descriptors that come with them, and signs of life in between."""

from __future__ import annotations

import array
import contextlib
import os
import select
import socket
import threading
import time

from . import wire
from .wire import Header, Message, WireError

__all__ = ["Channel", "GoneError"]

_MOST_DESCRIPTORS = 4  # taken in at a time, to be closed again where they do not belong
_REST = 30.0  # seconds for the rest of a message that has begun, and for an answer to be taken
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


class GoneError(Exception):
    """The other side has closed the connection, or does not take its answers."""


class Channel:
    """A connected stream socket. One thread receives; sending may be done from several."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._sending = threading.Lock()
        self.broken = False

    def receive(self, timeout: float | None = None) -> tuple[Header, bytes, list[int]]:
        """The next message: header, payload and the descriptors that came along, which the caller has to close.

        ``timeout``: seconds until it has to begin. Raises ``GoneError`` at its end, ``WireError`` for what is no
        message. A header of another version comes back with its payload unread.
        """
        found: list[int] = []
        try:
            head = self._read(wire.HEADER.size, found, timeout, first=True)
            header = Header.unpack(head)
            payload = b""
            if header.version == wire.VERSION and header.length:
                payload = self._read(header.length, found, _REST)
            return header, payload, found
        except BaseException:
            close_all(found)
            raise

    def send(self, message: Message, sequence: int, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message whole; raises ``GoneError`` if nobody takes it."""
        data = memoryview(message.pack(sequence))
        extra = []
        if descriptors:
            extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        with self._sending:
            until = time.monotonic() + _REST
            while data and not self.broken:
                try:
                    sent = self._socket.sendmsg([data], extra, _NOSIGNAL)
                except BlockingIOError:
                    self._wait(select.POLLOUT, until - time.monotonic())
                    continue
                except OSError as error:
                    self.broken = True
                    raise GoneError(str(error)) from error
                data, extra = data[sent:], []
        if self.broken:
            raise GoneError("the connection is broken")

    def alive(self, sequence: int) -> None:
        """Tell the client that its request is worked on; never waits."""
        if not self._sending.acquire(blocking=False):
            return  # an answer is on its way
        try:
            data = wire.Alive().pack(sequence)
            # A sign cut in the middle would spoil all that follows.
            if not self.broken and self._socket.send(data, _NOSIGNAL) != len(data):
                self.broken = True
        except BlockingIOError:
            pass
        except OSError:
            self.broken = True
        finally:
            self._sending.release()

    def gone(self) -> bool:
        """Whether the client has closed the connection: it wants no answer any more."""
        if self.broken:
            return True
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def shut(self) -> None:
        """Let a thread that waits in ``receive`` see the end of the connection; answers can still be sent."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        with self._sending:
            self.broken = True
            self._socket.close()

    def _read(self, size: int, found: list[int], timeout: float | None, first: bool = False) -> bytes:
        data = bytearray()
        until = None if timeout is None else time.monotonic() + timeout
        room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
        while len(data) < size:
            try:
                piece, ancillary, _, _ = self._socket.recvmsg(size - len(data), room, _CLOEXEC)
            except BlockingIOError:
                self._wait(select.POLLIN, None if until is None else until - time.monotonic())
                continue
            except OSError as error:
                raise GoneError(str(error)) from error
            for level, kind, raw in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    numbers = array.array("i")
                    numbers.frombytes(raw[: len(raw) - len(raw) % numbers.itemsize])
                    found.extend(numbers)
            if not piece:
                if data:
                    raise WireError("the connection ends in the middle of a message")
                raise GoneError("closed")
            data += piece
            if first:  # a message that has begun has to end, too
                until, first = time.monotonic() + _REST, False
        return bytes(data)

    def _wait(self, event: int, seconds: float | None) -> None:
        if seconds is not None and seconds <= 0:
            raise GoneError("the other side takes too long")
        poll = select.poll()
        poll.register(self._socket, event)
        poll.poll(None if seconds is None else max(1, int(seconds * 1000)))


def close_all(descriptors: list[int]) -> None:
    """Close descriptors that came along with a message."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    descriptors.clear()
