# SPDX-License-Identifier: Apache-2.0
"""Writes a video file that is what its source was, except for the pictures that were changed."""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any, cast

import av
import av.error
import numpy as np
from av.codec.context import CodecContext, Flags

from ..errors import BadInput, OutputError
from .copying import StreamCopier, Window
from .describe import FIELD_ORDERS
from .encoders import Encoding, choose_encoding
from .naming import partial_path
from .output import check_target, output_errors
from .pixels import (
    add_difference,
    convert_planes,
    copy_planes,
    layout_of,
    planar_format,
    planes_from_rgb,
    planes_of,
)
from .timecode import advanced
from .types import ColourTags, Frame, Picture
from .video import VideoClip

__all__ = ["VideoWriter"]

_FORMATS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".qt": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi",
    ".ts": "mpegts", ".m2ts": "mpegts", ".mts": "mpegts", ".mpg": "mpeg", ".mpeg": "mpeg", ".vob": "vob",
    ".mxf": "mxf", ".3gp": "3gp", ".flv": "flv", ".asf": "asf", ".wmv": "asf", ".ogv": "ogg", ".gif": "gif",
    ".nut": "nut", ".y4m": "yuv4mpegpipe",
}  # fmt: skip
_MOV_FAMILY = ("mov", "mp4")
# Metadata that states facts about the old file, not about the clip.
_FILE_METADATA = {"major_brand", "minor_version", "compatible_brands", "encoder"}
# Keys that the mov and mp4 muxers write by themselves; any other needs their free-form table.
_MOV_KEYS = {
    "title", "author", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright",
    "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords", "creation_time",
    "timecode", "location",
}  # fmt: skip


class VideoWriter:
    """One output file being written; frames come in presentation order."""

    def __init__(
        self, source: VideoClip, path: Path, codec: str | None, numbers: range | None, overwrite: bool
    ) -> None:
        check_target(path, source.path, overwrite)
        self._source = source
        self._path = path
        self._partial = partial_path(path)
        self._numbers = numbers
        self.notes: list[str] = []
        self.encoding = choose_encoding(source.info, source.facts, codec, path.suffix.lower())
        self._first_pts = source.facts.start_pts
        self._window = self._trim(numbers)
        self._copier = StreamCopier(source.path, source.facts.video_index, source.facts.mov, self._window)
        self._output: av.container.OutputContainer | None = None
        self._graph: tuple[av.filter.Graph, Any, Any] | None = None
        self._written = self._muxed = 0
        self._times: dict[int, tuple[int, int]] = {}  # encoder's frame number -> source pts, duration
        self._last: tuple[int, int] | None = None  # frame number and timestamp
        self._step = max(1, round(1 / source.info.fps / source.facts.time_base))
        try:
            with output_errors(path):
                self._partial.unlink(missing_ok=True)
                self._partial.touch()  # the system's own reason is clearer than the muxer's
                self._open(path)
        except BaseException:
            self.abort()
            raise
        self.notes.extend(self.encoding.notes)
        self.notes.extend(self._copier.notes)

    @property
    def codec(self) -> str:
        return self.encoding.codec

    # -- opening ---------------------------------------------------------------------------------------------------

    def _trim(self, numbers: range | None) -> Window | None:
        if numbers is None or (numbers.start == 0 and numbers.step == 1 and len(numbers) >= len(self._source)):
            return None
        index = self._source.index()
        base = self._source.time_base
        first = index.times[numbers[0]]
        self._shift = first - self._first_pts
        after = numbers[-1] + 1
        end = index.times[after] * base if after < len(index) else None
        return Window(first * base, end, self._shift * base)

    def _format(self, path: Path) -> str:
        suffix = path.suffix.lower()
        if suffix in _FORMATS:
            name = _FORMATS[suffix]
            if name == "mp4" and any(s.type in ("audio", "subtitle") for s in self._copier.refused("mp4")):
                # QuickTime's muxer takes sound that strict MP4 does not; players read both alike.
                name = "mov"
            return name
        raise OutputError(
            f"{path.name}: {suffix or 'a name without suffix'} is no container that can be written",
            hint="use .mov, .mp4 or .mkv",
        )

    def _open(self, path: Path) -> None:
        format_name = self._format(path)
        metadata = {k: v for k, v in self._copier.container.metadata.items() if k not in _FILE_METADATA}
        self._output = av.open(
            str(self._partial), "w", format=format_name, container_options=self._options(format_name, metadata)
        )
        self._output.metadata.update(metadata)
        for stream in self._copier.container.streams:
            if stream.index == self._source.facts.video_index:
                self._add_video(format_name)
            else:
                self._copier.add(self._output, stream)
        chapters = self._chapters()
        if chapters:
            self._output.set_chapters(chapters)
        self._output.start_encoding()

    def _options(self, format_name: str, metadata: dict[str, str]) -> dict[str, str]:
        options: dict[str, str] = {}
        if format_name in _MOV_FAMILY:
            base, flags = self._source.time_base, ""
            if base.numerator == 1:
                options["video_track_timescale"] = str(base.denominator)
            if scale := self._movie_timescale():
                options["movie_timescale"] = str(scale)
            if any(key.split("-")[0] not in _MOV_KEYS for key in metadata):
                flags += "+use_metadata_tags"
            if self._source.facts.mov.index_first:
                flags += "+faststart"
            if flags:
                options["movflags"] = flags
        elif format_name == "mpegts":
            options["mpegts_copyts"] = "1"
            if self._path.suffix.lower() in (".m2ts", ".mts"):
                options["mpegts_m2ts_mode"] = "1"
        return options

    def _movie_timescale(self) -> int | None:
        """A clock in which every stream's start is exact, where one does not start at zero (the default is 1 ms)."""
        streams = self._copier.container.streams
        if self._window is None and not any(stream.start_time for stream in streams):
            return None
        scale = 1
        for stream in streams:
            if stream.type in ("video", "audio") and stream.time_base:
                scale = lcm(scale, stream.time_base.denominator)
        return scale if 1 < scale <= 20_000_000 else None

    def _add_video(self, format_name: str) -> None:
        assert self._output is not None
        info, facts = self._source.info, self._source.facts
        encoding = self.encoding
        dolby = facts.dolby_vision
        if dolby:
            self.notes.append("the Dolby Vision layer is dropped: it describes the old pictures frame by frame")
        same = encoding.codec == info.codec and not dolby
        try:
            if same:
                # The source's parameters as a template bring along what PyAV has no words for: display matrix,
                # mastering display, light level, spherical and stereo tags.
                self._stream = self._output.add_stream_from_template(self._copier.video, opaque=True)
                self._encoder: Any = CodecContext.create(encoding.encoder, "w")
            else:
                self._stream = cast(av.VideoStream, self._output.add_stream(encoding.encoder, rate=info.fps))
                self._encoder = self._stream.codec_context
            encoder = self._encoder
        except ValueError as error:
            raise OutputError(
                f"a {format_name} file cannot hold {encoding.codec} video",
                hint="choose another container (.mkv takes nearly all) or another codec",
            ) from error
        self._set_up(encoder, encoding, format_name)
        if self._output.format.name not in ("avi",) and encoder.flags is not None:
            encoder.flags |= Flags.global_header
        try:
            encoder.open(strict=False)
        except (av.error.FFmpegError, ValueError) as error:
            raise BadInput(
                f"{info.width}x{info.height} {info.pixel_format} pictures cannot be encoded as {encoding.codec} "
                f"({encoding.encoder} refuses)",
                hint="choose another codec, ffv1 for instance takes any size",
            ) from error
        if same:
            context = self._stream.codec_context
            context.extradata = encoder.extradata
            context.pix_fmt = encoding.pixel_format
            context.bit_rate = encoder.bit_rate or 0
            context.framerate = info.fps
            context.codec_tag = self._tag(self._copier.video.codec_context.codec_tag, encoder.codec_tag, format_name)
        elif facts.display_matrix is not None:
            self._stream.set_display_matrix(facts.display_matrix)
        self._stream.time_base = self._source.time_base
        self._stream.metadata.update(
            {key: value for key, value in self._copier.video.metadata.items() if key not in ("encoder", "rotate")}
        )
        if timecode := self._timecode():
            self._stream.metadata["timecode"] = timecode
        self._stream.disposition = self._copier.video.disposition
        if "mpegts" in format_name:
            self._stream.id = self._copier.video.id

    def _tag(self, source: str, encoder: str, format_name: str) -> str:
        """The four-character code: the encoder's own (ProRes and DNxHD choose by profile), or hvc1/hev1 as it was.

        In AVI the source's is kept too: some codecs are told apart by it alone.
        """
        if encoder.strip("\0"):
            return encoder
        keep = source in ("hvc1", "hev1") if format_name in _MOV_FAMILY else format_name == "avi"
        return source if keep else "\0\0\0\0"

    def _set_up(self, encoder: av.VideoCodecContext, encoding: Encoding, format_name: str) -> None:
        info = self._source.info
        encoder.width, encoder.height = info.width, info.height
        encoder.pix_fmt = encoding.pixel_format
        # Frames are counted, not timed: rate control sees a steady rate, and the packets get the source's own
        # timestamps afterwards, whatever precision the codec's time base has.
        encoder.time_base = 1 / info.fps
        encoder.framerate = info.fps
        encoder.sample_aspect_ratio = info.pixel_aspect
        self._tags = self._written_tags(info.colour)
        encoder.color_primaries = self._tags.primaries
        encoder.color_trc = self._tags.transfer
        encoder.colorspace = self._tags.matrix
        encoder.color_range = {None: 0, False: 1, True: 2}[self._tags.full_range]
        order = {name: code for code, name in FIELD_ORDERS.items()}.get(info.field_order, 0)
        encoder.field_order = order
        encoder.options = dict(encoding.options)
        if info.colour.chroma_location not in (0, 1):
            encoder.options["chroma_sample_location"] = str(info.colour.chroma_location)
        if "mpegts" in format_name and self._first_pts * self._source.time_base < Fraction(1, 4):
            # Reordered frames are decoded before they are shown, and a transport stream has no time before zero:
            # with B-frames everything would have to start later.
            encoder.options["bf"] = "0"
        if encoding.quantiser is not None:
            encoder.qscale = True
            encoder.global_quality = encoding.quantiser * 118  # FF_QP2LAMBDA

    def _written_tags(self, tags: ColourTags) -> ColourTags:
        """The source's tags; only where RGB becomes YCbCr (or back) must the matrix be stated anew."""
        source = layout_of(planar_format(self._source.info.pixel_format))
        target = layout_of(planar_format(self.encoding.pixel_format))
        if source.family == target.family or "gray" in (source.family, target.family):
            return tags
        if target.family == "rgb":
            return ColourTags(tags.primaries, tags.transfer, 0, True, 0)
        return ColourTags(tags.primaries, tags.transfer, 1, False, 1)

    def _timecode(self) -> str | None:
        info = self._source.info
        if info.timecode is None or self._numbers is None or self._numbers[0] == 0:
            return info.timecode
        moved = advanced(info.timecode, self._numbers[0], info.fps)
        if moved is None:
            self.notes.append(f"timecode {info.timecode!r} could not be moved to the first frame written")
        return moved

    def _chapters(self) -> list[Any]:
        chapters = self._copier.container.chapters()
        window = self._window
        if window is None or not chapters:
            return chapters
        kept = []
        for chapter in chapters:
            base = Fraction(chapter["time_base"] or 1)
            start = max(chapter["start"] * base, window.first)
            end = chapter["end"] * base if window.end is None else min(chapter["end"] * base, window.end)
            if start < end:
                moved = {key: round((time - window.shift) / base) for key, time in (("start", start), ("end", end))}
                kept.append({**chapter, **moved})
        return kept

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, frame: Frame, rgb: Picture) -> None:
        """Encode one picture."""
        picture = self._picture(frame, rgb)
        pts = frame.pts if frame.pts is not None else self._first_pts + frame.index * self._step
        pts -= self._shift if self._window is not None else 0
        if self._last is not None:
            last_index, last_pts = self._last
            if frame.index <= last_index:
                raise ValueError(f"frame {frame.index} was written after frame {last_index}")
            if pts <= last_pts:
                # Some files time two frames alike; no container can be written so.
                self._note(f"frames with the same timestamp are told apart by one tick, from frame {frame.index} on")
                pts = last_pts + 1
        self._last = frame.index, pts
        self._times[self._written] = (pts, frame.native.duration or self._step)
        picture.pts = self._written
        picture.time_base = 1 / self._source.info.fps
        picture.pict_type = 0  # the source's frame types are not to be imitated
        self._written += 1
        self._mux(self._encoder.encode(picture))

    def _picture(self, frame: Frame, rgb: Picture) -> av.VideoFrame:
        native: av.VideoFrame = frame.native
        tags = self._source.info.colour
        source = layout_of(native.format.name)
        target = layout_of(planar_format(self.encoding.pixel_format))
        same_family = source.family == target.family or source.family == "gray"
        changed = rgb is not frame.rgb and not np.array_equal(rgb, frame.rgb)
        planes = planes_of(native)
        if changed and same_family:
            planes = add_difference(planes, source, tags, _finite(rgb) - _finite(frame.rgb))
        if target.name == source.name:
            picture = self._twin(native)
            if changed:
                picture.make_writable()
                copy_planes(planes, picture)
            return picture
        if source.family == target.family:
            planes = convert_planes(planes, source, target, tags)
        else:
            planes = planes_from_rgb(_finite(rgb), frame.alpha, target, self._tags)
        picture = av.VideoFrame(native.width, native.height, target.name)
        copy_planes(planes, picture)
        picture.colorspace, picture.color_range = self._tags.matrix, self._encoder.color_range
        picture.color_primaries, picture.color_trc = self._tags.primaries, self._tags.transfer
        picture.duration = native.duration
        if target.name != self.encoding.pixel_format:
            code_range = "JPEG" if target.full_range(self._tags) else "MPEG"
            picture = picture.reformat(
                format=self.encoding.pixel_format, src_color_range=code_range, dst_color_range=code_range, threads=1
            )
            picture.colorspace, picture.color_range = self._tags.matrix, self._encoder.color_range
        return picture

    def _note(self, text: str) -> None:
        if not any(note[:40] == text[:40] for note in self.notes):
            self.notes.append(text)

    def _twin(self, native: av.VideoFrame) -> av.VideoFrame:
        """A second reference to a decoded frame with all its properties (captions, field flags), data shared."""
        if self._graph is None:
            graph = av.filter.Graph()
            entry = graph.add_buffer(
                width=native.width, height=native.height, format=native.format, time_base=self._source.time_base
            )
            middle, out = graph.add("null"), graph.add("buffersink")
            entry.link_to(middle)
            middle.link_to(out)
            graph.configure()
            self._graph = (graph, entry, out)
        graph, entry, out = self._graph
        entry.push(native)
        return cast(av.VideoFrame, out.pull())

    def _mux(self, packets: list[av.Packet]) -> None:
        assert self._output is not None
        for packet in packets:
            number = packet.pts if packet.pts is not None else self._muxed
            order = packet.dts if packet.dts is not None else number
            self._muxed += 1
            pts, duration = self._times[number]
            packet.time_base = self._source.time_base
            packet.pts = pts
            packet.dts = self._decode_time(order)
            packet.duration = duration
            packet.stream = self._stream
            self._output.mux_one(packet)
            base = self._source.time_base
            self._copier.advance(packet.dts * base + (self._window.shift if self._window else 0))
            for done in [n for n in self._times if n < min(number, order) - 64]:
                del self._times[done]

    def _decode_time(self, order: int) -> int:
        """When a packet is to be decoded: the encoder's frame numbers mapped onto the source's timestamps."""
        if order in self._times:
            return self._times[order][0]
        earliest = min(self._times)
        return self._times[earliest][0] + (order - earliest) * self._step

    def finish(self) -> None:
        """Flush the encoder, copy what is left of the other streams and close the file."""
        assert self._output is not None
        self._mux(self._encoder.encode(None))
        self._copier.advance(None)
        self._output.close()
        self._output = None
        self._copier.close()
        self.notes.extend(note for note in self._copier.notes if note not in self.notes)
        os.replace(self._partial, self._path)

    def abort(self) -> None:
        """Let go of the file, whatever state it is in, and remove it."""
        self._copier.close()
        if self._output is not None:
            with suppress(av.error.FFmpegError, OSError, ValueError):  # the file is about to be removed
                self._output.close()
            self._output = None
        self._partial.unlink(missing_ok=True)


def _finite(rgb: Picture) -> Picture:
    return rgb if np.isfinite(rgb).all() else np.nan_to_num(rgb, nan=0.0, posinf=0.0, neginf=0.0)
