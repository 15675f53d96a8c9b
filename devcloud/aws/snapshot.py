"""The accounts' content as JSON and where it is kept, so that a crash costs no key."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from devcloud.aws.model import Key, KeyState, KeyUsage, Material, Role, User
from devcloud.files import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = 1


@dataclass(slots=True)
class World:
    """Everything that outlives the process. `aliases` maps an alias ARN to a key ARN.

    `session_key` seals session tokens (so sessions outlive a restart without being stored),
    `control_token` guards the control API, `seed` names what the first start made.
    """

    session_key: bytes = field(repr=False)
    control_token: str = field(repr=False)
    keys: dict[str, Key] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    seed: dict[str, str] = field(default_factory=dict)


class Snapshots(Protocol):
    """Keeps the last saved world."""

    def load(self) -> World | None:
        """The last saved world, None before the first save."""

    def save(self, world: World) -> None:
        """Keep this world; durable when the call returns, as far as this store promises."""


class InMemory:
    """Forgets everything with the process: for in-process tests that need no restart."""

    def load(self) -> World | None:
        """Always None: there is nothing from before."""
        return None

    def save(self, world: World) -> None:
        """The living world is the only copy."""


class JsonFile:
    """One private JSON file, replaced atomically with fsync."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> World | None:
        """Raises ValueError, naming the file, when it is not a state file of this format."""
        content = read_json(self._path)
        if content is None:
            return None
        if content.get("format") != _FORMAT:
            raise ValueError(f"{self._path} is not a devcloud state file of format {_FORMAT}")
        try:
            return _decode(content)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self._path} is a damaged devcloud state file") from error

    def save(self, world: World) -> None:
        """Durable when it returns."""
        write_json(self._path, _encode(world))


def _encode(world: World) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "session_key": base64.b64encode(world.session_key).decode(),
        "control_token": world.control_token,
        "keys": [_encode_key(key) for key in world.keys.values()],
        "aliases": world.aliases,
        "roles": [asdict(role) for role in world.roles.values()],
        "users": [asdict(user) for user in world.users.values()],
        "seed": world.seed,
    }


def _encode_key(key: Key) -> dict[str, Any]:
    materials = [
        {"id": material.id, "secret": base64.b64encode(material.secret).decode()}
        for material in key.materials
    ]
    return {**asdict(key), "materials": materials}


def _decode(content: dict[str, Any]) -> World:
    keys = [_decode_key(key) for key in content["keys"]]
    roles = [Role(**_tuples(role, "trusted", "actions", "resources")) for role in content["roles"]]
    users = [User(**_tuples(user, "actions")) for user in content["users"]]
    return World(
        session_key=base64.b64decode(content["session_key"], validate=True),
        control_token=content["control_token"],
        keys={key.arn: key for key in keys},
        aliases=dict(content["aliases"]),
        roles={role.arn: role for role in roles},
        users={user.access_key_id: user for user in users},
        seed=dict(content["seed"]),
    )


def _decode_key(content: dict[str, Any]) -> Key:
    materials = tuple(
        Material(id=one["id"], secret=base64.b64decode(one["secret"], validate=True))
        for one in content["materials"]
    )
    return Key(
        **{
            **_tuples(content, "denied"),
            "materials": materials,
            "state": KeyState(content["state"]),
            "usage": KeyUsage(content["usage"]),
        }
    )


def _tuples(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {**content, **{name: tuple(content[name]) for name in names}}
