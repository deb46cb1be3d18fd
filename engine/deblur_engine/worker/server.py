# SPDX-License-Identifier: Apache-2.0
"""The worker: answers clients on the user's socket until it is told to stop or nobody has been there for a while."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import logging.handlers
import os
import shutil
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..device import parse_device, probe_cuda
from ..errors import Cancelled, DeblurError, OutOfMemory, deliberate
from . import system, wire
from .channel import Channel, GoneError, close_all
from .fit_jobs import FitJobs, NoJobError
from .meeting import Meeting, same_user
from .surfaces import SurfaceError, Surfaces
from .wire import Header, Message, WireError

if TYPE_CHECKING:
    from .desk import Desk

__all__ = ["IDLE_SECONDS", "Server"]

IDLE_SECONDS = 300.0
MOST_CLIENTS = 64
_HELLO_SECONDS = 10.0
_LAST_FRAMES = 60.0  # seconds that frames in hand get to be finished when the worker is told to stop
_TICK = 0.25  # seconds between looks at what may end the worker
_LOG_BYTES = 1 << 20

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


class Server:
    """One worker. ``serve`` returns why it ended; the rest is for its own threads.

    ``on_ready`` is called when the socket answers. ``stop`` may be called from any thread.
    """

    def __init__(
        self,
        meeting: Meeting,
        device: str = "auto",
        threads: int | None = None,
        idle: float = IDLE_SECONDS,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._meeting, self._device, self._threads, self._idle = meeting, device, threads, idle
        self._on_ready = on_ready
        self._stop = threading.Event()
        self._why = ""
        self._lock = threading.Lock()
        self._clients: set[_Client] = set()
        self._last_seen = time.monotonic()
        self._started = time.monotonic()
        self._desk: Desk | None = None
        self._desk_lock = threading.Lock()
        tag = hashlib.blake2b(os.fsencode(meeting.lock), digest_size=6).hexdigest()
        self.jobs = FitJobs(device, threads, tag)

    # -- from start to end -----------------------------------------------------------------------------------------

    def serve(self, stopped: Callable[[], bool] = lambda: False) -> str | None:
        """Serve until the end; returns why it came, or None if another worker serves already.

        ``stopped`` is asked a few times a second whether to end. Raises ``OutputError`` or ``UsageError``.
        """
        lock = self._meeting.claim()
        if lock is None:
            return None
        with lock, contextlib.ExitStack() as ending:
            ending.enter_context(_logging_to(self._meeting.log))
            listener = ending.enter_context(self._meeting.listen())
            ending.callback(self._end)
            own = os.stat(self._meeting.socket).st_ino
            system.allow_many_files()
            log.info("worker %d of deblur-engine %s serves %s", os.getpid(), __version__, self._meeting.socket)
            self._on_ready()
            self.jobs.sweep()
            threading.Thread(target=self._show_life, name="deblur-alive", daemon=True).start()
            # Whoever connects next wants a frame soon; WELCOME need not wait for the libraries.
            threading.Thread(target=self._warm_up, name="deblur-warm-up", daemon=True).start()
            listener.settimeout(_TICK)
            while not self._over(stopped, own):
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                except OSError as error:  # too many open files, say: others go on
                    log.warning("no connection taken: %s", error)
                    time.sleep(_TICK)
                    continue
                self._take(connection)
            if self._owns(own):
                self._meeting.socket.unlink(missing_ok=True)
        return self._why

    def stop(self, why: str) -> None:
        self._why = self._why or why
        self._stop.set()

    def _over(self, stopped: Callable[[], bool], own: int) -> bool:
        with self._lock:
            busy = bool(self._clients)
        if self.jobs.running() or busy:
            self._last_seen = time.monotonic()
        if stopped():
            self.stop("stopped by a signal")
        elif not self._owns(own):
            self.stop("the socket was removed: nobody can reach this worker any more")
        elif time.monotonic() - self._last_seen > self._idle:
            self.stop(f"nobody was there for {self._idle:g} seconds")
        return self._stop.is_set()

    def _owns(self, inode: int) -> bool:
        try:
            return os.stat(self._meeting.socket).st_ino == inode
        except OSError:
            return False

    def _end(self) -> None:
        """Cancel the jobs, let frames in hand be finished, and see the clients off."""
        self.stop("ended")
        self.jobs.close()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            if client.busy is None:
                client.channel.shut()
        until = time.monotonic() + _LAST_FRAMES
        for client in clients:
            client.thread.join(max(0.0, until - time.monotonic()))
        log.info("worker %d ends: %s", os.getpid(), self._why)

    # -- clients ---------------------------------------------------------------------------------------------------

    def _take(self, connection: system.Connection) -> None:
        try:
            if not same_user(connection):
                log.warning("a connection of another user was refused")
                connection.close()
                return
        except OSError as error:
            log.warning("a connection was refused: %s", error)
            connection.close()
            return
        client = _Client(self, Channel(connection))
        with self._lock:
            full = len(self._clients) >= 2 * MOST_CLIENTS
            if not full:
                self._clients.add(client)
        try:
            if not full:
                client.thread.start()
                return
        except RuntimeError as error:  # too many threads, say: others go on
            log.warning("a connection was refused: %s", error)
            self.leave(client)
        client.channel.close()

    def make_room(self) -> None:
        """Raise ``OutOfMemory`` where a client is one too many."""
        with self._lock:
            if len(self._clients) > MOST_CLIENTS:
                raise OutOfMemory(f"the worker serves {MOST_CLIENTS} connections already", hint="close some effects")

    def leave(self, client: _Client) -> None:
        with self._lock:
            self._clients.discard(client)
            self._last_seen = time.monotonic()

    def ending(self) -> bool:
        return self._stop.is_set()

    def _show_life(self) -> None:
        while True:
            time.sleep(1.0)
            with self._lock:
                clients = list(self._clients)
            for client in clients:
                client.show_life()

    # -- what it works with ----------------------------------------------------------------------------------------

    def desk(self) -> Desk:
        """The engine behind the requests, imported when it is first needed."""
        with self._desk_lock:
            if self._desk is None:
                self._desk = import_module(f"{__package__}.desk").Desk(self._device, self._threads)
            return self._desk

    def _warm_up(self) -> None:
        try:
            self.desk()
        except Exception:
            log.exception("the engine does not start")  # a request will meet the same, and be told

    def welcome(self) -> wire.Welcome:
        return wire.Welcome(os.getpid(), __version__, self._device_name(), str(self._meeting.log))

    def _device_name(self) -> str:
        """What the network will most likely run on: asked of the driver, which costs no library of ours."""
        kind, index = parse_device(self._device)
        if kind == "auto":
            return "cuda:0" if probe_cuda().count else "cpu"
        return "cpu" if kind == "cpu" else f"cuda:{index}"

    def state(self) -> wire.State:
        with self._lock:
            clients = len(self._clients)
        desk = self._desk
        return wire.State(
            clients=clients,
            models=0 if desk is None else len(desk.models),
            jobs=self.jobs.running(),
            resident=system.resident_bytes(),
            seconds=time.monotonic() - self._started,
            rendered=0 if desk is None else desk.rendered,
        )


class _Client:
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


class _LogFile(logging.handlers.RotatingFileHandler):
    """Where a file that others have open cannot be renamed (Windows), it is copied and emptied."""

    def rotate(self, source: str, dest: str) -> None:
        try:
            super().rotate(source, dest)
        except PermissionError:
            shutil.copyfile(source, dest)
            os.truncate(source, 0)


@contextlib.contextmanager
def _logging_to(path: Any) -> Any:
    handler = _LogFile(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    home = logging.getLogger(__package__)
    before = home.level, home.propagate
    home.addHandler(handler)
    home.setLevel(logging.INFO)
    home.propagate = False
    try:
        yield
    finally:
        home.removeHandler(handler)
        home.setLevel(before[0])
        home.propagate = before[1]
        handler.close()
