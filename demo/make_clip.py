# SPDX-License-Identifier: Apache-2.0
"""Make the demo's clip, its ground truth and a note on each frame's blur. The results are kept in the repository.

    python demo/make_clip.py            writes demo/handheld.mp4, handheld_truth.mp4 and handheld.json

Every frame is the mean, in linear light, of at least 33 moments of a simulated hand-held camera's exposure (two a
pixel of blur, where the blur is longer); the truth is the moment in the middle, without blur and without noise.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from camera import EXPOSURE, FPS, FRAMES, HEIGHT, WIDTH, blur_length, expose
from scene import Floats, Layer, gallery, linear_to_bt709

HERE = Path(__file__).resolve().parent
RATE = 48_000  # of the sound, Hz


def film(layers: Sequence[Layer], frame: int, noise: np.random.Generator) -> tuple[npt.NDArray[np.uint8], ...]:
    """A frame as the camera takes it, and its truth: uint8 [H, W, 3] each, BT.709 code values."""
    samples = max(33, 2 * math.ceil(blur_length(frame)) + 1)
    light = expose(layers, frame, samples)
    # Photons come by chance (variance grows with light); the read-out adds a little of its own.
    light = light + noise.normal(0.0, 1.0, light.shape).astype(np.float32) * np.sqrt(2.5e-5 * light + 4e-7)
    return _code(light), _code(expose(layers, frame, 1))


def _code(light: Floats) -> npt.NDArray[np.uint8]:
    return np.round(linear_to_bt709(light) * 255).astype(np.uint8)


def sound(seconds: float) -> Floats:
    """A soft chord over the murmur of a room: float32 [2, N], -1..1."""
    t = np.arange(round(seconds * RATE)) / RATE
    rng = np.random.default_rng(3)
    channels = []
    for side in (-1, 1):
        spectrum = np.fft.rfft(rng.normal(0, 1, t.size))
        hertz = np.fft.rfftfreq(t.size, 1 / RATE)
        room = np.fft.irfft(spectrum * np.exp(-hertz / 300) / np.sqrt(1 + hertz / 40), t.size)
        room *= 0.012 / room.std()
        chord = np.zeros(t.size)
        for k, tone in enumerate((146.8, 220.0, 277.2, 329.6)):
            swell = 0.6 + 0.4 * np.sin(2 * np.pi * (0.35 + 0.08 * k) * t + k + 0.4 * side)
            chord += swell * np.sin(2 * np.pi * (tone + 0.15 * side) * t) / (k + 2)
        channels.append(room + 0.06 * chord)
    fade = np.clip(np.minimum(t, seconds - t) / 0.12, 0, 1)
    return (np.stack(channels) * np.sin(0.5 * np.pi * fade) ** 2).astype(np.float32)


def write(path: Path, pictures: Sequence[npt.NDArray[np.uint8]], crf: int, audio: Floats | None) -> None:
    """Store pictures as H.264 4:2:0 BT.709 (limited range), with AAC sound where there is some."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "veryslow"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.thread_count = 1  # the same file on every machine
        context = video.codec_context
        context.colorspace = context.color_primaries = context.color_trc = 1
        context.color_range = 1
        voice = None
        if audio is not None:
            voice = container.add_stream("aac", rate=RATE)
            voice.bit_rate, voice.layout = 96_000, "stereo"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", src_colorspace=1, dst_colorspace=1, src_color_range=2, dst_color_range=1
            )
            frame.color_primaries = frame.color_trc = 1
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if voice is not None and audio is not None:
            samples = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio), format="fltp", layout="stereo")
            samples.sample_rate, samples.pts = RATE, 0
            fifo = av.AudioFifo()
            fifo.write(samples)
            while (part := fifo.read(1024, partial=True)) is not None:
                container.mux(voice.encode(part))
            container.mux(voice.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the demo clip and its ground truth.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"how many of the {FRAMES} frames to make")
    parser.add_argument("--crf", type=int, default=13, help="quality of the H.264 files (lower is better)")
    options = parser.parse_args()
    cv2.setNumThreads(1)

    options.out.mkdir(parents=True, exist_ok=True)
    layers, noise = gallery(), np.random.default_rng(0)
    clip, truth, blur = [], [], []
    for frame in range(options.frames):
        taken, true = film(layers, frame, noise)
        clip.append(taken)
        truth.append(true)
        blur.append(round(blur_length(frame), 2))
        print(f"frame {frame + 1}/{options.frames}: {blur[-1]:.1f} px of blur", flush=True)
    write(options.out / "handheld.mp4", clip, options.crf, sound(options.frames / FPS))
    write(options.out / "handheld_truth.mp4", truth, options.crf, None)
    note = {
        "about": "mean length in pixels of each frame's blur path on the wall; made by demo/make_clip.py",
        "exposure": EXPOSURE,
        "blur": blur,
    }
    (options.out / "handheld.json").write_text(json.dumps(note) + "\n")


if __name__ == "__main__":
    main()
