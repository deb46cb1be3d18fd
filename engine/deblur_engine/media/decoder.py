# SPDX-License-Identifier: Apache-2.0
"""One open container that decodes one video stream, forwards or from a given frame on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import av.error

from ..errors import BadInput
from .index import FrameIndex

__all__ = ["Decoder", "open_container", "video_stream"]

# Decoders that give up on a file say so packet by packet; past this many in a row nothing more will come.
_HOPELESS = 100


def open_container(path: Path) -> av.container.InputContainer:
    """Open a media file for reading; raises ``BadInput`` with the reason where that fails."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder", hint="give a video file, or a sequence such as name.####.exr")
    try:
        # Damaged or odd metadata must not keep a clip from being opened.
        return av.open(str(path), metadata_errors="replace")
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except PermissionError as error:
        raise BadInput(f"{path} may not be read") from error
    except (av.error.FFmpegError, ValueError, OSError) as error:
        size = path.stat().st_size if path.exists() else 0
        if size == 0:
            raise BadInput(f"{path} is empty") from error
        raise BadInput(
            f"{path} cannot be opened as a video",
            hint="it is not a media file, or it is truncated and its index is missing",
        ) from error


def video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The main video stream, attached pictures aside; raises ``BadInput`` where there is none or no decoder."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        others = sorted({stream.type for stream in container.streams})
        raise BadInput(f"{path} has no video stream", hint=f"it holds {', '.join(others) or 'nothing'}")
    default = [stream for stream in streams if stream.disposition & av.stream.Disposition.default]
    stream = (default or streams)[0]
    if stream.codec_context is None:
        raise BadInput(f"{path}: this build has no decoder for its video stream", hint="convert the clip first")
    return stream


class Decoder:
    """Decodes the video stream of a file. Not thread-safe: each thread opens its own."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._path = path
        self._threads = threads
        self.damaged = 0  # packets that could not be decoded so far
        self._open()

    def _open(self) -> None:
        self.container = open_container(self._path)
        try:
            self.stream = video_stream(self.container, self._path)
        except BadInput:
            self.container.close()
            raise
        self._depth = self.stream.codec_context.reorder_depth
        self.stream.codec_context.thread_type = "AUTO"
        if self._threads is not None:
            self.stream.codec_context.thread_count = self._threads
        for stream in self.container.streams:
            if stream is not self.stream:
                stream.discard = av.stream.Discard.all

    def close(self) -> None:
        self.container.close()

    def pictures(self) -> Iterator[av.VideoFrame]:
        """Decoded frames from where the container stands, in presentation order; damaged packets are skipped."""
        failures = 0
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.error.FFmpegError, OSError):
                # The demuxer cannot read on: what the decoder still holds is delivered, then it is over.
                self.damaged += 1
                yield from self._flushed()
                return
            try:
                frames = self.stream.codec_context.decode(packet if packet.size else None)
                failures = 0
            except EOFError:
                return
            except (av.error.FFmpegError, OSError):
                self.damaged += 1
                failures += 1
                if failures > _HOPELESS:
                    return
                continue
            yield from frames

    def _flushed(self) -> list[av.VideoFrame]:
        try:
            return self.stream.codec_context.decode(None)
        except (av.error.FFmpegError, EOFError, OSError):
            return []

    def pictures_from(self, number: int, index: FrameIndex) -> Iterator[tuple[int, av.VideoFrame]]:
        """Numbered frames from frame ``number`` on, each exactly as sequential decoding would give it.

        Seeks to the nearest keyframe that a decoder can start from; where what comes out starts too late (gradual
        refresh, a container that seeks past its keyframes) it falls back to earlier ones, at last to the beginning.
        """
        if index.unambiguous and number > 0:
            for start in index.starts_before(number):
                if start <= index.times[0]:
                    break
                if not self._seek(start):
                    break
                numbered = self._numbered(index)
                for found, frame in numbered:
                    if found < number:
                        continue
                    if found == number:
                        yield found, frame
                        yield from numbered
                        return
                    break
        self.close()
        self._open()
        for found, frame in enumerate(self.pictures()):
            if found >= number:
                yield found, frame

    def _seek(self, pts: int) -> bool:
        try:
            self.container.seek(pts, stream=self.stream)
        except (av.error.FFmpegError, OSError):
            return False
        # A flush resets what the decoder had learnt of the reordering; without it B-frames come too early.
        self.stream.codec_context.reorder_depth = self._depth
        return True

    def _numbered(self, index: FrameIndex) -> Iterator[tuple[int, av.VideoFrame]]:
        for frame in self.pictures():
            number = index.number_of(frame.pts)
            if number is not None:
                yield number, frame
