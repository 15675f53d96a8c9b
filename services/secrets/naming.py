"""The forms of names and ids that clients send."""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

MAX_NAME: Final = 128
_BLANKS: Final = re.compile(r"\s+")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_ENVIRONMENT: Final = re.compile(r"[a-z0-9_-]{1,64}")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def normalise(name: str) -> str:
    """`name` without blanks at its ends, each inner run of blanks one `_`. Not checked otherwise."""
    return _BLANKS.sub("_", name.strip())


def is_name(name: str) -> bool:
    """Whether a normalised name can be a secret's."""
    return _NAME.fullmatch(name) is not None


def is_environment_name(name: str) -> bool:
    """Whether an environment can have this name."""
    return _ENVIRONMENT.fullmatch(name) is not None


def parse_id(text: str) -> UUID | None:
    """A UUID in its usual form (RFC 9562, either case); None for anything else."""
    return UUID(text) if _UUID.fullmatch(text) else None
