"""The stand-in's content as JSON and where it is kept, so that a crash costs no key."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from devcloud.files import read_json, write_json
from devcloud.gcp.model import Key, Policy, Purpose, ServiceAccount, Version, VersionState

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = 1


@dataclass(slots=True)
class World:
    """Everything that outlives the process.

    `token_key` seals access tokens (so they outlive a restart without being stored),
    `control_token` guards the control door, `seed` names what the first start made. Policies are
    kept under (resource, principal).
    """

    token_key: bytes = field(repr=False)
    control_token: str = field(repr=False)
    keys: dict[str, Key] = field(default_factory=dict)
    accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    policies: dict[tuple[str, str], Policy] = field(default_factory=dict)
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
        "token_key": base64.b64encode(world.token_key).decode(),
        "control_token": world.control_token,
        "keys": [_encode_key(key) for key in world.keys.values()],
        "accounts": [asdict(account) for account in world.accounts.values()],
        "policies": [asdict(policy) for policy in world.policies.values()],
        "seed": world.seed,
    }


def _encode_key(key: Key) -> dict[str, Any]:
    versions = [
        {**asdict(version), "secret": base64.b64encode(version.secret).decode()}
        for version in key.versions
    ]
    return {**asdict(key), "versions": versions}


def _decode(content: dict[str, Any]) -> World:
    keys = [_decode_key(key) for key in content["keys"]]
    accounts = [ServiceAccount(**account) for account in content["accounts"]]
    policies = [
        Policy(**{**one, "allowed": tuple(one["allowed"]), "denied": tuple(one["denied"])})
        for one in content["policies"]
    ]
    return World(
        token_key=base64.b64decode(content["token_key"], validate=True),
        control_token=content["control_token"],
        keys={key.name: key for key in keys},
        accounts={account.email: account for account in accounts},
        policies={(policy.resource, policy.principal): policy for policy in policies},
        seed=dict(content["seed"]),
    )


def _decode_key(content: dict[str, Any]) -> Key:
    versions = tuple(
        Version(
            **{
                **one,
                "secret": base64.b64decode(one["secret"], validate=True),
                "state": VersionState(one["state"]),
            }
        )
        for one in content["versions"]
    )
    return Key(**{**content, "versions": versions, "purpose": Purpose(content["purpose"])})
