# SPDX-License-Identifier: Apache-2.0
"""What became of each clip."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import ExitCode

__all__ = ["BatchResult", "ClipOutcome", "Status"]

Status = Literal["done", "skipped", "no_benefit", "failed", "cancelled", "waiting"]


@dataclass(frozen=True)
class ClipOutcome:
    """One clip's end.

    ``status``: "done" (rendered now), "skipped" (was finished already), "no_benefit" (nothing to learn from or
    nothing to do; left as it is), "failed", "cancelled" (stopped while it ran), "waiting" (never begun).
    """

    clip: str
    status: Status
    exit_code: ExitCode = ExitCode.DONE
    model: Path | None = None
    output: Path | None = None
    fitted: bool = False  # False where a model that was there already was used
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)  # held-out figures and what the render counted
    message: str = ""
    hint: str | None = None
    trace: str = field(default="", repr=False)  # of an unexpected error

    def to_dict(self) -> dict[str, Any]:
        """Everything but the trace."""
        return {name: value for name, value in vars(self).items() if name != "trace"}


@dataclass(frozen=True)
class BatchResult:
    """All clips, in order."""

    outcomes: tuple[ClipOutcome, ...]

    def count(self, *statuses: Status) -> int:
        return sum(outcome.status in statuses for outcome in self.outcomes)

    @property
    def exit_code(self) -> ExitCode:
        """DONE where every clip is done or was; else CANCELLED, else the first failure's, else NO_BENEFIT."""
        if self.count("cancelled", "waiting"):
            return ExitCode.CANCELLED
        for status in ("failed", "no_benefit"):
            for outcome in self.outcomes:
                if outcome.status == status:
                    return outcome.exit_code
        return ExitCode.DONE

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        statuses = ("done", "skipped", "no_benefit", "failed", "cancelled", "waiting")
        return {
            "clips": [outcome.to_dict() for outcome in self.outcomes],
            "counts": {status: self.count(status) for status in statuses},  # type: ignore[arg-type]
        }
