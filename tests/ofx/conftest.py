# SPDX-License-Identifier: Apache-2.0
"""The plug-in and the test host, built once; hosts with the stand-in worker or the real one behind the plug-in."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ofx.hosting import Host
from worker.conftest import pictures, shot  # noqa: F401

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Built:
    """A build folder, and what the tests take from it."""

    folder: Path

    @property
    def host(self) -> Path:
        return self.folder / "tests/ofx/host/ofx_test_host"

    @property
    def selftest(self) -> Path:
        return self.folder / "tests/ofx/host/selftest_effect.ofx"

    @property
    def bundle(self) -> Path:
        return self.folder / "ofx_bridge/DeblurEngine.ofx.bundle"

    @property
    def plugin(self) -> Path:
        return next(self.bundle.glob("Contents/*/DeblurEngine.ofx"))


def build(*options: str, name: str = "ofx") -> Built:
    """Configure and build in build/NAME, where the next run finds what has not changed."""
    cmake = shutil.which("cmake") or str(Path(sys.executable).parent / "cmake")
    folder = ROOT / "build" / name
    common = ["-DDEBLUR_OPS=OFF", "-DDEBLUR_PYTHON=OFF", "-DDEBLUR_OFX_TESTS=ON"]
    for words in (
        [cmake, "-S", ROOT, "-B", folder, "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1", *common, *options],
        [cmake, "--build", folder],
    ):
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return Built(folder)


@pytest.fixture(scope="session")
def built() -> Built:
    """The plug-in and its host, with the sanitizer that DEBLUR_OFX_SANITIZE names (address or thread), if any."""
    if sys.platform != "linux":
        pytest.skip("the test host and its plug-in are built on Linux only so far")
    sanitizer = os.environ.get("DEBLUR_OFX_SANITIZE", "")
    return build(f"-DDEBLUR_SANITIZE={sanitizer}", name=f"ofx-{sanitizer}") if sanitizer else build()


def script(path: Path, *words: str) -> Path:
    """An executable that stands for ``deblur-engine``: the plug-in keeps an editor's PYTHONPATH from it."""
    modules = f"{ROOT / 'engine'}:{ROOT / 'tests'}"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={modules} exec {sys.executable} {" ".join(words)} "$@"\n')
    path.chmod(0o755)
    return path


class Workplace:
    """A runtime folder of one's own, with what is started for it."""

    def __init__(self, built: Built, engine: Callable[[Path], Path]) -> None:
        self.built = built
        self.folder = Path(tempfile.mkdtemp(prefix="do-"))  # short: a socket's name has little room
        self.data = Path(tempfile.mkdtemp(prefix="do-data-"))
        self.environment = {
            "DEBLUR_RUNTIME_DIR": str(self.folder),
            "DEBLUR_ENGINE": str(engine(self.data / "deblur-engine")),
            "XDG_DATA_HOME": str(self.data / "share"),
            "DEBLUR_BACKOFF_SECONDS": "0.05",
        }
        self.hosts: list[Host] = []

    def host(
        self, frames: Mapping[int, np.ndarray], *options: str, plugin: Path | None = None, **environment: str
    ) -> Host:
        made = Host(
            self.built.host,
            plugin or self.built.plugin,
            self.data / f"host-{len(self.hosts)}",
            frames,
            list(options),
            {**self.environment, **environment},
        )
        self.hosts.append(made)
        return made

    def close_hosts(self) -> None:
        hosts, self.hosts = self.hosts, []
        try:
            for host in hosts:
                host.close()
        finally:
            for host in hosts:
                if host.process.poll() is None:
                    host.kill()

    def log(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def leave(self) -> None:
        for name in ("pid", "worker-1-auto.lock", "worker-1-cpu.lock"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((self.folder / name).read_text()), signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)


class StandIn(Workplace):
    """A workplace whose engine is the stand-in."""

    def __init__(self, built: Built) -> None:
        super().__init__(built, lambda path: script(path, str(HERE / "stand_in.py")))
        self.planned: dict[str, Any] = {}

    def plan(self, **what: Any) -> None:
        self.planned = what
        part = self.folder / "plan.part"
        part.write_text(json.dumps(what))
        part.replace(self.folder / "plan.json")

    def asked(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / "asked.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["name"] == name]

    def pid(self) -> int:
        return int((self.folder / "pid").read_text())


@pytest.fixture(scope="module")
def _stand_in(built: Built) -> Iterator[StandIn]:
    place = StandIn(built)
    yield place
    place.leave()


@pytest.fixture
def stand_in(_stand_in: StandIn) -> Iterator[StandIn]:
    """One stand-in worker for the tests of a module, with a plan and a record that begin anew."""
    _stand_in.plan()
    (_stand_in.folder / "asked.jsonl").unlink(missing_ok=True)
    yield _stand_in
    _stand_in.close_hosts()


@pytest.fixture
def fresh(built: Built) -> Iterator[StandIn]:
    """A stand-in of the test's own, which nobody has started yet."""
    place = StandIn(built)
    place.plan()
    yield place
    try:
        place.close_hosts()
    finally:
        place.leave()


@pytest.fixture(scope="module")
def _real(built: Built) -> Iterator[Workplace]:
    place = Workplace(built, lambda path: script(path, "-m", "deblur_engine"))
    yield place
    place.leave()


@pytest.fixture
def real(_real: Workplace) -> Iterator[Workplace]:
    """The real worker, one for a module."""
    yield _real
    _real.close_hosts()
