# SPDX-License-Identifier: Apache-2.0
"""The plug-in and its host, built once; a stand-in worker that does what a test's script says."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ofx import driving


@pytest.fixture(scope="session")
def built() -> driving.Built:
    """As users get it; with DEBLUR_OFX_SANITIZE=address or thread under those sanitizers (``make sanitize-ofx``)."""
    kind = os.environ.get("DEBLUR_OFX_SANITIZE")
    if not kind:
        return driving.build()
    value = {"address": "ON", "thread": "thread"}[kind]
    return driving.build(f"-DDEBLUR_SANITIZE={value}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", name=f"ofx-{kind}")


def end_workers_of(runtime: Path) -> None:
    """End the workers that were started for a test: those that hold a lock file of its folder open."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = {os.readlink(link) for link in (process / "fd").iterdir()}
        except OSError:
            continue
        if any(name.startswith(f"{runtime}/worker-1-") and name.endswith(".lock") for name in held):
            os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture
def stand_in(built: driving.Built, tmp_path: Path) -> Iterator[Callable[..., driving.Host]]:
    """Call it with the script's entries; gives a host whose engine is the stand-in."""
    made: list[driving.Host] = []

    def make(**script: Any) -> driving.Host:
        path = tmp_path / "script.json"
        path.write_text(json.dumps(script))
        name = Path(__file__).with_name("stand_in.py")
        engine = driving.program(tmp_path / "engine", sys.executable, name, path)
        made.append(driving.Host(built, tmp_path, engine))
        return made[-1]

    yield make
    for host in made:
        end_workers_of(host.runtime)


@pytest.fixture
def said(tmp_path: Path) -> Callable[[str], list[str]]:
    """The lines that the stand-in wrote down, of one kind."""

    def read(kind: str) -> list[str]:
        log = tmp_path / "script.log"
        return [line for line in log.read_text().splitlines() if line.split()[0] == kind] if log.exists() else []

    return read


@pytest.fixture
def frames() -> np.ndarray:
    """Eight RGBA frames of 24x16 in float32, each of a brightness of its own."""
    rng = np.random.default_rng(5)
    clip = rng.uniform(0, 0.1, (8, 16, 24, 4)).astype(np.float32)
    clip[..., :3] += np.linspace(0.05, 0.75, 8, dtype=np.float32)[:, None, None, None]
    clip[..., 3] = 1
    return clip
