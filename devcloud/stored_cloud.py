"""What the clouds of all stand-ins begin with: a world that is stored, its lock and its seed."""

from __future__ import annotations

import secrets
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from devcloud.snapshots import Snapshots


class UnknownThingError(LookupError):
    """The control door named something that is not there."""


class Stored(Protocol):
    """What every world has."""

    control_token: str
    seed: dict[str, str]


World = TypeVar("World", bound=Stored)


class StoredCloud(ABC, Generic[World]):
    """The world of one stand-in. Safe for use by many threads.

    A change is made under `_lock` and is durable when `_save` returns. Construction reads the
    snapshot, or begins an empty world where there is none.
    """

    def __init__(self, snapshots: Snapshots[World]) -> None:
        self._snapshots = snapshots
        self._lock = threading.RLock()
        self._world = snapshots.load() or self._empty(secrets.token_urlsafe(32))

    @staticmethod
    @abstractmethod
    def _empty(control_token: str) -> World:
        """A world with secrets of its own and nothing else."""

    @property
    def control_token(self) -> str:
        """Guards the control door; the same over restarts."""
        return self._world.control_token

    @property
    def seed(self) -> dict[str, str]:
        """What the first start made, empty before."""
        with self._lock:
            return dict(self._world.seed)

    def remember_seed(self, seed: dict[str, str]) -> None:
        """Note what the first start made; from then on a start makes nothing."""
        with self._lock:
            self._world.seed = dict(seed)
            self._save()

    def _save(self) -> None:
        self._snapshots.save(self._world)
