# SPDX-License-Identifier: Apache-2.0
"""The plug-in and its host, cross-compiled by PyPI's ``ziglang`` where it is installed (``make cross`` installs it)."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def zig() -> Path | None:
    found = importlib.util.find_spec("ziglang")
    return Path(found.origin).parent / "zig" if found is not None and found.origin else None


@functools.cache
def cross(target: str) -> Path:
    """The build folder for a target of zig's."""
    compiler = zig()
    if compiler is None:
        pytest.skip("ziglang is not installed: make cross")
    cmake = shutil.which("cmake") or str(Path(sys.executable).parent / "cmake")
    folder = ROOT / "build" / "cross" / target
    options = ["-DDEBLUR_OPS=OFF", "-DDEBLUR_PYTHON=OFF", "-DDEBLUR_CUDA=0", "-DDEBLUR_OFX_TESTS=ON"]
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={ROOT / 'tests/cross/zig.cmake'}"
    for words in (
        [cmake, "-S", ROOT, "-B", folder, toolchain, "-DCMAKE_BUILD_TYPE=Release", *options],
        [cmake, "--build", folder, "--parallel", str(os.cpu_count() or 1)],
    ):
        environment = {**os.environ, "DEBLUR_ZIG": str(compiler), "DEBLUR_ZIG_TARGET": target}
        done = subprocess.run(words, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, f"{words}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        assert "warning:" not in done.stdout + done.stderr, done.stdout + done.stderr
    return folder
