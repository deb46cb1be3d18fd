# SPDX-License-Identifier: Apache-2.0
"""How the warm start is trained: from footage and photographs to examples, and from those to weights."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_engine.fitting.network import DeblurNet
from deblur_engine.fitting.pretrain import examples, find_sources, main, read_footage, read_pictures
from deblur_engine.fitting.shots import Shot
from deblur_engine.fitting.warm_start import load_warm_start
from panned import Panned, Scene, code, psnr, texture, write_lossless


def test_examples_are_a_shot_s_blurry_frames_with_what_alignment_says_of_them() -> None:
    clip = Panned([Scene([0, 0, 0, 0.8, 0, 0.9, 0])], (192, 128))
    pictures = [p.astype(np.float32) / np.float32(255) for p in clip.pictures]
    truth = [p.astype(np.float32) / np.float32(255) for p in clip.truth]
    pairs = examples(Shot(tuple(pictures), tuple(truth)), np.random.default_rng(0))
    assert [pair.target for pair in pairs] == [3, 5]
    for pair in pairs:
        assert pair.blurred and pair.frame.shape == (128, 192, 3) and pair.weight.shape == (128, 192, 1)
        assert np.abs(pair.frame.astype(np.float32) - pictures[pair.target]).max() < 1e-3
        assert np.abs(pair.sharp.astype(np.float32) - truth[pair.target]).max() < 1e-3
        change = pair.estimate + pair.confidence[..., :1] * (pair.reference - pair.estimate)
        frame, sharp = pair.frame.astype(np.float32), pair.sharp.astype(np.float32)
        assert psnr(frame + change, sharp) > psnr(frame, sharp) + 3


def test_a_sharp_shot_gives_no_examples() -> None:
    still = tuple(np.asarray(texture(3)[:96, :128], np.float32) for _ in range(4))
    assert examples(Shot(still, still), np.random.default_rng(0)) == []


def test_sources_are_found_in_folders_and_parted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b.MOV", "in/a.mp4", "in/c.JPG", "notes.txt"):
        (tmp_path / name).touch()
    clips, pictures = find_sources([tmp_path])
    assert [p.name for p in clips] == ["b.MOV", "a.mp4"] and [p.name for p in pictures] == ["c.JPG"]


def test_photographs_are_read_reduced(tmp_path: Path) -> None:
    big = np.zeros((900, 1300, 3), np.uint8)
    big[..., 2] = 200  # red, as OpenCV writes it
    cv2.imwrite(str(tmp_path / "a.png"), big)
    cv2.imwrite(str(tmp_path / "small.png"), big[:300, :300])
    (tmp_path / "b.jpg").write_text("no picture")
    (sizes,) = read_pictures([tmp_path / "a.png", tmp_path / "b.jpg", tmp_path / "small.png"])
    assert [max(p.shape) for p in sizes] == [1000, 720]
    assert sizes[0][5, 5].tolist() == [200, 0, 0] and all(p.dtype == np.uint8 for p in sizes)


def test_footage_is_neighbouring_frames_and_of_a_short_clip_all(tmp_path: Path) -> None:
    pictures = Panned([Scene([0] * 40)], (64, 48)).pictures
    path = write_lossless(tmp_path / "c.mkv", pictures)
    starts = set()
    for seed in range(6):
        read = read_footage(path, 3, np.random.default_rng(seed))
        assert len(read) == 29
        start = next(i for i in range(12) if np.array_equal(read[0], pictures[i]))
        assert all(np.array_equal(a, b) for a, b in zip(read, pictures[start:], strict=False))
        starts.add(start)
    assert len(starts) > 2
    assert len(read_footage(path, 6, np.random.default_rng(0))) == 40


@pytest.mark.parametrize("kind", ["footage", "photographs"])
def test_main_trains_and_writes_weights(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if kind == "footage":
        # What moves does so by enough for frames exposed for longer to be blurry.
        write_lossless(tmp_path / "pan.mkv", Panned([Scene([0] * 60)], (160, 96)).pictures)
    else:
        cv2.imwrite(str(tmp_path / "photo.png"), cv2.resize(code(texture(3)), (1280, 960)))
    out = tmp_path / "w.safetensors"
    options = ["--minutes", "0.02", "--width", "4", "--crop", "32", "--pool", "8", "--held-out", "4"]
    main([str(tmp_path), "--out", str(out), *options])
    assert load_warm_start(DeblurNet(4), out)
    assert "held out" in capsys.readouterr().out


KILLED = """
import os, signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from deblur_engine.fitting.pretrain import _begin
if __name__ == "__main__":
    processes = ProcessPoolExecutor(1, get_context("spawn"), _begin, ([], []))
    print(processes.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for the process in /proc")
def test_who_makes_shots_ends_with_a_training_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    worker = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, timeout=120).stdout
    end = time.monotonic() + 30
    while Path(f"/proc/{int(worker)}").exists():
        assert time.monotonic() < end, "it is still there"
        time.sleep(0.1)


def test_nothing_to_learn_from_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path / "absent.png"), "--out", str(tmp_path / "w.safetensors")])
    assert "none of these" in capsys.readouterr().err
