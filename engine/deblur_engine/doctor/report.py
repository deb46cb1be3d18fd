# SPDX-License-Identifier: Apache-2.0
"""The form of a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Check", "Report", "State"]

State = Literal["ok", "note", "failed"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    ``state``: "ok"; "note" where something is missing that deblur-engine can do without; "failed" where something
    that it needs does not work. ``found`` says what was found, ``advice`` what to do about it.
    """

    name: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Report:
    """All findings."""

    checks: tuple[Check, ...]

    @property
    def works(self) -> bool:
        """True where nothing that is needed has failed."""
        return not any(check.state == "failed" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"works": self.works, "checks": [vars(check) for check in self.checks]}
