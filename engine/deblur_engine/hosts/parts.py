# SPDX-License-Identifier: Apache-2.0
"""The three things that are installed: the OpenFX bundle, the scripts for Nuke and the script for Resolve.

Each says what it would write and undoes it; the folder of each is put there by ``owned``.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import OutputError
from . import owned, places, startup_line

__all__ = ["Part", "PartName", "bundle_part", "nuke_part", "resolve_part"]

PartName = Literal["bundle", "nuke", "resolve"]
_SCRIPTS = "DeblurEngine"  # the folder of ours among a host's scripts
_NUKE_LINE = f'import nuke; nuke.pluginAddPath("./{_SCRIPTS}/nuke")'
_LAUNCHER_MARK = "# deblur-engine: this file is written by plugin install"


@dataclass(frozen=True)
class Part:
    """One thing to install; ``folder`` is ours, ``hook`` a file outside of it that leads the host there."""

    name: PartName
    folder: Path
    manifest: str  # of ``folder``, by its path in it
    hook: Path | None = None

    @property
    def installed(self) -> owned.Manifest | None:
        return owned.read_manifest(self.folder, self.manifest)

    @property
    def hooked(self) -> bool:
        """Whether the host is led to the folder."""
        if self.name == "nuke":
            return self.hook is not None and startup_line.has_line(self.hook)
        return self.hook is None or _is_launcher(self.hook)

    def engine(self) -> str | None:
        """The engine that the installed part starts; None where its line cannot be read."""
        try:
            line = (self.folder / self._engine_line).read_bytes().split(b"\n")[0].rstrip(b"\r")
        except OSError:
            return None
        return os.fsdecode(line) or None

    def contents(self, engine: Path) -> dict[str, owned.Content]:
        """What belongs into ``folder``."""
        if self.name == "bundle":
            files = owned.tree(places.bundle_source())
        else:
            source = places.scripts_source()
            files = {path: data for path, data in owned.tree(source).items() if path.split("/")[0] in self._wanted}
            files.pop("resolve/launcher.py", None)  # it is the hook
        return {**files, self._engine_line: os.fsencode(engine) + b"\n"}

    def is_current(self, contents: dict[str, owned.Content], version: str) -> bool:
        """Whether exactly this is installed already."""
        found = self.installed
        if found is None or found.version != version or owned.differs(self.folder, found) or not self.hooked:
            return False
        with contextlib.suppress(OSError):
            wanted = {path: data if isinstance(data, bytes) else data.read_bytes() for path, data in contents.items()}
            return set(found.files) == set(wanted) and all(
                (self.folder / path).read_bytes() == data for path, data in wanted.items()
            )
        return False

    def check_hook(self) -> None:
        """Raise ``OutputError`` if the hook's place is taken by somebody else's file."""
        if self.name == "resolve" and self.hook is not None and os.path.lexists(self.hook) and not self.hooked:
            raise OutputError(
                f"{self.hook} exists already and was not put there by deblur-engine plugin install",
                hint="move it away and try again",
            )

    def place(self, contents: dict[str, owned.Content], version: str) -> None:
        """Put everything there. Raises ``OutputError`` and ``OSError``."""
        self.check_hook()
        before = self.installed
        if before is not None:
            notes: dict[str, Any] = dict(before.notes)
        else:
            made = self.hook is not None and not self.hook.exists()
            notes = {"made_hook": made, "made_hook_folder": made and not self._hook_folder.is_dir()}
        owned.place(self.folder, contents, self.manifest, version, notes)
        if self.hook is None:
            return
        if self.name == "nuke":
            startup_line.add_line(self.hook, _NUKE_LINE)
            return
        self._hook_folder.mkdir(exist_ok=True)
        partial = self.hook.with_name(self.hook.name + ".partial")
        partial.write_text(_launcher(self.folder), encoding="ascii")
        os.replace(partial, self.hook)

    def take_away(self) -> list[Path]:
        """Undo ``place``; returns the files of others for whose sake the folder stays."""
        manifest = self.installed
        if self.hook is not None and self.hooked:
            if self.name == "nuke":
                made = manifest is not None and bool(manifest.notes.get("made_hook"))
                startup_line.remove_line(self.hook, made=made)
            else:
                self.hook.unlink()
                if manifest is not None and manifest.notes.get("made_hook_folder"):
                    with contextlib.suppress(OSError):  # others have put something there
                        self._hook_folder.rmdir()
        return owned.take_away(self.folder, self.manifest)

    @property
    def _engine_line(self) -> str:
        return "Contents/Resources/engine" if self.name == "bundle" else "engine"

    @property
    def _hook_folder(self) -> Path:
        return self.folder.parent if self.hook is None else self.hook.parent

    @property
    def _wanted(self) -> tuple[str, ...]:
        return ("jobs.py", self.name)


def bundle_part(folder: Path) -> Part:
    """The bundle in an OpenFX folder."""
    return Part("bundle", folder / places.BUNDLE, "Contents/Resources/deblur-engine.json")


def nuke_part(folder: Path) -> Part:
    """The scripts in a folder that Nuke starts from (``~/.nuke``)."""
    return Part("nuke", folder / _SCRIPTS, "deblur-engine.json", folder / "init.py")


def resolve_part(folder: Path) -> Part:
    """The script in a ``Fusion/Scripts`` folder: only what is in its ``Utility`` and the like is shown in menus."""
    return Part("resolve", folder / _SCRIPTS, "deblur-engine.json", folder / "Utility" / "Deblur Clip.py")


def _launcher(folder: Path) -> str:
    """The file in Resolve's menu. Resolve does not tell a script where it lies, so it is told by the installer."""
    text = (places.scripts_source() / "resolve" / "launcher.py").read_text(encoding="utf-8")
    line = 'FOLDER = ""'
    if text.count(line) != 1:
        raise AssertionError(f"launcher.py must hold {line} once")
    return f"{_LAUNCHER_MARK}\n" + text.replace(line, f"FOLDER = {os.fspath(folder)!a}")


def _is_launcher(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.read_bytes().startswith(_LAUNCHER_MARK.encode())
    return False
