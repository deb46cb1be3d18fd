# SPDX-License-Identifier: Apache-2.0
"""A home, an OpenFX folder and a made-up bundle, far from this machine's own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from deblur_engine import __version__
from deblur_engine.hosts import places


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """``home`` (with neither Nuke nor Resolve), ``ofx``, ``bundle`` (the package's) and ``engine``."""
    home, ofx, package = tmp_path / "höme", tmp_path / "ofx", tmp_path / "package"
    home.mkdir()
    monkeypatch.setattr(places.sys, "platform", "linux")
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setenv("OFX_PLUGIN_PATH", str(ofx))
    bundle = package / places.BUNDLE
    binary = bundle / "Contents" / "Linux-x86-64" / "DeblurEngine.ofx"
    binary.parent.mkdir(parents=True)
    binary.write_bytes(b"\x7fELF")
    binary.chmod(0o755)
    (bundle / "Contents" / "Info.plist").write_text("<plist/>")
    (bundle / "Contents" / "Resources").mkdir()
    (bundle / "Contents" / "Resources" / "org.deblur-engine.DeblurEngine.png").write_bytes(b"png")
    monkeypatch.setattr(places, "bundle_source", lambda: bundle)
    # Resolve's folder for everybody belongs to this machine, not to the test.
    monkeypatch.setattr(places, "_resolve_bases", lambda: [home / ".local" / "share" / "DaVinciResolve"])
    engine = tmp_path / "environment" / "deblur-engine"
    engine.parent.mkdir()
    engine.write_text(f"#!{sys.executable} -S\nprint('deblur-engine {__version__}')\n")
    engine.chmod(0o755)
    monkeypatch.setattr(places.sysconfig, "get_path", lambda name: str(engine.parent))
    return SimpleNamespace(home=home, ofx=ofx, bundle=bundle, binary=binary, engine=engine, root=tmp_path)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder: a file's bytes, None for a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


@pytest.fixture(name="snapshot")
def snapshot_fixture():
    return snapshot
