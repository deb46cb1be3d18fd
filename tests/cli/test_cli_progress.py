# SPDX-License-Identifier: Apache-2.0
"""Progress off and on a terminal, as NDJSON, and for farms."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path

import pytest
from cli_fakes import FakeRender
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine.cli.pace import SHARES, Overall
from deblur_engine.cli.progress import Farm, Lines, Stream
from deblur_engine.task import Event

# What openjd-sessions and Deadline's command-line plug-in match a line of output against.
OPENJD = re.compile(r"^openjd_(progress|status|fail): (.+)$")
DEADLINE = re.compile(r".*Progress: (\d+)%.*")


def rendering(clip, model=None, out=None, *, settings, task):
    for done in range(0, 31, 10):
        task.report("render", done, 30, "frames", fps=12.5)
    task.warn("the model was fitted to another clip")
    return FakeRender(Path("a_deblur.mov"))


def test_progress_goes_to_stderr_in_plain_lines_off_a_terminal(run, replace_engine):
    replace_engine(render=rendering)
    ran = run("render", "a.mov")
    assert ran.out == "a_deblur.mov\n"
    lines = ran.err.splitlines()
    assert lines[0] == "render    0/30 frames    0%  12.5 fps"
    assert any(line.startswith("render    30/30 frames  100%") for line in lines)
    assert "warning: the model was fitted to another clip" in lines
    assert "\x1b" not in ran.err


def test_quiet_leaves_warnings_and_data(run, replace_engine):
    replace_engine(render=rendering)
    ran = run("render", "a.mov", "--quiet")
    assert ran.out == "a_deblur.mov\n"
    assert ran.err == "warning: the model was fitted to another clip\n"


def test_json_events_stream_while_it_runs_and_end_with_the_result(run, replace_engine):
    replace_engine(render=rendering)
    ran = run("render", "a.mov", "--json-events")
    kinds = [event["event"] for event in ran.events]
    assert kinds[0] == "progress" and kinds[-1] == "result" and "warning" in kinds
    first = ran.events[0]
    assert (first["stage"], first["done"], first["total"], first["figures"]) == ("render", 0, 30, {"fps": 12.5})
    assert ran.events[-1]["warnings"] == ["the model was fitted to another clip"]
    assert ran.err == ""


def test_json_events_end_with_an_error_where_it_fails(run, replace_engine):
    def render(*_, task, **__):
        task.report("render", 1, 30)
        raise MemoryError

    replace_engine(render=render)
    ran = run("render", "a.mov", "--json-events")
    assert [event["event"] for event in ran.events] == ["progress", "error"]
    assert ran.events[-1]["exit_code"] == 5


def test_farm_lines_are_what_the_farms_read(run, replace_engine):
    replace_engine(render=rendering)
    ran = run("render", "a.mov", "--farm", "--quiet")
    lines = ran.out.splitlines()
    assert lines.pop() == "openjd_status: done"  # and before it, the data
    progress = [float(match[2]) for line in lines if (match := OPENJD.match(line)) and match[1] == "progress"]
    deadline = [int(match[1]) for line in lines if (match := DEADLINE.match(line))]
    assert progress == sorted(progress) and progress[-1] == 100.0
    assert deadline == [int(value) for value in progress]
    assert "openjd_status: render" in lines and "a_deblur.mov" in lines


def test_farm_learns_of_a_failure_on_one_line(run, replace_engine):
    def render(*_, **__):
        raise ValueError("first\nsecond")

    replace_engine(render=render)
    ran = run("render", "a.mov", "--farm")
    said = [line for line in ran.out.splitlines() if line.startswith("openjd_fail: ")]
    assert len(said) == 1 and "unexpected ValueError: first" in said[0]


def test_farm_lines_leave_stdout_to_json(run, replace_engine):
    replace_engine(render=rendering)
    ran = run("render", "a.mov", "--farm", "--json")
    assert ran.json["status"] == "done"
    assert "openjd_progress: 100.0" in ran.err.splitlines()


def test_lines_come_now_and_then_not_with_every_event():
    now = 0.0
    stream = io.StringIO()
    lines = Lines(stream, interval=10.0, clock=lambda: now)
    for step in range(101):
        now = step * 0.5
        lines.event(Event("fit", step, 100, "steps", {"loss": 0.01, "held_out_gain_db": 1.25}))
    said = stream.getvalue().splitlines()
    assert [line.split()[1] for line in said] == ["0/100", "20/100", "40/100", "60/100", "80/100", "100/100"]
    assert said[1] == "fit       20/100 steps   20%  2 steps/s  40 s left  loss 0.01  held-out gain +1.25 dB"


def test_the_rate_does_not_count_what_was_done_before_a_resume():
    now = 0.0
    stream = io.StringIO()
    lines = Lines(stream, interval=0.0, clock=lambda: now)
    lines.event(Event("fit", 900, 1000, "steps"))
    now = 10.0
    lines.event(Event("fit", 950, 1000, "steps"))
    assert "5 steps/s  10 s left" in stream.getvalue().splitlines()[-1]


def test_events_are_thinned_but_never_lose_the_end():
    stream = io.StringIO()
    sink = Stream(stream, interval=1e6)
    for done in range(11):
        sink.event(Event("render", done, 10))
    assert [json.loads(line)["done"] for line in stream.getvalue().splitlines()] == [0, 10]


def test_shares_of_each_verb_add_up():
    for shares in SHARES.values():
        assert sum(shares.values()) == pytest.approx(1.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["analyse", "pairs", "fit", "export", "render", "clip", "unheard of"]),
            st.floats(0, 1e6),
            st.one_of(st.none(), st.floats(0, 1e6)),
        )
    )
)
def test_overall_progress_never_falls_and_stays_in_range(events):
    overall, last = Overall("batch"), 0.0
    for stage, done, total in events:
        percent = overall.update(Event(stage, done, total))
        assert last <= percent <= 100.0
        last = percent


def test_overall_progress_of_a_batch_counts_its_clips():
    overall = Overall("batch")
    assert overall.update(Event("clip", 1, 4, "clips")) == 25.0
    assert overall.update(Event("render", 30, 30)) == pytest.approx(50.0)


def test_farm_says_each_percent_once():
    stream = io.StringIO()
    farm = Farm(stream, "render")
    for done in range(10_001):
        farm.event(Event("render", done, 10_000))
    said = [line for line in stream.getvalue().splitlines() if line.startswith("Progress: ")]
    assert len(said) == len(set(said)) <= 101


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_a_bar_with_rate_and_figures_and_no_colour_makes_it_plain(tmp_path):
    import pty

    code = """
import sys, time
from deblur_engine.cli import engine, main
sys.path.insert(0, sys.argv[1])
from cli_fakes import FakeRender
from pathlib import Path
def render(*_, task, **__):
    for step in range(101):
        task.report("fit", step, 100, "steps", loss=0.5, held_out_gain_db=2.0)
        time.sleep(0.003)
    return FakeRender(Path("a_deblur.mov"))
engine.render = render
sys.exit(main(["render", "a.mov"]))
"""
    script = tmp_path / "script.py"
    script.write_text(code)

    def on_terminal(**extra: str) -> str:
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "140", **extra}
        process, master = pty.fork()
        if process == 0:
            os.execve(sys.executable, [sys.executable, str(script), str(Path(__file__).parent)], environment)
        text = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            text += chunk
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
        return text.decode()

    text = on_terminal()
    assert "\x1b[?25h" in text  # the cursor is back
    assert "100/100" in text and "/s" in text and "loss 0.5" in text and "held-out gain +2.00 dB" in text
    assert "\x1b[3" in text  # some colour
    assert not re.search(r"\x1b\[[0-9;]*(3[1-7]|38;)[0-9;]*m", on_terminal(NO_COLOR="1"))
