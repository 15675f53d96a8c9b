"""Method and path to a target, by segments; knows nothing of rpcs.

A path matches as it was sent, before percent-decoding splits anything: `%2F` inside a segment is text of
that segment. No trailing slash, no empty segment, case matters. Where a literal and a field both fit, the
literal wins for its own methods; other methods still reach the field (`GET /v1/secrets/certificate` asks
for the secret of that id).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


class Router(Generic[T]):
    """Immutable after construction. Raises ValueError when two targets share method and path."""

    __slots__ = ("_fixed", "_most", "_open")

    def __init__(self, entries: Iterable[tuple[str, Sequence[str | None], T]]) -> None:
        self._fixed: dict[bytes, dict[str, T]] = {}
        self._open: dict[int, list[tuple[tuple[str | None, ...], dict[str, T]]]] = {}
        self._most = 0
        for method, segments, target in entries:
            self._most = max(self._most, len(segments))
            methods = self._methods_at(tuple(segments))
            if method in methods:
                raise ValueError(f"two targets for {method} {segments}")
            methods[method] = target

    def _methods_at(self, segments: tuple[str | None, ...]) -> dict[str, T]:
        if None not in segments:
            path = "/" + "/".join(part for part in segments if part is not None)
            return self._fixed.setdefault(path.encode("ascii"), {})
        same_length = self._open.setdefault(len(segments), [])
        for known, methods in same_length:
            if known == segments:
                return methods
        fresh: dict[str, T] = {}
        same_length.append((segments, fresh))
        return fresh

    def find(self, method: str, raw_path: bytes) -> tuple[T, list[str | None]] | None:
        """The target and the texts of the path's fields, in order (None: not UTF-8)."""
        fixed = self._fixed.get(raw_path)
        if fixed is not None and method in fixed:
            return fixed[method], []
        parts = self._parts(raw_path)
        if b"%" in raw_path:
            literal = self._literal(parts)
            if method in literal:
                return literal[method], []
        for segments, methods in self._open.get(len(parts), ()):
            if method in methods and _fits(segments, parts):
                return methods[method], _fields(segments, parts)
        return None

    def _parts(self, raw_path: bytes) -> list[bytes]:
        """The segments; of a path with more than any target has, too many, and not looked into."""
        parts = raw_path[1:].split(b"/", self._most)
        if b"%" in raw_path and len(parts) <= self._most:
            return [unquote_to_bytes(part) for part in parts]
        return parts

    def _literal(self, parts: list[bytes]) -> dict[str, T]:
        """The methods of a path without fields; a decoded `/` inside a part separates nothing."""
        if any(b"/" in part for part in parts):
            return {}
        return self._fixed.get(b"/" + b"/".join(parts), {})

    def allowed(self, raw_path: bytes) -> list[str]:
        """The methods that the path knows, sorted; none: there is no such path."""
        parts = self._parts(raw_path)
        found = set(self._literal(parts))
        for segments, methods in self._open.get(len(parts), ()):
            if _fits(segments, parts):
                found.update(methods)
        return sorted(found)


def _fits(segments: tuple[str | None, ...], parts: list[bytes]) -> bool:
    return all(
        bool(part) if segment is None else segment.encode("ascii") == part
        for segment, part in zip(segments, parts, strict=True)
    )


def _fields(segments: tuple[str | None, ...], parts: list[bytes]) -> list[str | None]:
    return [_text(part) for segment, part in zip(segments, parts, strict=True) if segment is None]


def _text(part: bytes) -> str | None:
    try:
        return part.decode("utf-8")
    except UnicodeDecodeError:
        return None
