# SPDX-License-Identifier: Apache-2.0
"""The bundle as hosts find it, its table of controls, and what needs no host."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ofx.conftest import Built, build

IDENTIFIER = "org.deblur-engine.DeblurEngine"


def test_the_bundle_has_what_hosts_look_for(built: Built) -> None:
    with (built.bundle / "Contents/Info.plist").open("rb") as file:
        about = plistlib.load(file)
    assert about["CFBundleExecutable"] == built.plugin.name
    assert about["CFBundlePackageType"] == "BNDL"
    icon = (built.bundle / f"Contents/Resources/{IDENTIFIER}.png").read_bytes()
    assert icon.startswith(b"\x89PNG") and len(icon) < 20_000


@pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf is not there")
@pytest.mark.skipif("DEBLUR_OFX_SANITIZE" in os.environ, reason="sanitizers need more")
def test_the_binary_needs_nothing_but_the_c_library_and_shows_three_doors(built: Built) -> None:
    dynamic = subprocess.run(["readelf", "-d", built.plugin], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(.+?)\]", dynamic))
    assert {name.split(".")[0] for name in needed} <= {"libc", "libm", "libpthread", "libdl", "ld-linux-x86-64"}, needed
    symbols = subprocess.run(["readelf", "-W", "--dyn-syms", built.plugin], capture_output=True, text=True, check=True)
    rows = [line.split() for line in symbols.stdout.splitlines() if re.match(r"\s*\d+:", line)]
    shown = {row[7] for row in rows if len(row) > 7 and row[6] != "UND" and row[4] != "LOCAL"}
    assert shown == {"OfxGetNumberOfPlugins", "OfxGetPlugin", "OfxSetHost"}


@pytest.mark.parametrize("name", ["ofx_pixels_test", "ofx_wire_fuzz"])
def test_what_needs_no_host(built: Built, name: str) -> None:
    done = subprocess.run(
        [built.folder / "tests/ofx/host" / name, "20000"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_installed_bundle_is_whole(built: Built, tmp_path: Path) -> None:
    cmake = shutil.which("cmake") or str(Path(sys.executable).with_name("cmake"))
    subprocess.run([cmake, "--install", built.folder, "--prefix", tmp_path], check=True, capture_output=True)
    there = {path.relative_to(tmp_path / built.bundle.name) for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {path.relative_to(built.bundle) for path in built.bundle.rglob("*") if path.is_file()}


def test_the_interface_is_checked_against_the_real_headers_where_they_are() -> None:
    folder = os.environ.get("OPENFX_INCLUDE_DIR")
    if not folder:
        pytest.skip("OPENFX_INCLUDE_DIR is not set")
    build(f"-DOPENFX_INCLUDE_DIR={folder}", name="ofx-checked")
