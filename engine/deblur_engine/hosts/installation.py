# SPDX-License-Identifier: Apache-2.0
"""``plugin install`` and ``plugin remove``: which parts, where, and what happens to each."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .. import __version__
from ..errors import OutputError, UsageError
from . import places
from .parts import Part, PartName, bundle_part, nuke_part, resolve_part

__all__ = ["ALL_PARTS", "Change", "candidates", "install_plugin", "remove_plugin"]

ALL_PARTS: tuple[PartName, ...] = ("bundle", "nuke", "resolve")


@dataclass(frozen=True)
class Change:
    """What was done to one part, or would be done."""

    part: PartName
    action: Literal["installed", "updated", "unchanged", "removed"]
    path: Path
    version: str
    kept: tuple[Path, ...] = ()  # files of others that stay where ours were


def install_plugin(
    *,
    ofx: Path | None = None,
    nuke: Path | None = None,
    resolve: Path | None = None,
    engine: Path | None = None,
    parts: Collection[PartName] = ALL_PARTS,
    dry_run: bool = False,
) -> list[Change]:
    """Install the bundle, and the scripts of every host that is named or whose folder exists.

    ``ofx``, ``nuke`` and ``resolve`` name folders (of OpenFX bundles, of Nuke's start-up files, of Resolve's scripts);
    ``engine`` the program to start, this environment's own if None. Raises ``OutputError`` where a folder cannot
    be written or a file of somebody else's is in the way, ``UsageError`` without an engine.
    """
    program = places.engine_executable(engine)
    wanted = [part for part in _targets(ofx, nuke, resolve) if part.name in parts]
    ready = [(part, part.contents(program)) for part in wanted]  # whatever is missing is found before anything is done
    for part in wanted:
        part.check_hook()
    changes = []
    for part, contents in ready:
        action: Literal["installed", "updated", "unchanged"] = "installed" if part.installed is None else "updated"
        if part.is_current(contents, __version__):
            action = "unchanged"
        elif not dry_run:
            with _worded(part, "install"):
                part.place(contents, __version__)
        changes.append(Change(part.name, action, part.folder, __version__))
    return changes


def remove_plugin(
    *,
    ofx: Path | None = None,
    nuke: Path | None = None,
    resolve: Path | None = None,
    parts: Collection[PartName] = ALL_PARTS,
    dry_run: bool = False,
) -> list[Change]:
    """Undo what ``install_plugin`` did in the folders named and in all that hosts search; files of others stay."""
    changes = []
    for part in candidates(ofx, nuke, resolve):
        manifest = part.installed
        if part.name not in parts or (manifest is None and not (part.hook is not None and part.hooked)):
            continue
        kept: list[Path] = []
        if not dry_run:
            with _worded(part, "remove"):
                kept = part.take_away()
        version = manifest.version if manifest is not None else ""
        changes.append(Change(part.name, "removed", part.folder, version, tuple(kept)))
    return changes


def candidates(ofx: Path | None = None, nuke: Path | None = None, resolve: Path | None = None) -> list[Part]:
    """Every place where a part may lie: the folder named, else all those that hosts look into."""
    bundles = [places.ofx_folder(ofx)] if ofx is not None else places.ofx_folders()
    scripts = [_absolute(resolve)] if resolve is not None else places.resolve_folders()
    return [
        *map(bundle_part, bundles),
        nuke_part(_absolute(nuke) if nuke is not None else places.nuke_folder()),
        *map(resolve_part, scripts),
    ]


def _targets(ofx: Path | None, nuke: Path | None, resolve: Path | None) -> Iterator[Part]:
    yield bundle_part(places.ofx_folder(ofx))
    if nuke is not None or places.nuke_folder().is_dir():
        yield nuke_part(_absolute(nuke) if nuke is not None else places.nuke_folder())
    if resolve is not None:
        yield resolve_part(_absolute(resolve))
        return
    # The host is there if its folder is: the one that holds Fusion/Scripts.
    there = [folder for folder in places.resolve_folders() if folder.parents[1].is_dir()]
    if there:
        yield resolve_part(there[0])


def _absolute(folder: Path) -> Path:
    return Path.cwd() / folder.expanduser()


@contextmanager
def _worded(part: Part, verb: str) -> Iterator[None]:
    """What the system has against writing there, with what to do about it."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        option = {"bundle": "--dir", "nuke": "--nuke", "resolve": "--resolve"}[part.name]
        if os.name == "nt":
            hint = "quit the editors that use it and try again as administrator"
        else:
            # By its path: sudo searches other folders than the user's shell.
            words = [_this_program(), "plugin", verb, "--only", part.name, option, str(part.folder.parent)]
            hint = f"sudo {shlex.join(words)}"
        if verb == "install":
            hint += f"; or choose another folder with {option}"
            hint += " and set OFX_PLUGIN_PATH to it" if part.name == "bundle" else ""
        raise OutputError(f"no permission to write {part.folder.parent}", hint=hint) from error


def _this_program() -> str:
    with suppress(UsageError):
        return str(places.engine_executable())
    return "deblur-engine"
