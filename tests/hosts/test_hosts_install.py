# SPDX-License-Identifier: Apache-2.0
"""What install, remove and status do to folders of hosts."""

from __future__ import annotations

import errno
import json
import os
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

from deblur_engine import __version__
from deblur_engine.errors import DeblurError, OutputError, UsageError
from deblur_engine.hosts import install_plugin, owned, parts, places, plugin_status, remove_plugin
from deblur_engine.hosts import installation as installation_module


def actions(changes):
    return {change.part: change.action for change in changes}


def test_the_bundle_is_installed_with_the_engine_that_it_starts(machine):
    (change,) = install_plugin()
    bundle = machine.ofx / "DeblurEngine.ofx.bundle"
    assert (change.part, change.action, change.path, change.version) == ("bundle", "installed", bundle, __version__)
    binary = bundle / "Contents" / "Linux-x86-64" / "DeblurEngine.ofx"
    assert binary.read_bytes() == b"\x7fELF" and binary.stat().st_mode & 0o100
    assert (bundle / "Contents" / "Resources" / "engine").read_bytes() == os.fsencode(machine.engine) + b"\n"
    assert os.listdir(machine.ofx) == ["DeblurEngine.ofx.bundle"]  # nothing is left beside
    assert plugin_status().works


def test_hosts_get_their_scripts_where_they_are(machine):
    (machine.home / ".nuke").mkdir()
    (machine.home / ".local" / "share" / "DaVinciResolve").mkdir(parents=True)
    assert actions(install_plugin()) == {"bundle": "installed", "nuke": "installed", "resolve": "installed"}
    nuke = machine.home / ".nuke"
    assert (nuke / "DeblurEngine" / "jobs.py").is_file() and (nuke / "DeblurEngine" / "nuke" / "menu.py").is_file()
    assert not (nuke / "DeblurEngine" / "resolve").exists()
    scripts = machine.home / ".local" / "share" / "DaVinciResolve" / "Fusion" / "Scripts"
    assert (scripts / "DeblurEngine" / "resolve" / "deblur_engine_resolve.py").is_file()
    assert os.listdir(scripts / "Utility") == ["Deblur Clip.py"]
    assert actions(install_plugin()) == dict.fromkeys(("bundle", "nuke", "resolve"), "unchanged")
    assert plugin_status().works


def test_nukes_start_up_file_leads_to_the_scripts(machine, monkeypatch):
    nuke = ModuleType("nuke")
    nuke.paths = []
    nuke.pluginAddPath = nuke.paths.append
    monkeypatch.setitem(sys.modules, "nuke", nuke)
    install_plugin(nuke=machine.root / "nuke")
    runpy.run_path(str(machine.root / "nuke" / "init.py"))
    assert nuke.paths == ["./DeblurEngine/nuke"]
    assert (machine.root / "nuke" / nuke.paths[0] / "menu.py").is_file()


def test_the_scripts_find_the_engine_that_installed_them(machine, monkeypatch):
    install_plugin(nuke=machine.root / "nuke")
    monkeypatch.delenv("DEBLUR_ENGINE", raising=False)
    jobs = runpy.run_path(str(machine.root / "nuke" / "DeblurEngine" / "jobs.py"))
    assert jobs["find_engine"]({"PATH": ""}) == str(machine.engine)


def test_resolves_menu_entry_runs_from_where_it_was_put(machine, capsys):
    install_plugin(resolve=machine.root / "skripte ü")
    entry = machine.root / "skripte ü" / "Utility" / "Deblur Clip.py"
    exec(compile(entry.read_text(encoding="ascii"), "<script>", "exec"), {"resolve": None})  # without __file__
    assert "runs from Resolve's menu" in capsys.readouterr().out
    assert "deblur_engine_resolve" in sys.modules


def test_remove_undoes_exactly_what_install_did(machine, snapshot):
    nuke, scripts = machine.home / ".nuke", machine.home / ".local" / "share" / "DaVinciResolve" / "Fusion" / "Scripts"
    nuke.mkdir()
    (nuke / "init.py").write_bytes(b"import nuke\r\nprint('mine')")
    (scripts / "Utility").mkdir(parents=True)
    (scripts / "Utility" / "Mine.py").write_text("mine")
    before = snapshot(machine.root)
    installed = install_plugin()
    removed = remove_plugin()
    assert (
        actions(removed)
        == dict.fromkeys(("bundle", "nuke", "resolve"), "removed")
        == {change.part: "removed" for change in installed}
    )
    assert snapshot(machine.root) == before
    assert remove_plugin() == [] and not plugin_status().found


def test_remove_takes_the_folders_that_install_made(machine, snapshot):
    before = snapshot(machine.root)
    deep = machine.root / "a" / "b"
    install_plugin(ofx=deep, nuke=machine.root / "nuke", resolve=machine.root / "s" / "Scripts")
    remove_plugin(ofx=deep, nuke=machine.root / "nuke", resolve=machine.root / "s" / "Scripts")
    left = {path: data for path, data in snapshot(machine.root).items() if path not in before}
    assert left == {}


def test_files_of_others_stay_over_update_and_remove(machine, monkeypatch):
    install_plugin()
    bundle = machine.ofx / "DeblurEngine.ofx.bundle"
    (bundle / "Contents" / "Resources" / "presets.xml").write_text("mine")
    monkeypatch.setattr(installation_module, "__version__", "9.9.9")
    machine.binary.write_bytes(b"\x7fELF new")
    assert actions(install_plugin()) == {"bundle": "updated"}
    assert (bundle / "Contents" / "Linux-x86-64" / "DeblurEngine.ofx").read_bytes() == b"\x7fELF new"
    assert (bundle / "Contents" / "Resources" / "presets.xml").read_text() == "mine"
    (change,) = remove_plugin()
    assert change.kept == (bundle / "Contents" / "Resources" / "presets.xml",)
    assert [path for path in bundle.rglob("*") if path.is_file()] == list(change.kept)


def test_a_file_that_the_new_version_lacks_goes(machine):
    install_plugin()
    (machine.bundle / "Contents" / "Info.plist").unlink()
    assert actions(install_plugin()) == {"bundle": "updated"}
    assert not (machine.ofx / "DeblurEngine.ofx.bundle" / "Contents" / "Info.plist").exists()


def test_a_bundle_of_that_name_that_is_not_ours_is_refused_and_stays(machine, snapshot):
    foreign = machine.ofx / "DeblurEngine.ofx.bundle"
    foreign.mkdir(parents=True)
    (foreign / "x").write_text("theirs")
    with pytest.raises(OutputError, match="was not put there by"):
        install_plugin()
    assert remove_plugin() == []
    assert snapshot(machine.ofx) == {"DeblurEngine.ofx.bundle": None, "DeblurEngine.ofx.bundle/x": b"theirs"}
    (found,) = plugin_status().found
    assert "move it away" in found.problems[0]


def test_a_menu_entry_of_that_name_that_is_not_ours_stops_before_anything_is_done(machine):
    entry = machine.root / "Scripts" / "Utility" / "Deblur Clip.py"
    entry.parent.mkdir(parents=True)
    entry.write_text("theirs")
    with pytest.raises(OutputError, match=r"Deblur Clip\.py exists already"):
        install_plugin(resolve=machine.root / "Scripts")
    assert not machine.ofx.exists() and entry.read_text() == "theirs"


@pytest.mark.parametrize("path", ["../../outside", "/etc/outside", "a/../../../outside"])
def test_a_tampered_manifest_removes_nothing_outside(machine, path):
    install_plugin()
    manifest = machine.ofx / "DeblurEngine.ofx.bundle" / "Contents" / "Resources" / "deblur-engine.json"
    data = json.loads(manifest.read_text())
    data["files"][path] = "0"
    manifest.write_text(json.dumps(data))
    (machine.ofx / "outside").write_text("theirs")
    remove_plugin()
    assert (machine.ofx / "outside").read_text() == "theirs"
    assert not (machine.ofx / "DeblurEngine.ofx.bundle").exists()


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b'{"maker": "deblur-engine", "files": 3}', b"\xff"])
def test_a_damaged_manifest_is_somebody_elses(tmp_path, broken):
    (tmp_path / "m.json").write_bytes(broken)
    assert owned.read_manifest(tmp_path, "m.json") is None


def test_a_copy_that_fails_half_way_leaves_the_old_one(machine, monkeypatch, snapshot):
    install_plugin()
    before = snapshot(machine.ofx)
    machine.binary.write_bytes(b"\x7fELF new")
    copied = []

    def full(source, target):
        if copied:
            raise OSError(errno.ENOSPC, "No space left on device")
        copied.append(target)
        Path(target).write_bytes(b"")

    monkeypatch.setattr(owned.shutil, "copy", full)
    with pytest.raises(OSError, match="No space"):
        install_plugin()
    assert snapshot(machine.ofx) == before


def test_a_rename_that_fails_puts_the_old_one_back(machine, monkeypatch, snapshot):
    install_plugin()
    before = snapshot(machine.ofx)
    machine.binary.write_bytes(b"\x7fELF new")
    rename = Path.rename

    def refuse(self, target):
        if self.name.endswith(".partial"):
            raise OSError(errno.EBUSY, "busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="busy"):
        install_plugin()
    assert snapshot(machine.ofx) == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions bind neither root nor Windows")
def test_a_read_only_folder(machine):
    machine.ofx.mkdir(mode=0o555)
    with pytest.raises(OutputError, match="no permission to write") as caught:
        install_plugin()
    assert "sudo" in caught.value.hint


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_refuses_says_what_to_do(machine, monkeypatch, number):
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
    with pytest.raises(OutputError, match="no permission to write") as caught:
        install_plugin()
    assert f"sudo {machine.engine} plugin install --only bundle --dir " in caught.value.hint
    assert machine.ofx.name in caught.value.hint
    assert "--dir" in caught.value.hint and "OFX_PLUGIN_PATH" in caught.value.hint


def test_removing_without_permission_says_what_to_do(machine, monkeypatch):
    install_plugin()
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(errno.EACCES, "denied")))
    with pytest.raises(OutputError, match="no permission to write") as caught:
        remove_plugin()
    assert "plugin remove --only bundle" in caught.value.hint


def test_a_dry_run_does_nothing(machine, snapshot):
    before = snapshot(machine.root)
    assert actions(install_plugin(nuke=machine.root / "nuke", dry_run=True)) == {
        "bundle": "installed",
        "nuke": "installed",
    }
    assert snapshot(machine.root) == before
    install_plugin()
    before = snapshot(machine.root)
    assert actions(remove_plugin(dry_run=True)) == {"bundle": "removed"}
    assert snapshot(machine.root) == before


def test_only_what_is_asked_for(machine):
    assert actions(install_plugin(nuke=machine.root / "n", parts=["nuke"])) == {"nuke": "installed"}
    assert not machine.ofx.exists()
    install_plugin(nuke=machine.root / "n")
    assert actions(remove_plugin(nuke=machine.root / "n", parts=["nuke"])) == {"nuke": "removed"}
    assert machine.ofx.exists()


def test_no_engine_or_no_bundle_is_an_error_before_anything_is_done(machine, monkeypatch):
    with pytest.raises(UsageError, match="no program deblur-engine"):
        install_plugin(engine=machine.root / "missing")
    machine.engine.unlink()
    with pytest.raises(UsageError, match="--engine"):
        install_plugin()
    monkeypatch.undo()
    monkeypatch.setattr(places, "_PACKAGE", machine.root)
    with pytest.raises(DeblurError, match="no OpenFX plug-in"):
        places.bundle_source()
    with pytest.raises(DeblurError, match="no scripts"):
        places.scripts_source()


def test_an_engine_named_in_a_line_break_is_refused(machine):
    odd = machine.root / "a\nb"
    odd.mkdir()
    (odd / "deblur-engine").write_text("#!/bin/sh\n")
    (odd / "deblur-engine").chmod(0o755)
    with pytest.raises(UsageError, match="line break"):
        install_plugin(engine=odd / "deblur-engine")


@pytest.mark.parametrize(("platform", "expected"), [("linux", "/usr/OFX/Plugins"), ("darwin", "/Library/OFX/Plugins")])
def test_the_systems_folder(monkeypatch, platform, expected):
    monkeypatch.delenv("OFX_PLUGIN_PATH", raising=False)
    monkeypatch.setattr(places.sys, "platform", platform)
    assert places.ofx_folder() == Path(expected)
    monkeypatch.setenv("OFX_PLUGIN_PATH", os.pathsep.join(["/a", "", "/b"]))
    assert places.ofx_folders() == [Path("/a"), Path("/b"), Path(expected)]
    assert places.ofx_folder(Path("/c")) == Path("/c")


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_resolves_folders_are_those_of_its_manual(monkeypatch, platform):
    monkeypatch.setattr(places.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/h"))
    monkeypatch.setenv("PROGRAMDATA", "/ProgramData")
    everybody = {
        "linux": "/opt/resolve/Fusion/Scripts",
        "darwin": "/Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion/Scripts",
        "win32": "/ProgramData/Blackmagic Design/DaVinci Resolve/Fusion/Scripts",
    }
    assert Path(everybody[platform]) in places.resolve_folders()
    assert all(cache.name == "OFXPluginCacheV2.xml" for cache in places.resolve_caches())


# Status


def test_status_says_what_is_wrong(machine):
    state = plugin_status()
    assert not state.works and state.found == ()
    install_plugin(nuke=machine.root / "n")

    def problems(part="bundle"):
        state = plugin_status(nuke=machine.root / "n")
        return [problem for found in state.found if found.part == part for problem in found.problems], state.works

    assert problems() == ([], True)
    (machine.ofx / "DeblurEngine.ofx.bundle" / "Contents" / "Info.plist").write_text("<changed/>")
    assert problems()[0][0].startswith("missing or changed: Contents/Info.plist") and not problems()[1]
    install_plugin(nuke=machine.root / "n")
    assert problems() == ([], True)
    (machine.root / "n" / "init.py").write_text("")
    assert "no longer leads" in problems("nuke")[0][0]
    install_plugin(nuke=machine.root / "n")
    assert problems("nuke") == ([], True)
    machine.engine.write_text("#!/bin/sh\nexit 3\n")
    assert "does not answer" in problems()[0][0]
    machine.engine.unlink()
    assert "is gone" in problems()[0][0] and not problems()[1]


def test_status_names_versions_that_differ(machine):
    install_plugin()
    machine.engine.write_text("#!/bin/sh\necho deblur-engine 7.7\n")
    (found,) = plugin_status().found
    assert found.engine_version == "7.7" and "7.7" in found.notes[0] and not found.problems


def test_status_finds_a_line_that_leads_nowhere(machine):
    nuke = machine.root / "n"
    install_plugin(nuke=nuke)
    import shutil

    shutil.rmtree(nuke / "DeblurEngine")
    found = {each.part: each for each in plugin_status(nuke=nuke).found}
    assert "it is gone" in found["nuke"].problems[0]
    assert actions(remove_plugin(nuke=nuke))["nuke"] == "removed"
    assert parts.nuke_part(nuke).hooked is False


def test_status_names_a_list_of_resolves_that_is_out_of_date(machine):
    base = machine.home / ".local" / "share" / "DaVinciResolve"
    base.mkdir(parents=True)
    cache = base / "OFXPluginCacheV2.xml"
    cache.write_text("<cache/>")
    os.utime(cache, (1, 1))
    install_plugin()
    found = next(each for each in plugin_status().found if each.part == "bundle")
    assert str(cache) in found.notes[0] and plugin_status().works
    os.utime(cache)
    assert not next(each for each in plugin_status().found if each.part == "bundle").notes
