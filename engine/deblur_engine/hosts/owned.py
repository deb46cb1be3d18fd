# SPDX-License-Identifier: Apache-2.0
"""A folder of ours among a host's: put there whole or not at all, and taken away again without what others put in it.

What is ours is written in a manifest inside the folder. A folder of that name without one is somebody else's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import OutputError

__all__ = ["Manifest", "differs", "place", "read_manifest", "take_away", "tree"]

Content = Path | bytes
"""A file to copy, or what to write."""
_MAKER = "deblur-engine"


@dataclass(frozen=True)
class Manifest:
    """What one installation put into a folder."""

    version: str  # of the deblur-engine that wrote it
    files: Mapping[str, str]  # path in the folder, with "/" -> SHA-256
    made: tuple[str, ...] = ()  # folders above that did not exist before, outermost first
    notes: Mapping[str, Any] = field(default_factory=dict)


def tree(folder: Path) -> dict[str, Content]:
    """Every file below ``folder`` by its path in it, without Python's caches."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def read_manifest(folder: Path, name: str) -> Manifest | None:
    """The manifest ``name`` in ``folder``; None where there is none that can be read as ours."""
    try:
        data = json.loads((folder / name).read_text(encoding="utf-8"))
        if data["maker"] != _MAKER:
            return None
        files = {str(path): str(digest) for path, digest in data["files"].items() if _inside(str(path))}
        return Manifest(str(data["version"]), files, tuple(map(str, data["made"])), dict(data["notes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def differs(folder: Path, manifest: Manifest) -> list[str]:
    """Paths of the manifest's files that are missing or not as they were written."""
    return [path for path, digest in manifest.files.items() if _digest_of(folder / path) != digest]


def place(folder: Path, contents: Mapping[str, Content], name: str, version: str, notes: Mapping[str, Any]) -> None:
    """Make ``folder`` hold ``contents`` and the manifest ``name``; files of others in it stay.

    It is made beside and renamed, so that a host sees the old one or the new one. Raises ``OutputError`` where a
    folder of that name is not ours, ``OSError`` where it cannot be written.
    """
    before = read_manifest(folder, name)
    if before is None and os.path.lexists(folder):
        raise OutputError(
            f"{folder} exists already and was not put there by deblur-engine plugin install",
            hint="move it away and try again",
        )
    made = before.made if before is not None else tuple(map(str, _missing_above(folder)))
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, old = _beside(folder, "partial"), _beside(folder, "old")
    try:
        partial.mkdir()
        digests = {path: _write(partial / path, content) for path, content in contents.items()}
        data = {"maker": _MAKER, "version": version, "files": digests, "made": made, "notes": dict(notes)}
        _write(partial / name, json.dumps(data, indent=1).encode())
        if before is not None:
            _copy_foreign(folder, partial, {*before.files, name})
            folder.rename(old)
        try:
            partial.rename(folder)
        except OSError:
            if before is not None:
                old.rename(folder)
            raise
    finally:
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(partial, ignore_errors=True)
        if not folder.exists():
            _remove_made(made)


def take_away(folder: Path, name: str) -> list[Path]:
    """Remove what ``place`` put into ``folder``, and the folder if nothing else is in it; returns what stays."""
    manifest = read_manifest(folder, name)
    if manifest is None:
        return []
    # The manifest goes last: whoever is stopped in between can try again.
    for path in [*manifest.files, name]:
        with contextlib.suppress(FileNotFoundError):
            (folder / path).unlink()
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)
    _remove_empty(folder)
    if folder.exists():
        return sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    _remove_made(manifest.made)
    return []


def _inside(path: str) -> bool:
    """Whether a manifest's path stays in its folder: a manifest may have been tampered with."""
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts and "\\" not in path


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f"{folder.name}.{os.getpid()}.{ending}")


def _missing_above(folder: Path) -> Iterator[Path]:
    for parent in reversed(folder.parents):
        if not parent.exists():
            yield parent


def _remove_made(made: tuple[str, ...]) -> None:
    for path in reversed(made):
        with contextlib.suppress(OSError):  # somebody else uses it by now
            os.rmdir(path)


def _remove_empty(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _copy_foreign(source: Path, target: Path, ours: set[str]) -> None:
    for path in source.rglob("*"):
        relative = path.relative_to(source)
        if relative.as_posix() in ours or "__pycache__" in relative.parts or (path.is_dir() and not path.is_symlink()):
            continue
        if not os.path.lexists(target / relative):
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target / relative, follow_symlinks=False)


def _write(path: Path, content: Content) -> str:
    """Write a file and the folders above it; returns its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Path):
        shutil.copy(content, path)
    else:
        path.write_bytes(content)
    return str(_digest_of(path))


def _digest_of(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
