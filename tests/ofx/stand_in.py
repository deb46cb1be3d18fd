# SPDX-License-Identifier: Apache-2.0
"""A worker that misbehaves on demand: ``stand_in.py SCRIPT serve --device cpu``.

SCRIPT is JSON: ``{"fault": NAME, "at": TYPE, "times": N, "route": R, "frames": [...], "gain": G}``. The fault strikes
when the N-th message of that type has come; how often it has struck is kept in a file beside the script, so that a
worker that is started again behaves. Written from docs/wire.md with nothing of the engine's.
"""

from __future__ import annotations

import array
import fcntl
import json
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import numpy as np

HEADER = struct.Struct("<IHHIIQ")
MAGIC = 0x31574244


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<I", len(raw)) + raw


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> tuple:
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def text(self) -> str:
        (size,) = self.take("I")
        self.at += size
        return self.data[self.at - size : self.at].decode()


class Server:
    def __init__(self, script: Path, device: str) -> None:
        self.script = json.loads(script.read_text())
        self.struck = script.with_suffix(".struck")
        self.seen: dict[int, int] = {}
        self.jobs: dict[int, dict] = {}
        self.lock = threading.Lock()
        folder = Path(os.environ["DEBLUR_RUNTIME_DIR"])
        self.log = script.with_suffix(".log")
        self.guard = (folder / f"worker-1-{device}.lock").open("w")
        try:
            fcntl.flock(self.guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(0)
        if self.script.get("fault") == "exits" and not self.struck.exists():
            self.struck.write_text("1")
            sys.exit(7)
        if self.script.get("fault") == "never listens":
            time.sleep(60)
        address = folder / f"worker-1-{device}.sock"
        address.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(address))
        self.listener.listen()

    def serve(self) -> None:
        self.listener.settimeout(30)
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def note(self, line: str) -> None:
        with self.lock, self.log.open("a") as file:
            file.write(line + "\n")

    def strikes(self, kind: int) -> str | None:
        with self.lock:
            self.seen[kind] = self.seen.get(kind, 0) + 1
            if kind != self.script.get("at") or self.seen[kind] < self.script.get("nth", 1):
                return None
            done = int(self.struck.read_text()) if self.struck.exists() else 0
            if done >= self.script.get("times", 1):
                return None
            self.struck.write_text(str(done + 1))
            return self.script["fault"]

    def talk(self, link: socket.socket) -> None:
        surfaces: dict[int, tuple[int, mmap.mmap]] = {}
        try:
            while True:
                head, descriptors = self.exactly(link, HEADER.size)
                magic, version, kind, length, reserved, sequence = HEADER.unpack(head)
                assert (magic, version, reserved) == (MAGIC, 1, 0)
                body, _ = self.exactly(link, length)
                fault = self.strikes(kind)
                done = fault and self.misbehave(fault, link, kind, sequence, surfaces)
                if done == "answered":
                    continue
                if done:
                    return
                self.answer(link, kind, sequence, Reader(body), surfaces, descriptors)
        except (ConnectionError, OSError):
            pass
        finally:
            link.close()

    @staticmethod
    def exactly(link: socket.socket, size: int) -> tuple[bytes, list[int]]:
        data, found = b"", array.array("i")
        while len(data) < size:
            part, control, _, _ = link.recvmsg(size - len(data), socket.CMSG_SPACE(4))
            if not part:
                raise ConnectionError
            for level, kind, raw in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    found.frombytes(raw[:4])
            data += part
        return data, list(found)

    def misbehave(self, fault: str, link: socket.socket, kind: int, sequence: int, surfaces: dict) -> bool | str:
        """Whether the connection is done with; "answered" where only the message is."""
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "hangs":
            with self.lock:
                while True:
                    time.sleep(1)
        if fault == "stops":
            os.kill(os.getpid(), signal.SIGSTOP)
        if fault == "closes":
            return True
        if fault == "half an answer":
            link.sendall(HEADER.pack(MAGIC, 1, 31, 100, 0, sequence) + b"abc")
            return True
        if fault == "garbage":
            link.sendall(bytes(range(256)) * 64)
        if fault == "huge length":
            link.sendall(HEADER.pack(MAGIC, 1, 31, 0xFFFFFFF0, 0, sequence))
        if fault == "wrong version":
            link.sendall(HEADER.pack(MAGIC, 2, 3, 0, 0, sequence))
        if fault == "wrong type":
            link.sendall(
                HEADER.pack(MAGIC, 1, 5, 0, 0, sequence) if kind != 10 else HEADER.pack(MAGIC, 1, 31, 0, 0, sequence)
            )
        if fault == "short payload":
            link.sendall(HEADER.pack(MAGIC, 1, {20: 21, 22: 23, 30: 31, 1: 2}[kind], 5, 0, sequence) + b"12345")
        if fault == "long payload":
            link.sendall(HEADER.pack(MAGIC, 1, 31, 64, 0, sequence) + bytes(64))
        if fault == "stale answers":
            for old in (sequence - 1, sequence + 1, 0):
                link.sendall(HEADER.pack(MAGIC, 1, 31, 3, 0, old) + b"old")
            link.sendall(HEADER.pack(MAGIC, 1, 4, 0, 0, sequence))
            return False
        if fault == "out of memory":
            self.send(
                link, 3, sequence, struct.pack("<I", 5) + text("the GPU's memory ran out") + text("smaller tiles")
            )
            return "answered"
        if fault == "truncates":
            for descriptor, _ in surfaces.values():
                try:
                    os.ftruncate(descriptor, 0)
                    self.note("truncated")
                except OSError as error:
                    self.note(f"refused: {error}")
            return False
        if fault == "slow":
            for _ in range(15):
                time.sleep(0.1)
                link.sendall(HEADER.pack(MAGIC, 1, 4, 0, 0, sequence))
            return False
        return True

    @staticmethod
    def send(link: socket.socket, kind: int, sequence: int, body: bytes = b"") -> None:
        link.sendall(HEADER.pack(MAGIC, 1, kind, len(body), 0, sequence) + body)

    def answer(self, link: socket.socket, kind: int, sequence: int, r: Reader, surfaces: dict, files: list) -> None:
        script = self.script
        if kind == 1:
            body = struct.pack("<I", os.getpid()) + text(script.get("version", "0.1.0")) + text("cpu") + text("/log")
            self.send(link, 2, sequence, body)
        elif kind == 10:
            number, size = r.take("IQ")
            surfaces[number] = (files[0], mmap.mmap(files[0], size))
            self.send(link, 5, sequence)
        elif kind == 11:
            descriptor, memory = surfaces.pop(r.take("I")[0])
            memory.close()
            os.close(descriptor)
            self.send(link, 5, sequence)
        elif kind == 20:
            model, clip = r.text(), r.text()
            if "missing" in model:
                self.send(link, 3, sequence, struct.pack("<I", 9) + text(f"{model} is not there") + text("fit it"))
                return
            body = text(model) + text(clip) + struct.pack("<IIq", script.get("width", 0), script.get("height", 0), 100)
            body += struct.pack("<IIQ", script.get("transfer", 0), script.get("route", 0), 1) + text("")
            self.send(link, 21, sequence, body)
        elif kind == 22:
            r.text(), r.text()
            (frame,) = r.take("q")
            frames = sorted({frame, *(frame + step for step in script.get("steps", []))})
            body = struct.pack("<II", script.get("route", 0), len(frames)) + struct.pack(f"<{len(frames)}q", *frames)
            self.send(link, 23, sequence, body)
        elif kind == 30:
            self.render(link, sequence, r, surfaces)
        elif kind == 40:
            clip, out, preset = r.text(), r.text(), r.text()
            minutes, flags = r.take("dI")
            number = len(self.jobs) + 1
            self.jobs[number] = {"out": out or clip + ".deblur.onnx", "asked": 0, "cancelled": False}
            self.note(f"fit {clip} {out} {preset} {minutes} {flags}")
            self.send(link, 41, sequence, struct.pack("<Q", number))
        elif kind == 42:
            job, frame, width, height, fps, surface, offset = r.take("QqIIdIQ")
            picture = np.frombuffer(surfaces[surface][1], np.float32, width * height * 3, offset)
            self.note(f"frame {job} {frame} {width}x{height} {fps} {float(picture[0]):.4f}")
            del picture
            self.send(link, 5, sequence)
        elif kind in (43, 46):
            (job,) = r.take("Q")
            self.note("start" if kind == 43 else "cancel")
            if kind == 46:
                self.jobs[job]["cancelled"] = True
            self.send(link, 5, sequence)
        elif kind == 44:
            (number,) = r.take("Q")
            job = self.jobs[number]
            job["asked"] += 1
            ends = script.get("fit_ends", 2)
            state = 4 if job["cancelled"] else ends if job["asked"] > 2 else min(job["asked"] - 1, ends)
            share = min(1.0, job["asked"] / 3)
            body = struct.pack("<IfI", state, share, 4 if state == 3 else 0)
            body += text("pairs") + text(job["out"]) + text("no sharp frames" if state == 3 else "")
            self.send(link, 45, sequence, body)

    def render(self, link: socket.socket, sequence: int, r: Reader, surfaces: dict) -> None:
        r.text(), r.text()
        frame, width, height, strength, flags, view, scale, count = r.take("qIIfIIdI")
        places = [r.take("qIQ") for _ in range(count)]
        out, at = r.take("IQ")

        def picture(surface: int, offset: int) -> np.ndarray:
            return np.frombuffer(surfaces[surface][1], np.float32, width * height * 3, offset).reshape(height, width, 3)

        own = next(place for place in places if place[0] == frame)
        means = " ".join(f"{number}={float(picture(s, o).mean()):.4f}" for number, s, o in places)
        self.note(f"render {frame} {strength:g} {flags} {view} {scale:g} {means}")
        unchanged = self.script.get("unchanged", False)
        if not unchanged:
            # The left half as it is, the right half scaled: what was left alone and what was not, in one picture.
            result = picture(own[1], own[2]).copy()
            result[:, width // 2 :] *= self.script.get("gain", 0.5) if view == 0 else 0.25
            picture(out, at)[:] = result
        body = struct.pack("<7I", int(unchanged), len(places) - 1, self.script.get("route", 0), 1, 2, 3, 4000)
        self.send(link, 31, sequence, body + text(self.script.get("note", "")))


if __name__ == "__main__":
    Server(Path(sys.argv[1]), sys.argv[sys.argv.index("--device") + 1]).serve()
