# SPDX-License-Identifier: Apache-2.0
"""A worker that is none: it speaks docs/wire.md, makes pictures that are easily foretold, and errs where it is told to.

The plug-in starts it as it would the engine. ``plan.json`` in the runtime folder says how it behaves; what is asked of
it goes to ``asked.jsonl``. A fault in the plan (request's name -> fault, or several one after the other; see
``StandIn.send``) happens once, so that the next try is well.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from deblur_engine.worker import wire
from deblur_engine.worker.meeting import Meeting


class Gone(Exception):
    """The connection is of no use any more."""


class StandIn:
    def __init__(self, device: str) -> None:
        self.meeting = Meeting(device)
        self.folder = self.meeting.folder
        self.lock = threading.Lock()
        self.jobs: dict[int, list[wire.FitState]] = {}

    def plan(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / "plan.json").read_text()))
        except (OSError, ValueError):
            return {}

    def fault(self, name: str) -> str:
        """The fault that the plan has for this request, which is taken out of it."""
        with self.lock:
            plan = self.plan()
            faults = plan.get("faults", {})
            found = faults.pop(name, "")
            if isinstance(found, list):
                found, *later = found
                if later:
                    faults[name] = later
            if found:
                self.write("plan.json", json.dumps(plan))
        return str(found)

    def write(self, name: str, text: str) -> None:
        part = self.folder / (name + ".part")
        part.write_text(text)
        part.replace(self.folder / name)

    def note(self, **what: Any) -> None:
        with self.lock, (self.folder / "asked.jsonl").open("a") as file:
            file.write(json.dumps(what) + "\n")

    def serve(self) -> None:
        start = self.fault("start")
        if start == "exit":
            raise SystemExit("stand-in: told to fail")
        if start == "sleep":
            time.sleep(60)
        listener = self.meeting.listen()
        (self.folder / "pid").write_text(str(os.getpid()))
        listener.settimeout(60)  # a test that failed leaves nobody behind
        with contextlib.suppress(TimeoutError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection: socket.socket) -> None:
        surfaces: dict[int, mmap.mmap] = {}
        connection.settimeout(None)
        with connection, contextlib.suppress(OSError, Gone):
            while True:
                data, descriptors = take(connection)
                header = wire.Header.unpack(data)
                request = wire.parse(header.type, exactly(connection, header.length))
                name = type(request).__name__.lower()
                if isinstance(request, wire.Render) and not request.pictures:
                    name = "foretell"
                self.note(name=name, worker=os.getpid(), **asdict(request))
                if isinstance(request, wire.Attach):
                    surfaces[request.surface] = self.map(descriptors[0], request.bytes)
                fault = self.fault(name)
                answer = self.answer(request, surfaces)
                self.send(connection, answer, header.sequence, fault)

    def map(self, descriptor: int, size: int) -> mmap.mmap:
        if self.plan().get("shrink"):
            try:
                os.ftruncate(descriptor, 4096)
                self.note(name="shrunk")
            except OSError as error:
                self.note(name="refused to shrink", error=error.errno)
        memory = mmap.mmap(descriptor, size)
        os.close(descriptor)
        return memory

    def send(self, connection: socket.socket, answer: wire.Message, sequence: int, fault: str) -> None:
        good = answer.pack(sequence)
        kind, length = answer.TYPE, len(good) - wire.HEADER.size

        def header(version: int = 1, length: int = length, reserved: int = 0) -> bytes:
            return wire.HEADER.pack(wire.MAGIC, version, kind, length, reserved, sequence)

        body = good[wire.HEADER.size :]
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif fault == "silence":
            time.sleep(30)
        elif fault == "close":
            raise Gone
        elif fault == "garbage":
            connection.sendall(np.random.default_rng(1).bytes(5000))
        elif fault == "http":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        elif fault == "truncated":
            connection.sendall(good[: wire.HEADER.size + length // 2] if length else good[:10])
            raise Gone
        elif fault == "huge":
            connection.sendall(header(length=wire.MAX_PAYLOAD + 1) + bytes(100))
        elif fault == "reserved":
            connection.sendall(header(reserved=1) + body)
        elif fault == "short":
            connection.sendall(header(length=max(length - 1, 0)) + body[:-1])
        elif fault == "long":
            connection.sendall(header(length=length + 3) + body + b"abc")
        elif fault == "type":
            connection.sendall(wire.State(1, 1, 1, 1, 1.0, 1).pack(sequence))
        elif fault == "version":
            connection.sendall(header(version=2) + body)
        elif fault == "version-error":
            connection.sendall(wire.Error(101, "the worker speaks another version", "").pack(0))
            raise Gone
        elif fault == "zero":
            connection.sendall(wire.Error(wire.BAD_MESSAGE, "the worker has had enough", "").pack(0))
            raise Gone
        elif fault in ("utf8", "nul"):
            text = b"\xff\xfe\xfd" if fault == "utf8" else b"a\0b"
            payload = struct.pack("<I", 9) + (struct.pack("<I", 3) + text) * 2
            connection.sendall(wire.HEADER.pack(wire.MAGIC, 1, wire.Error.TYPE, len(payload), 0, sequence) + payload)
        elif fault == "refuse":
            connection.sendall(wire.Error(9, "the model cannot be read", "fit it anew").pack(sequence))
        elif fault == "memory":
            connection.sendall(wire.Error(5, "the GPU's memory is gone", "close other programs").pack(sequence))
        elif fault == "flood":
            while True:
                connection.sendall(wire.Alive().pack(sequence) * 100)
        elif fault == "never":
            while True:
                connection.sendall(wire.Alive().pack(sequence))
                time.sleep(0.1)
        else:
            if fault == "stale":
                connection.sendall(wire.Error(9, "of an earlier request", "").pack(sequence - 1) + wire.Done().pack(0))
                connection.sendall(answer.pack(sequence - 1))
            if fault == "deaf":  # whoever sends to it now is met by SIGPIPE
                connection.shutdown(socket.SHUT_RD)
            if fault == "future":
                connection.sendall(answer.pack(sequence + 1))
            if fault == "alive":
                for _ in range(4):
                    connection.sendall(wire.Alive().pack(sequence))
                    time.sleep(0.2)
            connection.sendall(good)

    def answer(self, request: wire.Message, surfaces: dict[int, mmap.mmap]) -> wire.Message:
        plan = self.plan()
        if isinstance(request, wire.Hello):
            return wire.Welcome(os.getpid(), plan.get("engine", request.engine), "cpu", str(self.meeting.log))
        if isinstance(request, wire.Model):
            width, height = plan.get("size", (0, 0))
            return wire.ModelInfo(
                request.model, request.clip, width, height, 10, plan.get("transfer", 1), plan.get("route", 1), 1, ""
            )
        if isinstance(request, wire.Needs):
            return wire.Needed(plan.get("route", 1), tuple(request.frame + d for d in plan.get("needs", (0,))))
        if isinstance(request, wire.Render):
            return self.render(request, surfaces, plan)
        if isinstance(request, wire.Fit):
            # What it says when it is asked how far it is, one after the other.
            states = [wire.FitState(1, share, 0, "train", "", "") for share in (0.1, 0.4, 0.9)]
            end = plan.get("fit", "done")
            if end == "done":
                states.append(wire.FitState(wire.FitState.DONE, 1.0, 0, "", request.out or "/made/new.deblur.onnx", ""))
            elif end == "failed":
                states.append(wire.FitState(wire.FitState.FAILED, 0.9, 9, "train", "", "the clip has no sharp frames"))
            with self.lock:
                self.jobs[len(self.jobs) + 1] = states
                return wire.Job(len(self.jobs))
        if isinstance(request, wire.FitFrame):
            seen = np.frombuffer(
                surfaces[request.surface], np.float32, request.width * request.height * 3, request.offset
            )
            self.note(name="fit picture", mean=float(np.mean(seen)))
        if isinstance(request, wire.FitStatus):
            with self.lock:
                states = self.jobs.get(request.job)
                if states is None:
                    return wire.Error(wire.NO_JOB, "there is no such job", "")
                return states.pop(0) if len(states) > 1 else states[0]
        return wire.Done()

    def render(self, request: wire.Render, surfaces: dict[int, mmap.mmap], plan: dict[str, Any]) -> wire.Message:
        if request.frame in plan.get("refused", ()):
            return wire.Error(9, "not this frame", "")
        if not request.pictures:
            return wire.Rendered(1 if plan.get("unchanged") == "foretold" else 4, 0, 0, 0, 0, 0, 10, "")
        shape = (request.height, request.width, 3)
        own = next(p for p in request.pictures if p[0] == request.frame)
        look = lambda surface, offset: np.frombuffer(  # noqa: E731
            surfaces[surface], np.float32, shape[0] * shape[1] * 3, offset
        ).reshape(shape)
        picture, out = look(*own[1:3]), look(request.out_surface, request.out_offset)
        if plan.get("unchanged"):
            return wire.Rendered(1, 0, 0, 0, 0, 0, 10, "")
        out[:] = made(picture)
        # The other pictures' means, so that a test sees that the right ones came.
        means = {str(p[0]): float(np.mean(look(*p[1:3]))) for p in request.pictures}
        self.note(name="seen", frame=request.frame, means=means)
        used = len(request.pictures) - 1
        return wire.Rendered(plan.get("flags", 0), used, plan.get("route", 1), 1, 2, 3, 4, plan.get("note", ""))


def made(picture: np.ndarray) -> np.ndarray:
    """What the stand-in makes of float32 [H, W, 3]: the left half stays, the right half is changed."""
    middle = picture.shape[1] // 2
    return np.concatenate([picture[:, :middle], picture[:, middle:] * np.float32(0.5) + np.float32(0.125)], 1)


def take(connection: socket.socket) -> tuple[bytes, list[int]]:
    """A header and the descriptors that came with it."""
    data, descriptors, _, _ = socket.recv_fds(connection, wire.HEADER.size, 4)
    if not data:
        raise Gone
    return data + exactly(connection, wire.HEADER.size - len(data)), list(descriptors)


def exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise Gone
        data += more
    return data


if __name__ == "__main__":
    StandIn(Path(sys.argv[sys.argv.index("--device") + 1]).name).serve()
