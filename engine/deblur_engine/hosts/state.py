# SPDX-License-Identifier: Apache-2.0
"""``plugin status``: what is installed where, and whether what it starts still works."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from . import owned, places
from .installation import candidates
from .parts import Part, PartName

__all__ = ["Found", "State", "plugin_status"]

_ANSWER_SECONDS = 30.0
_AGAIN = "deblur-engine plugin install"


@dataclass(frozen=True)
class Found:
    """One part that is installed."""

    part: PartName
    path: Path
    version: str
    engine: str | None  # the program that it starts
    engine_version: str | None  # what that program says; None: it does not answer
    problems: tuple[str, ...]  # what keeps it from working
    notes: tuple[str, ...] = ()  # what is worth knowing


@dataclass(frozen=True)
class State:
    """Everything that was found."""

    found: tuple[Found, ...]
    version: str = __version__  # of this engine

    @property
    def works(self) -> bool:
        """Whether a bundle is there and nothing keeps any part from working."""
        return any(each.part == "bundle" for each in self.found) and not any(each.problems for each in self.found)

    def to_dict(self) -> dict[str, Any]:
        return {"works": self.works, "version": self.version, "found": list(self.found)}


def plugin_status(*, ofx: Path | None = None, nuke: Path | None = None, resolve: Path | None = None) -> State:
    """Look into the folders named, else into all that hosts search."""
    answers: dict[str, str | None] = {}
    found = []
    for part in candidates(ofx, nuke, resolve):
        if part.installed is not None or os.path.lexists(part.folder) or (part.name == "nuke" and part.hooked):
            found.append(_examine(part, answers))
    return State(tuple(found))


def _examine(part: Part, answers: dict[str, str | None]) -> Found:
    manifest = part.installed
    if manifest is None:
        problem = f"it was not put there by plugin install, or its manifest is gone: move it away, then {_AGAIN}"
        if not os.path.lexists(part.folder):
            problem = f"{part.hook} leads to it, but it is gone: {_AGAIN} --only {part.name}"
        return Found(part.name, part.folder, "", part.engine(), None, (problem,))
    problems, notes = [], []
    damaged = owned.differs(part.folder, manifest)
    if damaged:
        problems.append(f"missing or changed: {', '.join(damaged[:3])}{', ...' if len(damaged) > 3 else ''}; {_AGAIN}")
    if not part.hooked:
        problems.append(f"{part.hook} no longer leads to it; {_AGAIN}")
    engine, answer = part.engine(), None
    if engine is not None:
        if engine not in answers:
            answers[engine] = _ask_version(engine)
        answer = answers[engine]
    if engine is None:
        problems.append(f"it names no engine; {_AGAIN}")
    elif answer is None:
        gone = "does not answer" if os.path.exists(engine) else "is gone"
        problems.append(f"the engine that it starts {gone}: {engine}; {_AGAIN} from the environment to use")
    elif answer != manifest.version:
        notes.append(f"the engine that it starts is {answer}; {_AGAIN} brings both to one version")
    notes += _stale_caches(part) if part.name == "bundle" else []
    return Found(part.name, part.folder, manifest.version, engine, answer, tuple(problems), tuple(notes))


def _ask_version(engine: str) -> str | None:
    """What ``ENGINE --version`` says."""
    try:
        done = subprocess.run(
            [engine, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    words = done.stdout.split()
    return words[1] if done.returncode == 0 and len(words) == 2 and words[0] == "deblur-engine" else None


def _stale_caches(part: Part) -> list[str]:
    """Resolve remembers a plug-in that failed to load; what it noted before this installation may be out of date."""
    try:
        installed = (part.folder / part.manifest).stat().st_mtime
    except OSError:
        return []
    return [
        f"Resolve's list of plug-ins is older than this: if the effect is missing there, quit it and remove {cache}"
        for cache in places.resolve_caches()
        if cache.is_file() and cache.stat().st_mtime < installed
    ]
