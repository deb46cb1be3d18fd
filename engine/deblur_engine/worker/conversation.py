# SPDX-License-Identifier: Apache-2.0
"""One client's connection: its requests taken, answered in a thread of their own, and what an error amounts to."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING

from ..errors import Cancelled, DeblurError, deliberate
from . import wire
from .channel import Channel, GoneError, close_all
from .fit_jobs import NoJobError
from .surfaces import SurfaceError, Surfaces
from .wire import Header, Message, WireError

if TYPE_CHECKING:
    from .server import Server

__all__ = ["Conversation"]

_HELLO_SECONDS = 10.0

_REQUESTS = (
    wire.Hello,
    wire.Attach,
    wire.AttachNamed,
    wire.Detach,
    wire.Model,
    wire.Needs,
    wire.Render,
    wire.Fit,
    wire.FitFrame,
    wire.FitStart,
    wire.FitStatus,
    wire.FitCancel,
    wire.Status,
    wire.Stop,
)

log = logging.getLogger(__name__)


class Conversation:
    """One connection and the thread that answers it."""

    def __init__(self, server: Server, channel: Channel) -> None:
        self.server, self.channel = server, channel
        self.surfaces = Surfaces()
        self.busy: int | None = None  # the sequence of the request in hand
        self.thread = threading.Thread(target=self._serve, name="deblur-client", daemon=True)

    def show_life(self) -> None:
        sequence = self.busy
        if sequence is not None:
            self.channel.alive(sequence)

    def check(self) -> None:
        """Raise if the client has gone: it wants no answer any more."""
        if self.channel.gone():
            raise GoneError("the client has gone")

    def _serve(self) -> None:
        try:
            if self._answer(first=True):
                while not self.server.ending() and self._answer():
                    pass
        except GoneError:
            pass
        except WireError as error:
            log.warning("a connection is closed: %s", error)
            with contextlib.suppress(GoneError):
                self.channel.send(wire.Error(wire.BAD_MESSAGE, wire.shortened(str(error)), ""), 0)
        except Exception:
            log.exception("a connection is closed")
        finally:
            self.surfaces.clear()
            self.channel.close()
            self.server.leave(self)

    def _answer(self, first: bool = False) -> bool:
        """Take one request and answer it; False when the connection is to be closed."""
        header, payload, descriptors = self.channel.receive(_HELLO_SECONDS if first else None)
        try:
            self.busy = header.sequence
            answer, go_on = self._request(header, payload, descriptors, first)
        finally:
            self.busy = None
            close_all(descriptors)
        self.channel.send(answer, header.sequence)
        if isinstance(answer, wire.Done) and header.type == wire.Stop.TYPE:
            self.server.stop("told to stop by a client")
        return go_on

    def _request(self, header: Header, payload: bytes, descriptors: list[int], first: bool) -> tuple[Message, bool]:
        if header.version != wire.VERSION:
            text = f"the worker speaks version {wire.VERSION} of the protocol, not {header.version}"
            return wire.Error(wire.WRONG_VERSION, text, "plug-in and engine should be of one installation"), False
        if not issubclass(wire.MESSAGES.get(header.type, wire.Done), _REQUESTS):
            return wire.Error(wire.BAD_MESSAGE, f"type {header.type} is no request that is known here", ""), not first
        try:
            request = wire.parse(header.type, payload)
        except WireError as error:
            log.warning("a bad message of type %d: %s", header.type, error)
            return wire.Error(wire.BAD_MESSAGE, wire.shortened(str(error)), ""), False
        if first != isinstance(request, wire.Hello):
            return wire.Error(wire.BAD_MESSAGE, "HELLO comes first, and once", ""), False
        try:
            return self._do(request, descriptors), True
        except GoneError:
            raise
        except Exception as error:
            return _told(error, request), not first

    def _do(self, request: Message, descriptors: list[int]) -> Message:
        server = self.server
        match request:
            case wire.Hello():
                server.make_room()
                log.info("%s (process %d, engine %s) is there", request.host, request.pid, request.engine or "unknown")
                return server.welcome()
            case wire.Attach():
                if len(descriptors) != 1:
                    raise SurfaceError(f"ATTACH came with {len(descriptors)} descriptors, not with one")
                self.surfaces.attach(request.surface, request.bytes, descriptors[0])
                return wire.Done()
            case wire.AttachNamed():
                self.surfaces.attach(request.surface, request.bytes, request.name)
                return wire.Done()
            case wire.Detach():
                self.surfaces.detach(request.surface)
                return wire.Done()
            case wire.Model():
                return server.desk().model(request)
            case wire.Needs():
                return server.desk().needs(request)
            case wire.Render():
                return server.desk().render(request, self.surfaces, self.check)
            case wire.Fit():
                return wire.Job(server.jobs.add(request))
            case wire.FitFrame():
                picture = self.surfaces.picture(request.surface, request.offset, request.width, request.height)
                server.jobs.frame(request, picture)
                return wire.Done()
            case wire.FitStart():
                server.jobs.start(request.job)
                return wire.Done()
            case wire.FitStatus():
                return server.jobs.state(request.job)
            case wire.FitCancel():
                server.jobs.cancel(request.job)
                return wire.Done()
            case wire.Status():
                return server.state()
            case wire.Stop():
                return wire.Done()
        raise AssertionError(f"{type(request).__name__} has no answer")


def _told(error: Exception, request: Message) -> wire.Error:
    """The answer that an exception amounts to; what is a fault of ours goes to the log in full."""
    if isinstance(error, SurfaceError | NoJobError):
        return wire.Error(error.code, wire.shortened(str(error)), "")
    known = deliberate(error)
    if known is None:
        log.error("a fault of deblur-engine in answering %s", type(request).__name__, exc_info=error)
        known = DeblurError(
            f"unexpected {type(error).__name__}: {str(error).partition(chr(10))[0]}",
            hint="this is a fault of deblur-engine; please report what the worker's log says",
        )
    elif not isinstance(known, Cancelled):
        log.warning("%s: %s", type(request).__name__, known)
    return wire.Error(int(known.exit_code), wire.shortened(known.message), wire.shortened(known.hint or ""))
