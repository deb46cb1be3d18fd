# SPDX-License-Identifier: Apache-2.0
"""Results as JSON: any value that the engine hands out becomes plain data that every JSON reader accepts."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any

__all__ = ["dumps", "jsonable"]


def jsonable(value: Any) -> Any:
    """Plain data for ``value``: paths and fractions as text, NaN and infinities as null, arrays as lists."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Enum):
        return jsonable(value.value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        # JSON has no NaN; Python's own spelling of it stops other readers.
        return float(value) if math.isfinite(value) else None
    if isinstance(value, PurePath | Fraction):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return jsonable(value.tolist())
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [jsonable(item) for item in value]
    return str(value)


def dumps(value: Any, *, indent: int | None = None) -> str:
    """``value`` as JSON text; on one line unless ``indent`` is given."""
    # ASCII only: a terminal or pipe of any encoding takes it, and file names that are no valid text survive.
    return json.dumps(jsonable(value), ensure_ascii=True, allow_nan=False, indent=indent)
