"""Primes from seeds, for the keys whose libraries want to choose their own. Not fit for real keys."""

from __future__ import annotations

from hashlib import shake_256
from typing import Final

_SMALL: Final = [n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]
_BASES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)


def is_prime(candidate: int) -> bool:
    """Miller and Rabin; an honest number passes by chance less often than a disk errs."""
    if any(candidate % small == 0 for small in _SMALL):
        return False
    odd, twos = candidate - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(candidate, pow(base, odd, candidate), twos) for base in _BASES)


def _passes(candidate: int, power: int, twos: int) -> bool:
    for _ in range(twos):
        if power in (1, candidate - 1):
            return True
        power = power * power % candidate
    return False


def primes(name: str, bits: int, count: int) -> list[int]:
    """The first ones at or above numbers drawn from `name`, with both upper bits set."""
    found = []
    for which in range(count):
        candidate = _drawn(f"{name} {which}", bits) | 1 | 3 << bits - 2
        while not (candidate % 65537 != 1 and is_prime(candidate)):
            candidate += 2
        found.append(candidate)
    return found


def prime_above_multiple_of(step: int, name: str, bits: int) -> int:
    """A prime of that size which is 1 above a multiple of `step`."""
    start = _drawn(name, bits) | 1 << bits - 1
    candidate = start - start % step + step + 1
    while not is_prime(candidate):
        candidate += step
    return candidate


def _drawn(name: str, bits: int) -> int:
    return int.from_bytes(
        shake_256(f"coffer certificate corpus: {name}".encode()).digest(bits // 8)
    )
