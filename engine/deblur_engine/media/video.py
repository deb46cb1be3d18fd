# SPDX-License-Identifier: Apache-2.0
"""Clips from video files, decoded by FFmpeg through PyAV."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from ..errors import BadInput
from ..settings import FrameRange
from .clip import Clip
from .decoder import Decoder
from .describe import describe
from .index import FrameIndex
from .pixels import alpha_of, layout_of, planar_format, planes_of, rgb_of
from .types import ColourTags, Frame

__all__ = ["VideoClip", "planar"]

# Containers and codecs where one packet is not one shown frame, or where packets do not tell when it is shown.
_COUNT_BY_DECODING_CODECS = {"vp8", "mpeg4", "msmpeg4v3", "vc1", "wmv3", "mpeg1video"}
_COUNT_BY_DECODING_FORMATS = {"avi", "mpegvideo", "h264", "hevc", "rawvideo", "m4v"}


def planar(frame: av.VideoFrame, tags: ColourTags) -> av.VideoFrame:
    """The frame in its planar little-endian format: itself, or a lossless copy with the same properties."""
    target = planar_format(frame.format.name)
    if target == frame.format.name:
        return frame
    code_range = "JPEG" if layout_of(target).full_range(tags) else "MPEG"
    copied = frame.reformat(format=target, src_color_range=code_range, dst_color_range=code_range, threads=1)
    copied.color_range, copied.colorspace = frame.color_range, frame.colorspace
    return copied


class VideoClip(Clip):
    """A video file. Opening it decodes its first frame: only that tells range, rotation and HDR metadata for sure."""

    def __init__(self, path: Path, frames: FrameRange | None = None) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._index: FrameIndex | None = None
        self._random: Decoder | None = None
        self._closed = False
        decoder = Decoder(path)
        try:
            first = next(decoder.pictures(), None)
            if first is None:
                raise BadInput(
                    f"{path}: no frame can be decoded", hint="the file is truncated, damaged or not really a video"
                )
            self.info, self.facts = describe(path, decoder.container, decoder.stream, first)
        finally:
            decoder.close()
        self.notes = list(self.info.notes)
        if frames is not None:
            self.numbers = self.select(frames)

    # -- numbering -------------------------------------------------------------------------------------------------

    def _count(self) -> int:
        if self._index is None and self.info.frame_count is not None:
            return self.info.frame_count
        return len(self.index())

    def index(self) -> FrameIndex:
        """Timestamps of all frames, found by reading the file's packets once (or, where those lie, by decoding)."""
        with self._lock:
            if self._index is None:
                self._index = self._index_packets() or self._index_decoded()
            return self._index

    def _index_packets(self) -> FrameIndex | None:
        """The index from packets alone, or None where packets cannot be trusted to be frames."""
        container_name = self.facts.format_name
        if (
            self.info.codec in _COUNT_BY_DECODING_CODECS
            or container_name in _COUNT_BY_DECODING_FORMATS
            or (self.info.field_order != "progressive" and self.info.codec in ("h264", "hevc", "mpeg2video"))
        ):
            return None
        decoder = Decoder(self.path)
        times: list[int] = []
        keys: list[int] = []
        try:
            for packet in decoder.container.demux(decoder.stream):
                if not packet.size:
                    continue
                if packet.pts is None or packet.is_corrupt:
                    return None
                if packet.is_keyframe:
                    keys.append(packet.pts)
                if not packet.is_discard:
                    times.append(packet.pts)
        except (av.error.FFmpegError, OSError):
            return None
        finally:
            decoder.close()
        expected = self.facts.stated_frames
        if expected and expected > len(times):
            return None
        index = FrameIndex(times, keys, exact=False)
        if not len(index) or not index.unambiguous or index.times[0] != self.facts.start_pts:
            return None
        return index

    def _index_decoded(self) -> FrameIndex:
        decoder = Decoder(self.path)
        times: list[int] = []
        keys: list[int] = []
        try:
            for number, frame in enumerate(decoder.pictures()):
                pts = self._pts(frame, number)
                times.append(pts)
                if frame.key_frame:
                    keys.append(pts)
            self._look_at(decoder, len(times))
        finally:
            decoder.close()
        return FrameIndex(times, keys, exact=True)

    def _pts(self, frame: av.VideoFrame, number: int) -> int:
        """A frame's timestamp; where the container has none, that of a constant rate."""
        if frame.pts is not None:
            return frame.pts
        return round(number / self.info.fps / self.facts.time_base)

    def _look_at(self, decoder: Decoder, delivered: int) -> None:
        """After a pass to the end: say what was damaged or missing."""
        stated = self.facts.stated_frames
        if decoder.damaged:
            self.note(f"{self.path.name}: {decoder.damaged} damaged packets could not be decoded")
        if stated and delivered < stated and (decoder.damaged or delivered < stated - 2):
            self.note(f"{self.path.name} is truncated or damaged: {delivered} of {stated} frames can be decoded")

    # -- decoding --------------------------------------------------------------------------------------------------

    def _frame(self, number: int, native: av.VideoFrame) -> Frame:
        if native.width != self.info.width or native.height != self.info.height:
            raise BadInput(
                f"{self.path.name} changes size at frame {number}: {native.width}x{native.height} after "
                f"{self.info.width}x{self.info.height}",
                hint="cut the clip where its size changes",
            )
        tags = self.info.colour
        native = planar(native, tags)
        layout = layout_of(native.format.name)
        planes = planes_of(native)
        pts = self._pts(native, number)
        start = self.facts.start_pts
        return Frame(
            index=number,
            time=float((pts - start) * self.facts.time_base),
            rgb=rgb_of(planes, layout, tags),
            alpha=alpha_of(planes, layout),
            pts=pts,
            native=native,
        )

    def _pictures(self, start: int, stop: int | None) -> Iterator[tuple[int, av.VideoFrame]]:
        if self._closed:
            raise ValueError(f"{self.path.name} is closed")
        decoder = Decoder(self.path)
        delivered = 0
        times: list[int] = []
        keys: list[int] = []
        try:
            if start <= 0:
                numbered: Iterator[tuple[int, av.VideoFrame]] = enumerate(decoder.pictures())
            else:
                index = self.index()
                if start >= len(index):
                    return
                numbered = decoder.pictures_from(start, index)
            for number, picture in numbered:
                if stop is not None and number >= stop:
                    return
                delivered = number + 1
                if start <= 0:
                    times.append(self._pts(picture, number))
                    if picture.key_frame:
                        keys.append(times[-1])
                yield number, picture
            self._look_at(decoder, delivered)
            if start <= 0:
                # What was really decoded is the truth, for whoever asks next, whatever the container promised.
                with self._lock:
                    if self._index is None or len(self._index) != delivered:
                        self._index = FrameIndex(times, keys, exact=True)
        finally:
            decoder.close()

    def _source_frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        for number, picture in self._pictures(start, stop):
            yield self._frame(number, picture)

    def _source_lumas(self, start: int, stop: int | None) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        for number, picture in self._pictures(start, stop):
            picture = planar(picture, self.info.colour)
            layout = layout_of(picture.format.name)
            planes = planes_of(picture)
            if layout.family == "rgb":
                rgb = rgb_of(planes, layout, self.info.colour)
                yield number, cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
            elif layout.floating:
                yield number, planes[0].astype(np.float32)
            elif layout.bits == 8:
                yield number, np.array(planes[0])
            else:
                yield number, np.left_shift(planes[0], np.uint16(16 - layout.bits))

    def _source_read(self, numbers: list[int]) -> dict[int, Frame]:
        result: dict[int, Frame] = {}
        with self._lock:
            if self._closed:
                raise ValueError(f"{self.path.name} is closed")
            index = self.index()
            if self._random is None:
                self._random = Decoder(self.path)
            pending = list(numbers)
            while pending:
                first = pending[0]
                wanted = set(pending)
                for number, picture in self._random.pictures_from(first, index):
                    if number in wanted:
                        result[number] = self._frame(number, picture)
                        pending.remove(number)
                    # Decoding on is cheaper than seeking as long as no keyframe lies in between.
                    if not pending or not self._worth_going_on(number, pending[0], index):
                        break
                if pending and pending[0] == first:
                    raise BadInput(f"{self.path.name}: frame {first} cannot be decoded", hint="the file is damaged")
        return result

    @staticmethod
    def _worth_going_on(position: int, target: int, index: FrameIndex) -> bool:
        start = next(iter(index.starts_before(target)), index.times[0])
        return target >= position and start <= index.times[min(position, len(index) - 1)]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._random is not None:
                self._random.close()
                self._random = None

    @property
    def time_base(self) -> Fraction:
        """The unit of ``Frame.pts`` in seconds."""
        return self.facts.time_base
