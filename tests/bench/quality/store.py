# SPDX-License-Identifier: Apache-2.0
"""What is done once is kept: each row of each clip and seed, with its pictures and figures, in the work folder.

A row is taken from there as long as nothing that it depends on has changed: the clip's pixels, the row's own code, for
rows that use the engine the engine's code and weights, and for those that fit the fit's settings. Its figures are
measured anew from the kept pictures when only the measures have changed.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import deblur_engine

from . import rivals
from .clips import Clip
from .figures import Frames
from .pictures import Bytes, read_pictures, write_clip
from .workbench import Made

__all__ = ["Kept", "Store", "clip_folder", "code_of", "engine_mark", "mark_of", "plain", "row_mark", "unplain"]


def plain(value: Any) -> Any:
    """``value`` for JSON, which knows no infinity and no NaN: those become the strings "inf", "-inf" and "nan"."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def unplain(frames: dict[str, dict[str, Any]]) -> Frames:
    """The measures of frames, back from JSON."""
    return {name: {int(i): float(value) for i, value in each.items()} for name, each in frames.items()}


def mark_of(*things: Any) -> str:
    """A short text that tells these things from others."""
    return hashlib.sha256(repr(things).encode()).hexdigest()[:16]


@cache
def engine_mark() -> str:
    """What tells this engine's code and weights from another's; the command line and the plug-ins do not count."""
    root = Path(deblur_engine.__file__).parent
    parts = ("analysis", "artifact", "fitting", "media", "ops", "rendering")
    files = [*root.glob("*.py"), *root.glob("_ops*.so")]
    files += [p for part in parts for p in (root / part).rglob("*")]
    kept = sorted(p for p in files if p.suffix in (".py", ".so", ".safetensors"))
    return mark_of([(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in kept])


def code_of(thing: Any) -> str:
    """The code of a module or function, without what makes no difference: comments, docstrings, how it is set."""
    source = textwrap.dedent(inspect.getsource(thing))
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a lambda's source is a piece of a line
        return source
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                first.value = ast.Constant("")
    return ast.dump(tree)


def row_mark(make: Callable[..., Any], engine: bool, fit: Any) -> str:
    """What tells what a row gives from what it would give with other code or settings."""
    return mark_of(told(make), code_of(rivals), engine_mark() if engine else "", fit)


def told(value: Any) -> Any:
    """A function by its source and by what it was closed over, which lambdas and made functions differ in."""
    if inspect.isfunction(value):
        inside = inspect.getclosurevars(value).nonlocals
        return code_of(value), [(name, told(inside[name])) for name in sorted(inside)]
    if isinstance(value, (list, tuple)):
        return [told(item) for item in value]
    if isinstance(value, dict):
        return [(key, told(item)) for key, item in value.items()]
    return repr(value)


def clip_folder(work: Path, clip: Clip, seed: int) -> Path:
    """Where all of this clip and seed is kept: the folder's name holds a mark of the pixels, so it cannot mix."""
    digest = hashlib.sha256(repr((clip.windows, clip.sharp_below)).encode())
    for picture in (*clip.blurry, *clip.sharp):
        digest.update(picture.data)
    folder = work / f"{clip.name}-seed{seed}-{digest.hexdigest()[:10]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass(frozen=True)
class Kept:
    """A finished row. ``measures``: the mark of the code that each group of measures in ``frames`` was made by."""

    frames: Frames
    fit_seconds: float | None
    frame_seconds: float | None
    notes: dict[str, Any]
    measures: dict[str, str]


class Store:
    """The rows of one clip and seed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "rows"
        self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, row: str, mark: str) -> Kept | None:
        """The row, if it is kept and was made like this."""
        try:
            record = self._read(row)
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return _kept(record) if record["mark"] == mark else None

    def put(self, row: str, mark: str, made: Made) -> Kept:
        """Keep a row. The note is written last: one that is there is of a row that is whole."""
        (self.folder / f"{row}.json").unlink(missing_ok=True)
        numbers = sorted(made.pictures)
        write_clip([made.pictures[i] for i in numbers], self.folder / f"{row}.mkv")
        record = {"mark": mark, "numbers": numbers, "frames": {}, "measures": {}}
        record |= {name: getattr(made, name) for name in ("fit_seconds", "frame_seconds", "notes")}
        return self._write(row, record)

    def add(self, row: str, group: str, mark: str, frames: Frames) -> Kept:
        """Keep a group of measures beside the row."""
        record = self._read(row)
        record["frames"] |= frames
        record["measures"][group] = mark
        return self._write(row, record)

    def pictures(self, row: str) -> dict[int, Bytes]:
        """A kept row's pictures by frame number."""
        return dict(zip(self._read(row)["numbers"], read_pictures(self.folder / f"{row}.mkv"), strict=True))

    def _read(self, row: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / f"{row}.json").read_text()))

    def _write(self, row: str, record: dict[str, Any]) -> Kept:
        note = self.folder / f"{row}.json"
        partial = note.with_suffix(".partial")
        partial.write_text(json.dumps(plain(record), allow_nan=False))
        partial.replace(note)
        return _kept(self._read(row))


def _kept(record: dict[str, Any]) -> Kept:
    timing = (record["fit_seconds"], record["frame_seconds"])
    return Kept(unplain(record["frames"]), *timing, record["notes"], record["measures"])
