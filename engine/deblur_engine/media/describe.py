# SPDX-License-Identifier: Apache-2.0
"""What a video file is, read from its container and its first decoded frame."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from .atoms import MovFacts, read_atoms
from .colour import UNSPECIFIED, assumed_matrix
from .hdr import HdrMetadata, hdr_of, side_data_of
from .parameters import chroma_location_of, has_dolby_vision, parameter_header
from .pixels import layout_of, planar_format
from .types import ClipInfo, ColourTags

__all__ = ["FIELD_ORDERS", "VideoFacts", "describe", "tags_of"]

FIELD_ORDERS = {0: "unknown", 1: "progressive", 2: "tt", 3: "bb", 4: "tb", 5: "bt"}
_CHROMA_CENTRE = {"mpeg1video", "mjpeg", "theora", "vp8"}  # codecs that place 4:2:0 chroma in the centre
_MATRIX_NAMES = {1: "BT.709", 5: "BT.601", 6: "BT.601", 9: "BT.2020"}


@dataclass(frozen=True)
class VideoFacts:
    """What the decoder and the writer need to know beyond ``ClipInfo``."""

    format_name: str
    time_base: Fraction
    start_pts: int
    stated_frames: int  # as the container says; 0 where it does not
    hdr: HdrMetadata
    display_matrix: tuple[int, ...] | None
    mov: MovFacts
    dolby_vision: bool
    video_index: int


def tags_of(frame: av.VideoFrame, stream: av.VideoStream, chroma_location: int) -> ColourTags:
    """Colour tags of the decoded frame, completed by the container's where the bitstream says nothing."""
    context = stream.codec_context

    def pick(own: int, container: int, nothing: int = UNSPECIFIED) -> int:
        return int(own) if int(own) not in (nothing, 0) else int(container) or nothing

    code_range = int(frame.color_range) or int(context.color_range)
    if frame.format.name.startswith("yuvj"):
        code_range = 2
    matrix = int(frame.colorspace)
    if matrix == UNSPECIFIED:
        matrix = int(context.colorspace)
    location = chroma_location or (2 if stream.codec_context.name in _CHROMA_CENTRE else 0)
    return ColourTags(
        primaries=pick(frame.color_primaries, context.color_primaries),
        transfer=pick(frame.color_trc, context.color_trc),
        matrix=matrix,
        full_range={1: False, 2: True}.get(code_range),
        chroma_location=location,
    )


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    for entry in side_data_of(frame):
        if entry.type.name == "DISPLAYMATRIX":
            return struct.unpack("=9i", bytes(entry))
    return None


def _rate(stream: av.VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return Fraction(rate)
    return Fraction(25)


def _index_summary(stream: av.VideoStream, size: int) -> tuple[int | None, bool, int]:
    """From the container's own index: the frame count where it can be trusted, whether the rate varies, and how many
    frames an edit list hides."""
    entries = stream.index_entries
    count = len(entries)
    if not count or count > 2_000_000:
        return None, False, 0
    steps: set[int] = set()
    previous: int | None = None
    whole = count == stream.frames
    hidden = 0
    for entry in entries:
        if previous is not None:
            steps.add(entry.timestamp - previous)
        previous = entry.timestamp
        if entry.is_discard:
            hidden += 1
        if entry.pos + entry.size > size:
            whole = False
    varies = len(steps) > 1 and max(steps) - min(steps) > 1
    return (count - hidden if whole else None), varies, hidden


def describe(
    path: Path, container: av.container.InputContainer, stream: av.VideoStream, first: av.VideoFrame
) -> tuple[ClipInfo, VideoFacts]:
    """Read everything there is to know without decoding further."""
    context = stream.codec_context
    mov = read_atoms(path) if "mp4" in container.format.name else MovFacts({}, False)
    header = parameter_header(stream)
    tags = tags_of(first, stream, chroma_location_of(header))
    layout = layout_of(planar_format(first.format.name))
    fps = _rate(stream)
    time_base = Fraction(stream.time_base or Fraction(1, 90000))
    size = path.stat().st_size
    count, varies, hidden = _index_summary(stream, size)
    interlaced_codec = context.name in ("h264", "hevc", "mpeg2video") and context.field_order > 1
    if "mp4" not in container.format.name or interlaced_codec:
        count = None
    if None not in (first.pts, stream.start_time) and first.pts != stream.start_time:
        count = None  # leading pictures of a cut-off open GOP are in the index, but nothing can decode them
    hdr = hdr_of(first)
    matrix = _display_matrix(first)
    rotation = round(-first.rotation) % 360
    notes = _colour_notes(path, tags, layout.family, first.width, first.height)
    field_order = _field_order(context.field_order, first)
    if field_order not in ("progressive", "unknown"):
        notes.append(f"{path.name} is interlaced ({field_order}); its pictures are worked on as whole frames")
    duration = None
    if stream.duration is not None:
        duration = float(stream.duration * time_base)
    elif container.duration is not None:
        duration = container.duration / av.time_base
    start = first.pts if first.pts is not None else (stream.start_time or 0)
    info = ClipInfo(
        path=path,
        width=first.width,
        height=first.height,
        frame_count=count,
        fps=fps,
        duration=duration,
        codec=_codec_name(context),
        pixel_format=first.format.name,
        bit_depth=layout.bits,
        colour=tags,
        rotation=rotation,
        pixel_aspect=Fraction(stream.sample_aspect_ratio or 1),
        field_order=field_order,
        has_alpha=layout.alpha and first.format.name != "pal8",
        audio_streams=len(container.streams.audio),
        subtitle_streams=len(container.streams.subtitles),
        timecode=stream.metadata.get("timecode") or container.metadata.get("timecode"),
        variable_rate=varies,
        notes=tuple(notes),
        details=_details(container, stream, mov, hdr, tags, first),
    )
    facts = VideoFacts(
        format_name=container.format.name,
        time_base=time_base,
        start_pts=start,
        stated_frames=max(0, stream.frames - hidden),
        hdr=hdr,
        display_matrix=matrix,
        mov=mov,
        dolby_vision=has_dolby_vision(header),
        video_index=stream.index,
    )
    return info, facts


def _codec_name(context: av.VideoCodecContext) -> str:
    # The codec's name, not the decoder's: libdav1d decodes av1.
    return context.codec.canonical_name


def _field_order(code: int, first: av.VideoFrame) -> str:
    if code:
        return FIELD_ORDERS.get(code, "unknown")
    return "unknown" if first.interlaced_frame else "progressive"


def _colour_notes(path: Path, tags: ColourTags, family: str, width: int, height: int) -> list[str]:
    notes = []
    if family == "yuv":
        assumed = _MATRIX_NAMES.get(assumed_matrix(tags, width, height), "BT.709")
        if tags.matrix == UNSPECIFIED:
            notes.append(f"{path.name}: the colour matrix is not tagged; decoded as {assumed}, and left untagged")
        elif tags.matrix not in (1, 4, 5, 6, 7, 8, 9):
            notes.append(f"{path.name}: colour matrix {tags.matrix} is decoded as if it were {assumed}")
        if tags.full_range is None:
            notes.append(f"{path.name}: the code range is not tagged; decoded as limited, and left untagged")
    if tags.transfer == UNSPECIFIED:
        notes.append(f"{path.name}: the transfer curve is not tagged; taken as BT.709's, and left untagged")
    return notes


def _details(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    mov: MovFacts,
    hdr: HdrMetadata,
    tags: ColourTags,
    first: av.VideoFrame,
) -> dict[str, Any]:
    streams = []
    for other in container.streams:
        context = other.codec_context
        streams.append(
            {
                "index": other.index,
                "type": other.type,
                "codec": context.name if context is not None else None,
                "tag": mov.tags.get(other.id, ""),
                "language": other.metadata.get("language"),
            }
        )
    chapters = [
        {
            "start": float(chapter["start"] * Fraction(chapter["time_base"] or 0)),
            "end": float(chapter["end"] * Fraction(chapter["time_base"] or 0)),
            "title": chapter["metadata"].get("title", ""),
        }
        for chapter in container.chapters()
    ]
    return {
        "container": container.format.name,
        "time_base": str(stream.time_base),
        "profile": stream.codec_context.profile,
        "tag": stream.codec_context.codec_tag,
        "bit_rate": stream.codec_context.bit_rate,
        "decoded_matrix": assumed_matrix(tags, first.width, first.height),
        "metadata": dict(container.metadata),
        "chapters": chapters,
        "hdr": hdr.as_dict(),
        "streams": streams,
    }
