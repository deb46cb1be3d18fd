# SPDX-License-Identifier: Apache-2.0
"""Whatever goes wrong with the engine: the host lives, shows the source and says why, and the next frame works."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import time

import numpy as np
import pytest

from ofx.conftest import StandIn
from ofx.hosting import FAILED, OK, Frame, Host
from ofx.stand_in import made

GIVEN = np.random.default_rng(8).random((16, 24, 4)).astype(np.float32)
QUICK = {"DEBLUR_SILENCE_SECONDS": "0.5", "DEBLUR_START_SECONDS": "5"}

# What a fault says, and whether the plug-in keeps its connection.
BROKEN = {
    "kill": "connection ended",
    "close": "connection ended",
    "truncated": "connection ended",
    "garbage": "no engine of ours",
    "http": "no engine of ours",
    "huge": "no message",
    "reserved": "no message",
    "short": "no message",
    "long": "no message",
    "type": "answered with a message of type 51",
    "version": "speaks version 2",
    "version-error": "another version",
    "zero": "had enough",
    "utf8": "no message",
    "nul": "no message",
    "stop": "did not answer any more",
    "silence": "did not answer any more",
}


def start(place: StandIn, *options: str, **environment: str) -> Host:
    host = place.host(dict.fromkeys(range(10), GIVEN), *options, **QUICK, **environment)
    host.set(model="/clips/a.deblur.onnx", footage="Display referred")
    return host


def is_source(frame: Frame) -> bool:
    return np.array_equal(frame.picture.view(np.uint32), GIVEN.view(np.uint32))


def is_struck(frame: Frame, given: np.ndarray) -> bool:
    """Whether the picture is the source's with stripes, as where the host takes no notice of a failure."""
    struck = (frame.picture == np.float32([1, 0, 1, 1])).all(axis=2)
    return 0.1 < struck.mean() < 0.5 and np.array_equal(frame.picture[~struck], given[~struck])


def is_made(frame: Frame) -> bool:
    want = GIVEN.copy()
    want[..., :3] = made(GIVEN[..., :3])
    return frame.status == OK and np.allclose(frame.picture, want, atol=1e-6)


def is_right(frame: Frame) -> bool:
    return is_made(frame) and not frame.message


def works_soon(host: Host, first: int, seconds: float = 10) -> Frame:
    """The next frame, tried again while the plug-in waits before it starts another engine."""
    until = time.monotonic() + seconds
    while True:
        frame = host.one(first)
        if is_right(frame) or "next attempt" not in frame.message or time.monotonic() > until:
            return frame
        time.sleep(0.05)


@pytest.mark.parametrize("fault", list(BROKEN))
def test_in_the_middle_of_a_frame(stand_in: StandIn, fault: str) -> None:
    host = start(stand_in)
    assert is_right(host.one(0))
    stand_in.plan(faults={"render": fault})
    shown = host.one(1)
    assert shown.status == OK and is_source(shown), shown.said
    assert shown.message.startswith("Deblur shows the source: ") and BROKEN[fault] in shown.message
    assert is_right(works_soon(host, 2))
    # A final frame is tried once more with another engine, and fails then.
    host.do("interactive 0")
    stand_in.plan(faults={"render": fault})
    assert is_right(host.one(3))
    stand_in.plan(faults={"render": [fault, fault]})
    failed = host.one(3)
    # The picture is the source's: there are hosts that show it whatever the status.
    assert failed.status == FAILED and is_source(failed) and failed.message.startswith("Deblur failed: ")
    assert is_right(works_soon(host, 4))
    assert BROKEN[fault] in stand_in.log()


@pytest.mark.parametrize("fault", ["kill", "truncated", "garbage", "stop", "long"])
@pytest.mark.parametrize("request_name", ["model", "attach", "needs", "foretell"])
def test_before_the_frame_is_asked_for(fresh: StandIn, request_name: str, fault: str) -> None:
    # GetFramesNeeded asks for the first two as well, before the render does.
    once = request_name in ("attach", "foretell")
    fresh.plan(route=2, faults={request_name: [fault] if once else [fault, fault]})
    host = start(fresh)
    failed = host.one(1)
    if not once:
        assert is_right(failed) or (is_source(failed) and failed.message)
    else:
        assert failed.status == OK and is_source(failed) and failed.message
    assert is_right(works_soon(host, 2))


@pytest.mark.parametrize("fault", ["kill", "close", "garbage", "silence", "version", "long", "zero"])
def test_in_the_greeting(fresh: StandIn, fault: str) -> None:
    """The same is asked again; where it has died meanwhile, the next frame has another one."""
    fresh.plan(faults={"hello": fault})
    host = start(fresh)
    frame = host.one(0)
    assert is_right(frame) or (fault in ("kill", "silence") and is_source(frame) and frame.message)
    assert is_right(works_soon(host, 1))


@pytest.mark.parametrize("request_name", ["hello", "model", "attach"])
def test_no_signal_comes_from_a_worker_that_has_stopped_to_listen(fresh: StandIn, request_name: str) -> None:
    fresh.plan(faults={request_name: "deaf"})
    host = start(fresh, "--manner", "mlt")
    frame = host.one(0)
    assert is_source(frame) and "connection ended" in frame.message
    assert is_right(works_soon(host, 1))


@pytest.mark.parametrize("fault", ["stale", "future", "alive"])
def test_what_is_not_the_answer_is_passed_over(stand_in: StandIn, fault: str) -> None:
    host = start(stand_in)
    stand_in.plan(faults={"render": fault})
    frame = host.one(0)
    assert is_right(frame) and len(stand_in.asked("hello")) <= 1
    if fault == "alive":  # for longer than a silence may last
        assert frame.said["ms"] > 600


@pytest.mark.parametrize(("fault", "told"), [("refuse", "fit it anew"), ("memory", "close other programs")])
@pytest.mark.parametrize("request_name", ["model", "render"])
def test_an_error_is_said_with_its_hint_and_the_connection_stays(
    stand_in: StandIn, request_name: str, fault: str, told: str
) -> None:
    host = start(stand_in, "--manner", "mlt")  # which asks for nothing but the frame
    for interactive, status, opening in ((1, OK, "Deblur shows the source"), (0, FAILED, "Deblur failed")):
        host.do(f"interactive {interactive}", "press reload")
        stand_in.plan(faults={request_name: fault})
        frame = host.one(1)
        assert frame.status == status and (is_source(frame) if interactive else is_struck(frame, GIVEN))
        assert frame.message.startswith(opening) and told in frame.message
        assert is_right(host.one(2))
    assert len(stand_in.asked("hello")) == 1


@pytest.mark.parametrize("manner", ["plain", "mlt", "hostdemo", "runner", "resolve", "nuke"])
def test_no_engine_is_installed(fresh: StandIn, manner: str) -> None:
    given = (GIVEN * 255).astype(np.uint8) if manner == "hostdemo" else GIVEN
    host = fresh.host({0: given}, "--manner", manner, DEBLUR_ENGINE="/nowhere/deblur-engine")
    host.set(model="/clips/a.deblur.onnx")
    shown = host.one(0)
    host.do("interactive 0")
    failed = host.one(0)
    assert (shown.status, failed.status) == (OK, FAILED)
    np.testing.assert_array_equal(shown.picture, given)
    if manner == "mlt":  # which ignores the status: the frame itself has to say it
        assert is_struck(failed, given)
    else:
        np.testing.assert_array_equal(failed.picture, given)
    for frame in (shown, failed):
        if manner not in ("runner", "resolve"):  # without a message suite of version 2
            assert "/nowhere/deblur-engine" in frame.message


def test_what_to_do_without_an_engine_or_a_model_is_said(fresh: StandIn) -> None:
    host = start(fresh, DEBLUR_ENGINE="", PATH="/nowhere")
    assert "deblur-engine plugin install" in host.one(0).message
    host.set(model="")
    assert "press Fit" in host.one(0).message
    assert "deblur-engine is not installed" in fresh.log()


def test_an_engine_of_another_version_is_used_and_said(stand_in: StandIn) -> None:
    stand_in.plan(engine="9.9.9")
    frame = start(stand_in).one(0)
    assert frame.status == OK and not is_source(frame)
    assert "9.9.9" in frame.message and "plugin install" in frame.message
    assert frame.said["message"]["type"] == "OfxMessageWarning"


def test_an_engine_that_fails_to_start_is_tried_again_after_a_pause(fresh: StandIn) -> None:
    fresh.plan(faults={"start": "exit"})
    host = start(fresh, DEBLUR_BACKOFF_SECONDS="1.5")
    first, second = host.render(0, 1)
    assert "could not be started" in first.message and "next attempt" in second.message
    assert is_source(first) and is_source(second) and second.said["ms"] < 1000
    assert "told to fail" in fresh.log()  # what it said itself
    assert is_right(works_soon(host, 2))


def test_reload_ends_the_pause(fresh: StandIn) -> None:
    fresh.plan(faults={"start": "exit"})
    host = start(fresh, DEBLUR_BACKOFF_SECONDS="60")
    assert is_source(host.one(0)) and is_source(host.one(1))
    host.do("press reload")
    assert is_right(host.one(2))


def test_the_pauses_grow_for_an_engine_that_always_dies(fresh: StandIn) -> None:
    host = start(fresh, DEBLUR_BACKOFF_SECONDS="30")
    for number in range(8):
        fresh.plan(faults={"render": "kill"})
        assert is_source(host.one(number))
    assert len(fresh.asked("render")) <= 3  # not one start for each frame
    assert "next attempt is in" in host.one(9).message


def test_an_engine_that_never_listens_has_a_deadline(fresh: StandIn) -> None:
    fresh.plan(faults={"start": "sleep"})
    host = fresh.host({0: GIVEN}, DEBLUR_START_SECONDS="0.5")
    host.set(model="/clips/a.deblur.onnx")
    frame = host.one(0)
    assert is_source(frame) and "did not begin to listen" in frame.message
    for line in subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines():
        if str(fresh.data) in line or "stand_in.py serve" in line:
            with contextlib.suppress(ProcessLookupError, ValueError):
                os.kill(int(line.split()[0]), signal.SIGKILL)


def test_the_shared_memory_cannot_be_shrunk(fresh: StandIn) -> None:
    fresh.plan(shrink=True)
    assert is_right(start(fresh).one(0))
    assert fresh.asked("refused to shrink")[0]["error"] == errno.EPERM and not fresh.asked("shrunk")


def test_a_worker_killed_between_two_frames_is_not_missed(fresh: StandIn) -> None:
    host = start(fresh)
    for number in range(3):
        assert is_right(host.one(number))
        os.kill(fresh.pid(), signal.SIGKILL)
        time.sleep(0.1)
    assert is_right(host.one(3))
    # The editor does not collect dead children.
    text = subprocess.run(["ps", "--ppid", str(host.process.pid), "-o", "stat="], capture_output=True, text=True).stdout
    assert sum(line.startswith("Z") for line in text.splitlines()) <= 1


@pytest.mark.parametrize("manner", ["plain", "mlt", "nuke"])
def test_the_host_ends_a_frame_in_the_middle(stand_in: StandIn, manner: str) -> None:
    host = start(stand_in, "--manner", manner)
    assert is_right(host.one(0))
    stand_in.plan(faults={"render": "never"})
    host.do("abort 100")
    frame = host.one(1)
    assert is_source(frame) and not frame.message and frame.said["aborts"] > 1 and frame.said["ms"] < 2000
    host.do("abort -1")
    assert is_right(host.one(2))
    stand_in.plan(faults={"render": "stop"})  # and while it hangs
    host.do("abort 100")
    assert is_source(host.one(3))


def test_the_host_ends_a_frame_while_the_engine_starts(fresh: StandIn) -> None:
    fresh.plan(faults={"start": "exit"})
    host = start(fresh, "--manner", "mlt")  # whose Render is the first that needs the engine
    host.do("abort 0")
    frame = host.one(0)
    assert frame.status == OK and is_source(frame) and not frame.message


def test_the_frames_needed_are_not_waited_for_long(fresh: StandIn) -> None:
    """The frame itself is made all the same, by a request of its own that has more time."""
    host = start(fresh, "--manner", "natron", DEBLUR_NEEDS_SECONDS="1.5")
    assert is_right(host.one(0))
    fresh.plan(route=2, needs=(-1, 0, 1), faults={"needs": "never"})
    host.do("press reload")  # the route is asked for again
    frame = host.one(1)
    assert is_right(frame) and frame.said["needed"] == [1, 1] and len(fresh.asked("needs")) == 2
    assert is_right(host.one(2)) and len(fresh.asked("needs")) == 4


def test_the_last_word_on_a_frame_stands(stand_in: StandIn) -> None:
    """Frames of one instance in several threads complain and are content in turns; the message is the last one's."""
    stand_in.plan(refused=[1, 3, 5, 7, 9])
    host = start(stand_in, "--threads", "4")
    for _ in range(5):
        host.render(*range(10), verb="parallel")
        for number, told in ((3, True), (4, False), (5, True)):
            assert bool(host.one(number).message) == told


def test_threads_outlive_a_worker_that_dies(stand_in: StandIn) -> None:
    host = start(stand_in, "--instances", "4", "--threads", "4")
    for fault in ("kill", "garbage", "short"):
        stand_in.plan(faults={"render": fault})
        for frame in host.render(*range(4), verb="parallel"):
            # The message may be that of another frame of the same instance, in another thread.
            assert frame.status == OK and (is_source(frame) or is_made(frame))
        assert is_right(works_soon(host, 5))


def test_threads_that_lose_the_same_worker_lose_no_frame(fresh: StandIn) -> None:
    """As in MLT, whose film would be struck through from there on: four threads are in the middle of a frame."""
    fresh.plan(faults={"render": ["never", "never", "never", "kill"]})
    host = start(fresh, "--manner", "mlt", "--threads", "4", DEBLUR_BACKOFF_SECONDS="30")
    host.do("interactive 0")
    assert all(map(is_right, host.render(*range(10), verb="parallel")))
    assert len({each["worker"] for each in fresh.asked("hello")}) == 2


def test_one_final_frame_that_ends_two_engines_costs_no_other(fresh: StandIn) -> None:
    """The next ones wait out the pause, where it is short."""
    fresh.plan(faults={"render": ["kill", "kill"]})
    host = start(fresh, "--manner", "mlt", DEBLUR_BACKOFF_SECONDS="1")
    host.do("interactive 0")
    lost, *later = host.render(*range(4))
    assert lost.status == FAILED and is_struck(lost, GIVEN) and "connection ended" in lost.message
    assert all(map(is_right, later)) and 500 < later[0].said["ms"] < 5000


def test_a_final_frame_waits_neither_long_nor_for_a_host_that_has_ended_it(fresh: StandIn) -> None:
    fresh.plan(faults={"render": ["kill", "kill"]})
    host = start(fresh, DEBLUR_BACKOFF_SECONDS="4")
    host.do("interactive 0")
    assert host.one(0).status == FAILED
    host.do("abort 100")
    ended = host.one(1)
    assert is_source(ended) and ended.said["aborts"] > 1 and ended.said["ms"] < 2000
    host.do("abort -1", "press reload")
    fresh.plan(faults={"render": ["kill"] * 5})
    host.render(2, 3)
    refused = host.one(4)  # now the pause is of 8 seconds, or 16
    assert refused.status == FAILED and is_source(refused) and refused.said["ms"] < 2000
    assert "next attempt is in" in refused.message


def test_a_fit_that_cannot_be_asked_after_costs_no_frame(fresh: StandIn) -> None:
    fresh.plan(fit="runs")
    host = start(fresh, DEBLUR_BACKOFF_SECONDS="1")
    host.set(background=1, clip="/clips/a.mov")
    host.do("press fit", "interactive 0")
    assert fresh.asked("fit") and is_right(host.one(0))
    os.kill(fresh.pid(), signal.SIGKILL)
    time.sleep(0.1)
    fresh.plan(faults={"start": "exit"})
    assert is_right(host.one(1))


def test_a_worker_that_never_stops_to_send_can_be_ended(stand_in: StandIn) -> None:
    host = start(stand_in)
    stand_in.plan(faults={"render": "flood"})
    host.do("abort 100")
    frame = host.one(1)
    assert is_source(frame) and frame.said["ms"] < 2000


def test_a_final_frame_fails_where_its_clip_cannot_be_read(stand_in: StandIn) -> None:
    """The worker has done it alone: good enough to go on working, but no frame of a film."""
    host = start(stand_in, "--manner", "mlt")
    for flags, status in ((8 | 2, FAILED), (2, OK)):
        stand_in.plan(flags=flags, note="the clip cannot be read any more: it is damaged")
        host.do("interactive 1")
        shown = host.one(1)
        assert is_made(shown) and "it is damaged" in shown.message
        host.do("interactive 0")
        final = host.one(1)
        assert final.status == status and "it is damaged" in final.message
        assert is_struck(final, GIVEN) if status == FAILED else is_made(final)


def test_a_folder_that_is_open_to_others_is_not_used(fresh: StandIn) -> None:
    fresh.folder.chmod(0o755)
    host = start(fresh)
    host.do("interactive 0")
    frame = host.one(0)
    assert frame.status == FAILED and is_source(frame) and "open to others" in frame.message


def test_an_instance_whose_creation_failed_is_met_with_every_action(stand_in: StandIn) -> None:
    """By a host that ignores the status: that of MLT. Here the effect is asked without having been created."""
    host = start(stand_in, "--quirk", "status-ignored")
    host.do("destroy", "create", "destroy")
    assert is_right(host.one(0))
