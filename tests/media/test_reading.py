# SPDX-License-Identifier: Apache-2.0
"""Random access gives exactly the frames that sequential decoding gives; bad files are said to be bad."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from deblur_engine.errors import BadInput
from deblur_engine.media import Clip, fingerprint, open_clip
from deblur_engine.settings import FrameRange
from media.clips import BT709, HDR10, PQ, Source, make, picture

GOP = {"bf": "3", "g": "8", "x264-params": "open-gop=1:b-pyramid=normal:scenecut=0", "preset": "veryfast"}
READING = [
    Source("open-gop", ".mp4", "libx264", frames=40, options=GOP, audio=("aac",)),
    Source("open-gop-ts", ".ts", "libx264", frames=40, options=GOP),
    Source("open-gop-mkv", ".mkv", "libx264", frames=40, options=GOP, vfr=True),
    Source("avi-bframes", ".avi", "mpeg4", frames=24, options={"bf": "2"}, quantiser=3),
    Source("hevc", ".mp4", "libx265", frames=24, options={"x265-params": "log-level=error:keyint=8:bframes=3"}),
    Source("intra-refresh", ".mp4", "libx264", frames=40, options={"x264-params": "intra-refresh=1", "g": "10"}),
    Source("prores", ".mov", "prores_ks", "yuv422p10le", frames=10),
    Source("vp8", ".webm", "libvpx", frames=20, options={"b": "500k", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    Source("mpeg2", ".ts", "mpeg2video", frames=30, options={"bf": "2", "g": "9"}, quantiser=4),
]


def sums(clip: Clip) -> list[float]:
    return [float(frame.rgb.astype(np.float64).sum()) for frame in clip.frames()]


@pytest.mark.parametrize("source", READING, ids=lambda source: source.name)
def test_random_access_is_exact(source: Source, tmp_path: Path) -> None:
    path = make(source, tmp_path)
    with open_clip(path) as clip:
        frames = {frame.index: frame for frame in clip.frames()}
        assert sorted(frames) == list(range(source.frames)) == list(range(len(clip)))
        times = [frame.time for frame in frames.values()]
        assert times[0] == 0 and times == sorted(set(times))
        for wanted in ([source.frames - 1], [7, 8, 9], [0], [source.frames // 2, 3, source.frames - 2], [5]):
            got = clip.read(wanted)
            assert sorted(got) == sorted(wanted)
            for number, frame in got.items():
                assert (frame.index, frame.pts) == (number, frames[number].pts)
                np.testing.assert_array_equal(frame.rgb, frames[number].rgb)
        part = list(clip.frames(6, 10))
        assert [frame.index for frame in part] == [6, 7, 8, 9]
        np.testing.assert_array_equal(part[0].rgb, frames[6].rgb)
        assert not any("truncated" in note or "damaged" in note for note in clip.notes)
        with pytest.raises(BadInput, match="has no frame"):
            clip.read([source.frames])


def test_edit_list_hides_frames(tmp_path: Path) -> None:
    """Packets before time zero: the muxer writes an edit list, players start later, and so do we."""
    whole = make(Source("whole", ".mp4", "libx264", frames=30, options={"bf": "2", "g": "10"}), tmp_path)
    cut = tmp_path / "cut.mp4"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                shift = round(4 / 25 / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                output.mux(packet)
    with open_clip(whole) as a, open_clip(cut) as b:
        everything, shown = sums(a), sums(b)
        assert len(b) == len(shown) == 26 and shown == everything[4:]
        assert float(b.read([3])[3].rgb.astype(np.float64).sum()) == shown[3]
        assert b.notes == a.notes or all("untagged" in note for note in b.notes)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("name", ["hevc", "open-gop"])
def test_a_clip_cut_inside_an_open_gop(name: str, suffix: str, tmp_path: Path) -> None:
    """Its first pictures refer to ones that were cut away: numbers count what can be decoded."""
    whole = make(next(source for source in READING if source.name == name), tmp_path)
    cut = tmp_path / f"cut{suffix}"
    with av.open(str(whole)) as source, av.open(str(cut), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        keys = 0
        for packet in source.demux(source.streams.video[0]):
            keys += packet.is_keyframe
            if packet.size and keys >= 2:
                packet.stream = stream
                output.mux(packet)
        assert keys >= 3
    with open_clip(cut) as fresh, open_clip(cut) as played:
        count = len(fresh)
        random = {n: f.rgb for n, f in fresh.read([0, 1, 9, count - 1]).items()}
        frames = list(played.frames())
        assert len(frames) == count == len(played) > 10
        for number, rgb in random.items():
            np.testing.assert_array_equal(rgb, frames[number].rgb)


def test_a_range_is_a_clip_of_its_own(tmp_path: Path) -> None:
    path = make(READING[0], tmp_path)
    with open_clip(path) as whole, open_clip(path, frames=FrameRange(10, 20, 2)) as part:
        assert len(part) == 6
        all_frames = list(whole.frames())
        some = list(part.frames())
        assert [frame.index for frame in some] == [0, 1, 2, 3, 4, 5]
        np.testing.assert_array_equal(some[3].rgb, all_frames[16].rgb)
        np.testing.assert_array_equal(part.read([2])[2].rgb, all_frames[14].rgb)
        assert [number for number, _ in part.lumas(1, 3)] == [1, 2]
        assert fingerprint(part) == fingerprint(whole)
        with pytest.raises(BadInput, match="no frames 50-60"):
            open_clip(path, frames=FrameRange(50, 60))


def test_lumas_are_the_codec_s_own(tmp_path: Path) -> None:
    for source in (Source("l8", ".mkv", "ffv1"), Source("l10", ".mkv", "ffv1", "yuv422p10le")):
        with open_clip(make(source, tmp_path)) as clip:
            native = next(clip.frames()).native
            plane = native.to_ndarray()[:64] if native.format.name == "yuv420p" else None
            _, luma = next(clip.lumas())
            assert luma.shape == (64, 96)
            if plane is not None:
                np.testing.assert_array_equal(luma, plane)
            else:
                assert luma.dtype == np.uint16 and (luma & 63 == 0).all() and luma.max() > 40000


def test_info_tells_what_is_there(tmp_path: Path) -> None:
    source = Source(
        "facts", ".mov", "libx265", "yuv420p10le", tags=PQ, options={"x265-params": HDR10}, rotation=90,
        timecode="01:02:03:04", chapters=True, audio=("aac", "pcm_s16le"), aspect=Fraction(4, 3),
    )  # fmt: skip
    with open_clip(make(source, tmp_path)) as clip:
        info = clip.info
    assert (info.codec, info.pixel_format, info.bit_depth) == ("hevc", "yuv420p10le", 10)
    assert (info.width, info.height, info.rotation, info.pixel_aspect) == (96, 64, 90, Fraction(4, 3))
    assert (info.colour.primaries, info.colour.transfer, info.colour.matrix) == (9, 16, 9)
    assert info.colour.full_range is False
    assert (info.frame_count, info.fps, info.audio_streams) == (12, 25, 2)
    assert info.timecode == "01:02:03:04"
    assert [chapter["title"] for chapter in info.details["chapters"]] == ["one", "two"]
    hdr = info.details["hdr"]
    assert (hdr["max_cll"], hdr["max_fall"], hdr["max_luminance"], hdr["min_luminance"]) == (1000, 400, 1000, 0.005)
    np.testing.assert_allclose(hdr["primaries_xy"][0], (0.68, 0.32))


def test_untagged_stays_untagged_and_is_said(tmp_path: Path) -> None:
    with open_clip(make(Source("bare", ".mp4", "libx264"), tmp_path)) as clip:
        assert (clip.info.colour.matrix, clip.info.colour.transfer, clip.info.colour.full_range) == (2, 2, None)
        assert any("matrix is not tagged; decoded as BT.601" in note for note in clip.notes)


def test_variable_rate_is_seen(tmp_path: Path) -> None:
    with open_clip(make(Source("v", ".mp4", "libx264", vfr=True), tmp_path)) as clip:
        assert clip.info.variable_rate
    with open_clip(make(Source("c", ".mp4", "libx264"), tmp_path)) as clip:
        assert not clip.info.variable_rate


def test_fingerprint_knows_the_clip_not_the_file(tmp_path: Path) -> None:
    first = make(Source("one", ".mp4", "libx264", tags=BT709), tmp_path)
    moved = tmp_path / "elsewhere.mp4"
    moved.write_bytes(first.read_bytes())
    other = make(Source("two", ".mp4", "libx264", size=(98, 64)), tmp_path)
    with open_clip(first) as a, open_clip(moved) as b, open_clip(other) as c:
        assert fingerprint(a) == fingerprint(b) != fingerprint(c)
        assert len(fingerprint(a)) == 64


def test_several_threads_may_read(tmp_path: Path) -> None:
    path = make(READING[0], tmp_path)
    with open_clip(path) as clip:
        wanted = sums(clip)
        wrong: list[object] = []

        def sequential() -> None:
            wrong.extend([] if sums(clip) == wanted else ["sequential"])

        def random() -> None:
            for number in (30, 2, 17):
                total = float(clip.read([number])[number].rgb.astype(np.float64).sum())
                wrong.extend([] if total == wanted[number] else [number])

        threads = [threading.Thread(target=job) for job in (sequential, random, sequential, random)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


# -- what cannot be read ------------------------------------------------------------------------------------------


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        open_clip(tmp_path / "none.mov")
    empty = tmp_path / "empty.mov"
    empty.touch()
    with pytest.raises(BadInput, match="empty"):
        open_clip(empty)
    text = tmp_path / "text.mov"
    text.write_text("this is no film, " * 100)
    with pytest.raises(BadInput, match="cannot be opened as a video"):
        open_clip(text)
    with pytest.raises(BadInput, match="is a folder"):
        open_clip(tmp_path)


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48000
        output.mux(stream.encode(frame))
    with pytest.raises(BadInput, match=r"has no video stream \(it holds audio\)"):
        open_clip(path)


def test_index_at_the_end_cut_off(tmp_path: Path) -> None:
    path = make(Source("t", ".mp4", "libx264"), tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInput, match="truncated"):
        open_clip(path)


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_a_broken_off_file_gives_what_it_has(suffix: str, tmp_path: Path) -> None:
    path = make(Source("t", suffix, "libx264", frames=40, size=(320, 240), options={"g": "8"}), tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_clip(path) as clip:
        count = len(list(clip.frames()))
        assert 10 < count < 35
        assert len(clip) == count
        assert clip.read([count - 1])[count - 1].index == count - 1


def test_a_broken_off_mp4_says_so(tmp_path: Path) -> None:
    """With its index at the front the file opens, and promises frames that it does not hold."""
    plain = make(Source("t", ".mp4", "libx264", frames=40, size=(320, 240)), tmp_path)
    path = tmp_path / "fast.mp4"
    with (
        av.open(str(plain)) as source,
        av.open(str(path), "w", container_options={"movflags": "faststart"}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_clip(path) as clip:
        count = sum(1 for _ in clip.frames())
        assert 5 < count < 40 and len(clip) == count
        assert any("truncated or damaged" in note for note in clip.notes)


def test_size_that_changes_on_the_way(tmp_path: Path) -> None:
    one = make(Source("a", ".ts", "libx264", frames=5), tmp_path)
    two = make(Source("b", ".ts", "libx264", frames=5, size=(128, 96), start=50), tmp_path)
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    with open_clip(both) as clip, pytest.raises(BadInput, match="changes size"):
        list(clip.frames())


def test_one_frame_tiny_and_odd_sizes(tmp_path: Path) -> None:
    for source in (
        Source("one", ".mp4", "libx264", frames=1),
        Source("tiny", ".mkv", "ffv1", size=(8, 8), frames=3),
        Source("odd", ".mkv", "ffv1", "yuv420p", size=(97, 61), frames=3),
    ):
        with open_clip(make(source, tmp_path)) as clip:
            frames = list(clip.frames())
            assert len(frames) == len(clip) == source.frames
            assert frames[0].rgb.shape == (source.size[1], source.size[0], 3)


def test_colours_survive_from_the_maker_s_pixels(tmp_path: Path) -> None:
    """An independent way in: RGB pictures encoded losslessly by FFmpeg come out as those pictures."""
    with open_clip(make(Source("rgb", ".mkv", "ffv1", "gbrp16le"), tmp_path)) as clip:
        for frame in clip.frames(0, 3):
            np.testing.assert_allclose(frame.rgb, picture(frame.index, 96, 64) / 65535, atol=1e-6)


def test_a_closed_clip_says_so(tmp_path: Path) -> None:
    clip = open_clip(make(Source("c", ".mp4", "libx264"), tmp_path))
    clip.close()
    clip.close()
    with pytest.raises(ValueError, match="closed"):
        next(clip.frames())
