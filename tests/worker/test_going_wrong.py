# SPDX-License-Identifier: Apache-2.0
"""Nothing that a client sends or a file holds ends the worker; each gets its answer."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from deblur_engine.errors import ExitCode
from deblur_engine.worker import conversation, desk, wire
from deblur_engine.worker import server as server_home
from deblur_engine.worker import surfaces as surfaces_home
from deblur_engine.worker.channel import Channel, GoneError
from deblur_engine.worker.client import Client, Surface, WorkerError
from worker.conftest import Served, Shot

HELLO = wire.Hello(1, "", "test").pack(1)
FRAME = 192 * 144 * 12


def lives(worker: Served) -> bool:
    with worker.client() as client:
        return client.ask(wire.Status(), wire.State).clients >= 1


def spoken(worker: Served, *data: bytes) -> list[wire.Message]:
    """Send bytes as they are; returns all answers until the worker closes or falls silent."""
    raw = worker.meeting.connect()
    channel, answers = Channel(raw), []
    with contextlib.suppress(GoneError, OSError):
        for each in data:
            raw.setblocking(True)
            raw.sendall(each)
            raw.setblocking(False)
    with contextlib.suppress(GoneError):
        while True:
            header, payload, _ = channel.receive(0.5)
            answers.append(wire.parse(header.type, payload))
    channel.close()
    return answers


def code(answers: list[wire.Message]) -> int:
    assert isinstance(answers[-1], wire.Error)
    return answers[-1].code


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
        bytes(24),
        wire.HEADER.pack(wire.MAGIC, 1, 20, wire.MAX_PAYLOAD + 1, 0, 1),
        wire.HEADER.pack(wire.MAGIC, 1, 20, 0xFFFFFFFF, 0, 1),
        wire.HEADER.pack(wire.MAGIC, 1, 50, 0, 7, 1),
        wire.HEADER.pack(wire.MAGIC, 1, 20, 8, 0, 1) + struct.pack("<II", 0xFFFFFFFF, 0),
        wire.HEADER.pack(wire.MAGIC, 1, 50, 3, 0, 1) + b"abc",
        HELLO,
    ],
)
def test_garbage_is_told_and_closes_the_connection(worker: Served, garbage: bytes) -> None:
    answers = spoken(worker, HELLO, garbage)
    assert isinstance(answers[0], wire.Welcome) and code(answers) == wire.BAD_MESSAGE
    assert lives(worker)


def test_hello_comes_first(worker: Served) -> None:
    assert code(spoken(worker, wire.Status().pack(1))) == wire.BAD_MESSAGE


def test_another_version_is_answered_in_ones_own(worker: Served) -> None:
    # Of another version nothing beyond the header is understood, not even its limits.
    for header in ((wire.MAGIC, 2, 1, 10, 0, 5), (wire.MAGIC, 9, 77, 0xFFFFFFFF, 3, 5)):
        assert code(spoken(worker, wire.HEADER.pack(*header))) == wire.WRONG_VERSION


def test_a_type_of_tomorrow_is_refused_without_closing(worker: Served) -> None:
    answers = spoken(worker, HELLO, wire.HEADER.pack(wire.MAGIC, 1, 999, 4, 0, 8) + b"more", wire.Status().pack(9))
    assert [type(each) for each in answers] == [wire.Welcome, wire.Error, wire.State]
    answers = spoken(worker, HELLO, wire.Needed(1, ()).pack(8), wire.Status().pack(9))
    assert [type(each) for each in answers] == [wire.Welcome, wire.Error, wire.State] and answers[1].code == 100


def test_a_message_cut_off_and_a_silent_client_are_no_matter(worker: Served, monkeypatch) -> None:
    assert spoken(worker, HELLO[:10]) == []
    monkeypatch.setattr(conversation, "_HELLO_SECONDS", 0.2)
    with worker.meeting.connect() as silent:
        silent.settimeout(20)
        assert silent.recv(1) == b""
    assert lives(worker)


def test_fuzzing_a_live_worker(worker: Served, shot: Shot) -> None:
    """Whole messages with bytes changed, cut, repeated and joined, for two seconds."""
    dice = random.Random(4)
    good = [
        HELLO,
        wire.Model(str(shot.model), "").pack(2),
        wire.Needs(str(shot.model), "", 2).pack(3),
        wire.Render(str(shot.model), "", 2, 192, 144, 1.0, 1, 0, 0.0, ((2, 1, 0, 0),), 1, FRAME).pack(4),
        wire.Attach(1, FRAME).pack(5),
        wire.FitStatus(1).pack(6),
        wire.FitFrame(1, 0, 8, 8, 25.0, 1, 0).pack(7),
        wire.Status().pack(8),
    ]
    until, tried = time.monotonic() + 2, 0
    while time.monotonic() < until:
        data = bytearray(HELLO * dice.randint(0, 1) + b"".join(dice.choices(good, k=dice.randint(1, 4))))
        for _ in range(dice.randint(1, 12)):
            data[dice.randrange(len(data))] = dice.choice([0, 1, 255, dice.randrange(256)])
        if wire.Stop.TYPE in data:
            continue  # which would be understood
        with worker.meeting.connect() as raw, contextlib.suppress(OSError):
            raw.sendall(data[: dice.randint(1, len(data))])
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(5)
            while raw.recv(4096):
                pass
        tried += 1
    assert tried > 20 and lives(worker)


def refused(client: Client, request: wire.Message, descriptors: tuple[int, ...] = ()) -> int:
    with pytest.raises(WorkerError) as caught:
        client.ask(request, wire.Done, descriptors)
    assert caught.value.message
    return caught.value.code


def test_surfaces_are_taken_only_if_they_cannot_shrink(client: Client, tmp_path: Path) -> None:
    loose = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
    os.ftruncate(loose, 4096)
    sealed = Surface(4096)
    read_only = os.open(f"/proc/self/fd/{sealed.descriptor}", os.O_RDONLY)
    plain = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.ftruncate(plain, 4096)
    pipe = os.pipe()
    for size, given in (
        (4096, (loose,)),
        (4096, (plain,)),
        (8192, (sealed.descriptor,)),
        (0, (sealed.descriptor,)),
        (4096, (read_only,)),
        (4096, pipe[:1]),
        (4096, ()),
        (4096, (sealed.descriptor, sealed.descriptor)),
        (2**63, (sealed.descriptor,)),
    ):
        assert refused(client, wire.Attach(1, size), given) == (102 if size < 2**60 else ExitCode.OUT_OF_MEMORY), size
    assert refused(client, wire.Detach(1)) == 102
    client.ask(wire.Attach(1, 4096), wire.Done, (sealed.descriptor,))
    client.ask(wire.Attach(1, 4096), wire.Done, (sealed.descriptor,))  # in its own place
    for descriptor in (loose, plain, read_only, *pipe):
        os.close(descriptor)


def test_descriptors_that_nobody_asked_for_are_closed(client: Client) -> None:
    here, there = os.pipe()
    client.ask(wire.Status(), wire.State, (there,))
    os.close(there)
    assert os.read(here, 1) == b""  # no writing end is left
    os.close(here)


def test_what_one_client_may_pin_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surfaces_home, "MOST", 2)
    numbers = [client.attach(4096), client.attach(4096)]
    with pytest.raises(WorkerError) as caught:
        client.attach(4096)
    assert caught.value.code == ExitCode.OUT_OF_MEMORY
    client.detach(numbers[0])
    monkeypatch.setattr(surfaces_home, "MOST_BYTES", 8192)
    client.attach(4096)
    monkeypatch.setattr(surfaces_home, "MOST", 9)
    with pytest.raises(WorkerError):
        client.attach(4096)


def test_connections_are_bounded(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_home, "MOST_CLIENTS", 2)
    served = serve()
    with served.client(), served.client(), pytest.raises(WorkerError, match="already") as caught:
        served.client()
    assert caught.value.code == ExitCode.OUT_OF_MEMORY


def test_pictures_lie_inside_their_surfaces(client: Client, shot: Shot) -> None:
    number = client.attach(2 * FRAME)

    def ask(surface: int = number, offset: int = 0, width: int = 192, out: int = FRAME, frame: int = 2) -> int:
        request = wire.Render(
            str(shot.model), "", 2, width, 144, 1.0, 1, 0, 0.0, ((frame, surface, offset, 0),), number, out
        )
        with pytest.raises(WorkerError) as caught:
            client.ask(request, wire.Rendered)
        return caught.value.code

    assert [
        ask(surface=number + 1),
        ask(offset=FRAME + 64),
        ask(offset=4),
        ask(offset=2**64 - 64),
        ask(width=0),
        ask(width=2**32 - 1),
        ask(out=2 * FRAME),
        ask(frame=3),
    ] == [102] * 8
    client.detach(number)


def test_numbers_that_cannot_be_meant(client: Client, shot: Shot, pictures) -> None:
    for strength in (-0.1, 1.5, float("nan"), float("inf")):
        with pytest.raises(WorkerError) as caught:
            client.render(shot.model, 5, {5: pictures[5]}, strength=strength)
        assert caught.value.code == ExitCode.USAGE
    for scale in (float("nan"), -1.0, 1e300):  # taken for unknown
        assert client.render(shot.model, 5, {5: pictures[5]}, scale=scale)[0].references == 4
    with pytest.raises(WorkerError) as caught:
        client.render(shot.model, 5, {5: pictures[5]}, view=9)
    assert caught.value.code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("model", "clip", "number"),
    [("", "", 2), ("here.onnx", "", 2), ("/no/such/model.onnx", "", 9), ("", "/no/clip.mov", 9), ("/tmp", "", 9)],
)
def test_a_model_that_is_not_there(client: Client, model: str, clip: str, number: int) -> None:
    with pytest.raises(WorkerError) as caught:
        client.ask(wire.Model(model, clip), wire.ModelInfo)
    assert caught.value.code == number and caught.value.message


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_mark_that_promises_too_much_harms_nobody_else(client: Client, shot: Shot, pictures, tmp_path: Path) -> None:
    """A mark says that all values are numbers: a client that lies gets its own picture wrong."""
    dice = np.random.default_rng(1)
    wild = pictures[5].copy()
    places = dice.random(wild.shape[:2])
    for share, value in ((0.1, np.nan), (0.05, np.inf), (0.02, -np.inf), (0.01, 3e38)):
        wild[places < share] = value
    for number, lie in enumerate((wild, np.full_like(wild, np.nan)), 1):
        for model in (shot.model, shot.alone(tmp_path)):
            client.render(model, 5, {5: lie}, marks={5: number})
    answer, given = client.render(shot.model, 5, {5: pictures[5]}, marks={5: 99})
    assert answer.references == 4 and np.isfinite(given).all()


def test_a_model_that_is_damaged_then_mended_then_replaced(client: Client, shot: Shot, pictures, tmp_path) -> None:
    path = tmp_path / "shot.deblur.onnx"
    path.write_bytes(shot.model.read_bytes()[:5000])
    for _ in range(2):
        with pytest.raises(WorkerError) as caught:
            client.render(path, 5, {5: pictures[5]})
        assert caught.value.code == ExitCode.MODEL and str(path) in caught.value.message
    shutil.copy(shot.model, path)
    first = client.ask(wire.Model(str(path), ""), wire.ModelInfo)
    assert client.render(path, 5, {5: pictures[5]})[0].references == 0
    again = tmp_path / "again"
    shutil.copy(shot.model, again)
    os.replace(again, path)
    assert client.ask(wire.Model(str(path), ""), wire.ModelInfo).generation != first.generation
    path.write_bytes(b"junk")
    with pytest.raises(WorkerError):
        client.render(path, 5, {5: pictures[5]})
    path.unlink()
    with pytest.raises(WorkerError, match="no model"):
        client.render(path, 5, {5: pictures[5]})


def test_a_client_that_goes_ends_its_frame(serve, shot: Shot, pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    begun, go_on = threading.Event(), threading.Event()
    real = desk._align

    def slow(*arguments: object) -> object:
        begun.set()
        go_on.wait(20)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(desk, "_align", slow)
    restored = []
    monkeypatch.setattr(desk.Renderer, "restore", lambda self, *a, **k: restored.append(a))
    leaving = served.client()
    number = leaving.attach(2 * FRAME)
    leaving.surface(number).picture(192, 144)[:] = pictures[5]
    leaving.send(wire.Render(str(shot.model), "", 5, 192, 144, 1.0, 1, 0, 0.0, ((5, number, 0, 0),), number, FRAME))
    assert begun.wait(20)
    leaving.close()
    go_on.set()
    with served.client() as client:
        for _ in range(200):
            if client.ask(wire.Status(), wire.State).clients == 1:
                break
            time.sleep(0.05)
        assert client.ask(wire.Status(), wire.State).clients == 1 and not restored


def test_signs_of_life_come_while_a_frame_takes_long(serve, shot: Shot, pictures, monkeypatch) -> None:
    real = desk._align
    monkeypatch.setattr(desk, "_align", lambda *arguments: time.sleep(2.2) or real(*arguments))
    with serve().client() as client:
        client.render(shot.model, 5, {5: pictures[5]})
        assert client.alive >= 1


def test_a_frame_in_hand_is_finished_when_the_worker_is_stopped(serve, shot: Shot, pictures, monkeypatch) -> None:
    served = serve()
    begun = threading.Event()
    real = desk._align
    monkeypatch.setattr(desk, "_align", lambda *arguments: begun.set() or time.sleep(0.6) or real(*arguments))
    got: list[wire.Rendered] = []
    with served.client() as client:
        thread = threading.Thread(target=lambda: got.append(client.render(shot.model, 5, {5: pictures[5]})[0]))
        thread.start()
        assert begun.wait(20)
        with served.client() as other:
            other.ask(wire.Stop(), wire.Done)
        thread.join(30)
    served.thread.join(30)
    assert got and got[0].references == 4 and "told to stop" in str(served.why)


def test_a_fault_of_ours_is_an_answer_and_stands_in_the_log(serve, shot: Shot, pictures, monkeypatch) -> None:
    served = serve()

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("an oversight")

    monkeypatch.setattr(desk, "gather", broken)
    with served.client() as client:
        with pytest.raises(WorkerError, match="an oversight") as caught:
            client.render(shot.model, 5, {5: pictures[5]})
        assert caught.value.code == ExitCode.INTERNAL and "report" in str(caught.value.hint)
        client.ask(wire.Status(), wire.State)
    assert "Traceback" in served.log() and "ZeroDivisionError" in served.log()


def test_a_device_that_is_not_there_is_said_with_each_frame(short: Path, shot: Shot, pictures) -> None:
    from deblur_engine.worker.meeting import Meeting
    from deblur_engine.worker.server import Server

    ready = threading.Event()
    server = Server(Meeting("cuda:97", short), "cuda:97", 1, on_ready=ready.set)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    assert ready.wait(20)
    with Client(Meeting("cuda:97", short)) as client:
        assert client.welcome.device == "cuda:97"
        with pytest.raises(WorkerError) as caught:
            client.render(shot.model, 5, {5: pictures[5]})
        assert caught.value.code == ExitCode.MISSING_DEVICE
    server.stop("done")
    thread.join(30)


def test_pictures_survive_that_their_surface_is_let_go(client: Client) -> None:
    held = surfaces_home.Surfaces()
    memory = Surface(FRAME)
    memory.picture(192, 144)[:] = 0.5
    held.attach(1, FRAME, memory.descriptor)
    view = held.picture(1, 0, 192, 144)
    held.clear()
    memory.close()
    assert float(np.sum(view)) == 0.5 * 192 * 144 * 3


def test_where_no_thread_can_be_started_the_others_are_served_on(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    with served.client() as staying:
        with monkeypatch.context() as patch:
            patch.setattr(
                threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("no more threads"))
            )
            with pytest.raises((GoneError, OSError)):
                served.client()
        assert staying.ask(wire.Status(), wire.State).clients == 1
        with served.client() as another:
            assert another.ask(wire.Status(), wire.State).clients == 2
    assert "no more threads" in served.log()


def _open_files() -> set[tuple[int, int]]:
    """Device and inode of all that this process has open.

    Numbers would not do: the listing of the folder has one itself, and moves to a lower one when memory that an earlier
    test has left to the garbage collector goes in between.
    """
    found = set()
    for each in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own, closed by now
            about = os.stat(f"/proc/self/fd/{each}")
            found.add((about.st_dev, about.st_ino))
    return found


def test_a_client_keeps_no_memory_that_was_refused(serve) -> None:
    with serve().client() as client:
        before = _open_files()
        for _ in range(3):
            with pytest.raises(WorkerError):
                client.attach(17 << 30)
            with pytest.raises(OSError):
                client.attach(-1)
        assert _open_files() - before == set()
