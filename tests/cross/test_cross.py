# SPDX-License-Identifier: Apache-2.0
"""The plug-in for Windows and macOS: it compiles without a warning, lies where hosts look, and has three exports."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from cross.conftest import cross

DOORS = {"OfxGetNumberOfPlugins", "OfxGetPlugin", "OfxSetHost"}
MACHINES = {0x01000007: "x86_64", 0x0100000C: "arm64"}


def text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("ascii")


def portable_executable(data: bytes) -> tuple[set[str], set[str]]:
    """Names that a DLL exports, and the DLLs that it needs (Microsoft's PE format, version of 2024)."""
    (head,) = struct.unpack_from("<I", data, 0x3C)
    assert data[head : head + 4] == b"PE\0\0"
    machine, count, optional = *struct.unpack_from("<HH", data, head + 4), struct.unpack_from("<H", data, head + 20)[0]
    assert machine == 0x8664
    tables = head + 24 + 112  # the data directories of a 64-bit image
    sections = [struct.unpack_from("<IIII", data, head + 24 + optional + 40 * i + 8) for i in range(count)]

    def place(address: int) -> int:
        _, start, _, raw = next(s for s in sections if s[1] <= address < s[1] + max(s[0], s[2]))
        return raw + address - start

    exports = place(struct.unpack_from("<I", data, tables)[0])
    names, where = struct.unpack_from("<I", data, exports + 24)[0], struct.unpack_from("<I", data, exports + 32)[0]
    shown = {text(data, place(struct.unpack_from("<I", data, place(where) + 4 * i)[0])) for i in range(names)}
    needed, at = set(), place(struct.unpack_from("<I", data, tables + 8)[0])
    while name := struct.unpack_from("<I", data, at + 12)[0]:
        needed.add(text(data, place(name)).lower())
        at += 20
    return shown, needed


def mach_object(data: bytes) -> tuple[str, set[str], set[str]]:
    """Architecture, defined external symbols and needed libraries (Apple's mach-o/loader.h)."""
    magic, machine, _, _, commands, _, _, _ = struct.unpack_from("<8I", data)
    assert magic == 0xFEEDFACF
    at, shown, needed = 32, set(), set()
    for _ in range(commands):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 2:  # LC_SYMTAB
            symbols, count, strings, _ = struct.unpack_from("<4I", data, at + 8)
            for i in range(count):
                name, how, _, _, _ = struct.unpack_from("<IBBHQ", data, symbols + 16 * i)
                # N_STAB, N_PEXT, N_TYPE (N_SECT), N_EXT
                if not how & 0xE0 and not how & 0x10 and how & 0x0E == 0x0E and how & 1:
                    shown.add(text(data, strings + name).removeprefix("_"))
        if kind == 0xC:  # LC_LOAD_DYLIB
            needed.add(text(data, at + struct.unpack_from("<I", data, at + 8)[0]))
        at += size
    return MACHINES[machine], shown, needed


def binary(target: str, folder: str) -> Path:
    bundle = cross(target) / "ofx_bridge" / "DeblurEngine.ofx.bundle"
    assert (bundle / "Contents" / "Info.plist").is_file()
    return bundle / "Contents" / folder / "DeblurEngine.ofx"


def test_windows() -> None:
    shown, needed = portable_executable(binary("x86_64-windows-gnu", "Win64").read_bytes())
    assert shown == DOORS
    # Nothing but what Windows 10 has: the C library comes as api-ms-win-crt-*, the C++ library is inside.
    system = {"kernel32.dll", "advapi32.dll", "shell32.dll", "bcrypt.dll", "ntdll.dll"}
    assert {name for name in needed if not name.startswith("api-ms-win-")} <= system, needed


@pytest.mark.parametrize(("target", "machine"), [("aarch64-macos.11.0", "arm64"), ("x86_64-macos.11.0", "x86_64")])
def test_macos(target: str, machine: str) -> None:
    found, shown, needed = mach_object(binary(target, "MacOS").read_bytes())
    assert found == machine and shown >= DOORS
    # C++'s own inline symbols are weak, and are no doors; nor are the two names that linkers give every library.
    assert {name for name in shown if not name.startswith("_Z")} <= DOORS | {"_mh_dylib_header", "__dso_handle"}
    assert all(name.startswith("/usr/lib/") for name in needed), needed
