# SPDX-License-Identifier: Apache-2.0
"""The Nuke scripts against a module that refuses what Nuke refuses."""

from __future__ import annotations

import re
import runpy

import pytest
from engines import FITS, NEVER_ENDS, PLUGIN
from fake_nuke import Node

EFFECT = {"model": "", "clip": "", "firstFrame": 0, "preset": "standard"}
MOVIE = {"first": 1, "last": 44, "origfirst": 1, "origlast": 44, "frame": "", "frame_mode": "expression"}


@pytest.fixture
def make(nuke, nuke_script, tmp_path):
    """The effect with a Blur and a Read of a movie above it."""

    def graph(path=None, **knobs):
        path = str(tmp_path / "prise é.mov") if path is None else path
        read = Node(nuke, "Read", "Read1", {"file": path, **MOVIE, **knobs})
        node = Node(nuke, nuke_script.CLASS, "DeblurEngine1", EFFECT, Node(nuke, "Blur", "Blur1", {}, read))
        nuke_script.equip(node)
        return node

    return graph


@pytest.mark.parametrize("lower", [False, True])
def test_the_menu_makes_the_effect_with_its_controls_once(nuke, nuke_script, lower):
    nuke.classes[nuke_script.CLASS.lower() if lower else nuke_script.CLASS] = EFFECT
    runpy.run_path(str(PLUGIN / "nuke" / "init.py"))
    runpy.run_path(str(PLUGIN / "nuke" / "menu.py"))
    command = nuke.menu_nodes.menus["Deblur"].commands["Deblur clip"]
    exec(command, {"deblur_engine_nuke": nuke_script})
    (node,) = nuke.created
    assert set(node.knobs()) == {*EFFECT, "deblur_tab", "deblur_fit"}


def test_without_the_effect_it_says_what_to_do(nuke, nuke_script):
    assert nuke_script.create() is None
    assert "plugin install" in nuke.messages[0]


def test_a_fit_sets_the_model_in_the_main_thread(nuke, nuke_script, make, engine, tmp_path):
    engine(FITS)
    node = make()
    node["preset"].setValue("draft")
    nuke.this = node
    scope = {"nuke": nuke}
    exec(node["deblur_fit"].value(), scope)  # the button
    (job,) = nuke_script._running.values()
    assert job._process.args[2:5] == [str(tmp_path / "prise é.mov"), "--preset", "draft"]
    import threading

    nuke.run_main_loop(next(thread for thread in threading.enumerate() if thread.name == "deblur-fit"))
    assert node["model"].value() == str(tmp_path / "prise é.deblur.onnx")
    assert node["clip"].value() == str(tmp_path / "prise é.mov") and node["firstFrame"].value() == 1
    (bar,) = nuke.bars
    assert bar.percents == sorted(bar.percents) and bar.percents[-1] == 100
    assert nuke.messages == ["The fit is done.\ntwo frames were left out"]
    assert not nuke_script._running


def test_cancel_stops_the_program_and_leaves_the_node_alone(nuke, nuke_script, make, engine):
    engine(NEVER_ENDS)
    nuke.press_cancel_after = 3
    node = make()
    nuke.run_main_loop(nuke_script.fit(node))
    assert node["model"].value() == "" and nuke.messages == []
    assert "stopping" in nuke.bars[0].messages


def test_a_failure_is_told(nuke, nuke_script, make, engine):
    engine("event('error', error={'message': 'no sharp frames', 'hint': None}); sys.exit(4)")
    nuke.run_main_loop(nuke_script.fit(make()))
    assert nuke.messages == ["The fit failed.\nno sharp frames"]


def test_a_node_deleted_meanwhile_is_no_crash(nuke, nuke_script, make, engine):
    engine(FITS)
    node = make()
    thread = nuke_script.fit(node)
    node.deleted = True
    nuke.run_main_loop(thread)
    assert "Its node is gone" in nuke.messages[0]


def test_one_clip_is_fitted_once_at_a_time(nuke, nuke_script, make, engine):
    engine(NEVER_ENDS)
    nuke.press_cancel_after = 8
    node = make()
    thread = nuke_script.fit(node)
    assert nuke_script.fit(node) is None and nuke.messages == ["This clip is being fitted already."]
    nuke.run_main_loop(thread)


@pytest.mark.parametrize("answer", [True, False])
def test_a_model_that_exists_is_used_or_fitted_anew_as_the_user_says(nuke, nuke_script, make, engine, tmp_path, answer):
    engine(FITS)
    (tmp_path / "prise é.deblur.onnx").write_bytes(b"model")
    nuke.answer = answer
    node = make()
    thread = nuke_script.fit(node)
    if answer:
        (job,) = nuke_script._running.values()
        assert "--yes" in job._process.args
        nuke.run_main_loop(thread)
    else:
        assert thread is None and not nuke.bars
    assert node["model"].value() == str(tmp_path / "prise é.deblur.onnx")


def test_without_a_read_or_an_engine_it_says_so(nuke, nuke_script, make, monkeypatch):
    assert nuke_script.fit(Node(nuke, nuke_script.CLASS, "DeblurEngine1", EFFECT)) is None
    assert "no Read node above DeblurEngine1" in nuke.messages[-1]
    assert nuke_script.fit(make(path="")) is None
    assert "names no file" in nuke.messages[-1]
    monkeypatch.setenv("DEBLUR_ENGINE", "/gone")
    assert nuke_script.fit(make()) is None
    assert "DEBLUR_ENGINE names /gone" in nuke.messages[-1] and not nuke_script._running


@pytest.mark.parametrize(
    ("path", "knobs", "frames", "first"),
    [
        ("a.mov", {}, None, 1),
        ("a.mov", {"first": 11, "last": 20}, "10-19", 1),
        ("a.%04d.exr", {"first": 1001, "last": 1010, "origfirst": 1001, "origlast": 1010}, "1001-1010", 1001),
        ("a.####.exr", {"first": 1003, "last": 1010, "origfirst": 1001, "origlast": 1010}, "1003-1010", 1001),
        ("a.mov", {"frame": "1001", "frame_mode": "start at"}, None, 1001),
        ("a.mov", {"frame": "1001", "frame_mode": "start at", "first": 11}, "10-43", 991),
        ("a.mov", {"frame": "-10", "frame_mode": "offset"}, None, 11),
    ],
)
def test_what_a_read_node_shows(nuke, nuke_script, make, path, knobs, frames, first):
    read = nuke_script.source_of(make(path=path, **knobs))
    clip = nuke_script.clip_of(read)
    assert (clip.path, clip.frames, clip.first) == (path, frames, first)


def test_a_read_with_an_expression_in_time_is_refused(nuke, nuke_script, make):
    assert nuke_script.fit(make(frame="frame*2", frame_mode="expression")) is None
    assert "by an expression" in nuke.messages[0]


def test_the_fake_refuses_what_nuke_refuses(nuke, nuke_script, make):
    import threading

    node = make()
    seen = []

    def touch():
        try:
            node["model"].setValue("x")
        except RuntimeError as error:
            seen.append(error)

    thread = threading.Thread(target=touch)
    thread.start()
    thread.join()
    assert seen and nuke.wrong
    nuke.wrong.clear()
    with pytest.raises(RuntimeError):
        Node(nuke, "Blur", "deblur-engine", {})
    with pytest.raises(NameError):
        node["missing"]
    with pytest.raises(TypeError):
        node["firstFrame"].setValue("1")


def test_the_controls_that_scripts_set_are_the_effects():
    table = PLUGIN.parent / "ofx_bridge" / "params.h"
    if not table.exists():
        pytest.skip("this tree has no effect")
    controls = dict(re.findall(r'^ *{"(\w+)", Kind::(\w+),', table.read_text(encoding="utf-8"), re.MULTILINE))
    assert {name: controls.get(name) for name in EFFECT} == {
        "model": "path", "clip": "path", "firstFrame": "whole", "preset": "choice"
    }  # fmt: skip
