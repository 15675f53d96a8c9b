"""The accounts' content as JSON and where it is kept, so that a crash costs no key."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from devcloud.aws.model import Key, KeyState, KeyUsage, Material, Role, User
from devcloud.snapshots import JsonFile

if TYPE_CHECKING:
    from pathlib import Path


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


def json_file(path: Path) -> JsonFile[World]:
    """One private JSON file; see `JsonFile`."""
    return JsonFile(path, _encode, _decode)


def _encode(world: World) -> dict[str, Any]:
    return {
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
