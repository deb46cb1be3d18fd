# SPDX-License-Identifier: Apache-2.0
"""Frames that a host hands over one by one, kept as a lossless clip of their own for as long as a fit takes."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import onnx
from av.error import FFmpegError

from ..artifact import load_model
from ..artifact.variants import embed
from ..artifact.write import write_whole
from ..errors import BadInput, UsageError

__all__ = ["HostFrames", "number_from"]


class HostFrames:
    """A clip in a private temporary folder. For one thread at a time; ``remove`` it in the end.

    16 bits a channel, FFV1: values outside 0..1 are cut off. Raises ``UsageError`` for a frame that does not follow
    the last one, ``BadInput`` for one of another size.
    """

    def __init__(self, prefix: str, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=prefix))
        self.path = self.folder / f"{name}.mkv"
        self.first: int | None = None
        self._next = 0
        try:
            self._container = av.open(str(self.path), "w")
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self._stream: av.VideoStream | None = None

    def add(self, number: int, picture: npt.NDArray[np.float32], fps: float) -> None:
        """``picture``: R'G'B' float32 [H, W, 3]; ``fps`` of the first one counts."""
        height, width = picture.shape[:2]
        if self._stream is None:
            rate = Fraction(fps).limit_denominator(1001) if 0.01 <= fps <= 1000 else Fraction(25)
            stream = self._container.add_stream("ffv1", rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "gbrp16le"
            stream.codec_context.options = {"slices": "4"}
            self._stream, self.first, self._next = stream, number, number
        if number != self._next:
            raise UsageError(f"frame {number} came where {self._next} follows", hint="give the frames in order")
        if (self._stream.width, self._stream.height) != (width, height):
            raise BadInput(
                f"frame {number} is {width}x{height}, the first was {self._stream.width}x{self._stream.height}"
            )
        code = np.nan_to_num(np.clip(picture, 0, 1)) * np.float32(65535) + np.float32(0.5)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(code.astype(np.uint16)), "gbrp16le")
        frame.pts = number - (self.first or 0)
        frame.time_base = 1 / Fraction(self._stream.codec_context.framerate or 25)
        self._container.mux(self._stream.encode(frame))
        self._next += 1

    def finish(self) -> Path:
        """No more frames come; returns the clip's path. Raises ``UsageError`` if none came."""
        if self._stream is None:
            raise UsageError("no frame has come", hint="FIT_FRAME for each frame comes before FIT_START")
        self._container.mux(self._stream.encode())
        self._container.close()
        return self.path

    def remove(self) -> None:
        try:
            self._container.close()
        except (OSError, FFmpegError):  # a full disk, say, on which the end of the file has no room
            pass
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def number_from(model: Path, first: int) -> None:
    """Write into a model that was fitted to a host's frames what number the first one has there."""
    artifact = load_model(model)
    metadata = replace(artifact.metadata, recipe={**artifact.metadata.recipe, "first_frame": first})
    graph = onnx.ModelProto.FromString(artifact.model_bytes)
    write_whole(model, embed(graph, metadata), overwrite=True)
