"""The stand-in's content as JSON and where it is kept, so that a crash costs no key."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from devcloud.gcp.model import Key, Policy, Purpose, ServiceAccount, Version, VersionState
from devcloud.snapshots import JsonFile

if TYPE_CHECKING:
    from pathlib import Path


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


def json_file(path: Path) -> JsonFile[World]:
    """One private JSON file; see `JsonFile`."""
    return JsonFile(path, _encode, _decode)


def _encode(world: World) -> dict[str, Any]:
    return {
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
