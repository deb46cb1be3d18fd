# SPDX-License-Identifier: Apache-2.0
"""Which clips are meant."""

from __future__ import annotations

import pytest

from deblur_engine.batch import find_clips


@pytest.fixture
def footage(tmp_path, monkeypatch):
    for name in (
        "b.mov", "a.MP4", "notes.txt", "a_deblur.mp4", "c.mov.partial", "c_deblur.partial.mov", "a.deblur.onnx",
        "deep/d.mkv", "odd[1].mov", "one.0001.exr",
        "seq/s.0998.exr", "seq/s.0999.exr", "seq/s.1000.exr", "seq/s_deblur.0998.exr", "seq/s_deblur.0999.exr",
        "seq/u8.png", "seq/u9.png", "seq/u10.png",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_gives_its_videos_without_our_own_results(footage):
    assert find_clips([footage]) == [str(footage / name) for name in ("a.MP4", "b.mov", "odd[1].mov")]


def test_a_folder_gives_its_sequences_as_patterns(footage):
    assert find_clips(["seq"]) == ["seq/s.####.exr", "seq/u#.png"]


def test_a_pattern_is_opened_even_if_no_shell_did_it(footage):
    assert find_clips(["*.mov"]) == ["b.mov", "odd[1].mov"]
    assert find_clips(["**/*.mkv"]) == ["deep/d.mkv"]
    assert find_clips(["seq/*.exr"]) == ["seq/s.####.exr"]


def test_a_name_is_taken_as_it_stands(footage):
    names = ["odd[1].mov", "a_deblur.mp4", "seq/s.%04d.exr", "missing.mov", "*.webm", "deep/none*"]
    assert find_clips(names) == names  # what is missing fails in its turn, as one clip of many


def test_each_clip_comes_once_in_the_order_named(footage):
    assert find_clips(["b.mov", ".", "b.mov"]) == ["b.mov", "a.MP4", "odd[1].mov"]
    assert find_clips(["b.mov", "*.mov"]) == ["b.mov", "odd[1].mov"]


def test_an_empty_folder_is_not_silently_nothing(tmp_path):
    assert find_clips([tmp_path]) == [str(tmp_path)]
