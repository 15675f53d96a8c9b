"""Where a stand-in keeps its world between two runs, so that a crash costs no key.

What a world is made of, and how it is written as JSON, is each cloud's own: see its `snapshot`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from devcloud.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FORMAT = 1

World = TypeVar("World")


class Snapshots(Protocol[World]):
    """Keeps the last saved world."""

    def load(self) -> World | None:
        """The last saved world, None before the first save."""

    def save(self, world: World) -> None:
        """Keep this world; durable when the call returns, as far as this store promises."""


class InMemory:
    """Forgets every world with the process: for in-process tests that need no restart."""

    def load(self) -> None:
        """Always None: there is nothing from before."""

    def save(self, world: object) -> None:
        """The living world is the only copy."""


class JsonFile(Generic[World]):
    """One private JSON file, replaced atomically with fsync.

    `encode` gives a world's members; `decode` makes it of them again and may raise KeyError,
    TypeError, ValueError or AttributeError where they are not what `encode` gave.
    """

    def __init__(
        self,
        path: Path,
        encode: Callable[[World], dict[str, Any]],
        decode: Callable[[dict[str, Any]], World],
    ) -> None:
        self._path = path
        self._encode = encode
        self._decode = decode

    def load(self) -> World | None:
        """Raises ValueError, naming the file, when it is not a state file of this format."""
        content = read_json(self._path)
        if content is None:
            return None
        if content.get("format") != _FORMAT:
            raise ValueError(f"{self._path} is not a devcloud state file of format {_FORMAT}")
        try:
            return self._decode(content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{self._path} is a damaged devcloud state file") from error

    def save(self, world: World) -> None:
        """Durable when it returns."""
        write_json(self._path, {"format": _FORMAT, **self._encode(world)})
