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
from ..errors import OutOfMemory
from . import system, wire
from .channel import Channel
from .conversation import Conversation
from .fit_jobs import FitJobs
from .meeting import Meeting, same_user

if TYPE_CHECKING:
    from .desk import Desk

__all__ = ["IDLE_SECONDS", "Server"]

IDLE_SECONDS = 300.0
MOST_CLIENTS = 64
_LAST_FRAMES = 60.0  # seconds that frames in hand get to be finished when the worker is told to stop
_TICK = 0.25  # seconds between looks at what may end the worker
_LOG_BYTES = 1 << 20

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
        self._clients: set[Conversation] = set()
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
        client = Conversation(self, Channel(connection))
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

    def leave(self, client: Conversation) -> None:
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
