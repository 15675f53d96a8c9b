"""How many values a JSON text holds, before any of them is made.

A body within the size limit can hold a third of a million values, and each costs far more than its bytes:
1 MiB of zeros took 0.9 s of the event loop, and became a message of 5.8 MB. So they are counted first.
"""

from __future__ import annotations

import re
from typing import Final

MAX_VALUES: Final = 5_000
"""Members and items of one body, at all depths together; an empty container counts once more. The largest
body that the contract has a use for holds some forty."""

_MARKS: Final = (b",", b"[", b"{")
"""A container of n values has n - 1 commas (none, for no value) and one opening mark."""

# An unterminated string reaches to the end, so that none is begun in its middle, again and again. The
# possessive forms (`*+`) never go back: the time is that of one pass, whatever the bytes are.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_MAX_STRINGS: Final = 2 * MAX_VALUES
"""Every value may have a name."""


def too_many_values(text: bytes) -> bool:
    """Whether `text`, if it is JSON, holds more than MAX_VALUES; takes one pass over it at most.

    What is no JSON may be judged either way; the parser gets no more than the bound to work on.
    """
    if _marks(text) <= MAX_VALUES:
        return False  # marks inside strings included, as nearly every body there is
    bare, strings = _STRING.subn(b"", text, count=_MAX_STRINGS + 1)
    return strings > _MAX_STRINGS or _marks(bare) > MAX_VALUES


def _marks(text: bytes) -> int:
    return sum(text.count(mark) for mark in _MARKS)
