# SPDX-License-Identifier: Apache-2.0
"""The test host driven from Python: pictures in, frames out, and how many rules were broken."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = {"byte": np.uint8, "short": np.uint16, "half": np.float16, "float": np.float32}
MOST = {"byte": 255, "short": 65535}
OK, FAILED = 0, 1


def stored(picture: np.ndarray, depth: str) -> np.ndarray:
    """Numbers as a host of that depth stores them."""
    if depth in MOST:
        return (np.clip(picture, 0, 1) * MOST[depth] + 0.5).astype(DTYPES[depth])
    return picture.astype(DTYPES[depth])


def numbers(picture: np.ndarray) -> np.ndarray:
    """The numbers that stored values stand for, float32."""
    most = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1
    return picture.astype(np.float32) / np.float32(most)


def rgba(picture: np.ndarray, alpha: float | np.ndarray = 1.0) -> np.ndarray:
    """[H, W, 3] with an alpha."""
    whole = np.empty((*picture.shape[:2], 4), np.float32)
    whole[..., :3], whole[..., 3] = picture, alpha
    return whole


@dataclass(frozen=True)
class Frame:
    """A frame as the host got it; ``said`` is the whole line of the host."""

    picture: np.ndarray
    said: dict[str, Any]

    @property
    def status(self) -> int:
        return int(self.said["status"])

    @property
    def message(self) -> str:
        """The persistent message at the effect; "" for none."""
        return self.said["message"]["text"] if self.said["message"] else ""

    @property
    def fetched(self) -> list[float]:
        """The times at which the source was asked for."""
        return [time for clip, time in self.said["fetched"] if clip == "Source"]


@dataclass
class Host:
    """A host process with one clip. ``close`` it: that tells whether it lived and whether a rule was broken."""

    program: Path
    plugin: Path
    folder: Path
    frames: Mapping[int, np.ndarray]  # [H, W, C], of the depth's dtype
    options: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        first = next(iter(self.frames.values()))
        self.shape, self.dtype = first.shape, first.dtype
        depth = next(name for name, dtype in DTYPES.items() if dtype == self.dtype)
        words = [str(self.program), str(self.plugin), "--out", str(self.folder), "--depth", depth]
        words += ["--size", f"{self.shape[1]}x{self.shape[0]}"]
        for number, picture in self.frames.items():
            path = self.folder / f"in-{number}.raw"
            path.write_bytes(np.ascontiguousarray(picture).tobytes())
            words += ["--frame", f"{number}={path}"]
        self.errors = (self.folder / "stderr").open("w+")
        self.process = subprocess.Popen(
            words + self.options,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **self.environment},
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answers(self, seconds: float = 60) -> list[dict[str, Any]]:
        """All that the host says until it is done with a command; fails if it dies or takes too long."""
        assert self.process.stdout is not None
        said: list[dict[str, Any]] = []
        watch = threading.Timer(seconds, self.process.kill)
        watch.start()
        try:
            for line in self.process.stdout:
                event = json.loads(line)
                if event["event"] == "done":
                    return said
                assert event["event"] != "error", event["error"]
                said.append(event)
        finally:
            watch.cancel()
        self.process.wait()
        raise AssertionError(f"the host ended with {self.process.returncode}: {self.complaints()}")

    def complaints(self) -> str:
        self.errors.seek(0)
        return self.errors.read()

    def do(self, *lines: str) -> list[dict[str, Any]]:
        said = []
        for line in lines:
            self.tell(line)
            said += self.answers()
        return said

    def render(self, *times: int, verb: str = "render") -> list[Frame]:
        return [self.frame(event) for event in self.do(" ".join([verb, *map(str, times)]))]

    def one(self, time: int) -> Frame:
        return self.render(time)[0]

    def frame(self, event: dict[str, Any]) -> Frame:
        raw = np.fromfile(event["out"], self.dtype) if "out" in event else np.zeros(self.shape, self.dtype)
        return Frame(raw.reshape(self.shape), event)

    def set(self, **values: object) -> None:
        for name, value in values.items():
            self.do(f"load {name} {value}")

    def close(self) -> None:
        """Ends the host; it must have lived, and the plug-in must have kept to all rules."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.stdout.read()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        code, said = self.process.returncode, self.complaints()
        self.errors.close()
        assert code == 0, f"the host ended with {code}: {said}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.errors.close()
