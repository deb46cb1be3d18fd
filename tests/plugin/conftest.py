# SPDX-License-Identifier: Apache-2.0
"""The editors' scripts, loaded as the editors load them, and a program that stands for deblur-engine."""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from engines import PLUGIN
from fake_nuke import FakeNuke


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def jobs() -> ModuleType:
    return load(PLUGIN / "jobs.py", "deblur_engine_jobs_under_test")


@pytest.fixture
def nuke(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNuke]:
    fake = FakeNuke()
    monkeypatch.setitem(sys.modules, "nuke", fake)
    yield fake
    fake.check()


@pytest.fixture
def nuke_script(nuke: FakeNuke, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load(PLUGIN / "nuke" / "deblur_engine_nuke.py", "deblur_engine_nuke")
    monkeypatch.setitem(sys.modules, "deblur_engine_nuke", module)
    return module


@pytest.fixture
def resolve_script() -> ModuleType:
    return load(PLUGIN / "resolve" / "deblur_engine_resolve.py", "deblur_engine_resolve")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """``engine(body)``: $DEBLUR_ENGINE is a program that runs ``body`` with ``say``, ``event`` and ``words``."""
    if os.name == "nt":
        pytest.skip("the stand-in is a script with #!")
    head = """
        import json, os, signal, sys, time
        words = sys.argv[1:]
        def say(line):
            sys.stdout.buffer.write(line if isinstance(line, bytes) else line.encode() + b"\\n")
            sys.stdout.flush()
        def event(kind, **fields):
            say(json.dumps(dict(fields, event=kind)))
        def progress(stage, done, total):
            event("progress", stage=stage, done=done, total=total, unit="steps", figures={})
    """

    def make(body: str) -> Path:
        program = tmp_path / "stand-in"
        text = f"#!{sys.executable} -S\n{textwrap.dedent(head)}\n{textwrap.dedent(body)}"
        program.write_text(text, encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("DEBLUR_ENGINE", str(program))
        return program

    return make
