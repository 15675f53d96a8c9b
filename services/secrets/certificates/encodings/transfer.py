"""The coat that content travels in: text as it is, or base64 of bytes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Opened:
    """Content without its coat: `text` when it is text that may be PEM, else `data`, the bytes.

    Exactly one of the two is not None. Both stay out of repr, as they may be key material.
    """

    text: str | None = field(default=None, repr=False)
    data: bytes | None = field(default=None, repr=False)


def open_transfer(content: str) -> Opened:
    """What is inside `content`."""
    return Opened(text=content)
