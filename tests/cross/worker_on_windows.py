# SPDX-License-Identifier: Apache-2.0
"""The worker's Windows side, run by a Python for Windows with NumPy (test_windows.py says which). Asserts, no pytest.

The worker is the real one but for the desk, which brings all libraries: the one here doubles pictures.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from deblur_engine.errors import OutputError
from deblur_engine.worker import server, wire
from deblur_engine.worker import windows_calls as calls
from deblur_engine.worker.channel import Channel, GoneError
from deblur_engine.worker.client import Client, Surface, WorkerError, connect
from deblur_engine.worker.meeting import Meeting

SIZE = (96, 64)


class Doubling:
    """Stands for ``desk.Desk``."""

    rendered, models = 0, ()
    slow = 0.0

    def render(self, request: wire.Render, surfaces, check: Callable[[], None]) -> wire.Rendered:
        until = time.monotonic() + self.slow
        while time.monotonic() < until:
            check()
            time.sleep(0.02)
        if not request.pictures:  # the question whether any are needed
            return wire.Rendered(wire.Rendered.WANTED, 0, 0, 0, 0, 0, 0, "")
        (_, number, offset, _), *_ = request.pictures
        picture = surfaces.picture(number, offset, request.width, request.height)
        surfaces.picture(request.out_surface, request.out_offset, request.width, request.height)[:] = 2 * picture
        self.rendered += 1
        return wire.Rendered(0, 0, 0, 0, 0, 0, 0, "")


class Served:
    def __init__(self, folder: Path, **options: float) -> None:
        self.meeting, self.why, ready = Meeting("cpu", folder), "", threading.Event()
        self.server = server.Server(self.meeting, "cpu", 1, on_ready=ready.set, **options)
        self.desk = self.server._desk = Doubling()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        assert ready.wait(20)

    def _serve(self) -> None:
        self.why = self.server.serve()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop("the check is over")
        self.thread.join(30)
        assert not self.thread.is_alive()


def render(client: Client) -> None:
    picture = np.random.default_rng(1).random((SIZE[1], SIZE[0], 3), np.float32)
    _, made = client.render("m", 3, {3: picture})
    np.testing.assert_array_equal(made, 2 * picture)


def check_a_frame_and_the_end(folder: Path) -> None:
    with Served(folder) as served:
        with Client(served.meeting) as client, Client(served.meeting) as other:
            assert client.welcome.pid == os.getpid()
            for _ in range(3):
                render(client)
                render(other)
            state = client.ask(wire.Status(), wire.State)
            assert (state.clients, state.rendered) == (2, 6) and state.resident > 1 << 20, state
            assert server.Server(Meeting("cpu", folder), "cpu", 1).serve() is None  # there is one already
            client.ask(wire.Stop(), wire.Done)
        served.thread.join(30)
        assert "told to stop" in served.why
    assert not served.meeting.socket.exists() and connect("cpu", folder) is None


def check_many_come_at_once(folder: Path) -> None:
    with Served(folder) as served:
        failed: list[BaseException] = []

        def one() -> None:
            try:
                with Client(served.meeting) as client:
                    for _ in range(5):
                        render(client)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=one) for _ in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        assert not failed and served.desk.rendered == 60, failed


def check_large_messages_and_garbage(folder: Path) -> None:
    with Served(folder) as served:
        for garbage in (b"GET / HTTP/1.1\r\n\r\n" * 3, bytes(24), os.urandom(300_000)):
            connection = served.meeting.connect()
            channel = Channel(connection)
            channel.send(wire.Hello(1, "", "check"), 1)
            assert wire.parse(*_two(channel)).TYPE == wire.Welcome.TYPE
            with contextlib.suppress(GoneError, OSError):
                channel._stream.write(memoryview(garbage), (), 5)
                answer = wire.parse(*_two(channel))
                assert isinstance(answer, wire.Error) and answer.code == wire.BAD_MESSAGE
            channel.close()
        with Client(served.meeting) as client:
            # Longer than the pipe's buffer: it goes in pieces, and comes whole.
            for _ in range(3):
                with contextlib.suppress(WorkerError):
                    client.ask(
                        wire.Render("m" * 4000, "", 1, 1, 1, 1.0, 0, 0, 0.0, ((9, 9, 9, 0),) * 4000, 1, 0), wire.Done
                    )
            render(client)


def _two(channel: Channel) -> tuple[int, bytes]:
    header, payload, _ = channel.receive(20)
    return header.type, payload


def check_memory(folder: Path) -> None:
    with Served(folder) as served, Client(served.meeting) as client:
        memory = Surface(8192)
        for size, name in (
            (8192, "Local\\deblur-engine-" + "0" * 32),  # nobody has made it
            (1 << 20, memory.name),  # it is smaller
            (8192, memory.name[:-1]),
            (8192, "Global\\other"),
            (8192, ""),
            (0, memory.name),
        ):
            with contextlib.suppress(WorkerError):
                client.ask(wire.AttachNamed(1, size, name), wire.Done)
                raise AssertionError(f"{size} bytes of {name} were taken")
        with contextlib.suppress(WorkerError):
            client.ask(wire.Attach(1, 8192), wire.Done)
            raise AssertionError("ATTACH without a descriptor was taken")
        client.ask(wire.AttachNamed(1, 8192, memory.name), wire.Done)
        client.ask(wire.Detach(1), wire.Done)
        render(client)


def check_who_leaves_is_seen(folder: Path) -> None:
    with Served(folder) as served:
        served.desk.slow = 30.0
        leaving = Client(served.meeting)
        number = leaving.attach(1 << 20)
        leaving.send(wire.Render("m", "", 3, 8, 8, 1.0, 1, 0, 0.0, ((3, number, 0, 0),), number, 4096))
        time.sleep(2.5)
        header, payload, _ = leaving.channel.receive(5)
        assert isinstance(wire.parse(header.type, payload), wire.Alive)
        leaving.close()
        with Client(served.meeting) as client:
            for _ in range(200):
                if client.ask(wire.Status(), wire.State).clients == 1:
                    break
                time.sleep(0.05)
            else:
                raise AssertionError("a client that has gone is still served")
        served.desk.slow = 0.0


def check_silence_and_idleness(folder: Path) -> None:
    with Served(folder, idle=0.6) as served:
        with Client(served.meeting) as client:
            time.sleep(1.5)
            assert served.thread.is_alive()
            before = time.monotonic()
            with contextlib.suppress(GoneError):
                client.channel.receive(0.3)
                raise AssertionError("nothing was sent")
            assert time.monotonic() - before < 5
        served.thread.join(20)
        assert "nobody was there" in served.why, served.why
    with Served(folder) as served, Client(served.meeting) as client:  # it ends though a client waits in silence
        served.server.stop("now")
        served.thread.join(20)
        assert not served.thread.is_alive()
        del client


def check_names(folder: Path) -> None:
    meeting = Meeting("cpu", folder)
    for text in ("", "\\\\elsewhere\\pipe\\deblur-engine-" + "0" * 32, "\\\\.\\pipe\\other", "\xff" * 90):
        meeting.socket.write_bytes(text.encode("latin-1"))
        with contextlib.suppress(OSError):
            meeting.connect(0.2)
            raise AssertionError(f"connected to {text}")
    meeting.socket.write_text("\\\\.\\pipe\\deblur-engine-" + "0" * 32 + "\n")  # of a worker that has gone
    assert connect("cpu", folder) is None
    with Served(folder) as served, Client(served.meeting):
        pass  # and is no obstacle to the next one


def check_others_are_refused(folder: Path) -> None:
    real = calls.user_of
    with Served(folder) as served:
        users = (f"S-1-5-21-{number}" for number in itertools.count())
        calls.user_of = lambda process: next(users)  # nobody is who they were
        with contextlib.suppress(PermissionError, ConnectionError):
            served.meeting.connect()
            raise AssertionError("a stranger's worker was taken")
        calls.user_of = real
        with Client(served.meeting) as client:
            assert client.channel._stream._pipe.peer() == os.getpid()
        assert "refused" in served.meeting.log.read_text()
    real_owner = calls.owner_of
    calls.owner_of = lambda path: "S-1-5-21-1"
    with contextlib.suppress(OutputError):
        Meeting("cpu", folder)
        raise AssertionError("another user's folder was taken")
    calls.owner_of = real_owner
    (folder / "file").write_text("")
    with contextlib.suppress(OutputError):
        Meeting("cpu", folder / "file")
        raise AssertionError("a file was taken for a folder")


def check_the_log_begins_anew(folder: Path) -> None:
    server._LOG_BYTES = 2000
    with Served(folder) as served, open(served.meeting.log, "ab"):  # somebody reads it: it cannot be renamed
        for number in range(100):
            logging.getLogger("deblur_engine.worker.server").info("line %d of many", number)
        assert served.meeting.log.stat().st_size <= 4000 and "line 99" in served.meeting.log.read_text()


if __name__ == "__main__":
    logging.lastResort = None
    for name, check in list(globals().items()):
        if name.startswith("check_") and (len(sys.argv) < 2 or name in sys.argv[1:]):
            with tempfile.TemporaryDirectory(prefix="dw-", ignore_cleanup_errors=True) as made:
                check(Path(made) / "run")
            print("well:", name, flush=True)
