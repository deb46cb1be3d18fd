# SPDX-License-Identifier: Apache-2.0
"""What a clip is before and after a render that changes nothing, codec by codec.

    python tests/bench/roundtrip.py [CLIP...] [--keep FOLDER] [--json]

Makes a small source of every codec family (with sound, chapters, timecode, rotation, HDR tags and so on), writes it
back unchanged through ``ClipWriter`` and prints, per clip: the fields that ffprobe would show (read through PyAV)
where they differ, the largest difference of code values before encoding and, for lossless codecs, after decoding,
and whether every packet of the other streams is the same. Exits with 1 where something that must hold does not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "engine"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deblur_engine.media import ClipWriter, open_clip
from deblur_engine.media.pixels import planes_of
from media.clips import SOURCES, make

LOSSLESS = {"ffv1", "v210", "rawvideo", "utvideo", "huffyuv", "ffvhuff", "png", "qtrle", "magicyuv"}
# Facts about the file rather than the clip: allowed to change.
ALLOWED = {"format.encoder", "format.major_brand", "format.minor_version", "format.compatible_brands"}
ALLOWED |= {"format.material_package_umid"}


@dataclass
class Result:
    """What one round trip gave."""

    name: str
    codec: str
    pixel_format: str
    frames: tuple[int, int]
    before_encoding: int
    after_decoding: int | None
    packets: dict[str, bool]
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def good(self) -> bool:
        return (
            self.error is None
            and self.frames[0] == self.frames[1]
            and self.before_encoding <= 1
            and (self.after_decoding or 0) <= 1
            and all(self.packets.values())
        )


def fields_of(path: Path) -> dict[str, Any]:
    """The fields that ffprobe -show_format -show_streams -show_chapters would print, flat."""
    facts: dict[str, Any] = {}
    with open_clip(path) as clip:
        info = clip.info
        facts.update(
            codec=info.codec,
            profile=info.details["profile"],
            tag=info.details["tag"].strip("\0"),
            pix_fmt=info.pixel_format,
            size=f"{info.width}x{info.height}",
            sar=str(info.pixel_aspect),
            field_order=info.field_order,
            rotation=info.rotation,
            primaries=info.colour.primaries,
            transfer=info.colour.transfer,
            matrix=info.colour.matrix,
            full_range=info.colour.full_range,
            chroma_location=info.colour.chroma_location,
            time_base=info.details["time_base"],
            rate=str(info.fps),
            frames=len(clip),
            timecode=info.timecode,
            hdr=json.dumps(info.details["hdr"], sort_keys=True),
            chapters=json.dumps(info.details["chapters"]),
            times=[frame_time(clip, number) for number in range(len(clip))],
            alpha=info.has_alpha,
        )
    with av.open(str(path)) as container:
        for stream in container.streams:
            kind = stream.type
            context = stream.codec_context
            facts[f"{kind}.{stream.index}"] = context.name if context is not None and kind != "video" else kind
            if stream.metadata.get("language", "und") != "und":
                facts[f"{kind}.{stream.index}.language"] = stream.metadata["language"]
            facts[f"{kind}.{stream.index}.disposition"] = int(stream.disposition)
        for key, value in container.metadata.items():
            facts[f"format.{key}"] = value
    return facts


def frame_time(clip: Any, number: int) -> str:
    return str(Fraction(clip.index().times[number]) * clip.time_base)


def packets_of(path: Path) -> dict[str, list[tuple[bytes, float]]]:
    """Bytes and time of every packet that is not of the main video, by kind and order of its stream."""
    found: dict[int, list[tuple[bytes, float]]] = {}
    names: dict[int, str] = {}
    with av.open(str(path)) as container:
        counts: dict[str, int] = {}
        for stream in container.streams:
            attached = bool(stream.disposition & av.stream.Disposition.attached_pic)
            kind = "picture" if attached else stream.type
            chapter_track = stream.name == "bin_data" and bool(container.chapters())
            if kind == "data" and (chapter_track or "timecode" in stream.metadata):
                continue  # rebuilt by the muxer; compared as a field
            names[stream.index] = f"{kind} {counts.setdefault(kind, 0)}"
            counts[kind] += 1
        for packet in container.demux():
            if packet.size and packet.stream_index in names and not names[packet.stream_index].startswith("video"):
                stamp = packet.pts if packet.pts is not None else 0
                found.setdefault(packet.stream_index, []).append((bytes(packet), float(stamp * packet.time_base)))
    return {names[index]: packets for index, packets in found.items()}


def trip(name: str, source: Path, output: Path) -> Result:
    """One clip there and back."""
    worst = 0
    stored = []
    with open_clip(source) as clip, ClipWriter(clip, output, overwrite=True) as writer:
        codec, pixel_format = clip.info.codec, clip.info.pixel_format
        written = writer.codec
        lossless = codec in LOSSLESS and written == codec
        for frame in clip.frames():
            rgb = frame.rgb.copy()
            sent = writer._sink._picture(frame, rgb)  # what the encoder is about to get
            if sent.format.name == frame.native.format.name:
                for mine, theirs in zip(planes_of(sent), planes_of(frame.native), strict=True):
                    worst = max(worst, int(np.abs(mine.astype(np.int64) - theirs.astype(np.int64)).max()))
            if lossless:
                stored.append([plane.copy() for plane in planes_of(frame.native)])
            writer.write(frame, rgb)
        count = len(clip)
    notes = list(writer.notes)
    after = None
    with open_clip(output) as clip:
        got = 0
        for number, frame in enumerate(clip.frames()):
            got += 1
            if lossless:
                for mine, theirs in zip(planes_of(frame.native), stored[number], strict=True):
                    after = max(after or 0, int(np.abs(mine.astype(np.int64) - theirs.astype(np.int64)).max()))
    old_packets, new_packets = packets_of(source), packets_of(output)
    same = {}
    for kind, packets in old_packets.items():
        if kind not in new_packets:
            if not kind.startswith("data") or not any("not carried" in note for note in notes):
                same[kind] = False
            continue
        others = new_packets[kind]
        tick = 0.0011 if output.suffix in (".mkv", ".webm") else 0.0001
        same[kind] = [data for data, _ in packets] == [data for data, _ in others] and all(
            abs(a[1] - b[1]) <= tick for a, b in zip(packets, others, strict=True)
        )
    before, now = fields_of(source), fields_of(output)
    changed = {
        key: (before.get(key), now.get(key))
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and key not in ALLOWED
    }
    return Result(name, codec, pixel_format, (count, got), worst, after, same, changed, notes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, help="further clips to send there and back")
    parser.add_argument("--only", help="only the made sources whose name contains this")
    parser.add_argument("--keep", type=Path, help="keep the files in this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [(s.name, None, s) for s in SOURCES if not options.only or options.only in s.name]
        jobs += [(clip.name, clip, None) for clip in options.clips]
        for name, path, source in jobs:
            try:
                if path is None:
                    path = make(source, folder)
                result = trip(name, path, folder / f"{path.stem}_out{path.suffix}")
            except Exception as error:  # a row of the table, not the end of it
                result = Result(name, "?", "?", (0, 0), 0, None, {}, error=f"{type(error).__name__}: {error}")
            results.append(result)
            print(json.dumps(asdict(result)) if options.json else row(result), flush=True)
    bad = [result.name for result in results if not result.good]
    if not options.json:
        print(f"\n{len(results) - len(bad)} of {len(results)} as they must be", *(["; not:", *bad] if bad else []))
    return 1 if bad else 0


def row(result: Result) -> str:
    if result.error:
        return f"{result.name:28} FAILED {result.error}"
    packets = ", ".join(f"{kind} {'same' if same else 'DIFFERENT'}" for kind, same in result.packets.items()) or "-"
    after = "-" if result.after_decoding is None else str(result.after_decoding)
    lines = [
        f"{result.name:28} {result.codec:10} {result.pixel_format:13} frames {result.frames[0]}->{result.frames[1]}  "
        f"codes off before encoding {result.before_encoding}, after {after}  packets: {packets}"
    ]
    for key, (old, new) in result.changed.items():
        lines.append(f"{'':30}{key}: {_short(old)} -> {_short(new)}")
    lines.extend(f"{'':30}note: {note}" for note in result.notes)
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 90 else text[:87] + "..."


if __name__ == "__main__":
    sys.exit(main())
