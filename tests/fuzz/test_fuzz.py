# SPDX-License-Identifier: Apache-2.0
"""A few seconds of fuzzing in every run; ``make fuzz`` takes its time."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_the_worker_reads_whatever_comes(tmp_path: Path) -> None:
    words = [sys.executable, Path(__file__).parent / "fuzz_wire.py", tmp_path / "corpus", "-max_total_time=3"]
    words.append(f"-artifact_prefix={tmp_path}/")
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "DONE" in done.stderr
