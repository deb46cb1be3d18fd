# SPDX-License-Identifier: Apache-2.0
"""The made-up examples that the warm start was trained on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from deblur_engine.fitting.network import DeblurNet
from deblur_engine.fitting.pretrain import main, read_pictures, sample
from deblur_engine.fitting.warm_start import load_warm_start
from panned import Panned, Scene, code, psnr, texture, write_lossless


def test_examples_are_sane() -> None:
    picture = code(texture(3))
    rng = np.random.default_rng(0)
    blurred = still = bare = helped = 0
    for _ in range(40):
        example = sample(picture, 64, rng)
        assert example is not None and example.shape == (64, 64, 16) and example.dtype == np.float16
        assert np.isfinite(example).all()
        sharp, frame, estimate, reference, confidence, motion = np.split(
            example.astype(np.float32), [3, 6, 9, 12, 14], 2
        )
        believed = confidence[..., :1]
        assert frame.min() >= 0 and frame.max() <= 1 and believed.min() >= 0 and believed.max() <= 1
        assert np.abs(reference).max() < 1.3 and np.abs(estimate).max() < 2  # bicubic may ring a little
        assert np.hypot(motion[..., 0], motion[..., 1]).max() < 160
        before = psnr(frame, sharp)
        assert before > 8
        blurred += before < 30
        still += not motion.any()
        if not reference.any():
            bare += 1
            continue
        helped += psnr(frame + estimate + believed * (reference - estimate), sharp) > before - 0.2
    assert blurred > 15 and 0 < still < 15 and 8 < bare < 36
    assert helped >= 0.6 * (40 - bare)


def test_the_same_generator_makes_the_same_example() -> None:
    picture = code(texture(3))
    one, two = (sample(picture, 48, np.random.default_rng(5)) for _ in range(2))
    assert one is not None and two is not None
    np.testing.assert_array_equal(one, two)


def test_small_and_flat_pictures_give_none() -> None:
    rng = np.random.default_rng(0)
    assert sample(np.zeros((90, 400, 3), np.uint8), 64, rng) is None
    assert sample(np.full((400, 400, 3), 90, np.uint8), 64, rng) is None


def test_photographs_are_read_reduced_and_clips_by_every_twelfth_frame(tmp_path: Path) -> None:
    big = np.zeros((900, 1200, 3), np.uint8)
    big[..., 2] = 200  # red, as OpenCV writes it
    cv2.imwrite(str(tmp_path / "a.png"), big)
    (tmp_path / "b.jpg").write_text("no picture")
    clip = write_lossless(tmp_path / "c.mkv", Panned([Scene([0] * 13)], (64, 48)).pictures)
    found = read_pictures([clip, tmp_path / "a.png", tmp_path / "b.jpg"])
    assert [max(p.shape) for p in found] == [960, 600, 64, 64]
    assert found[0][5, 5].tolist() == [200, 0, 0] and all(p.dtype == np.uint8 for p in found)


def test_main_trains_and_writes_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), cv2.resize(code(texture(3)), (1280, 960)))
    out = tmp_path / "w.safetensors"
    options = ["--minutes", "0.02", "--width", "4", "--crop", "32", "--pool", "16", "--threads", "1"]
    main([str(tmp_path), "--out", str(out), *options])
    assert load_warm_start(DeblurNet(4), out)
    with pytest.raises(SystemExit):
        main([str(tmp_path / "absent.png"), "--out", str(out)])
    assert "none of these" in capsys.readouterr().err
