# SPDX-License-Identifier: Apache-2.0
"""``deblur-engine plugin``: options, data, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from deblur_engine.errors import ExitCode, OutputError
from deblur_engine.hosts import Change, Found, State

BUNDLE = Path("/ofx/DeblurEngine.ofx.bundle")


def test_install_passes_what_is_asked_and_says_what_was_done(run, replace_engine):
    asked = {}

    def install(**options):
        asked.update(options)
        return [Change("bundle", "installed", BUNDLE, "1.0"), Change("nuke", "unchanged", Path("/n"), "1.0")]

    replace_engine(install_plugin=install)
    ran = run("plugin", "install", "--dir", "/ofx", "--nuke", "/n", "--only", "scripts", "--json")
    assert ran.code == ExitCode.DONE
    assert asked["ofx"] == Path("/ofx") and asked["nuke"] == Path("/n") and asked["resolve"] is None
    assert asked["parts"] == ("nuke", "resolve") and asked["dry_run"] is False
    assert ran.json["changes"][0] == {
        "part": "bundle", "action": "installed", "path": str(BUNDLE), "version": "1.0", "kept": []
    }  # fmt: skip
    text = run("plugin", "install")
    assert text.out.split()[:4] == ["bundle", "installed", str(BUNDLE), "1.0"]
    assert "next: deblur-engine plugin status" in text.err


def test_a_folder_that_cannot_be_written(run, replace_engine):
    def install(**options):
        raise OutputError("no permission to write /usr/OFX/Plugins", hint="run it with sudo")

    replace_engine(install_plugin=install)
    ran = run("plugin", "install")
    assert ran.code == ExitCode.OUTPUT and "hint: run it with sudo" in ran.err


def test_remove_says_what_stays(run, replace_engine):
    change = Change("bundle", "removed", BUNDLE, "1.0", (BUNDLE / "theirs",))
    replace_engine(remove_plugin=lambda **options: [change])
    ran = run("plugin", "remove")
    assert ran.code == ExitCode.DONE and "1 files in it are not ours" in ran.err
    replace_engine(remove_plugin=lambda **options: [])
    assert "nothing is installed" in run("plugin", "remove").err


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((), ExitCode.INTERNAL),
        ((Found("bundle", BUNDLE, "1.0", "/e", "1.0", ()),), ExitCode.DONE),
        ((Found("bundle", BUNDLE, "1.0", "/e", "1.1", (), ("the engine is 1.1",)),), ExitCode.DONE),
        ((Found("bundle", BUNDLE, "1.0", "/e", None, ("the engine is gone",)),), ExitCode.INTERNAL),
        ((Found("nuke", Path("/n"), "1.0", "/e", "1.0", ()),), ExitCode.INTERNAL),  # scripts without an effect
    ],
)
def test_status_ends_as_things_are(run, replace_engine, found, code):
    replace_engine(plugin_status=lambda **options: State(tuple(found), "1.0"))
    ran = run("plugin", "status")
    assert ran.code == code
    for each in found:
        assert str(each.path) in ran.out
        assert all(line in ran.out for line in (*each.problems, *each.notes))
    assert ("nothing is installed" in ran.out) is not bool(found)
    assert run("plugin", "status", "--json").json["works"] is (code is ExitCode.DONE)


@pytest.mark.parametrize(
    "words", [["status", "--dry-run"], ["status", "--only", "nuke"], ["remove", "--engine", "/e"], ["update"], []]
)
def test_what_cannot_be_meant_is_refused(run, words):
    assert run("plugin", *words).code == ExitCode.USAGE


def test_for_real(run, tmp_path, monkeypatch):
    engine = tmp_path / "deblur-engine"
    engine.write_text("#!/bin/sh\necho deblur-engine 0\n")
    engine.chmod(0o755)
    nuke = tmp_path / "nuke"
    arguments = ("--nuke", nuke, "--only", "nuke")
    assert run("plugin", "install", *arguments, "--engine", engine).code == ExitCode.DONE
    assert (nuke / "init.py").is_file()
    assert run("plugin", "remove", *arguments).code == ExitCode.DONE
    assert not nuke.exists()
