# SPDX-License-Identifier: Apache-2.0
"""One connection: whole messages in and out, the descriptors that come with them, and signs of life in between."""

from __future__ import annotations

import contextlib
import os
import threading
import time

from . import system, wire
from .wire import Header, Message, WireError

__all__ = ["Channel", "GoneError"]

_REST = 30.0  # seconds for the rest of a message that has begun, and for an answer to be taken


class GoneError(Exception):
    """The other side has closed the connection, or does not take its answers."""


class Channel:
    """A connection of ``Meeting``. One thread receives; sending may be done from several."""

    def __init__(self, connection: system.Connection) -> None:
        self._stream = system.Stream(connection)
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
        with self._sending:
            until = time.monotonic() + _REST
            while data and not self.broken:
                try:
                    sent = self._stream.write(data, descriptors, until - time.monotonic())
                except OSError as error:
                    self.broken = True
                    raise GoneError(str(error)) from error
                data, descriptors = data[sent:], ()
        if self.broken:
            raise GoneError("the connection is broken")

    def alive(self, sequence: int) -> None:
        """Tell the client that its request is worked on; never waits."""
        if not self._sending.acquire(blocking=False):
            return  # an answer is on its way
        try:
            # A sign cut in the middle would spoil all that follows.
            if not self.broken:
                self._stream.offer(wire.Alive().pack(sequence))
        except OSError:
            self.broken = True
        finally:
            self._sending.release()

    def gone(self) -> bool:
        """Whether the client has closed the connection: it wants no answer any more."""
        return self.broken or self._stream.gone()

    def shut(self) -> None:
        """Let a thread that waits in ``receive`` see the end of the connection; answers can still be sent."""
        self._stream.shut()

    def close(self) -> None:
        with self._sending:
            self.broken = True
            self._stream.close()

    def _read(self, size: int, found: list[int], timeout: float | None, first: bool = False) -> bytes:
        data = bytearray()
        until = None if timeout is None else time.monotonic() + timeout
        while len(data) < size:
            try:
                left = None if until is None else until - time.monotonic()
                piece, descriptors = self._stream.read(size - len(data), left)
            except OSError as error:
                raise GoneError(str(error)) from error
            found.extend(descriptors)
            if not piece:
                if data:
                    raise WireError("the connection ends in the middle of a message")
                raise GoneError("closed")
            data += piece
            if first:  # a message that has begun has to end, too
                until, first = time.monotonic() + _REST, False
        return bytes(data)


def close_all(descriptors: list[int]) -> None:
    """Close descriptors that came along with a message."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    descriptors.clear()
