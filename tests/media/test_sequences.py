# SPDX-License-Identifier: Apache-2.0
"""Image sequences: every value that was not touched comes back as it was stored."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest

from deblur_engine.errors import BadInput, OutputError
from deblur_engine.media import ClipWriter, default_output, fingerprint, open_clip
from deblur_engine.media.images import read_image
from deblur_engine.settings import FrameRange


def store(path: Path, pixels: np.ndarray, kind: str, names: tuple[str, ...] = (), **attributes: Any) -> None:
    spec = OpenImageIO.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], kind)
    if names:
        spec.channelnames = names
    for key, value in attributes.items():
        if isinstance(value, Fraction):
            spec.attribute(key, "rational", (value.numerator, value.denominator))
        else:
            spec.attribute(key.replace("__", ":"), value)
    output = OpenImageIO.ImageOutput.create(str(path))
    assert output is not None, OpenImageIO.geterror()
    assert output.open(str(path), spec) and output.write_image(pixels) and output.close(), output.geterror()


def integers(dtype: type, channels: int, number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.integers(0, np.iinfo(dtype).max + 1, (21, 33, channels)).astype(dtype)


KINDS: dict[str, tuple[str, str, Any, dict[str, Any]]] = {
    "png8": (".png", "uint8", lambda n: integers(np.uint8, 3, n), {}),
    "png16-alpha": (".png", "uint16", lambda n: integers(np.uint16, 4, n), {"oiio__UnassociatedAlpha": 1}),
    "png-gray": (".png", "uint8", lambda n: integers(np.uint8, 1, n), {}),
    "tiff16": (".tif", "uint16", lambda n: integers(np.uint16, 3, n), {"compression": "lzw"}),
    "tiff-alpha": (".tif", "uint8", lambda n: integers(np.uint8, 4, n), {"oiio__UnassociatedAlpha": 1}),
    "tiff-float": (".tif", "float", lambda n: np.random.default_rng(n).normal(size=(21, 33, 3)).astype("f4"), {}),
    "dpx10": (".dpx", "uint16", lambda n: integers(np.uint16, 3, n), {"oiio__BitsPerSample": 10}),
    "dpx12": (".dpx", "uint16", lambda n: integers(np.uint16, 3, n), {"oiio__BitsPerSample": 12}),
    "exr-half": (".exr", "half", lambda n: np.random.default_rng(n).normal(size=(21, 33, 4)).astype("f2"), {}),
    "exr-float": (".exr", "float", lambda n: np.random.default_rng(n).normal(size=(21, 33, 3)).astype("f4"), {}),
}  # fmt: skip


def made(folder: Path, kind: str, numbers: tuple[int, ...] = (98, 99, 100)) -> Path:
    suffix, stored, maker, attributes = KINDS[kind]
    for number in numbers:
        store(folder / f"shot.{number:04d}{suffix}", maker(number), stored, **attributes)
    return folder / f"shot.####{suffix}"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_untouched_values_come_back_as_stored(kind: str, tmp_path: Path) -> None:
    path = made(tmp_path, kind)
    output = default_output(path)
    with open_clip(path) as clip, ClipWriter(clip, output) as writer:
        assert len(clip) == 3 and clip.info.is_sequence and clip.info.first_number == 98
        for frame in clip.frames():
            rgb = frame.rgb.copy()
            assert rgb.shape == (21, 33, 3) and rgb.dtype == np.float32
            if frame.index == 1:
                rgb[4, 5] = rgb[4, 5] * 0.5 + 0.1
            writer.write(frame, rgb)
    assert not list(tmp_path.glob("*.partial"))
    suffix = path.suffix
    for number in (98, 99, 100):
        before = read_image(tmp_path / f"shot.{number:04d}{suffix}")
        after = read_image(tmp_path / f"shot_deblur.{number:04d}{suffix}")
        assert before.pixels.dtype == after.pixels.dtype and before.bits == after.bits
        different = np.argwhere((before.pixels != after.pixels).any(axis=2)).tolist()
        assert different == ([[4, 5]] if number == 99 else [])
        if before.alpha is not None:
            np.testing.assert_array_equal(before.pixels[..., before.alpha], after.pixels[..., after.alpha])
        for name in ("compression", "oiio:ColorSpace", "oiio:UnassociatedAlpha"):
            assert before.spec.getattribute(name) == after.spec.getattribute(name)
    changed = read_image(tmp_path / f"shot_deblur.0099{suffix}").rgb()[0][4, 5]
    wanted = read_image(tmp_path / f"shot.0099{suffix}").rgb()[0][4, 5] * 0.5 + 0.1
    step = {"half": 2e-3, "float": 1e-6}.get(KINDS[kind][1], 1 / (2**before.bits - 1))
    np.testing.assert_allclose(changed, wanted, atol=step)


def test_nan_and_infinity_are_worked_on_as_zero_and_kept(tmp_path: Path) -> None:
    pixels = np.full((9, 9, 3), 0.25, np.float16)
    pixels[2, 3, 1], pixels[4, 4, 0] = np.nan, np.inf
    store(tmp_path / "a.0001.exr", pixels, "half")
    with open_clip(tmp_path / "a.####.exr") as clip, ClipWriter(clip, tmp_path / "b.####.exr") as writer:
        (frame,) = clip.frames()
        assert np.isfinite(frame.rgb).all() and frame.rgb[2, 3, 1] == 0 and frame.rgb[4, 4, 0] == 0
        rgb = frame.rgb.copy()
        rgb[0, 0] = 0.5
        rgb[8, 8, 0] = np.nan  # must never get into a file
        writer.write(frame, rgb)
        assert sum("NaN or infinite" in note for note in clip.notes) == 1
    back = read_image(tmp_path / "b.0001.exr").pixels
    assert np.isnan(back[2, 3, 1]) and np.isposinf(back[4, 4, 0]) and (back[0, 0] == 0.5).all()
    assert back[8, 8, 0] == 0


def test_other_channels_and_parts_are_carried(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    names = ("B", "G", "R", "Z", "id.x")
    pixels = rng.normal(size=(7, 9, 5)).astype(np.float32)
    store(tmp_path / "aov.1.exr", pixels, "float", names, smpte__TimeCode="01:02:03:04")
    with open_clip(tmp_path / "aov.1.exr") as clip, ClipWriter(clip, tmp_path / "out.#.exr") as writer:
        (frame,) = clip.frames()
        stored = read_image(tmp_path / "aov.1.exr")
        red = stored.spec.channelnames.index("R")
        np.testing.assert_array_equal(frame.rgb[..., 0], stored.pixels[..., red])
        writer.write(frame, frame.rgb * 2)
    after = read_image(tmp_path / "out.1.exr")
    assert after.spec.channelnames == stored.spec.channelnames
    other = [i for i, name in enumerate(stored.spec.channelnames) if name not in "RGB"]
    np.testing.assert_array_equal(after.pixels[..., other], stored.pixels[..., other])
    np.testing.assert_array_equal(after.pixels[..., red], stored.pixels[..., red] * 2)


def test_rate_range_and_gaps(tmp_path: Path) -> None:
    for number in (1, 2, 3, 5, 6):
        store(tmp_path / f"a.{number:02d}.exr", np.zeros((4, 4, 3), np.float32), "float", FramesPerSecond=Fraction(25))
    with open_clip(tmp_path / "a.##.exr") as clip:
        assert clip.info.fps == 25 and clip.info.colour.transfer == 8
        assert any("1 files are missing" in note for note in clip.notes)
        assert clip.select(FrameRange(5, 6)) == range(3, 5)
        with pytest.raises(BadInput, match="has no frames 20-30"):
            clip.select(FrameRange(20, 30))
    with open_clip(tmp_path / "a.##.exr", frames=FrameRange(2, 3)) as part:
        assert len(part) == 2
        with ClipWriter(part, tmp_path / "b.##.exr") as writer:
            for frame in part.frames():
                writer.write(frame, frame.rgb)
    assert sorted(p.name for p in tmp_path.glob("b.*")) == ["b.02.exr", "b.03.exr"]
    with (
        open_clip(tmp_path / "a.##.exr") as clip,
        ClipWriter(clip, tmp_path / "c.##.exr", frames=FrameRange(5, 6)) as w,
    ):
        for frame in clip.frames(3):
            w.write(frame, frame.rgb)
    assert sorted(p.name for p in tmp_path.glob("c.*")) == ["c.05.exr", "c.06.exr"]


def test_bad_sequences(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file matches"):
        open_clip(tmp_path / "a.####.png")
    path = made(tmp_path, "png8")
    with pytest.raises(BadInput, match="no file matches"):
        open_clip(tmp_path / "shot.###.png")
    broken = tmp_path / "shot.0099.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with open_clip(path) as clip, pytest.raises(BadInput, match=r"shot\.0099\.png"):
        list(clip.frames())
    store(broken, np.zeros((5, 5, 3), np.uint8), "uint8")
    with open_clip(path) as clip, pytest.raises(BadInput, match="is 5x5; the sequence began with 33x21"):
        list(clip.frames())


def test_output_rules(tmp_path: Path) -> None:
    path = made(tmp_path, "png8")
    (tmp_path / "out.0100.png").write_text("precious")
    with open_clip(path) as clip:
        with pytest.raises(OutputError, match="exists already"):
            ClipWriter(clip, tmp_path / "out.####.png")
        with pytest.raises(OutputError, match="source itself"):
            ClipWriter(clip, path, overwrite=True)
        with pytest.raises(OutputError, match="no sequence name"):
            ClipWriter(clip, tmp_path / "out.mov")
        with pytest.raises(OutputError, match=r"the source's files are \.png"):
            ClipWriter(clip, tmp_path / "out.####.exr")
    assert (tmp_path / "out.0100.png").read_text() == "precious"
    assert not (tmp_path / "out.0098.png").exists()


def test_fingerprint_of_a_sequence(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    with open_clip(made(tmp_path / "x", "dpx10")) as a, open_clip(made(tmp_path / "y", "dpx10")) as b:
        assert fingerprint(a) == fingerprint(b)
