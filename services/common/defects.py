"""What may be told of an exception that nobody expected. Pure."""

from __future__ import annotations

import traceback
from typing import Any, Final

_MAX_CAUSES: Final = 5
_MAX_FRAMES: Final = 8


def describe(error: BaseException) -> dict[str, Any]:
    """An exception for the log: its types and where it came from, never its text."""
    causes: list[str] = []
    current: BaseException | None = error
    while current is not None and len(causes) < _MAX_CAUSES:
        causes.append(f"{type(current).__module__}.{type(current).__qualname__}")
        current = current.__cause__ or current.__context__
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    return {"error": causes, "at": [f"{f.filename}:{f.lineno} {f.name}" for f in frames]}
