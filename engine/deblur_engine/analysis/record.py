# SPDX-License-Identifier: Apache-2.0
"""What the analysis found, frame by frame: small enough to travel inside the model file."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError

__all__ = ["Analysis"]

_FORMAT = 1


@dataclass(frozen=True)
class Analysis:
    """One value (or matrix) per frame, in the frames' order.

    ``scene`` counts cuts. ``sharpness`` is the logarithm of the Laplacian energy along the flow track: differences
    between frames of a scene mean something, its level does not. ``drop`` is how far a frame lies below the sharpest
    around it (0: none sharper), by that and by what moves without a track. ``speed`` is the median motion per frame
    interval in pixels, ``exposure`` the fraction of that interval that the shutter was open as far as the picture
    shows (0: nothing is blurred), so that ``exposure * speed`` is the typical blur length. ``homography[i]`` takes
    pixels of frame i to where they lie in frame i + 1 (identity before a cut). ``sharp`` frames may serve as
    references, ``blurry`` ones are treated.
    """

    width: int
    height: int
    times: npt.NDArray[np.float64]
    scene: npt.NDArray[np.int32]
    sharpness: npt.NDArray[np.float32]
    drop: npt.NDArray[np.float32]
    speed: npt.NDArray[np.float32]
    exposure: npt.NDArray[np.float32]
    homography: npt.NDArray[np.float64]
    sharp: npt.NDArray[np.bool_]
    blurry: npt.NDArray[np.bool_]
    references: int = 4  # sharp references tried for each blurry frame
    reach: int = 12  # how many frames away a reference may lie

    @property
    def frame_count(self) -> int:
        return len(self.times)

    @property
    def blur(self) -> npt.NDArray[np.float32]:
        """Typical blur length of each frame in pixels."""
        return self.exposure * self.speed

    def same_scene(self, i: int, j: int) -> bool:
        return 0 <= j < self.frame_count and bool(self.scene[i] == self.scene[j])

    def neighbours(self, i: int) -> tuple[int, ...]:
        """The frames right before and after ``i`` in the same scene."""
        return tuple(j for j in (i - 1, i + 1) if self.same_scene(i, j))

    def references_for(self, i: int, count: int | None = None) -> tuple[int, ...]:
        """Sharp frames of the same scene within reach of ``i``, nearest first; ``i`` itself is never one."""
        near = range(max(0, i - self.reach), min(self.frame_count, i + self.reach + 1))
        found = [j for j in near if j != i and self.sharp[j] and self.same_scene(i, j)]
        # Of two equally near the sharper; nearness counts for more than sharpness since alignment errors grow with it.
        found.sort(key=lambda j: (abs(j - i), self.drop[j]))
        return tuple(found[: count or self.references])

    def references_as_far(self, target: int, blurry: int) -> tuple[int, ...]:
        """References for the sharp frame ``target`` at least as far away as those of the frame ``blurry`` are.

        For trials in which a sharp frame stands in for a blurry one: sharp frames come in runs, so that the next one
        is close by, where a blurry frame's references are farther off.
        """
        nearest = self.references_for(blurry, 1)
        least = abs(nearest[0] - blurry) if nearest else 1
        every = self.references_for(target, 2 * self.reach)
        return (tuple(j for j in every if abs(j - target) >= least) or every)[: self.references]

    def between(self, i: int, j: int) -> npt.NDArray[np.float64]:
        """The homography from frame ``i`` to frame ``j``, chained over the frames between."""
        chain = np.eye(3)
        if j >= i:
            for k in range(i, j):
                chain = self.homography[k] @ chain
        else:
            for k in range(i - 1, j - 1, -1):
                chain = np.linalg.inv(self.homography[k]) @ chain
        return chain / chain[2, 2]

    def scaled(self, width: int, height: int, scale: float = 0.0) -> Analysis:
        """This analysis for pictures of another size: a proxy, or a timeline's format.

        ``scale``: their pixels per pixel of the clip; 0 where unknown, then the clip fills them. Where that would
        change its aspect by more than 1 % the clip lies in their middle, fitted in or, by ``scale``, cut off.
        """
        if (width, height) == (self.width, self.height) and abs((scale or 1.0) - 1) < 0.01:
            return self
        x, y, left, top = self.placed(width, height, scale)
        place = np.array([[x, 0, left], [0, y, top], [0, 0, 1]])
        homography = place @ self.homography @ np.linalg.inv(place)
        homography /= homography[:, 2:, 2:]
        speed = self.speed * np.float32(math.sqrt(x * y))
        return replace(self, width=width, height=height, homography=homography, speed=speed)

    def placed(self, width: int, height: int, scale: float = 0.0) -> tuple[float, float, float, float]:
        """Where the clip lies in pictures of another size: pixels per pixel across and down, left and top edge."""
        x, y = width / self.width, height / self.height
        fits = abs(x / y - 1) <= 0.01
        if fits and (scale <= 0 or abs(scale / x - 1) <= 0.01):
            return x, y, 0.0, 0.0
        factor = scale if scale > 0 else min(x, y)
        return factor, factor, (width - factor * self.width) / 2, (height - factor * self.height) / 2

    def to_bytes(self) -> bytes:
        """A NumPy archive; ``from_bytes`` reads it."""
        stream = io.BytesIO()
        np.savez(stream, format=_FORMAT, **{f.name: getattr(self, f.name) for f in fields(self)})
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Analysis:
        """Read ``to_bytes``; raises ``ModelError`` on anything else. The bytes may come from anywhere."""
        try:
            # Packed entries are none of ours, and may unpack to a thousand times what they take.
            with zipfile.ZipFile(io.BytesIO(data)) as entries:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.infolist()):
                    raise ModelError("the analysis in the model is packed, which this engine never does")
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                version = int(archive["format"])
                if version != _FORMAT:
                    raise ModelError(f"the analysis in the model is of format {version}; this engine reads {_FORMAT}")
                values = {f.name: archive[f.name] for f in fields(cls)}
        except ModelError:
            raise
        except Exception as problem:  # whatever a hostile archive makes NumPy raise
            raise ModelError(f"the analysis in the model cannot be read: {problem!s:.200}") from problem
        return cls(**_checked(values))


def _checked(values: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
    scalars = ("width", "height", "references", "reach")
    checked: dict[str, Any] = {}
    for name in scalars:
        if values[name].shape != () or values[name].dtype.kind not in "iu" or not 0 < int(values[name]) < 1 << 20:
            raise ModelError(f"the analysis in the model is damaged: {name} is not a plausible number")
        checked[name] = int(values[name])
    count = len(values["times"]) if values["times"].ndim == 1 else -1
    for f in fields(Analysis):
        if f.name in scalars:
            continue
        value = values[f.name]
        shape = (count, 3, 3) if f.name == "homography" else (count,)
        kind = "b" if f.name in ("sharp", "blurry") else "i" if f.name == "scene" else "f"
        if value.shape != shape or value.dtype.kind != kind or (kind == "f" and not np.isfinite(value).all()):
            raise ModelError(f"the analysis in the model is damaged: {f.name} has the wrong form")
        checked[f.name] = value
    matrices = values["homography"]
    if (np.abs(np.linalg.det(matrices)) < 1e-9).any() or (np.abs(matrices) > 1e7).any():
        raise ModelError("the analysis in the model is damaged: a homography cannot be inverted")
    return checked
