# SPDX-License-Identifier: Apache-2.0
"""Where clips come from: the demo, videos, folders of pairs; and frames that other programs made."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from quality.clips import Clip, Protocol
from quality.pictures import read_png, write_clip, write_png
from quality.sources import clip_names, demo_clip, find_clip, is_drawn, pairs_clip, read_results, write_pairs

Bytes = npt.NDArray[np.uint8]


def two_frames(texture: Bytes) -> Clip:
    return Clip("two", [texture[::-1].copy(), texture], [texture, texture], [3, 1])


def test_the_demo_clip_has_truth_and_both_kinds_of_frames() -> None:
    clip = demo_clip(20)
    assert len(clip.blurry) == len(clip.sharp) == 20
    assert 0.3 < clip.is_blurry.mean() < 0.7
    assert max(demo_clip(1, 100).sharp[0].shape) == 100


def test_pairs_come_back_as_they_were_written(tmp_path: Path, texture: Bytes) -> None:
    clip = two_frames(texture)
    write_pairs(clip, tmp_path / "seq")
    back = pairs_clip(tmp_path / "seq", None)
    assert back.name == "seq" and back.is_blurry.tolist() == [True, False]
    for kind in ("blurry", "sharp"):
        assert all(np.array_equal(a, b) for a, b in zip(getattr(back, kind), getattr(clip, kind), strict=True))
    assert not is_drawn(str(tmp_path / "seq")) and is_drawn("karma")


def test_pairs_are_sorted_by_number_and_found_below_a_folder(tmp_path: Path, texture: Bytes) -> None:
    for n, name in enumerate(["9", "10", "100"]):
        for kind in ("input", "GT"):
            folder = tmp_path / "test" / "one" / kind
            folder.mkdir(parents=True, exist_ok=True)
            write_png(np.full((32, 40, 3), 10 * n + 5, np.uint8), folder / f"frame{name}.png")
    assert clip_names([str(tmp_path / "test")], None)[0] == [str(tmp_path / "test" / "one")]
    clip = find_clip(str(tmp_path / "test" / "one"), None, Protocol())
    assert [int(p[0, 0, 0]) for p in clip.sharp] == [5, 15, 25] and clip.stems == ["frame9", "frame10", "frame100"]


def test_pairs_without_their_other_half_are_refused(tmp_path: Path, texture: Bytes) -> None:
    write_pairs(two_frames(texture), tmp_path)
    (tmp_path / "sharp" / "000001.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"000001\.png"):
        pairs_clip(tmp_path, None)
    write_png(texture[:40], tmp_path / "sharp" / "000001.png")
    with pytest.raises(ValueError, match="size"):
        pairs_clip(tmp_path, None)
    with pytest.raises(FileNotFoundError, match="no folder"):
        pairs_clip(tmp_path / "blur", None)
    with pytest.raises(FileNotFoundError, match="no folder"):
        clip_names([str(tmp_path / "blur")], None)


def test_frames_from_elsewhere_are_matched_by_number(tmp_path: Path, texture: Bytes) -> None:
    clip = two_frames(texture)
    clip.stems = ["000047", "000048"]
    write_png(texture, tmp_path / "result_48.png")
    write_png(texture, tmp_path / "result_49.png")
    found = read_results(tmp_path, clip)
    assert list(found) == [1] and np.array_equal(found[1], texture)
    with pytest.raises(FileNotFoundError, match="no picture"):
        read_results(tmp_path, Clip("other", clip.blurry, clip.sharp, clip.windows))
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_results(tmp_path / "nowhere", clip)


def test_a_clip_that_is_not_there_is_an_error_only_if_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4"):
        clip_names(["nowhere.mp4"], None)
    names, notes = clip_names(None, tmp_path)
    assert "demo" in names and "bikes" in names and "karma" not in names and any("karma" in note for note in notes)


def test_a_short_video_gives_what_frames_it_can(tmp_path: Path, texture: Bytes) -> None:
    path = write_clip([np.roll(texture, n, 1) for n in range(11)], tmp_path / "short.mkv", Fraction(30))
    clip = find_clip(str(path), None, Protocol((1, 3), stride=2), count=30)
    assert clip.name == "short" and len(clip.blurry) == 5


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(OSError, match="cannot be read"):
        read_png(tmp_path / "bad.png")
    with pytest.raises(FileNotFoundError):
        read_png(tmp_path / "none.png")
