# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_engine.errors import BadInput
from deblur_engine.media import default_output
from deblur_engine.media.pattern import SequencePattern
from deblur_engine.media.timecode import advanced

NAMES = st.text("abcXYZ-_ é", min_size=0, max_size=8)


@given(NAMES, st.integers(1, 8), st.integers(0, 10**9), st.sampled_from([".exr", ".png", ".DPX", ".tif"]))
def test_both_spellings_name_the_same_files(stem: str, width: int, number: int, suffix: str) -> None:
    hashes = SequencePattern.parse(f"/x/{stem}.{'#' * width}{suffix}")
    percent = SequencePattern.parse(f"/x/{stem}.%0{width}d{suffix}")
    assert hashes is not None and percent is not None
    assert hashes.file(number) == percent.file(number) == Path(f"/x/{stem}.{number:0{width}d}{suffix}")
    assert SequencePattern.parse(hashes.as_path()) == hashes
    assert SequencePattern.parse(percent.as_path()) == percent


@given(st.text(max_size=20))
def test_any_name_is_a_pattern_or_not_or_bad_input(text: str) -> None:
    if "/" in text or "\0" in text:
        return
    try:
        pattern = SequencePattern.parse(Path("folder") / (text + ".png"))
    except BadInput:
        return
    assert pattern is None or "#" in text or "%" in text


def test_numbers_take_only_their_padding(tmp_path: Path) -> None:
    for name in ("a.0001.png", "a.0010.png", "a.10000.png", "a.12.png", "a.00013.png", "b.0001.png", "a.0001.exr"):
        (tmp_path / name).touch()
    pattern = SequencePattern.parse(tmp_path / "a.####.png")
    assert pattern is not None and pattern.numbers() == [1, 10, 10000]


def test_a_file_or_a_folder_stands_for_its_sequence(tmp_path: Path) -> None:
    for number in (7, 8):
        (tmp_path / f"shot_{number:04d}.png").touch()
    wanted = tmp_path / "shot_####.png"
    for given_path in (tmp_path, tmp_path / "shot_0007.png"):
        pattern = SequencePattern.of(given_path)
        assert pattern is not None and pattern.as_path() == wanted
    (tmp_path / "other.0001.png").touch()
    with pytest.raises(BadInput, match="2 image sequences"):
        SequencePattern.of(tmp_path)
    assert SequencePattern.of(tmp_path / "clip.mov") is None


def test_two_placeholders_are_refused() -> None:
    with pytest.raises(BadInput, match="placeholders"):
        SequencePattern.parse("a.##.b.####.exr")


def test_default_outputs() -> None:
    assert default_output("/a/clip.mov") == Path("/a/clip_deblur.mov")
    assert default_output("/a/my.clip.v2.mp4") == Path("/a/my.clip.v2_deblur.mp4")
    assert default_output("/a/shot.####.exr") == Path("/a/shot_deblur.####.exr")
    assert default_output("/a/shot_%04d.png", "_x") == Path("/a/shot_x_%04d.png")


def _counted(timecode: str, frames: int, fps: int) -> str:
    """Counting on one frame at a time, dropping numbers as SMPTE ST 12 says."""
    drop = ";" in timecode
    h, m, s, f = (int(part) for part in timecode.replace(";", ":").split(":"))
    for _ in range(frames):
        f += 1
        if f == fps:
            f, s = 0, s + 1
        if s == 60:
            s, m = 0, m + 1
            if m == 60:
                m, h = 0, (h + 1) % 24
            if drop and m % 10:
                f = 2 * fps // 30
    return f"{h:02d}:{m:02d}:{s:02d}{';' if drop else ':'}{f:02d}"


@given(
    st.sampled_from(
        [(Fraction(30000, 1001), ";"), (Fraction(60000, 1001), ";"), (Fraction(25), ":"), (Fraction(24000, 1001), ":")]
    ),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(0, 59),
    st.integers(4, 22),
    st.integers(0, 4000),
)
def test_timecode_counts_on(rate: tuple[Fraction, str], h: int, m: int, s: int, f: int, frames: int) -> None:
    fps, separator = rate
    start = f"{h:02d}:{m:02d}:{s:02d}{separator}{f:02d}"
    assert advanced(start, frames, fps) == _counted(start, frames, round(fps))


def test_timecode_over_midnight_and_nonsense() -> None:
    assert advanced("23:59:59:24", 1, Fraction(25)) == "00:00:00:00"
    assert advanced("00:00:59;29", 1, Fraction(30000, 1001)) == "00:01:00;02"
    assert advanced("soon", 1, Fraction(25)) is None
