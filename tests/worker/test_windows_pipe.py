# SPDX-License-Identifier: Apache-2.0
"""The pipe of ``windows_pipe`` over a Windows that is made up: what is called, with what, and what errors become."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from worker.fake_windows import FakeWindows

NAME = "\\\\.\\pipe\\deblur-engine-" + "5" * 32


@pytest.fixture
def windows() -> FakeWindows:
    return FakeWindows()


@pytest.fixture
def calls() -> types.ModuleType:
    made: Any = types.ModuleType("deblur_engine.worker.windows_calls")
    made.OnlyThisUser = lambda: types.SimpleNamespace(address=0xACCE55)
    made.client_of = made.server_of = lambda pipe: 42
    made.user_of = lambda process: "S-1-5-21-7"
    return made


@pytest.fixture
def pipes(windows: FakeWindows, calls: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import deblur_engine.worker as package

    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        patch.setitem(sys.modules, "_winapi", windows)
        patch.setitem(sys.modules, "deblur_engine.worker.windows_calls", calls)
        patch.setattr(package, "windows_calls", calls, raising=False)
        module = importlib.import_module("deblur_engine.worker.windows_pipe")
    yield module
    del sys.modules["deblur_engine.worker.windows_pipe"]
    del package.windows_pipe  # type: ignore[attr-defined]


@pytest.fixture
def stream(pipes: Any) -> Any:
    return pipes.Stream(pipes.Connection(7, serves=False))


def test_the_listener_is_the_names_first_owner_and_lets_in_only_this_user(pipes, windows, tmp_path: Path) -> None:
    with pipes.Listener(tmp_path / "worker.pipe") as listener:
        name = (tmp_path / "worker.pipe").read_bytes().decode()
        _, asked, how, mode, _, _, _, _, access = windows.calls[0]
        assert name == f"{asked}\n" and pipes._NAME.fullmatch(asked)
        assert how & windows.FILE_FLAG_FIRST_PIPE_INSTANCE and how & windows.FILE_FLAG_OVERLAPPED
        assert mode == pipes._REJECT_REMOTE and access == 0xACCE55
        listener.settimeout(0.01)
        with pytest.raises(TimeoutError):
            listener.accept()
        windows.come.append(True)
        connection, _ = listener.accept()
        second = [call for call in windows.calls if call[0] == "CreateNamedPipe"][1]
        assert not second[2] & windows.FILE_FLAG_FIRST_PIPE_INSTANCE  # the next one finds a place at once
        assert connection.peer() == 42
        connection.close()
        connection.close()
    assert len(windows.closed) == 2


def test_a_name_that_is_taken_fails_and_leaves_no_file(pipes, windows, tmp_path: Path) -> None:
    windows.faults["CreateNamedPipe"] = [5]
    with pytest.raises(OSError):
        pipes.Listener(tmp_path / "worker.pipe")
    assert not list(tmp_path.iterdir())


def test_a_client_waits_while_the_pipe_is_busy(pipes, windows, tmp_path: Path) -> None:
    (tmp_path / "worker.pipe").write_text(NAME + "\n")
    windows.faults["CreateFile"], windows.faults["WaitNamedPipe"] = [231, 231], [121]
    assert pipes.connect(tmp_path / "worker.pipe", 5).handle == 7
    assert [call[0] for call in windows.calls] == ["CreateFile", "WaitNamedPipe"] * 2 + ["CreateFile"]
    assert windows.calls[-1][6] & pipes._IDENTIFICATION == pipes._IDENTIFICATION
    windows.faults["CreateFile"] = [231] * 99
    with pytest.raises(OSError):
        pipes.connect(tmp_path / "worker.pipe", -1)
    windows.faults["CreateFile"] = [2]
    with pytest.raises(OSError):
        pipes.connect(tmp_path / "worker.pipe", 5)


@pytest.mark.parametrize("text", ["", "\\\\other\\pipe\\deblur-engine-" + "5" * 32, NAME[:-1], NAME + "\\x", "C:\\x"])
def test_a_file_leads_nowhere_else(pipes, windows, tmp_path: Path, text: str) -> None:
    (tmp_path / "worker.pipe").write_text(text)
    with pytest.raises(ConnectionRefusedError):
        pipes.connect(tmp_path / "worker.pipe", 1)
    assert not windows.calls


def test_who_is_there(pipes, windows, calls, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = pipes.Connection(7, serves=True)
    assert pipes.same_user(connection)
    monkeypatch.setattr(calls, "user_of", lambda process: f"S-1-5-21-{process}")
    assert not pipes.same_user(connection)
    windows.faults["PeekNamedPipe"] = [109]  # it has gone: its number may be another's by now
    with pytest.raises(ConnectionResetError):
        pipes.same_user(connection)


def test_bytes_come_and_go(stream, windows) -> None:
    windows.come.append(b"hello")
    assert stream.read(3, 1) == (b"hel", [])
    assert stream.write(memoryview(b"answer"), (), 1) == 6 and windows.sent == b"answer"
    with pytest.raises(TimeoutError):
        stream.read(3, 0.01)
    with pytest.raises(OSError, match="no descriptors"):
        stream.write(memoryview(b"a"), (3,), 1)


@pytest.mark.parametrize("code", [109, 232, 233, 995])
def test_the_end_is_no_error_in_reading(stream, windows, code: int) -> None:
    windows.faults["ReadFile"] = [code]
    assert stream.read(3, 1) == (b"", [])
    windows.faults["PeekNamedPipe"] = [code]
    assert stream.gone()
    assert not stream.gone()


def test_what_cannot_be_read_is_an_error(stream, windows) -> None:
    windows.faults["ReadFile"] = [6]
    with pytest.raises(OSError):
        stream.read(3, 1)
    windows.faults["WriteFile"] = [109]
    with pytest.raises(OSError):
        stream.write(memoryview(b"a"), (), 1)


def test_nobody_takes_it(stream, windows) -> None:
    windows.room = 0
    with pytest.raises(TimeoutError):
        stream.write(memoryview(b"answer"), (), 0.01)
    stream.offer(b"a sign of life")  # not at all: nothing is spoilt
    assert not windows.sent


def test_a_reader_that_was_shut_sees_the_end(stream, windows) -> None:
    stream.shut()
    windows.come.append(b"late")
    assert stream.read(3, 1) == (b"", [])
