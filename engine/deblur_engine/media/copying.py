# SPDX-License-Identifier: Apache-2.0
"""Everything in a container that is not the main video, carried over packet for packet."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.error

from .atoms import MovFacts
from .decoder import open_container

__all__ = ["StreamCopier", "Window"]


class Window:
    """The span of time that a trimmed clip keeps, in seconds of the source; ``shift`` is taken off every timestamp."""

    def __init__(self, first: Fraction, end: Fraction | None, shift: Fraction) -> None:
        self.first, self.end, self.shift = first, end, shift

    def __contains__(self, time: Fraction) -> bool:
        return self.first <= time and (self.end is None or time < self.end)


def _accepted(stream: av.stream.Stream, video: av.VideoStream, format_name: str) -> bool:
    """Whether a container of this format takes the stream: tried out on a header that goes nowhere.

    Tried beside the video first (MXF takes no sound alone), then alone (the video may change its codec).
    """
    for together in ((video, stream), (stream,)):
        trial = av.open(io.BytesIO(), "w", format=format_name)
        try:
            for one in together:
                _added(trial, one)
            trial.start_encoding()
            return True
        except (av.error.FFmpegError, ValueError, OSError):
            continue
        finally:
            with suppress(av.error.FFmpegError, OSError):  # a file without packets need not be a good one
                trial.close()
    return False


def _added(output: av.container.OutputContainer, stream: av.stream.Stream) -> av.stream.Stream:
    if stream.codec_context is None:
        return output.add_stream_from_template(stream)
    added = output.add_stream_from_template(stream, opaque=True)
    if isinstance(stream, av.VideoStream) and stream.average_rate:
        cast(av.VideoStream, added).codec_context.framerate = stream.average_rate  # MXF insists on a rate
    return added


class StreamCopier:
    """Copies the audio, subtitle, data and attached streams of ``path`` into an output container.

    ``add`` makes the output streams in the source's order (the caller makes the video stream itself); ``advance``
    copies packets up to a time, so that the output is interleaved and no more than a few packets wait in memory.
    """

    def __init__(self, path: Path, video_index: int, mov: MovFacts, window: Window | None) -> None:
        self._path = path
        self._container = open_container(path)
        self._video_index = video_index
        self._window = window
        self._targets: dict[int, av.stream.Stream] = {}
        self._waiting: av.Packet | None = None
        self._packets: Iterator[av.Packet] | None = None
        self._output: av.container.OutputContainer | None = None
        self._tags = mov.tags
        self.notes: list[str] = []

    @property
    def container(self) -> av.container.InputContainer:
        return self._container

    @property
    def video(self) -> av.VideoStream:
        stream = self._container.streams[self._video_index]
        assert isinstance(stream, av.VideoStream)
        return stream

    def others(self) -> list[av.stream.Stream]:
        return [stream for stream in self._container.streams if stream.index != self._video_index]

    def refused(self, format_name: str) -> list[av.stream.Stream]:
        """The streams that such a container would not take, those that are rebuilt in another way left out."""
        return [s for s in self.others() if self._rebuilt(s) is None and not _accepted(s, self.video, format_name)]

    def _rebuilt(self, stream: av.stream.Stream) -> str | None:
        """What the muxer makes anew from metadata rather than from packets."""
        if stream.type != "data":
            return None
        tag = self._tags.get(stream.id)
        if tag == "tmcd" and stream.metadata.get("timecode"):
            return "timecode"
        if tag == "text" and self._container.chapters():
            return "chapters"
        return None

    def add(self, output: av.container.OutputContainer, stream: av.stream.Stream) -> None:
        """Make the output stream of one source stream; one that the container refuses is named in ``notes``."""
        self._output = output
        if self._rebuilt(stream) is not None:
            return
        if "matroska" in output.format.name and stream.disposition & av.stream.Disposition.attached_pic:
            self._attach(output, stream)
            return
        if not _accepted(stream, self.video, output.format.name):
            tag = self._tags.get(stream.id)
            what = f"{stream.type} stream #{stream.index}" + (f" ({tag})" if tag else "")
            name = stream.metadata.get("handler_name", "").strip()
            self.notes.append(f"{what}{f' {name!r}' if name else ''} is not carried: {output.format.name} refuses it")
            return
        target = _added(output, stream)
        target.metadata.update(stream.metadata)
        target.disposition = stream.disposition
        if "mpegts" in output.format.name:
            target.id = stream.id
        self._targets[stream.index] = target

    def _attach(self, output: av.container.OutputContainer, stream: av.stream.Stream) -> None:
        """A cover picture in Matroska: FFmpeg reads it as a video stream but takes it only as an attached file."""
        with open_container(self._path) as container:
            wanted = container.streams[stream.index]
            data = next((bytes(packet) for packet in container.demux(wanted) if packet.size), b"")
        codec = stream.codec_context.name if stream.codec_context is not None else ""
        kind = "png" if codec == "png" else "jpeg"
        name = stream.metadata.get("filename", f"cover.{kind.replace('jpeg', 'jpg')}")
        output.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), data)

    def advance(self, until: Fraction | None) -> None:
        """Copy packets that are due before ``until`` seconds (None: all that are left)."""
        if not self._targets:
            return
        assert self._output is not None
        if self._packets is None:
            for stream in self._container.streams:
                if stream.index not in self._targets:
                    stream.discard = av.stream.Discard.all
            self._packets = self._container.demux([self._container.streams[index] for index in self._targets])
        while True:
            packet = self._waiting or self._next()
            self._waiting = None
            if packet is None:
                return
            stamp = packet.dts if packet.dts is not None else packet.pts
            if until is not None and stamp is not None and stamp * packet.time_base > until:
                self._waiting = packet
                return
            self._copy(packet)

    def _next(self) -> av.Packet | None:
        assert self._packets is not None
        try:
            for packet in self._packets:
                if packet.size:
                    return packet
        except (av.error.FFmpegError, OSError) as error:
            self.notes.append(f"the other streams end early: {error.strerror or error}")
        return None

    def _copy(self, packet: av.Packet) -> None:
        assert self._output is not None
        source = packet.stream
        attached = bool(source.disposition & av.stream.Disposition.attached_pic)
        if self._window is not None and not attached:
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None or stamp * packet.time_base not in self._window:
                return
            shift = round(self._window.shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = self._targets[source.index]
        self._output.mux_one(packet)

    def close(self) -> None:
        self._container.close()
