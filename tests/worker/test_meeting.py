# SPDX-License-Identifier: Apache-2.0
"""The folder, the socket, the lock and the log."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from deblur_engine.errors import OutputError, UsageError
from deblur_engine.worker import meeting as home
from deblur_engine.worker import server as server_home
from deblur_engine.worker import wire
from deblur_engine.worker.client import connect, start
from deblur_engine.worker.meeting import Meeting, runtime_folder
from deblur_engine.worker.posix import peer_user


def test_the_folder_is_made_for_its_user_alone(short: Path) -> None:
    meeting = Meeting("cuda:1", short / "run")
    assert (short / "run").stat().st_mode & 0o777 == 0o700
    assert meeting.socket.name == "worker-1-cuda-1.sock"
    Meeting("cuda:1", short / "run")  # one that is there already will do


def test_a_folder_that_is_not_safe_is_refused(short: Path) -> None:
    (short / "open").mkdir(mode=0o700)
    (short / "open").chmod(0o755)
    (short / "own").mkdir(mode=0o700)
    (short / "link").symlink_to(short / "own")
    (short / "file").write_text("")
    for name, why in (("open", "others may enter"), ("link", "link"), ("file", "link|made"), ("no/where", "made")):
        with pytest.raises(OutputError, match=why):
            Meeting("cpu", short / name)


def test_another_owner_is_refused(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(OutputError, match="another user"):
        Meeting("cpu", short)


def test_a_name_too_long_for_a_socket_is_said(short: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        Meeting("cpu", short / ("x" * 90))


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/me")
    monkeypatch.setenv("DEBLUR_RUNTIME_DIR", "/mine")
    assert runtime_folder() == Path("/mine")
    monkeypatch.delenv("DEBLUR_RUNTIME_DIR")
    assert runtime_folder() == Path("/run/me/deblur-engine")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert runtime_folder() == Path(f"/tmp/deblur-engine-{os.getuid()}")


def test_the_kernel_says_who_is_there() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert peer_user(one) == os.getuid()


def test_other_users_are_sent_away(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    monkeypatch.setattr(server_home, "same_user", lambda connection: False)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(served.meeting.socket))
        stranger.settimeout(20)
        assert stranger.recv(1) == b""
    assert "another user" in served.log()
    monkeypatch.setattr(home, "same_user", lambda connection: False)
    with pytest.raises(PermissionError):
        served.meeting.connect()


def test_there_is_one_worker_for_a_user_and_device(serve, short: Path) -> None:
    serve()
    assert server_home.Server(Meeting("cpu", short), "cpu", 1).serve() is None
    assert Meeting("cuda:0", short).claim() is not None


def test_a_socket_left_behind_is_replaced(short: Path, serve) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(short / "worker-1-cpu.sock"))
    with serve().client() as client:
        assert client.welcome.device == "cpu"


def test_it_leaves_when_nobody_is_there(serve) -> None:
    served = serve(idle=0.5)
    with served.client():
        time.sleep(1.2)
        assert served.thread.is_alive()  # somebody is there, though silent
    served.thread.join(20)
    assert "nobody was there" in served.why and not served.meeting.socket.exists()


def test_it_leaves_when_its_socket_is_removed(serve) -> None:
    served = serve()
    served.meeting.socket.unlink()
    served.thread.join(20)
    assert "removed" in served.why
    with serve().client() as client:  # and is no obstacle to the next one
        client.ask(wire.Status(), wire.State)


def test_the_log_begins_anew_when_it_is_full(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_home, "_LOG_BYTES", 2000)
    served = serve()
    for number in range(100):
        logging.getLogger("deblur_engine.worker.server").info("line %d of many", number)
    old = served.meeting.log.with_name(served.meeting.log.name + ".1")
    assert served.meeting.log.stat().st_size <= 2000 and old.stat().st_size <= 2000
    assert "line 99" in served.log()
    assert len(list(served.meeting.folder.glob("*.log*"))) == 2


def _serving(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "DEBLUR_RUNTIME_DIR": str(folder)}
    command = [sys.executable, "-m", "deblur_engine", "serve", "--device", "cpu", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def test_the_verb_serves_until_it_is_told_to_stop(short: Path) -> None:
    process = _serving(short)
    assert process.stderr is not None and "worker-1-cpu.sock" in process.stderr.readline()
    with start("cpu", short, host="test") as client:
        assert client.welcome.pid == process.pid
        second = _serving(short)
        _, err = second.communicate(timeout=60)
        assert second.returncode == 0 and "another worker serves" in err
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "stopped by a signal" in err
    assert connect("cpu", short) is None


def test_a_client_starts_the_worker_where_nobody_answers_and_can_stop_it(short: Path) -> None:
    assert connect("cpu", short) is None
    with start("cpu", short) as client:
        state = client.ask(wire.Status(), wire.State)
        assert (state.clients, state.jobs, state.rendered) == (1, 0, 0) and state.resident > 1 << 20
        client.ask(wire.Stop(), wire.Done)
    lock = None
    for _ in range(200):
        lock = Meeting("cpu", short).claim()
        if lock is not None:
            break
        threading.Event().wait(0.1)
    assert lock is not None and "told to stop by a client" in (short / "worker-1-cpu.log").read_text()


def test_no_library_keeps_the_socket_or_the_greeting_waiting(short: Path) -> None:
    code = (
        "import sys, pathlib, deblur_engine.cli.app, deblur_engine.worker.client;"
        "from deblur_engine.worker.server import Meeting, Server;"
        f"Server(Meeting('auto', pathlib.Path({str(short)!r}))).welcome();"
        "print(sorted({'torch', 'onnxruntime', 'onnx', 'av', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
