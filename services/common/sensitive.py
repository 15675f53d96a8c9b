"""Bytes that must not be seen: no repr, no pickle, no copy by accident.

Not promised: Python cannot guarantee that no copy of the bytes stays in memory. `wipe` overwrites the
one buffer held here.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

REDACTED: Final = "[redacted]"


class SecretBytes:
    """A key or value in memory. Compare with `==` in constant time; read with `reveal`."""

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray) -> None:
        self._buffer = bytearray(value)

    def reveal(self) -> bytes:
        """A copy of the bytes. Raises ValueError when they were wiped."""
        if not self._buffer:
            raise ValueError("these bytes were wiped")
        return bytes(self._buffer)

    def wipe(self) -> None:
        """Overwrite and forget the bytes. May be called twice."""
        for index in range(len(self._buffer)):
            self._buffer[index] = 0
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return hmac.compare_digest(self._buffer, other._buffer)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"SecretBytes({REDACTED})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret bytes are not pickled")
