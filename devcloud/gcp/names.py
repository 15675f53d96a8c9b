"""Resource names of Cloud KMS and their ancestors, along which IAM policies are inherited."""

from __future__ import annotations

import re

_SEGMENT = r"[A-Za-z0-9_-]{1,63}"
_KEY = re.compile(
    rf"projects/[a-z0-9:.-]{{1,63}}/locations/{_SEGMENT}/keyRings/{_SEGMENT}/cryptoKeys/{_SEGMENT}"
)
_VERSION = re.compile(rf"({_KEY.pattern})/cryptoKeyVersions/([1-9][0-9]{{0,9}})")


def is_key(name: str) -> bool:
    """Whether this is the full name of a CryptoKey."""
    return _KEY.fullmatch(name) is not None


def split_version(name: str) -> tuple[str, int] | None:
    """The key's name and the number of a CryptoKeyVersion's name, None where it is no such."""
    match = _VERSION.fullmatch(name)
    return None if match is None else (match[1], int(match[2]))


def key_of(name: str) -> str:
    """The key a key's or version's name is about; the name itself where it is neither."""
    parts = split_version(name)
    return name if parts is None else parts[0]


def ring_name(project: str, location: str, ring: str) -> str:
    """The full name of a key ring."""
    return f"projects/{project}/locations/{location}/keyRings/{ring}"


def lineage(name: str) -> tuple[str, ...]:
    """The resource and its ancestors that can carry a policy, nearest first."""
    parts = name.split("/")
    # projects/P, .../keyRings/R, .../cryptoKeys/K: locations carry no policy, versions neither.
    depths = [depth for depth in (8, 6, 2) if depth <= len(parts)]
    if name.startswith("projects/-/"):
        return (name,)
    return tuple("/".join(parts[:depth]) for depth in depths)
