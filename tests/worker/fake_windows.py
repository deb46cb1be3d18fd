# SPDX-License-Identifier: Apache-2.0
"""The little of Windows that ``windows_pipe`` asks for, in one process: pipes with its error codes."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any


def error(code: int) -> OSError:
    made = OSError(code, f"error {code}")
    made.winerror = code  # type: ignore[attr-defined]
    return made


class Operation:
    """An overlapped one: ends when ``ready`` gives its bytes."""

    def __init__(self, ready: Callable[[], bytes | None]) -> None:
        self.event, self.ready, self.data, self.cancelled = self, ready, b"", False

    def ended(self) -> bool:
        if not self.cancelled and not self.data:
            self.data = self.ready() or b""
        return bool(self.data) or self.cancelled

    def cancel(self) -> None:
        self.cancelled = not self.data

    def getbuffer(self) -> bytes:
        return self.data

    def GetOverlappedResult(self, wait: bool) -> tuple[int, int]:  # noqa: N802
        if self.cancelled:
            raise error(995)
        return len(self.data), 0


class FakeWindows(types.ModuleType):
    """Stands for ``_winapi``. ``calls``: what was asked; ``faults``: the codes that a function raises."""

    GENERIC_READ, GENERIC_WRITE, OPEN_EXISTING, NULL = 0x80000000, 0x40000000, 3, 0
    PIPE_ACCESS_DUPLEX, PIPE_UNLIMITED_INSTANCES = 3, 255
    FILE_FLAG_OVERLAPPED, FILE_FLAG_FIRST_PIPE_INSTANCE = 0x40000000, 0x80000
    INFINITE, WAIT_TIMEOUT = 0xFFFFFFFF, 258

    def __init__(self) -> None:
        super().__init__("_winapi")
        self.calls: list[tuple[Any, ...]] = []
        self.faults: dict[str, list[int]] = {}
        self.come, self.room, self.sent, self.closed = [], 1 << 20, bytearray(), []

    def _asked(self, name: str, *what: Any) -> None:
        self.calls.append((name, *what))
        if self.faults.get(name):
            raise error(self.faults[name].pop(0))

    def CreateNamedPipe(self, *what: Any) -> int:  # noqa: N802
        self._asked("CreateNamedPipe", *what)
        return len(self.calls)

    def ConnectNamedPipe(self, handle: int, overlapped: bool) -> Operation:  # noqa: N802
        self._asked("ConnectNamedPipe", handle)
        return Operation(lambda: b"x" if self.come and self.come.pop() else None)

    def CreateFile(self, *what: Any) -> int:  # noqa: N802
        self._asked("CreateFile", *what)
        return 7

    def WaitNamedPipe(self, name: str, wait: int) -> None:  # noqa: N802
        self._asked("WaitNamedPipe", name)

    def PeekNamedPipe(self, handle: int, size: int) -> tuple[int, int]:  # noqa: N802
        self._asked("PeekNamedPipe", handle)
        return (0, 0)

    def ReadFile(self, handle: int, size: int, overlapped: bool) -> tuple[Operation, int]:  # noqa: N802
        self._asked("ReadFile", handle, size)
        return Operation(lambda: self.come.pop(0)[:size] if self.come else None), 997

    def WriteFile(self, handle: int, data: Any, overlapped: bool) -> tuple[Operation, int]:  # noqa: N802
        self._asked("WriteFile", handle, bytes(data))

        def take() -> bytes | None:
            if self.room < len(data):
                return None
            self.room -= len(data)
            self.sent += data
            return bytes(data)

        return Operation(take), 997

    def WaitForMultipleObjects(self, events: list[Operation], every: bool, wait: int) -> int:  # noqa: N802
        return 0 if events[0].ended() else self.WAIT_TIMEOUT

    def CloseHandle(self, handle: int) -> None:  # noqa: N802
        self.closed.append(handle)
