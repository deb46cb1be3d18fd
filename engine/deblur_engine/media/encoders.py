# SPDX-License-Identifier: Apache-2.0
"""Which encoder, pixel format and settings write a clip of a given kind; high quality, made for editing on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import av
import av.error

from ..errors import BadInput, UsageError
from .describe import VideoFacts
from .pixels import Layout, layout_of, planar_format
from .types import ClipInfo

# SVT-AV1 writes its settings to stderr unless told not to, and only listens to the environment.
os.environ.setdefault("SVT_LOG", "1")

__all__ = ["CODECS", "Encoding", "choose_encoding"]

_PRORES_PROFILES = {"proxy": 0, "lt": 1, "standard": 2, "hq": 3, "4444": 4, "xq": 5, "4444 xq": 5}
_DNXHR = {"dnxhr lb": "dnxhr_lb", "dnxhr sq": "dnxhr_sq", "dnxhr hq": "dnxhr_hq", "dnxhr hqx": "dnxhr_hqx"}


@dataclass(frozen=True)
class Encoding:
    """How the pictures are coded. ``quantiser`` is a fixed scale for encoders that have no better quality setting."""

    encoder: str
    codec: str
    pixel_format: str
    options: dict[str, str] = field(default_factory=dict)
    quantiser: int | None = None
    notes: tuple[str, ...] = ()


# FFmpeg's codec name -> encoder, settings. Codecs that are not here have no encoder, or none worth using.
CODECS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "medium", "crf": "10"}),
    "hevc": ("libx265", {"preset": "medium", "crf": "11"}),
    "prores": ("prores_ks", {"vendor": "apl0"}),
    "dnxhd": ("dnxhd", {}),
    "ffv1": ("ffv1", {"level": "3", "slicecrc": "1", "slices": "4", "g": "1"}),
    "vp9": ("libvpx-vp9", {"crf": "14", "b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "1"}),
    "vp8": ("libvpx", {"crf": "5", "b": "40M", "deadline": "good", "cpu-used": "3", "auto-alt-ref": "0"}),
    "av1": ("libsvtav1", {"crf": "16", "preset": "7"}),
    "mpeg4": ("mpeg4", {}),
    "mpeg2video": ("mpeg2video", {}),
    "mpeg1video": ("mpeg1video", {}),
    "mjpeg": ("mjpeg", {}),
    "dvvideo": ("dvvideo", {}),
    "cfhd": ("cfhd", {"quality": "film2"}),
    "jpeg2000": ("jpeg2000", {"format": "jp2"}),
    "png": ("png", {}),
    "qtrle": ("qtrle", {}),
    "v210": ("v210", {}),
    "rawvideo": ("rawvideo", {}),
    "utvideo": ("utvideo", {}),
    "huffyuv": ("huffyuv", {}),
    "ffvhuff": ("ffvhuff", {}),
    "magicyuv": ("magicyuv", {}),
}
_QUANTISED = {"mpeg4", "mpeg2video", "mpeg1video", "mjpeg"}
_ALIASES = {"h265": "hevc", "avc": "h264", "x264": "h264", "x265": "hevc", "dnxhr": "dnxhd"}
_FALLBACK = "h264"
_SHALLOW = {"vp9", "av1"}  # whose encoders may lack depths and chroma formats that the codec has
_DNXHD_RATES = (
    36, 42, 45, 60, 63, 75, 80, 84, 85, 90, 100, 110, 115, 116, 120, 121, 145, 146, 165, 175, 180, 185, 220, 350, 365,
    390, 440, 730, 880,
)  # fmt: skip


def choose_encoding(info: ClipInfo, facts: VideoFacts, asked: str | None, suffix: str = "") -> Encoding:
    """The source's own codec family, or the one that was asked for; raises ``UsageError`` for an unknown name.

    ``suffix`` is the output's: it matters where the source's codec has no encoder here that keeps its depth.
    """
    notes: list[str] = []
    codec = info.codec
    if asked is not None:
        codec = _ALIASES.get(asked.lower(), asked.lower())
        codec = next((name for name, (encoder, _) in CODECS.items() if encoder == codec), codec)
        if codec not in CODECS:
            raise UsageError(f"codec {asked!r} is unknown", hint="one of " + ", ".join(sorted(CODECS)))
    elif codec not in CODECS:
        codec = _FALLBACK
        notes.append(f"{info.codec} cannot be encoded; the result is {codec}")
    source = layout_of(planar_format(info.pixel_format))
    if asked is None and codec in _SHALLOW:
        kept = _without_loss(codec, info.pixel_format, source, suffix)
        if kept != codec:
            notes.append(f"{codec} cannot be encoded at {source.bits} bits with this chroma; the result is {kept}")
            codec = kept
    encoder, options = CODECS[codec]
    options = dict(options)
    if codec == "h264" and source.family == "rgb":
        encoder = "libx264rgb"
    pixel_format = _nearest_format(encoder, info.pixel_format, source)
    if codec == "prores":
        options.update(_prores(info, source, codec == info.codec))
    elif codec == "dnxhd":
        pixel_format, more = _dnxhd(info, source, codec == info.codec)
        options.update(more)
    target = layout_of(planar_format(pixel_format))
    notes.extend(_losses(source, target, codec))
    options.update(_hdr_options(encoder, facts, codec == info.codec, notes))
    if info.field_order in ("tt", "bb", "tb", "bt"):
        options.update(_interlaced(encoder, info.field_order, notes))
    return Encoding(encoder, codec, pixel_format, options, 2 if codec in _QUANTISED else None, tuple(notes))


def _without_loss(codec: str, name: str, source: Layout, suffix: str) -> str:
    """The codec itself or, where its encoder cannot hold the source's depth or chroma, a close one that can."""
    for candidate in (codec, "av1") if suffix == ".webm" else (codec, "av1", "hevc"):
        layout = layout_of(planar_format(_nearest_format(CODECS[candidate][0], name, source)))
        if layout.bits >= source.bits and layout.factor_x * layout.factor_y <= source.factor_x * source.factor_y:
            return candidate
    return codec


def _nearest_format(encoder: str, name: str, source: Layout) -> str:
    """The encoder's pixel format that loses least; the very same if it has it."""
    formats = [entry.name for entry in av.Codec(encoder, "w").video_formats or []]
    if not formats or name in formats:
        return name
    if source.name in formats:
        return source.name

    def loss(candidate: str) -> tuple[int, ...]:
        try:
            layout = layout_of(planar_format(candidate))
        except BadInput:
            return (9,)
        return (
            int(layout.family != source.family) * (2 if layout.family == "gray" else 1),
            int(source.alpha and not layout.alpha),
            max(0, source.bits - layout.bits),
            max(0, layout.factor_x * layout.factor_y - source.factor_x * source.factor_y),
            layout.bits - source.bits,
            abs(layout.factor_x - source.factor_x) + abs(layout.factor_y - source.factor_y),
            int(layout.alpha),
            int(candidate in ("pal8", "monob", "nv12", "nv16", "nv21")),
        )

    return min(formats, key=loss)


def _losses(source: Layout, target: Layout, codec: str) -> list[str]:
    notes = []
    if target.bits < source.bits:
        notes.append(f"{codec} is written at {target.bits} bits; the source has {source.bits}")
    if source.alpha and not target.alpha:
        notes.append(f"{codec} holds no alpha channel; the source's is dropped")
    if target.family != source.family and source.family != "gray":
        notes.append(f"{codec} is written as {target.family.upper()}; the source is {source.family.upper()}")
    elif target.factor_x * target.factor_y > source.factor_x * source.factor_y:
        notes.append(f"{codec} is written with coarser chroma than the source's")
    return notes


def _prores(info: ClipInfo, source: Layout, same: bool) -> dict[str, str]:
    profile = _PRORES_PROFILES.get(str(info.details.get("profile") or "").lower()) if same else None
    if profile is None:
        rich = source.family == "rgb" or source.alpha or source.factor_x == 1
        profile = 4 if rich else 3
    return {"profile": str(profile), "alpha_bits": "16" if source.alpha and profile >= 4 else "0"}


def _dnxhd(info: ClipInfo, source: Layout, same: bool) -> tuple[str, dict[str, str]]:
    profile = str(info.details.get("profile") or "").lower()
    if same and profile in _DNXHR:
        return ("yuv422p10le" if profile.endswith("hqx") else "yuv422p"), {"profile": _DNXHR[profile]}
    if source.family == "rgb" or (source.family == "yuv" and source.factor_x == 1):
        return ("gbrp10le" if source.family == "rgb" else "yuv444p10le"), {"profile": "dnxhr_444"}
    if same and profile == "dnxhd" and info.duration:
        pixel_format = "yuv422p10le" if source.bits > 8 else "yuv422p"
        if rate := _dnxhd_rate(info, pixel_format):
            return pixel_format, {"profile": "dnxhd", "b": f"{rate}M"}
    return ("yuv422p10le", {"profile": "dnxhr_hqx"}) if source.bits > 8 else ("yuv422p", {"profile": "dnxhr_hq"})


def _dnxhd_rate(info: ClipInfo, pixel_format: str) -> int | None:
    """The nominal rate in Mbit/s nearest to the source's that the encoder takes for this size and frame rate.

    DNxHD proper comes in fixed rates for a few rasters; the rate measured in a file lies a little beside them.
    """
    measured = float(info.details.get("bit_rate") or 0) / 1e6
    for rate in sorted(_DNXHD_RATES, key=lambda rate: abs(rate - measured))[:8]:
        context = av.CodecContext.create("dnxhd", "w")
        context.width, context.height, context.pix_fmt = info.width, info.height, pixel_format
        context.framerate, context.time_base = info.fps, 1 / info.fps
        context.options = {"profile": "dnxhd", "b": f"{rate}M"}
        if info.field_order in ("tt", "bb", "tb", "bt"):
            context.options["flags"] = "+ildct"
        try:
            context.open()
        except (av.error.FFmpegError, ValueError):
            continue
        return rate
    return None


def _hdr_options(encoder: str, facts: VideoFacts, same: bool, notes: list[str]) -> dict[str, str]:
    hdr = facts.hdr
    quiet = {"libx265": {"x265-params": "log-level=error"}}.get(encoder, {})
    if not hdr:
        return quiet
    levels = f"{hdr.light_level[0]},{hdr.light_level[1]}" if hdr.light_level else None
    if encoder == "libx265":
        parts = ["log-level=error"]
        if display := hdr.master_display():
            parts.append(f"master-display={display}")
        if levels:
            parts.append(f"max-cll={levels}")
        return {"x265-params": ":".join(parts)}
    if encoder == "libx264":
        parts = []
        if display := hdr.master_display():
            parts.append(f"mastering-display={display}")
        if levels:
            parts.append(f"cll={levels}")
        return {"x264-params": ":".join(parts)}
    if encoder == "libsvtav1":
        parts = []
        if display := hdr.master_display_decimal():
            parts.append(f"mastering-display={display}")
        if levels:
            parts.append(f"content-light={levels}")
        return {"svtav1-params": ":".join(parts)}
    if not same:
        # The same codec inherits what its container says; another starts without.
        notes.append(f"HDR metadata (mastering display, light level) is not carried: {encoder} has no way to write it")
    return quiet


def _interlaced(encoder: str, order: str, notes: list[str]) -> dict[str, str]:
    if encoder in ("libx264", "prores_ks", "mpeg2video", "mpeg4", "dnxhd"):
        return {"flags": "+ildct+ilme"}
    if encoder in ("libx265", "libvpx", "libvpx-vp9", "libsvtav1"):
        notes.append(f"the source is interlaced ({order}); {encoder} codes its pictures as whole frames")
    return {}
