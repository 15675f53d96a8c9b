"""How much is measured: every count and every time of a benchmark run is bounded here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

CLIENTS: Final = (1, 8, 32)
SECTIONS: Final = (
    "creates", "accesses", "rewraps", "keys", "sealing", "courtesy", "neighbours", "certificates",
    "sizes", "limits",
)  # fmt: skip
USUAL: Final = ("creates", "accesses", "rewraps", "keys", "sealing", "courtesy")
"""What is measured when nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the program.

    `runs` repetitions, whose median counts; each sample lasts `seconds` after `warm_up` seconds (pgbench
    knows whole seconds only, at least one). `keys` data keys are rewrapped; `accessed` secrets are read
    in turn; a value has `value_bytes`.
    """

    runs: int = 5
    seconds: float = 3.0
    warm_up: float = 0.5
    keys: int = 20_000
    accessed: int = 1_000
    value_bytes: int = 256
    clients: tuple[int, ...] = CLIENTS
    ttl: float = 15.0
    """COFFER_KMS_CUSTOMER_TTL_SECONDS of the section `sealing`."""
    big: int = 10_000
    """Secrets of the one big tenant of the section `sizes`."""
    tenants: int = 1_000
    """Small tenants of it, with 10 secrets each."""
    retry: float = 1.5
    """COFFER_KMS_SEALED_RETRY_SECONDS of it: a twentieth of the default, as the TTL."""

    @property
    def value(self) -> str:
        """What every secret holds: the same everywhere, so that reads can compare."""
        return (hashlib.sha512(b"benchmark").hexdigest() * self.value_bytes)[: self.value_bytes]

    @property
    def whole_seconds(self) -> int:
        """The length of a sample for programs that count in seconds."""
        return max(1, round(self.seconds))


FULL: Final = Plan()
QUICK: Final = Plan(
    runs=1,
    seconds=0.5,
    warm_up=0.2,
    keys=1_000,
    accessed=100,
    big=500,
    tenants=20,
    ttl=2.0,
    retry=0.2,
)
"""For CI and for a first look: shows that it works, its figures mean little."""
