# SPDX-License-Identifier: Apache-2.0
"""The command line with the engine's functions replaced by ones that the test controls."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from deblur_engine.cli import engine, main


@dataclass
class Ran:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run ``deblur-engine`` in this process."""

    def command(*words: object) -> Ran:
        code = main([str(word) for word in words])
        out, err = capfd.readouterr()
        return Ran(int(code), out, err)

    return command


@pytest.fixture
def replace_engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``replace_engine(fit=...)``: the door gives these functions instead of the engine's, which stay unimported."""

    def replace(**functions: Callable[..., Any]) -> None:
        for name, function in functions.items():
            assert name in engine._HOME, f"the door has no {name}"
            monkeypatch.setitem(vars(engine), name, function)

    return replace
