# SPDX-License-Identifier: Apache-2.0
"""Small made-up clips of every kind, for the tests and the round-trip table."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

__all__ = ["SOURCES", "Source", "make", "picture"]

HDR10 = (
    "log-level=error:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    ":max-cll=1000,400"
)


@dataclass(frozen=True)
class Source:
    """How to make one clip. ``tags``: primaries, transfer, matrix, range as H.273 codes (range 1 limited, 2 full)."""

    name: str
    suffix: str
    encoder: str
    pixel_format: str = "yuv420p"
    size: tuple[int, int] = (96, 64)
    frames: int = 12
    rate: Fraction = Fraction(25)
    tags: tuple[int, int, int, int] = (2, 2, 2, 0)
    options: dict[str, str] = field(default_factory=dict)
    audio: tuple[str, ...] = ()
    vfr: bool = False
    rotation: int = 0
    aspect: Fraction | None = None
    timecode: str | None = None
    chapters: bool = False
    subtitles: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    field_order: int = 0
    quantiser: int | None = None
    start: int = 0  # timestamp of the first frame, in frames


BT709 = (1, 1, 1, 1)
PQ = (9, 16, 9, 1)
HLG = (9, 18, 9, 1)

SOURCES = [
    Source(
        "h264-709-aac",
        ".mp4",
        "libx264",
        tags=BT709,
        audio=("aac", "aac"),
        chapters=True,
        metadata={"title": "A"},
    ),
    Source("h264-untagged-vfr", ".mp4", "libx264", vfr=True, audio=("aac",)),
    Source("h264-rotated", ".mov", "libx264", rotation=90, tags=BT709, metadata={"com.apple.quicktime.make": "X"}),
    Source("h264-601-anamorphic", ".mp4", "libx264", tags=(6, 6, 6, 1), aspect=Fraction(10, 11), size=(88, 60)),
    Source("h264-full-10bit", ".mov", "libx264", "yuv420p10le", tags=(1, 1, 1, 2), timecode="01:00:00:00"),
    Source("h264-422-10bit", ".mkv", "libx264", "yuv422p10le", tags=BT709, subtitles=True, audio=("flac",)),
    Source("h264-444", ".mkv", "libx264", "yuv444p", tags=(1, 13, 1, 2), audio=("libopus",), chapters=True),
    Source("h264-rgb", ".mkv", "libx264rgb", "rgb24", tags=(1, 13, 0, 2)),
    Source("h264-gray", ".mp4", "libx264", "gray"),
    Source(
        "h264-interlaced",
        ".mov",
        "libx264",
        tags=BT709,
        options={"flags": "+ildct+ilme", "x264-params": "tff=1"},
        field_order=2,
    ),
    Source("h264-odd-size", ".mkv", "libx264", "yuv444p", size=(97, 63)),
    Source("h264-bframes-ts", ".ts", "libx264", audio=("aac",), options={"bf": "3"}),
    Source("h264-late-start", ".mp4", "libx264", audio=("aac",), start=10),
    Source("hevc-hdr10", ".mp4", "libx265", "yuv420p10le", tags=PQ, options={"x265-params": HDR10}, audio=("aac",)),
    Source("hevc-hlg-hdr10", ".mkv", "libx265", "yuv420p10le", tags=HLG, options={"x265-params": HDR10}),
    Source(
        "hevc-12bit-422",
        ".mov",
        "libx265",
        "yuv422p12le",
        tags=(9, 14, 9, 1),
        options={"x265-params": "log-level=error"},
    ),
    Source(
        "prores-hq",
        ".mov",
        "prores_ks",
        "yuv422p10le",
        tags=BT709,
        options={"profile": "3"},
        audio=("pcm_s24le",),
        timecode="10:00:00;02",
        rate=Fraction(30000, 1001),
    ),
    Source("prores-lt", ".mov", "prores_ks", "yuv422p10le", options={"profile": "1"}),
    Source(
        "prores-4444-alpha",
        ".mov",
        "prores_ks",
        "yuva444p10le",
        tags=BT709,
        options={"profile": "4", "alpha_bits": "16"},
    ),
    Source(
        "prores-interlaced",
        ".mov",
        "prores_ks",
        "yuv422p10le",
        tags=BT709,
        options={"profile": "2", "flags": "+ildct"},
        field_order=2,
    ),
    Source(
        "dnxhr-hq",
        ".mov",
        "dnxhd",
        "yuv422p",
        size=(256, 128),
        tags=BT709,
        options={"profile": "dnxhr_hq"},
        audio=("pcm_s16le",),
    ),
    Source(
        "dnxhr-hqx",
        ".mov",
        "dnxhd",
        "yuv422p10le",
        size=(256, 128),
        tags=(9, 1, 9, 1),
        options={"profile": "dnxhr_hqx"},
    ),
    Source(
        "dnxhr-mxf",
        ".mxf",
        "dnxhd",
        "yuv422p",
        size=(256, 128),
        tags=BT709,
        audio=("pcm_s24le",),
        options={"profile": "dnxhr_hq"},
        timecode="10:00:00:00",
    ),
    Source("mpeg2-mxf", ".mxf", "mpeg2video", "yuv422p", tags=BT709, quantiser=2),
    Source("h264-mts", ".m2ts", "libx264", tags=BT709, audio=("ac3",)),
    Source("dnxhr-444", ".mov", "dnxhd", "gbrp10le", size=(256, 128), options={"profile": "dnxhr_444"}),
    Source("dnxhd-1080", ".mov", "dnxhd", "yuv422p", size=(1920, 1080), frames=3, tags=BT709, options={"b": "120M"}),
    Source("ffv1-420", ".mkv", "ffv1", tags=BT709, audio=("flac", "pcm_s16le"), subtitles=True, chapters=True),
    Source("ffv1-rgb16", ".mkv", "ffv1", "gbrp16le"),
    Source("ffv1-alpha", ".mkv", "ffv1", "yuva444p10le"),
    Source("ffv1-411-avi", ".avi", "ffv1", "yuv411p", audio=("pcm_s16le",)),
    Source("ffv1-gray12", ".mkv", "ffv1", "gray12le"),
    Source("vp9", ".webm", "libvpx-vp9", tags=BT709, audio=("libopus",)),
    Source("vp9-10bit-mp4", ".mp4", "libvpx-vp9", "yuv420p", tags=(1, 1, 1, 1)),
    Source("vp8", ".webm", "libvpx", audio=("libopus",), options={"b": "1M"}),
    Source("av1-10bit", ".mp4", "libsvtav1", "yuv420p10le", tags=PQ, options={"preset": "10"}),
    Source("mpeg4-avi", ".avi", "mpeg4", audio=("libmp3lame",), quantiser=3),
    Source("mpeg4-mp4", ".mp4", "mpeg4", audio=("aac",), quantiser=3, options={"bf": "2"}),
    Source("mpeg2-ts", ".ts", "mpeg2video", audio=("mp2",), tags=(5, 5, 5, 1), quantiser=3),
    Source("mjpeg-mov", ".mov", "mjpeg", "yuvj422p", audio=("pcm_s16le",), quantiser=3),
    Source("v210", ".mov", "v210", "yuv422p10le", tags=BT709),
    Source("rawvideo-uyvy", ".mov", "rawvideo", "uyvy422"),
    Source("utvideo", ".avi", "utvideo", "gbrp"),
    Source("qtrle-alpha", ".mov", "qtrle", "argb"),
    Source("png-mov", ".mov", "png", "rgba"),
    Source("cineform", ".mov", "cfhd", "yuv422p10le"),
    Source("dv", ".avi", "dvvideo", "yuv411p", size=(720, 480), rate=Fraction(30000, 1001), frames=4),
    Source("one-frame", ".mp4", "libx264", frames=1),
    Source("8x8", ".mkv", "libx264", "yuv420p", size=(8, 8)),
]


def picture(number: int, width: int, height: int) -> np.ndarray:
    """A moving, coloured, noisy picture: uint16 [H, W, 3]."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x * f + y * g + number * 3) / 7) for f, g in ((1, 0.3), (0.4, 1), (0.7, 0.7))]
    noise = np.random.default_rng(number).normal(0, 0.03, (height, width, 3))
    values = 0.5 + 0.35 * np.stack(waves, axis=-1) + noise
    return (np.clip(values, 0, 1) * 65535).astype(np.uint16)


def make(source: Source, folder: Path) -> Path:
    """Write the clip and return its path (made anew only if it is not there)."""
    path = folder / f"{source.name}{source.suffix}"
    options: dict[str, str] = {}
    if source.suffix in (".mov", ".mp4") and any("." in key for key in source.metadata):
        options["movflags"] = "use_metadata_tags"
    with av.open(str(path), "w", container_options=options) as output:
        output.metadata.update(source.metadata)
        video = _video_stream(output, source)
        audio = [output.add_stream(name, rate=48000) for name in source.audio]
        texts = output.add_mux_stream("subrip", time_base=Fraction(1, 1000)) if source.subtitles else None
        if source.chapters:
            length = source.frames * 1000
            half = {"time_base": Fraction(1, 1000 * int(source.rate)), "metadata": {"title": "one"}}
            output.set_chapters(
                [
                    {"id": 1, "start": 0, "end": length // 2, **half},
                    {"id": 2, "start": length // 2, "end": length, **half, "metadata": {"title": "two"}},
                ]
            )
        packets: list[av.Packet] = []
        for stream in audio:
            packets.extend(_sound(stream, float(source.frames / source.rate), 440.0 + 110 * stream.index))
        for number in range(source.frames):
            packets.extend(_encoded(video, source, number))
        packets.extend(video.encode(None))
        if texts is not None:
            packets.extend(_texts(texts))
        output.start_encoding()
        for packet in sorted(packets, key=lambda p: float((p.dts if p.dts is not None else p.pts) * p.time_base)):
            output.mux(packet)
    return path


def _video_stream(output: av.container.OutputContainer, source: Source) -> Any:
    video = output.add_stream(source.encoder, rate=source.rate)
    video.width, video.height = source.size
    video.pix_fmt = source.pixel_format
    primaries, transfer, matrix, code_range = source.tags
    context = video.codec_context
    context.color_primaries, context.color_trc = primaries, transfer
    context.colorspace, context.color_range = matrix, code_range
    context.thread_count = 1
    options = dict(source.options)
    if source.encoder in ("libx264", "libx264rgb", "libx265"):
        options.setdefault("preset", "ultrafast")
        options.setdefault("crf", "20")
    if source.encoder.startswith("libvpx"):
        options.setdefault("deadline", "realtime")
        options.setdefault("cpu-used", "8")
    video.options = options
    if source.vfr:
        context.time_base = Fraction(1, 12800)
    if source.rotation:
        video.set_display_rotation(-source.rotation)
    if source.aspect:
        context.sample_aspect_ratio = source.aspect
    if source.timecode:
        video.metadata["timecode"] = source.timecode
    if source.field_order:
        context.field_order = source.field_order
    if source.quantiser is not None:
        context.qscale = True
        context.global_quality = source.quantiser * 118
    return video


def _encoded(video: Any, source: Source, number: int) -> list[av.Packet]:
    width, height = source.size
    frame = av.VideoFrame.from_ndarray(picture(number, width, height), format="rgb48le")
    code_range = "JPEG" if source.tags[3] == 2 or "j" in source.pixel_format else "MPEG"
    frame = frame.reformat(format=source.pixel_format, dst_color_range=code_range, threads=1)
    frame.color_primaries, frame.color_trc = source.tags[0], source.tags[1]
    frame.colorspace, frame.color_range = source.tags[2], source.tags[3]
    if source.field_order:
        frame = _interlaced(frame)
    if source.vfr:
        frame.pts, frame.time_base = number * 512 + (number % 3) * 100, Fraction(1, 12800)
    else:
        frame.pts, frame.time_base = number + source.start, 1 / source.rate
    return list(video.encode(frame))


def _interlaced(frame: av.VideoFrame) -> av.VideoFrame:
    graph = av.filter.Graph()
    entry = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    mark, out = graph.add("setfield", "tff"), graph.add("buffersink")
    entry.link_to(mark)
    mark.link_to(out)
    graph.configure()
    entry.push(frame)
    return out.pull()


def _sound(stream: Any, seconds: float, pitch: float) -> list[av.Packet]:
    count = int(48000 * seconds)
    wave = 0.3 * np.sin(2 * np.pi * pitch * np.arange(count) / 48000)
    samples = np.stack([wave, -wave])
    context = stream.codec_context
    context.open()
    step = context.frame_size or 1024
    packets = []
    resampler = av.AudioResampler(format=context.format, layout="stereo", rate=48000, frame_size=step)
    frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        packets.extend(stream.encode(piece))
    packets.extend(stream.encode(None))
    return packets


def _texts(stream: Any) -> list[av.Packet]:
    packets = []
    for number in range(3):
        packet = av.Packet(f"line {number}".encode())
        packet.stream = stream
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = number * 100
        packet.duration = 80
        packets.append(packet)
    return packets
