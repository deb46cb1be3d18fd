# SPDX-License-Identifier: Apache-2.0
"""The table: for people in Markdown, for machines in JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .figures import HARM, Figures, mean_of
from .store import plain, unplain

__all__ = ["Result", "from_json", "markdown", "to_json", "verdict"]

FLOORS = {"demo": 3.0, "max-heromode": 1.0, "bikes": 1.0}  # dB on blurry frames; other clips: no harm


@dataclass
class Result:
    """One row on one clip, drawn with one seed."""

    clip: str
    seed: int
    row: str
    label: str
    figures: Figures
    fit_seconds: float | None = None
    frame_seconds: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    frames: dict[str, dict[int, float]] = field(default_factory=dict)


def to_json(results: Sequence[Result], about: dict[str, Any]) -> str:
    """All figures, those of each frame among them, and ``about`` how they were come by."""
    return json.dumps({**plain(about), "results": [plain(asdict(r)) for r in results]}, indent=1, allow_nan=False)


def from_json(text: str) -> tuple[list[Result], dict[str, Any]]:
    """What ``to_json`` wrote: results, and what else is in it."""
    held = json.loads(text)
    counts = {f.name for f in fields(Figures) if f.type == "int"}
    results = []
    for record in held.pop("results"):
        own = {k: int(v) if k in counts else float(v) for k, v in record.pop("figures").items()}
        frames = unplain(record.pop("frames"))
        results.append(Result(**record, figures=Figures(**own), frames=frames))
    return results, held


def _number(pattern: str) -> Callable[[float | None], str]:
    return lambda value: "-" if value is None or math.isnan(value) else format(value, pattern)


COLUMNS = (
    "PSNR",
    "gain",
    "aligned",
    "SSIM",
    "gain",
    "GMSD",
    "sharpness",
    "flicker",
    "left",
    "touched",
    f"-{HARM} dB",
    "worst",
    "fit s",
    "s/frame",
)

LEGEND = f"""\
Blurry frames: PSNR in dB, its gain over the input (lowest to highest in brackets), the gain after global alignment,
SSIM and its gain, GMSD (0 is perfect), gradient energy over the truth's. All frames: warping error over the input's
(1: flickers as the input does). Blurry frames left as they were; sharp frames touched; frames that fall by more than
{HARM} dB; the worst one.
"""


def _cells(f: Figures, spread: Sequence[float], fit: float | None, each: float | None) -> list[str]:
    gain = _number("+.2f")(f.blurry_gain)
    if len(spread) > 1:
        gain += f" ({min(spread):+.2f}..{max(spread):+.2f})"
    return [
        _number(".2f")(f.blurry_psnr),
        gain,
        _number("+.2f")(f.aligned_gain),
        _number(".4f")(f.blurry_ssim),
        _number("+.4f")(f.blurry_ssim_gain),
        _number(".4f")(f.gmsd),
        _number(".2f")(f.sharpness),
        _number(".3f")(f.flicker_ratio),
        f"{f.blurry_left}/{f.blurry}",
        f"{f.sharp_touched}/{f.frames - f.blurry}",
        str(f.harmed),
        _number("+.2f")(f.worst_change),
        _number(".0f")(fit),
        _number(".2f")(each),
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _block(first: str, results: Sequence[Result], key: Callable[[Result], str]) -> list[str]:
    """A table with a line for each row of each group that ``key`` puts results into."""
    lines = [f"| {' | '.join((first, 'row', *COLUMNS))} |", "|" + "---|" * (len(COLUMNS) + 2)]
    for group in dict.fromkeys(map(key, results)):
        inside = [r for r in results if key(r) == group]
        for row in dict.fromkeys(r.row for r in inside):
            same = [r for r in inside if r.row == row]
            cells = _cells(
                mean_of([r.figures for r in same]),
                [r.figures.blurry_gain for r in same if not math.isnan(r.figures.blurry_gain)],
                _mean([r.fit_seconds for r in same]),
                _mean([r.frame_seconds for r in same]),
            )
            lines.append(f"| {' | '.join((group, same[0].label, *cells))} |")
    return lines


def by_clip(results: Sequence[Result]) -> list[Result]:
    """The seeds of each clip as one, so that every clip counts alike."""
    found = []
    for clip, row in dict.fromkeys((r.clip, r.row) for r in results):
        same = [r for r in results if (r.clip, r.row) == (clip, row)]
        found.append(
            Result(
                clip,
                -1,
                row,
                same[0].label,
                mean_of([r.figures for r in same]),
                _mean([r.fit_seconds for r in same]),
                _mean([r.frame_seconds for r in same]),
            )
        )
    return found


def markdown(results: Sequence[Result], unavailable: Sequence[tuple[str, str]] = (), title: str = "") -> str:
    """The table: means over clips, then each clip's over its seeds, then the rows that could not be made and why."""
    lines = [title, ""] if title else []
    clips = by_clip(results)
    names = list(dict.fromkeys(r.clip for r in clips))
    # A mean over other clips than the input's is none to compare with.
    whole = [r for r in clips if sum(other.row == r.row for other in clips) == len(names)]
    if len(names) > 1:
        lines += [*_block("clips", whole, lambda r: f"mean of {len(names)}"), ""]
    lines += _block("clip", results, lambda r: r.clip)
    lines += ["", LEGEND]
    lines += [f"- {row}: not available: {reason}" for row, reason in dict.fromkeys(unavailable)]
    lines += [
        f"- {r.clip}, seed {r.seed}: {r.label}: no fit, so the clip stays as it is: {r.notes['no_benefit']}"
        for r in results
        if "no_benefit" in r.notes
    ]
    return "\n".join(lines)


def verdict(results: Sequence[Result]) -> list[str]:
    """What of the floors our row misses on each clip; empty if nothing (or if ours was not measured)."""
    missed = []
    truths = {r.clip: r.figures.flicker_ratio for r in by_clip([r for r in results if r.row == "truth"])}
    for ours in by_clip([r for r in results if r.row == "ours"]):
        f, clip = ours.figures, ours.clip
        floor = FLOORS.get(clip)
        if floor is not None and not f.blurry_gain >= floor:
            missed.append(f"{clip}: blurry frames gain {f.blurry_gain:+.2f} dB, the floor is {floor:+.1f} dB")
        if floor is not None and not f.blurry_ssim_gain > 0:
            missed.append(f"{clip}: SSIM of blurry frames does not rise ({f.blurry_ssim_gain:+.4f})")
        if not f.worst_change >= -HARM:
            missed.append(f"{clip}: frame {f.worst_frame} falls by {-f.worst_change:.2f} dB; {HARM} dB is allowed")
        if f.sharp_touched:
            missed.append(f"{clip}: {f.sharp_touched} sharp frames are touched")
        if f.flicker_ratio > 1.0:
            # Sharp pictures of fine things may change more from frame to frame than blurred ones do.
            of_truth = f"; the truth itself {truths[clip]:.3f} times" if clip in truths else ""
            missed.append(f"{clip}: flickers {f.flicker_ratio:.3f} times as much as the input{of_truth}")
    return missed
