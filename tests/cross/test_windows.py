# SPDX-License-Identifier: Apache-2.0
"""Worker, plug-in and host on Windows, or on Wine. Wine stands for nothing that real Windows does otherwise; see
CONTRIBUTING.md for how to have both.

DEBLUR_WINDOWS_PYTHON: a Python for Windows with NumPy. DEBLUR_WINE: what runs it, where this is not Windows.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cross.conftest import ROOT, cross

HERE = Path(__file__).parent
PYTHON = sys.executable if sys.platform == "win32" else os.environ.get("DEBLUR_WINDOWS_PYTHON", "")
WINE = [] if sys.platform == "win32" else [os.environ.get("DEBLUR_WINE", "")]
needs_windows = pytest.mark.skipif(not PYTHON or WINE == [""], reason="DEBLUR_WINDOWS_PYTHON and DEBLUR_WINE not set")
pytestmark = [needs_windows, pytest.mark.timeout(600)]
SIZE = (32, 24)


def there(path: Path | str) -> str:
    return str(path) if sys.platform == "win32" else "Z:" + str(path).replace("/", "\\")


def run(words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, "WINEDEBUG": "-all", "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [*WINE, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env=whole
    )


def test_the_worker() -> None:
    done = run([PYTHON, there(HERE / "worker_on_windows.py")], PYTHONPATH=there(ROOT / "engine"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("well: check_") == (HERE / "worker_on_windows.py").read_text().count("\ndef check_")


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="deblur ü "))  # spaces and letters beyond ASCII on purpose
    yield made
    pid = made / "run" / "pid"
    if pid.exists():
        words = ["taskkill", "/f", "/pid", pid.read_text()]
        subprocess.run([*WINE, *words], stdin=subprocess.DEVNULL, capture_output=True, env=os.environ)
    shutil.rmtree(made, ignore_errors=True)


def render(folder: Path, *options: str, times: str = "0,1", **environment: str) -> tuple[list[dict[str, Any]], str]:
    """What the host says of each frame, and the log."""
    build = cross("x86_64-windows-gnu")
    picture = np.random.default_rng(2).random((SIZE[1], SIZE[0], 4), np.float32)
    picture[..., 3] = 1
    (folder / "in.raw").write_bytes(picture.tobytes())
    host, plugin = build / "tests/ofx/host/ofx_test_host.exe", build / "ofx_bridge/DeblurEngine.ofx.bundle"
    plugin = next(plugin.glob("Contents/*/DeblurEngine.ofx"))
    words = [there(host), there(plugin), "--size", f"{SIZE[0]}x{SIZE[1]}", "--depth", "float", "--manner", "natron"]
    words += ["--out", ".", "--frame", "0=in.raw", "--frame", "1=in.raw", "--times", times]
    words += ["--set", "model=" + there("/models/m.onnx"), *options]
    whole = {
        "WINEDEBUG": "-all",
        "DEBLUR_RUNTIME_DIR": there(folder / "run"),
        "DEBLUR_ENGINE": there(build / "tests/ofx/host/deblur-engine.exe"),
        "DEBLUR_TEST_PYTHON": there(PYTHON),
        "DEBLUR_TEST_SCRIPT": there(HERE / "engine_on_windows.py"),
        "DEBLUR_TEST_PATH": there(ROOT / "engine"),
        "DEBLUR_BACKOFF_SECONDS": "0.05",
        "PYTHONPATH": "of the editor",
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    # Into files: on Wine a worker that stays keeps a pipe of its starter's open.
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        every = {**os.environ, **whole}
        code = subprocess.run(
            [*WINE, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=200, cwd=folder, env=every
        ).returncode
    said_all, errors = (folder / "out").read_text(), (folder / "err").read_text()
    log = "".join(path.read_text(errors="replace") for path in (folder / "run").glob("*.log"))
    assert code == 0, said_all + errors + log
    said = [json.loads(line) for line in said_all.splitlines() if line.startswith("{")]
    frames = [each for each in said if each["event"] == "frame"]
    for each in frames:
        if "out" in each:
            made = np.fromfile(folder / each["out"], np.float32).reshape(picture.shape)
            each["halved"] = bool(
                np.allclose(made[..., :3], picture[..., :3] / 2, atol=1e-6)
                and np.array_equal(made[..., 3], picture[..., 3])
            )
            each["most"] = float(np.abs(made - picture).max())
            each["same"] = bool(np.array_equal(made, picture))
    return frames, log


def test_frames_come_and_the_worker_stays_for_the_next_host(folder: Path) -> None:
    frames, _ = render(folder)
    pid = (folder / "run" / "pid").read_text()
    assert [f["halved"] for f in frames] == [True, True], json.dumps(frames)
    frames, log = render(folder, "--instances", "4", "--threads", "4", times="0,1,0,1")
    assert frames and all(f["halved"] for f in frames)
    assert (folder / "run" / "pid").read_text() == pid and log.count("starts ") == 1, log


def test_a_worker_that_dies_or_hangs_in_a_frame_is_replaced(folder: Path) -> None:
    render(folder)
    for fault in ("die", "hang"):
        before = (folder / "run" / "pid").read_text()
        (folder / "run" / "fault").write_text(fault)
        frames, log = render(folder, "--final", DEBLUR_SILENCE_SECONDS="2")
        assert frames[-1]["halved"], (frames, log)
        assert (folder / "run" / "pid").read_text() != before


def test_without_an_engine_the_source_is_shown_and_a_final_frame_fails(folder: Path) -> None:
    frames, _ = render(folder, "--interactive", DEBLUR_ENGINE="Z:\\no\\engine.exe")
    assert all(f["same"] and "which is no program" in f["message"]["text"] for f in frames)
    frames, _ = render(folder, "--final", DEBLUR_ENGINE="Z:\\no\\engine.exe")
    assert all(f["status"] != 0 for f in frames)


@pytest.mark.parametrize("name", ["ofx_pixels_test", "ofx_wire_fuzz"])
def test_what_needs_no_host(name: str) -> None:
    done = run([there(cross("x86_64-windows-gnu") / f"tests/ofx/host/{name}.exe"), "20000"])
    assert done.returncode == 0, done.stdout + done.stderr
