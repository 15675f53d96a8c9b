"""One input of the certificate intake, and its form in a file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Final

TYPES: Final = ("pem", "crt", "cer", "pfx", "p12", "pkcs7", "p7b", "p7c", "key")

_PRINTED: Final = 256
"""Bytes; kMaxUnitSizeToPrint in libFuzzer's FuzzerLoop.cpp."""


@dataclass(frozen=True)
class Case:
    """The four fields that a client sends."""

    certificate_type: str
    content: str = field(repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)

    def to_bytes(self) -> bytes:
        """JSON in ASCII: what a reproducer under build/ holds. Never so short that libFuzzer prints it."""
        return json.dumps(asdict(self)).ljust(_PRINTED + 1).encode("ascii")

    @classmethod
    def from_bytes(cls, data: bytes) -> Case:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        try:
            return cls(**json.loads(data))
        except TypeError:
            raise ValueError("no case") from None
