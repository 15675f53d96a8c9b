"""The tenants' content as JSON and where it is kept, so that a crash costs no key."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from devcloud.azure.model import (
    AccessModel,
    App,
    Federation,
    Key,
    KeyLife,
    KeyVersion,
    ManagedIdentity,
    PrivateKey,
    Vault,
)
from devcloud.snapshots import JsonFile

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class World:
    """Everything that outlives the process. Vaults by host, keys by URL, apps by client id.

    `token_key` signs tokens and federated assertions, `control_token` guards the control API,
    `identity_header` the managed identity endpoint; `tokens_since` (Unix seconds) is the moment
    before which no token is good any more; `seed` names what the first start made.
    """

    token_key: bytes = field(repr=False)
    control_token: str = field(repr=False)
    identity_header: str = field(repr=False)
    tenants: tuple[str, ...] = ()
    vaults: dict[str, Vault] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    identities: dict[str, ManagedIdentity] = field(default_factory=dict)
    tokens_since: float = 0.0
    seed: dict[str, str] = field(default_factory=dict)


def json_file(path: Path) -> JsonFile[World]:
    """One private JSON file; see `JsonFile`."""
    return JsonFile(path, _encode, _decode)


def _encode(world: World) -> dict[str, Any]:
    return {
        "token_key": base64.b64encode(world.token_key).decode(),
        "control_token": world.control_token,
        "identity_header": world.identity_header,
        "tenants": world.tenants,
        "vaults": [asdict(vault) for vault in world.vaults.values()],
        "keys": [_encode_key(key) for key in world.keys.values()],
        "apps": [asdict(app) for app in world.apps.values()],
        "identities": [asdict(one) for one in world.identities.values()],
        "tokens_since": world.tokens_since,
        "seed": world.seed,
    }


def _decode(content: dict[str, Any]) -> World:
    vaults = [_decode_vault(one) for one in content["vaults"]]
    keys = [_decode_key(one) for one in content["keys"]]
    apps = [_decode_app(one) for one in content["apps"]]
    identities = [ManagedIdentity(**one) for one in content["identities"]]
    return World(
        token_key=base64.b64decode(content["token_key"], validate=True),
        control_token=content["control_token"],
        identity_header=content["identity_header"],
        tenants=tuple(content["tenants"]),
        vaults={vault.host: vault for vault in vaults},
        keys={key.url: key for key in keys},
        apps={app.client_id: app for app in apps},
        identities={one.client_id: one for one in identities},
        tokens_since=content["tokens_since"],
        seed=dict(content["seed"]),
    )


def _encode_key(key: Key) -> dict[str, Any]:
    # Not asdict: it would try to copy the private keys.
    members = {one.name: getattr(key, one.name) for one in fields(key)}
    return {**members, "versions": [_encode_version(version) for version in key.versions]}


def _encode_version(version: KeyVersion) -> dict[str, Any]:
    members = {one.name: getattr(version, one.name) for one in fields(version)}
    pem = version.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {**members, "private": pem.decode()}


def _decode_key(content: dict[str, Any]) -> Key:
    return Key(
        **{
            **content,
            "versions": tuple(_decode_version(one) for one in content["versions"]),
            "key_ops": tuple(content["key_ops"]),
            "life": KeyLife(content["life"]),
            "grants": _permissions(content["grants"]),
            "denied": _permissions(content["denied"]),
        }
    )


def _decode_version(content: dict[str, Any]) -> KeyVersion:
    return KeyVersion(**{**content, "private": _load(content["private"])})


def _load(pem: str) -> PrivateKey:
    # Our own file: the validation that is skipped takes 90 ms for each RSA key.
    key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        raise TypeError("not a key of the stand-in")
    return key


def _decode_vault(content: dict[str, Any]) -> Vault:
    changes = {
        "access": AccessModel(content["access"]),
        "grants": _permissions(content["grants"]),
    }
    return Vault(**{**content, **changes})


def _decode_app(content: dict[str, Any]) -> App:
    changes = {
        "secrets": tuple(content["secrets"]),
        "federations": tuple(Federation(**one) for one in content["federations"]),
    }
    return App(**{**content, **changes})


def _permissions(content: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {client: tuple(actions) for client, actions in content.items()}
