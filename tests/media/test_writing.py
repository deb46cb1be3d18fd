# SPDX-License-Identifier: Apache-2.0
"""A clip that is written back stays what it was; what cannot be written leaves nothing behind."""

from __future__ import annotations

import errno
import os
import resource
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from bench.roundtrip import fields_of, packets_of, trip
from deblur_engine.errors import BadInput, OutputError, UsageError
from deblur_engine.media import ClipInfo, ClipWriter, ColourTags, open_clip
from deblur_engine.media.atoms import MovFacts
from deblur_engine.media.describe import VideoFacts
from deblur_engine.media.encoders import choose_encoding
from deblur_engine.media.hdr import HdrMetadata
from deblur_engine.media.pixels import planes_of
from deblur_engine.settings import FrameRange
from media.clips import BT709, HDR10, PQ, SOURCES, Source, make

# The slow or large ones are left to the round-trip table.
QUICK = [s for s in SOURCES if s.name not in ("dnxhd-1080", "dv", "av1-10bit", "hevc-hlg-hdr10", "vp9-10bit-mp4")]
MAY_CHANGE = {"profile", "rate"}  # H.264's profile follows the encoder; an average rate its last frame's length


def write_back(path: Path, output: Path, **options: Any) -> list[str]:
    with open_clip(path) as clip, ClipWriter(clip, output, **options) as writer:
        for frame in clip.frames():
            if options.get("frames") is None or frame.index in options["frames"]:
                writer.write(frame, frame.rgb)
    return writer.notes


@pytest.mark.parametrize("source", QUICK, ids=lambda source: source.name)
def test_there_and_back(source: Source, tmp_path: Path) -> None:
    path = make(source, tmp_path)
    result = trip(source.name, path, tmp_path / f"out{source.suffix}")
    assert result.frames == (source.frames, source.frames)
    assert result.before_encoding == 0
    assert result.after_decoding in (None, 0)
    assert all(result.packets.values()), result.packets
    assert len(result.packets) == len(source.audio) + source.subtitles
    assert not {key for key in result.changed if key not in MAY_CHANGE}, result.changed
    assert not list(tmp_path.glob("*.partial"))


def test_what_the_table_compares_is_really_there(tmp_path: Path) -> None:
    """The fields that a round trip keeps are no empty ones."""
    source = Source(
        "full", ".mov", "libx265", "yuv420p10le", tags=PQ, options={"x265-params": HDR10}, rotation=90,
        timecode="01:02:03:04", chapters=True, audio=("aac", "aac"), aspect=Fraction(4, 3), start=3,
        metadata={"title": "A clip", "com.apple.quicktime.make": "Camera"},
    )  # fmt: skip
    path = make(source, tmp_path)
    write_back(path, tmp_path / "out.mov")
    facts = fields_of(tmp_path / "out.mov")
    assert facts["rotation"] == 90 and facts["sar"] == "4/3" and facts["timecode"] == "01:02:03:04"
    assert (facts["primaries"], facts["transfer"], facts["matrix"], facts["full_range"]) == (9, 16, 9, False)
    assert '"max_cll": 1000' in facts["hdr"] and '"title": "two"' in facts["chapters"]
    assert facts["times"][0] == "3/25" and facts["tag"] in ("hvc1", "hev1")
    assert facts["format.title"] == "A clip" and facts["format.com.apple.quicktime.make"] == "Camera"
    assert [key for key in facts if key.startswith("audio")] and len(packets_of(path)["audio 1"]) > 10


def _with_boxes(data: bytes, boxes: bytes) -> bytes:
    """A MOV file (index at its end) with boxes added to the end of its first sample entry."""
    path = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"]
    begin, end, parents = 0, len(data), []
    for name in path:
        while data[begin + 4 : begin + 8] != name:
            begin += struct.unpack_from(">I", data, begin)[0]
        parents.append(begin)
        end = begin + struct.unpack_from(">I", data, begin)[0]
        begin += 8
    entry = begin + 8
    parents.append(entry)
    end = entry + struct.unpack_from(">I", data, entry)[0]
    changed = bytearray(data[:end] + boxes + data[end:])
    for parent in parents:
        struct.pack_into(">I", changed, parent, struct.unpack_from(">I", data, parent)[0] + len(boxes))
    return bytes(changed)


def test_container_level_hdr_is_carried(tmp_path: Path) -> None:
    """ProRes has no place for it in its own bitstream: only the container knows."""
    path = make(Source("p", ".mov", "prores_ks", "yuv422p10le", tags=PQ), tmp_path)
    display = struct.pack(">8H2I", 13250, 34500, 7500, 3000, 34000, 16000, 15635, 16450, 10_000_000, 50)
    boxes = struct.pack(">I4s", 32, b"mdcv") + display + struct.pack(">I4sHH", 12, b"clli", 1000, 400)
    path.write_bytes(_with_boxes(path.read_bytes(), boxes))
    output = tmp_path / "out.mov"
    notes = write_back(path, output)
    assert not notes
    with open_clip(path) as before, open_clip(output) as after:
        assert before.info.details["hdr"]["max_cll"] == 1000
        assert after.info.details["hdr"] == before.info.details["hdr"]
    notes = write_back(path, tmp_path / "other.mkv", codec="ffv1")
    assert any("HDR metadata" in note and "not carried" in note for note in notes)


def test_a_changed_pixel_changes_and_nothing_else_does(tmp_path: Path) -> None:
    path = make(Source("f", ".mkv", "ffv1", tags=BT709), tmp_path)
    output = tmp_path / "out.mkv"
    with open_clip(path) as clip, ClipWriter(clip, output) as writer:
        for frame in clip.frames():
            rgb = frame.rgb.copy()
            if frame.index == 5:
                rgb[20:24, 30:34] += 0.1
            writer.write(frame, rgb)
    with open_clip(path) as before, open_clip(output) as after:
        for old, new in zip(before.frames(), after.frames(), strict=True):
            moved = planes_of(new.native)[0].astype(int) - planes_of(old.native)[0]
            if old.index != 5:
                assert not moved.any()
                continue
            assert (moved[20:24, 30:34] == round(0.1 * 219)).all()
            moved[20:24, 30:34] = 0
            assert not moved.any()
            assert not (planes_of(new.native)[1].astype(int) - planes_of(old.native)[1]).any()  # gray was added


def test_another_codec_on_request(tmp_path: Path) -> None:
    path = make(Source("s", ".mov", "prores_ks", "yuv422p10le", tags=BT709, rotation=180, audio=("aac",)), tmp_path)
    for codec, pixel_format in (("h264", "yuv422p10le"), ("hevc", "yuv422p10le"), ("dnxhr", "yuv422p10le")):
        output = tmp_path / f"{codec}.mov"
        if codec == "dnxhr":
            with pytest.raises(BadInput, match="cannot be encoded as dnxhd"):
                write_back(path, output, codec=codec)  # DNxHR begins at 256 x 120
            assert not output.exists()
            continue
        write_back(path, output, codec=codec)
        with open_clip(output) as clip:
            assert (clip.info.pixel_format, clip.info.rotation, len(clip)) == (pixel_format, 180, 12)
            assert clip.info.colour.matrix == 1
    with pytest.raises(UsageError, match="unknown"):
        write_back(path, tmp_path / "x.mov", codec="betamax")


def test_rgb_to_a_ycbcr_codec_states_its_matrix(tmp_path: Path) -> None:
    path = make(Source("s", ".mkv", "ffv1", "gbrp16le"), tmp_path)
    output = tmp_path / "out.mov"
    notes = write_back(path, output, codec="prores")
    assert any("written as YUV" in note for note in notes)
    with open_clip(path) as before, open_clip(output) as after:
        assert (after.info.colour.matrix, after.info.details["profile"]) == (1, "4444")
        old, new = before.read([4])[4], after.read([4])[4]
        assert np.abs(old.rgb - new.rgb).mean() < 0.01


def test_a_codec_that_the_container_cannot_hold(tmp_path: Path) -> None:
    path = make(Source("s", ".mp4", "libx264"), tmp_path)
    with pytest.raises(OutputError, match="webm file cannot hold h264"):
        write_back(path, tmp_path / "out.webm")
    with pytest.raises(OutputError, match="no container"):
        write_back(path, tmp_path / "out.xyz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.mp4"]


def test_cover_art_and_attachments(tmp_path: Path) -> None:
    plain = make(Source("s", ".mp4", "libx264", audio=("aac",)), tmp_path)
    cover = tmp_path / "cover.mp4"
    picture = av.VideoFrame(32, 32, "yuvj420p")
    for plane in picture.planes:
        plane.update(bytes(plane.buffer_size))
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 32, 32, "yuvj420p", Fraction(1, 25)
    jpeg = bytes(encoder.encode(picture)[0])
    with av.open(str(plain)) as source, av.open(str(cover), "w") as output:
        targets = {s.index: output.add_stream_from_template(s, opaque=True) for s in source.streams}
        art = output.add_mux_stream("mjpeg", width=32, height=32, time_base=Fraction(1, 90000))
        art.disposition = av.stream.Disposition.attached_pic
        packet = av.Packet(jpeg)
        packet.stream, packet.time_base, packet.pts, packet.dts, packet.is_keyframe = (
            art,
            Fraction(1, 90000),
            0,
            0,
            True,
        )
        output.start_encoding()
        output.mux(packet)
        for packet in source.demux():
            if packet.size:
                packet.stream = targets[packet.stream_index]
                output.mux(packet)
    result = trip("cover", cover, tmp_path / "out.mp4")
    assert result.packets == {"audio 0": True, "picture 0": True} and not result.notes
    font = tmp_path / "font.mkv"
    with av.open(str(make(Source("m", ".mkv", "libx264"), tmp_path))) as source, av.open(str(font), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        output.add_attachment("a.ttf", "font/ttf", b"not really a font")
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    write_back(font, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        attached = [s for s in container.streams if s.type == "attachment"]
        assert [(s.name, s.data) for s in attached] == [("a.ttf", b"not really a font")]


def test_cover_art_in_matroska(tmp_path: Path) -> None:
    plain = make(Source("m", ".mkv", "libx264"), tmp_path)
    png = av.CodecContext.create("png", "w")
    png.width, png.height, png.pix_fmt, png.time_base = 16, 16, "rgb24", Fraction(1, 25)
    cover = bytes(png.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8)))[0])
    path = tmp_path / "cover.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        output.add_attachment("cover.png", "image/png", cover)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    assert not write_back(path, tmp_path / "out.mkv")
    assert packets_of(tmp_path / "out.mkv") == packets_of(path)
    assert packets_of(path)["picture 0"][0][0] == cover


def test_depth_goes_before_codec() -> None:
    """This FFmpeg's VP9 encoder holds 8 bits only: a 10-bit clip becomes AV1 or HEVC rather than lose two of them."""
    facts = VideoFacts("webm", Fraction(1, 1000), 0, 0, HdrMetadata(), None, MovFacts({}, False), False, 0)
    info = ClipInfo(Path("c.webm"), 64, 64, 9, Fraction(25), 1.0, "vp9", "yuv420p10le", 10, ColourTags())
    chosen = choose_encoding(info, facts, None, ".webm")
    assert (chosen.codec, chosen.pixel_format) == ("av1", "yuv420p10le") and "the result is av1" in chosen.notes[0]
    chosen = choose_encoding(replace(info, pixel_format="yuv444p12le", bit_depth=12), facts, None, ".mkv")
    assert (chosen.codec, chosen.pixel_format) == ("hevc", "yuv444p12le")
    chosen = choose_encoding(replace(info, pixel_format="yuv420p", bit_depth=8), facts, None, ".webm")
    assert (chosen.codec, chosen.notes) == ("vp9", ())
    chosen = choose_encoding(replace(info, codec="theora", pixel_format="yuv422p"), facts, None, ".mkv")
    assert (chosen.codec, chosen.pixel_format) == ("h264", "yuv422p") and "theora cannot be encoded" in chosen.notes[0]


def test_a_range_cuts_sound_chapters_and_timecode(tmp_path: Path) -> None:
    source = Source(
        "long", ".mov", "libx264", frames=100, audio=("pcm_s16le",), chapters=True, timecode="01:00:00:00", start=0
    )
    path = make(source, tmp_path)
    output = tmp_path / "part.mov"
    write_back(path, output, frames=FrameRange(60, 79))
    with open_clip(path) as whole, open_clip(output) as part:
        assert len(part) == 20 and part.info.timecode == "01:00:02:10"
        assert [c["title"] for c in part.info.details["chapters"]] == ["two"]
        assert part.info.details["chapters"][0]["end"] == pytest.approx(0.8)
        times = [frame.time for frame in part.frames()]
        np.testing.assert_allclose(times, np.arange(20) / 25)
        error = np.abs(whole.read([65])[65].rgb - part.read([5])[5].rgb).mean()
        assert error < 0.02
    (before,), (after,) = packets_of(path).values(), packets_of(output).values()
    kept = [(data, time - 2.4) for data, time in before if 2.4 <= time < 3.2]
    assert [data for data, _ in after] == [data for data, _ in kept] and len(kept) > 5
    np.testing.assert_allclose([time for _, time in after], [time for _, time in kept], atol=1e-4)


def test_a_stepped_range_keeps_its_times(tmp_path: Path) -> None:
    path = make(Source("s", ".mp4", "libx264", frames=20), tmp_path)
    write_back(path, tmp_path / "out.mp4", frames=FrameRange(4, 12, 4))
    with open_clip(tmp_path / "out.mp4") as clip:
        np.testing.assert_allclose([frame.time for frame in clip.frames()], [0, 4 / 25, 8 / 25])


def test_interlaced_flags_and_captions_travel_with_the_frames(tmp_path: Path) -> None:
    source = next(s for s in SOURCES if s.name == "h264-interlaced")
    path = make(source, tmp_path)
    with open_clip(path) as clip, ClipWriter(clip, tmp_path / "out.mov") as writer:
        assert clip.info.field_order == "tt" and any("interlaced" in note for note in clip.notes)
        for frame in clip.frames():
            assert frame.native.interlaced_frame
            writer.write(frame, frame.rgb + np.float32(0.01))
    with open_clip(tmp_path / "out.mov") as clip:
        assert clip.info.field_order == "tt" and next(clip.frames()).native.interlaced_frame


# -- what cannot be written ---------------------------------------------------------------------------------------


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = make(Source("s", ".mp4", "libx264"), tmp_path)
    output = tmp_path / "out.mp4"
    output.write_text("precious")
    with pytest.raises(OutputError, match="exists already"):
        write_back(path, output)
    assert output.read_text() == "precious" and not list(tmp_path.glob("*.partial"))
    write_back(path, output, overwrite=True)
    with open_clip(output) as clip:
        assert len(clip) == 12


def test_the_source_is_never_the_output(tmp_path: Path) -> None:
    path = make(Source("s", ".mp4", "libx264"), tmp_path)
    before = path.read_bytes()
    link = tmp_path / "link.mp4"
    link.symlink_to(path)
    for output in (path, link):
        with pytest.raises(OutputError, match="source itself"):
            write_back(path, output, overwrite=True)
    assert path.read_bytes() == before


def test_missing_and_read_only_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(Source("s", ".mp4", "libx264"), tmp_path)
    with pytest.raises(OutputError, match="does not exist"):
        write_back(path, tmp_path / "no" / "out.mp4")
    if os.geteuid() != 0:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o555)
        output = locked / "out.mp4"
    else:  # nothing is read-only to root except what the kernel itself keeps so
        output = Path("/proc/out.mp4")
    with pytest.raises(OutputError) as caught:
        write_back(path, output)
    assert caught.value.errno in (errno.EACCES, errno.EROFS, errno.ENOENT)
    assert str(output) in str(caught.value)


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    """The kernel's own refusal to let a file grow, met in the middle of writing."""
    path = make(Source("s", ".mkv", "ffv1", size=(320, 240), frames=40), tmp_path)
    output = tmp_path / "out.mkv"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, old[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written") as caught:
            write_back(path, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert caught.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.mkv"]


def test_no_space_left_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is always full, in the place of the partial file."""
    path = make(Source("s", ".mkv", "ffv1", size=(320, 240), frames=40), tmp_path)
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    real_open = av.open

    def to_full_disk(name: Any, *rest: Any, **options: Any) -> Any:
        return real_open(str(full) if str(name).endswith(".partial") else name, *rest, **options)

    monkeypatch.setattr(av, "open", to_full_disk)
    with pytest.raises(OutputError, match="the disk is full") as caught:
        write_back(path, tmp_path / "out.mkv")
    assert caught.value.errno == errno.ENOSPC
    assert not (tmp_path / "out.mkv").exists() and not list(tmp_path.glob("*.partial"))


def test_an_error_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    path = make(Source("s", ".mp4", "libx264", audio=("aac",)), tmp_path)
    output = tmp_path / "out.mp4"
    for stop in (0, 1, 7):
        with pytest.raises(KeyboardInterrupt), open_clip(path) as clip, ClipWriter(clip, output) as writer:
            for frame in clip.frames():
                if frame.index == stop:
                    raise KeyboardInterrupt
                writer.write(frame, frame.rgb)
    with open_clip(path) as clip, pytest.raises(OutputError, match="no frames"), ClipWriter(clip, output):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.mp4"]


def test_wrong_calls(tmp_path: Path) -> None:
    path = make(Source("s", ".mp4", "libx264"), tmp_path)
    with open_clip(path) as clip, ClipWriter(clip, tmp_path / "out.mp4") as writer:
        frames = list(clip.frames(0, 3))
        with pytest.raises(ValueError, match="rgb is"):
            writer.write(frames[0], frames[0].rgb[:-1])
        writer.write(frames[1], frames[1].rgb)
        with pytest.raises(ValueError, match="written after frame 1"):
            writer.write(frames[0], frames[0].rgb)
    with pytest.raises(ValueError, match="closed"):
        writer.write(frames[2], frames[2].rgb)


def test_not_a_number_is_not_written(tmp_path: Path) -> None:
    path = make(Source("s", ".mkv", "ffv1"), tmp_path)
    with open_clip(path) as clip, ClipWriter(clip, tmp_path / "out.mkv") as writer:
        for frame in clip.frames():
            rgb = frame.rgb.copy()
            rgb[3, 3] = np.nan
            writer.write(frame, rgb)
    with open_clip(path) as before, open_clip(tmp_path / "out.mkv") as after:
        old, new = before.read([0])[0], after.read([0])[0]
        np.testing.assert_array_equal(
            np.delete(old.rgb[3], [1, 2, 3, 4], 0)[8:], np.delete(new.rgb[3], [1, 2, 3, 4], 0)[8:]
        )
