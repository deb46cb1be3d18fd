# SPDX-License-Identifier: Apache-2.0
"""Names of image sequences: ``name.####.exr``, ``name.%04d.png``, one of the files, or the folder that holds them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import BadInput

__all__ = ["IMAGE_SUFFIXES", "SequencePattern"]

IMAGE_SUFFIXES = frozenset(
    {".png", ".tif", ".tiff", ".exr", ".dpx", ".cin", ".jpg", ".jpeg", ".tga", ".bmp", ".hdr", ".jp2", ".sgi"}
)

_PLACEHOLDER = re.compile(r"#+|%0?\d*d")
_NUMBER = re.compile(r"^(.*?)(\d+)(\.[A-Za-z0-9]+)$")


@dataclass(frozen=True)
class SequencePattern:
    """A numbered file name. ``width`` is the least number of digits, padded with zeros; 1 means unpadded."""

    folder: Path
    prefix: str
    width: int
    suffix: str
    percent: bool = False  # written as %04d rather than ####

    @classmethod
    def parse(cls, path: str | Path) -> SequencePattern | None:
        """Read a written pattern; None where the name has no placeholder, ``BadInput`` where it has several."""
        path = Path(path)
        found = list(_PLACEHOLDER.finditer(path.name))
        if not found or path.suffix.lower() not in IMAGE_SUFFIXES:
            return None
        if len(found) > 1:
            raise BadInput(
                f"{path.name!r} has {len(found)} frame-number placeholders", hint="one is right: name.####.exr"
            )
        text = found[0][0]
        percent = text.startswith("%")
        width = int(text[1:-1] or 1) if percent else len(text)
        if percent and not text.startswith("%0"):
            width = 1
        return cls(path.parent, path.name[: found[0].start()], max(width, 1), path.name[found[0].end() :], percent)

    @classmethod
    def of(cls, path: str | Path) -> SequencePattern | None:
        """The pattern that a path means: a written one, that of an image file's own name, or that of a folder.

        None for anything that is no image sequence; ``BadInput`` for a folder with several sequences.
        """
        path = Path(path)
        if pattern := cls.parse(path):
            return pattern
        if path.is_dir():
            patterns: dict[tuple[str, str], SequencePattern] = {}
            for entry in sorted(path.iterdir()):
                candidate = cls._of_file(entry)
                if candidate is not None:
                    patterns.setdefault((candidate.prefix, candidate.suffix), candidate)
            if len(patterns) > 1:
                names = ", ".join(str(p.as_path().name) for p in list(patterns.values())[:5])
                raise BadInput(f"{path} holds {len(patterns)} image sequences", hint=f"name one of them: {names}")
            return next(iter(patterns.values()), None)
        return cls._of_file(path)

    @classmethod
    def _of_file(cls, path: Path) -> SequencePattern | None:
        match = _NUMBER.match(path.name)
        if match is None or path.suffix.lower() not in IMAGE_SUFFIXES:
            return None
        digits = match[2]
        # Without a leading zero the padding is unknown: 0100 or 100 both give "100" only when unpadded.
        width = len(digits) if digits.startswith("0") or len(digits) > 1 else 1
        return cls(path.parent, match[1], width, match[3])

    def file(self, number: int) -> Path:
        """The file of one frame number."""
        return self.folder / f"{self.prefix}{number:0{self.width}d}{self.suffix}"

    def as_path(self) -> Path:
        """The pattern as a path, in the way it was written."""
        placeholder = "#" * self.width
        if self.percent:
            placeholder = f"%0{self.width}d" if self.width > 1 else "%d"
        return self.folder / f"{self.prefix}{placeholder}{self.suffix}"

    def renamed(self, addition: str) -> SequencePattern:
        """The same pattern with ``addition`` put at the end of its name, before any separator: shot_deblur.####."""
        stem = self.prefix.rstrip("._-")
        return replace(self, prefix=stem + addition + (self.prefix[len(stem) :] or "."))

    def numbers(self) -> list[int]:
        """The frame numbers that exist, ascending; raises ``BadInput`` where the folder cannot be read."""
        expression = re.compile(re.escape(self.prefix) + r"(\d+)" + re.escape(self.suffix))
        found = []
        try:
            entries = list(self.folder.iterdir())
        except OSError as error:
            raise BadInput(f"{self.folder} cannot be read as a folder") from error
        for entry in entries:
            match = expression.fullmatch(entry.name)
            if match and self._padded(match[1]):
                found.append(int(match[1]))
        return sorted(found)

    def _padded(self, digits: str) -> bool:
        return len(digits) == self.width or (len(digits) > self.width and not digits.startswith("0"))
