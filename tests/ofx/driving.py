# SPDX-License-Identifier: Apache-2.0
"""Runs the test host: the effect on frames from an array, driven by the commands of host/commands.cpp."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
DEPTHS = {"uint8": "byte", "uint16": "short", "float16": "half", "float32": "float"}


@dataclass
class Built:
    """What CMake made: the test host, the plug-in's binary, and the programs that need no host."""

    folder: Path

    @property
    def host(self) -> Path:
        return self.folder / "tests/ofx/host/ofx_host"

    @property
    def bundle(self) -> Path:
        return self.folder / "ofx_bridge/DeblurEngine.ofx.bundle"

    @property
    def plugin(self) -> Path:
        return next(self.bundle.glob("Contents/*/DeblurEngine.ofx"))


def build(*options: str, name: str = "ofx-tests") -> Built:
    """Build the plug-in and its tests into ``build/<name>``; a second call compiles only what changed."""
    folder = ROOT / "build" / name
    cache = folder / "CMakeCache.txt"
    if cache.exists() and f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT.as_posix()}\n" not in cache.read_text():
        shutil.rmtree(folder)  # the checkout was moved or copied
    cmake = shutil.which("cmake") or str(Path(sys.executable).with_name("cmake"))
    words = [cmake, "-S", ROOT, "-B", folder, "-DDEBLUR_OPS=OFF", "-DDEBLUR_OFX_TESTS=ON", *options]
    for command in (words, [cmake, "--build", folder, "--parallel", "2"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return Built(folder)


@dataclass
class Ran:
    """What came of one run of the host."""

    code: int
    lines: list[dict[str, Any]]
    frames: npt.NDArray[Any]  # [N, H, W, C], in the order in which they were rendered
    err: str

    def of(self, command: str) -> dict[str, Any]:
        """The report of the first command of this name."""
        return next(line for line in self.lines if line["do"] == command)


@dataclass
class Host:
    """A host with an engine of its own: nothing outside ``folder`` is read or written."""

    built: Built
    folder: Path
    engine: Path  # the program that stands for deblur-engine
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def runtime(self) -> Path:
        return self.folder / "run"

    def surroundings(self) -> dict[str, str]:
        return {
            **os.environ,
            "DEBLUR_ENGINE": str(self.engine),
            "DEBLUR_RUNTIME_DIR": str(self.runtime),
            "DEBLUR_BACKOFF_SECONDS": "0.2",
            "XDG_DATA_HOME": str(self.folder / "data"),
            **self.environment,
        }

    def words(self, frames: npt.NDArray[Any], *words: str) -> list[str]:
        """The command line for a clip [N, H, W, C] that is written to the folder."""
        count, height, width, channels = frames.shape
        np.ascontiguousarray(frames).tofile(self.folder / "in.raw")
        given = [f"--source={self.folder / 'in.raw'}", f"--size={width}x{height}", f"--frames={count}"]
        given += [f"--channels={channels}", f"--depth={DEPTHS[frames.dtype.name]}", f"--out={self.folder / 'out.raw'}"]
        return [str(self.built.host), str(self.built.plugin), *given, *words]

    def run(self, frames: npt.NDArray[Any], *words: str, timeout: float = 100) -> Ran:
        done = subprocess.run(
            self.words(frames, *words),
            env=self.surroundings(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        out = np.fromfile(self.folder / "out.raw", frames.dtype).reshape(-1, *frames.shape[1:])
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
        assert lines[-1]["images_out"] == 0, "a picture was not given back to the host"
        assert all(line.get("guards", True) for line in lines), "the effect wrote beside its picture"
        assert all(line.get("sets_refused", 0) == 0 for line in lines), "a control was set where hosts refuse it"
        return Ran(done.returncode, lines, out, done.stderr)


def program(path: Path, *words: str | Path, **environment: str) -> Path:
    """A program that runs ``words`` with the arguments that it gets."""
    quoted = " ".join(f"'{word}'" for word in words)
    settings = "".join(f"export {name}='{value}'\n" for name, value in environment.items())
    path.write_text(f'#!/bin/sh\n{settings}exec {quoted} "$@"\n')
    path.chmod(0o755)
    return path
