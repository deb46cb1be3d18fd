# SPDX-License-Identifier: Apache-2.0
"""Writes an image sequence that is what its source was, except for the pixels that were changed."""

from __future__ import annotations

from pathlib import Path

from ..errors import OutputError, UsageError
from .images import StoredImage, write_image
from .output import check_target, output_errors
from .pattern import SequencePattern
from .sequence import SequenceClip
from .types import Frame, Picture

__all__ = ["SequenceWriter"]


class SequenceWriter:
    """One sequence being written. Each file is whole as soon as it has its name; an error leaves those before it."""

    def __init__(
        self, source: SequenceClip, path: Path, codec: str | None, numbers: range | None, overwrite: bool
    ) -> None:
        self._source = source
        self._overwrite = overwrite
        self.notes: list[str] = []
        pattern = SequencePattern.parse(path)
        if pattern is None:
            raise OutputError(f"{path.name} is no sequence name", hint=f"for example name.####{source.pattern.suffix}")
        if pattern.suffix.lower() != source.pattern.suffix.lower():
            raise OutputError(
                f"{path.name}: the source's files are {source.pattern.suffix}", hint="keep the source's file format"
            )
        if codec is not None and codec.lower() != source.info.codec:
            raise UsageError(f"codec {codec!r} does not apply to image files", hint="they keep their own format")
        self.codec = source.info.codec
        self._pattern = pattern
        positions = numbers if numbers is not None else range(len(source.files))
        self._names = dict(enumerate(source.files))
        for position in positions:
            number = source.files[position]
            check_target(pattern.file(number), source.pattern.file(number), overwrite)
        if source.info.codec in ("jpg", "jpeg"):
            self.notes.append("JPEG is lossy: untouched pictures are coded anew at quality 98")
        self._range = numbers

    def write(self, frame: Frame, rgb: Picture) -> None:
        """Write one file."""
        image: StoredImage = frame.native
        # A clip that is a range of its source numbers its frames from 0.
        position = self._source.numbers[frame.index] if self._source.numbers is not None else frame.index
        path = self._pattern.file(self._names[position])
        with output_errors(path):
            write_image(path, image, image.with_rgb(frame.rgb, rgb), self._overwrite)

    def finish(self) -> None:
        """Nothing is left to do: every file was finished by itself."""

    def abort(self) -> None:
        """Nothing is left to remove: a broken file never gets its name."""
