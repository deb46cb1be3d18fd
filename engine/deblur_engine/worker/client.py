# SPDX-License-Identifier: Apache-2.0
"""A client of the worker in Python: for tests, benchmarks and scripts. An editor's plug-in has its own, in C++."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from .. import __version__
from ..errors import DeblurError
from . import system, wire
from .channel import Channel, close_all
from .meeting import Meeting
from .wire import Message

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

__all__ = ["Client", "Surface", "WorkerError", "connect", "start"]

Answer = TypeVar("Answer", bound=Message)
_SILENCE = 10.0  # seconds without a byte after which a worker hangs


class WorkerError(DeblurError):
    """The worker's ERROR: ``code`` is an exit code, or one of the protocol's own from 100 on."""

    def __init__(self, answer: wire.Error) -> None:
        super().__init__(answer.message, hint=answer.hint or None)
        self.code = answer.code


class Surface:
    """Shared memory for pictures that the worker can be given: sized once, and sealed where the system can."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.memory, self.descriptor, self.name = system.new_memory(size)

    def picture(self, width: int, height: int, offset: int = 0) -> Array:
        """A picture in it, float32 [height, width, 3], to be read and written."""
        import numpy as np

        return np.frombuffer(self.memory, np.float32, width * height * 3, offset).reshape(height, width, 3)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


class Client:
    """One connection to a worker; for one thread. Use as a context manager, or call ``close``."""

    def __init__(self, meeting: Meeting, host: str = "deblur-engine") -> None:
        self.channel = Channel(meeting.connect())
        self._sequence = 0
        self._surfaces: dict[int, Surface] = {}
        self.alive = 0  # signs of life seen
        try:
            self.welcome = self.ask(wire.Hello(os.getpid(), __version__, host), wire.Welcome)
        except BaseException:
            self.close()
            raise

    def ask(self, request: Message, answer: type[Answer], descriptors: tuple[int, ...] = ()) -> Answer:
        """Send a request and wait for its answer. Raises ``WorkerError`` or, if nobody is there, ``GoneError``."""
        self.send(request, descriptors)
        return self.wait(answer)

    def send(self, request: Message, descriptors: tuple[int, ...] = ()) -> None:
        self._sequence += 1
        self.channel.send(request, self._sequence, descriptors)

    def wait(self, answer: type[Answer]) -> Answer:
        while True:
            header, payload, unexpected = self.channel.receive(_SILENCE)
            close_all(unexpected)
            message = wire.parse(header.type, payload)
            if isinstance(message, wire.Alive):
                self.alive += 1
            elif isinstance(message, wire.Error) and header.sequence in (self._sequence, 0):
                raise WorkerError(message)
            elif header.sequence == self._sequence:
                if not isinstance(message, answer):
                    raise wire.WireError(f"the worker answers with {type(message).__name__}")
                return message

    def attach(self, size: int) -> int:
        """Shared memory of ``size`` bytes known to the worker; returns its number, ``surface`` gives it."""
        number = max(self._surfaces, default=0) + 1
        surface = Surface(size)
        try:
            if surface.name:
                self.ask(wire.AttachNamed(number, size, surface.name), wire.Done)
            else:
                self.ask(wire.Attach(number, size), wire.Done, (surface.descriptor,))
        except BaseException:
            surface.close()
            raise
        self._surfaces[number] = surface
        return number

    def surface(self, number: int) -> Surface:
        return self._surfaces[number]

    def detach(self, number: int) -> None:
        self.ask(wire.Detach(number), wire.Done)
        self._surfaces.pop(number).close()

    def render(
        self,
        model: str | Path,
        frame: int,
        pictures: Mapping[int, Array],
        *,
        clip: str | Path = "",
        strength: float = 1.0,
        flags: int = wire.Render.PROTECT,
        view: int = 0,
        scale: float = 0.0,
        marks: Mapping[int, int] | None = None,
    ) -> tuple[wire.Rendered, Array]:
        """A frame rendered from ``pictures`` (float32 [H, W, 3] by frame number), and what the worker says of it."""
        height, width = pictures[frame].shape[:2]
        step = -(-height * width * 12 // 64) * 64
        size = step * (len(pictures) + 1)
        number = next((n for n, s in self._surfaces.items() if s.size >= size), None) or self.attach(size)
        surface = self._surfaces[number]
        places = []
        for place, (each, picture) in enumerate(pictures.items(), 1):
            surface.picture(width, height, place * step)[:] = picture
            places.append((each, number, place * step, (marks or {}).get(each, 0)))
        request = wire.Render(
            str(model), str(clip), frame, width, height, strength, flags, view, scale, tuple(places), number, 0
        )
        answer = self.ask(request, wire.Rendered)
        if answer.flags & wire.Rendered.UNCHANGED:
            return answer, pictures[frame]
        return answer, surface.picture(width, height).copy()

    def close(self) -> None:
        self.channel.close()
        for surface in self._surfaces.values():
            surface.close()
        self._surfaces.clear()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(device: str = "auto", folder: Path | None = None, *, host: str = "deblur-engine") -> Client | None:
    """A connection to the device's worker, or None if there is none; never starts one."""
    try:
        return Client(Meeting(device, folder), host)
    except OSError:
        return None


def start(device: str = "auto", folder: Path | None = None, *, seconds: float = 20.0, host: str = "script") -> Client:
    """A connection to the device's worker, which is started if there is none. Raises ``OSError`` if it does not."""
    meeting = Meeting(device, folder)
    words = [sys.executable, "-m", "deblur_engine", "serve", "--device", device]
    environment = {**os.environ, "DEBLUR_RUNTIME_DIR": str(meeting.folder)}
    until, process = time.monotonic() + seconds, None
    while True:
        try:
            return Client(meeting, host)
        except (FileNotFoundError, ConnectionError):
            if time.monotonic() > until or (process is not None and process.poll() not in (None, 0)):
                raise
        if process is None:
            with open(meeting.log, "ab") as log:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=environment,
                    **system.own_session(),
                )
        time.sleep(0.02)
