# SPDX-License-Identifier: Apache-2.0
"""Blurry clips with known sharp pictures, made from real footage in the manner of GOPRO_Random.

Every frame is the mean, in linear light, of a random number of consecutive pictures of a faster clip; the one in the
middle is its ground truth. A window of one gives a sharp frame, and as the ground truth is then the very same picture,
any change to it is harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .light import LIGHT_OF_CODE, linear_to_srgb
from .pictures import Bytes, frame_rate, frames_in, read_pictures

__all__ = ["PROTOCOLS", "Clip", "Protocol", "make_clip"]

Floats = npt.NDArray[np.float32]

_CUT = 0.4  # correlation: cuts in footage that was looked at had 0.2 at most, neighbours within a scene 0.55 at least
_PLAIN = 1.0  # code values of deviation below which a picture shows nothing to tell a cut by


@dataclass(frozen=True)
class Protocol:
    """How a clip is made blurry.

    ``windows``: the numbers of pictures that may be averaged, odd, so that there is one in the middle; each is as
    likely as the others, so repeat one to make it likelier. ``sharp_below``: from this window on a frame counts as
    blurry. ``stride``: source frames from one frame to the next. ``between``: pictures interpolated by flow between
    two neighbouring source frames; windows count them too, since they make the source that much faster.
    """

    windows: tuple[int, ...] = (1, 1, 3, 5)
    sharp_below: int = 2
    stride: int = 6
    between: int = 0

    def __post_init__(self) -> None:
        if not self.windows or any(window < 1 or window % 2 == 0 for window in self.windows):
            raise ValueError(f"windows {self.windows}: each must be odd and positive, so that it has a middle frame")
        if self.stride < 1 or self.between < 0 or self.sharp_below < 1:
            raise ValueError("stride and sharp_below must be at least 1, between at least 0")

    @property
    def margin(self) -> int:
        """Source frames that the longest window reaches to either side of its middle."""
        return -(-(max(self.windows) // 2) // (self.between + 1))


PROTOCOLS = {
    # What this project measured with from the start: few pictures a window, whatever the source's rate.
    "stepped": Protocol(),
    # The same lengths of blur with seven pictures for each of these: continuous, as a camera's.
    "smooth": Protocol((1, 1, 17, 33), stride=6, between=7),
    # GOPRO_Random as Ren, Qian and Chen describe it (arXiv 2012.05228): 1 to 15 frames of a 240 Hz clip, fewer than 5
    # count as sharp, about half are blurry. A 30 Hz source is made eight times as fast; even windows have no middle.
    "gopro": Protocol((1, 1, 1, 3, 3, 3, 5, 7, 9, 11, 13, 15), sharp_below=5, stride=2, between=7),
}


@dataclass
class Clip:
    """Blurry pictures and their ground truth, uint8 [H, W, 3] R'G'B' each; ``windows[i]`` pictures make frame i.

    ``origin`` says how it was made, for the record.
    """

    name: str
    blurry: list[Bytes]
    sharp: list[Bytes]
    windows: list[int]
    fps: Fraction = Fraction(25)
    sharp_below: int = 2
    origin: dict[str, Any] = field(default_factory=dict)
    stems: list[str] = field(default_factory=list)  # the names of its picture files, if it came from such

    @property
    def is_blurry(self) -> npt.NDArray[np.bool_]:
        """Which pictures count as blurry (bool [N])."""
        return np.array([window >= self.sharp_below for window in self.windows])


def make_clip(
    source: str | Path,
    protocol: Protocol,
    *,
    seed: int = 0,
    count: int = 30,
    start: int | None = 0,
    side: int | None = None,
) -> Clip:
    """Make a partly blurry clip of ``count`` frames with ground truth out of a sharp video.

    Frame i is centred on source frame ``start + protocol.margin + i * protocol.stride``. The seed draws the windows
    and, where ``start`` is None, the start, so that seeds see different footage. ``side`` shrinks the pictures. A
    source too short for ``count`` gives fewer frames; a window that would reach
    over a cut is made smaller. Raises ``ValueError`` on one too short for one frame.
    """
    if count < 1 or (start is not None and start < 0):
        raise ValueError("count must be at least 1, start at least 0")
    rng = np.random.default_rng(seed)
    drawn = [int(window) for window in rng.choice(np.asarray(protocol.windows), count)]
    margin, stride = protocol.margin, protocol.stride
    if start is None:
        spare = frames_in(source) - ((count - 1) * stride + 2 * margin + 1)
        start = int(rng.integers(max(0, spare) + 1))
    centres = [start + margin + i * stride for i in range(count)]
    origin = {"seed": seed, "start": start, "side": side, **vars(protocol), "windows": list(protocol.windows)}
    clip = Clip(Path(source).stem, [], [], [], frame_rate(source) / stride, protocol.sharp_below, origin)
    held: dict[int, Bytes] = {}  # only the frames that a window still wants
    for number, picture in enumerate(read_pictures(source, side)):
        if number < centres[0] - margin:
            continue
        held[number] = picture
        i = len(clip.blurry)
        if number == centres[i] + margin:
            reach = min(drawn[i] // 2, _reach_of_scene(held, centres[i], margin) * (protocol.between + 1))
            clip.blurry.append(_exposed(held, centres[i], reach, protocol.between))
            clip.sharp.append(held[centres[i]])
            clip.windows.append(2 * reach + 1)
            if len(clip.blurry) == count:
                break
            held = {k: v for k, v in held.items() if k >= centres[i + 1] - margin}
    if not clip.blurry:
        raise ValueError(f"{source} is too short: frame {centres[0] + margin} is needed and does not exist")
    return clip


def _reach_of_scene(pictures: Mapping[int, Bytes], centre: int, most: int) -> int:
    """How many frames to either side of ``centre``, up to ``most``, are of the same scene."""
    for reach in range(1, most + 1):
        after, before = centre + reach, centre - reach
        if _is_cut(pictures[after - 1], pictures[after]) or _is_cut(pictures[before], pictures[before + 1]):
            return reach - 1
    return most


def _is_cut(a: Bytes, b: Bytes) -> bool:
    """Whether two neighbouring pictures, seen from afar, have little in common."""
    thumbnails = [
        cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (64, 36), interpolation=cv2.INTER_AREA) for p in (a, b)
    ]
    if min(t.std() for t in thumbnails) < _PLAIN:
        return False
    return bool(np.corrcoef(*(t.ravel().astype(float) for t in thumbnails))[0, 1] < _CUT)


def _exposed(pictures: Mapping[int, Bytes], centre: int, reach: int, between: int) -> Bytes:
    """The mean of picture ``centre`` and ``reach`` pictures to either side, as a camera would form it."""
    if reach == 0:
        return pictures[centre]
    total = np.zeros(pictures[centre].shape, np.float64)
    gaps: dict[int, _Gap] = {}
    for offset in range(-reach, reach + 1):
        ahead, part = divmod(offset, between + 1)
        here = centre + ahead
        if part == 0:
            total += LIGHT_OF_CODE[pictures[here]]
        else:
            if here not in gaps:
                gaps[here] = _Gap(pictures[here], pictures[here + 1])
            total += gaps[here].at(part / (between + 1))
    return np.round(linear_to_srgb(total / (2 * reach + 1)) * 255).astype(np.uint8)


class _Gap:
    """What lies between two neighbouring pictures: a blend of both carried along the DIS flow, in linear light."""

    def __init__(self, a: Bytes, b: Bytes) -> None:
        flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc  # the stubs ask for an output
        grey_a, grey_b = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (a, b))
        self._ahead, self._back = flow(grey_a, grey_b, None), flow(grey_b, grey_a, None)
        self._light = LIGHT_OF_CODE[a], LIGHT_OF_CODE[b]
        self._y, self._x = np.mgrid[0 : a.shape[0], 0 : a.shape[1]].astype(np.float32)

    def at(self, time: float) -> Floats:
        """The picture at ``time`` 0..1, float32 [H, W, 3]."""
        # The flow of the in-between picture itself is taken as that of a (b) at the same place: motion is smooth.
        a, b = (
            cv2.remap(
                light,
                self._x - t * flow[..., 0],
                self._y - t * flow[..., 1],
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for light, flow, t in zip(self._light, (self._ahead, self._back), (time, 1 - time), strict=True)
        )
        return (1 - time) * a + time * b
