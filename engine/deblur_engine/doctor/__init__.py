# SPDX-License-Identifier: Apache-2.0
"""What works on this machine, and what to do about what does not. Never imports torch."""

from .checks import Check, Report, examine

__all__ = ["Check", "Report", "examine"]
