"""The accounts of the stand-in: lookups, and changes that are durable before they are answered."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from devcloud.aws.arn import alias_arn, iam_arn, partition_of
from devcloud.aws.model import SYMMETRIC, Key, KeyState, KeyUsage, Material, Role, User
from devcloud.aws.snapshot import World
from devcloud.stored_cloud import StoredCloud, UnknownThingError

if TYPE_CHECKING:
    from collections.abc import Callable

KEY_BYTES = 32
_MATERIAL_ID_BYTES = 32
_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_ID_LENGTH = 16


class Cloud(StoredCloud[World]):
    """All accounts of one stand-in; see `StoredCloud`."""

    @staticmethod
    def _empty(control_token: str) -> World:
        return World(session_key=secrets.token_bytes(KEY_BYTES), control_token=control_token)

    @property
    def session_key(self) -> bytes:
        """Seals session tokens."""
        return self._world.session_key

    def key(self, arn: str) -> Key | None:
        """The key of this ARN, in whatever state."""
        return self._world.keys.get(arn)

    def all_keys(self) -> tuple[Key, ...]:
        """Every key of every account."""
        with self._lock:
            return tuple(self._world.keys.values())

    def alias_target(self, arn: str) -> str | None:
        """The key ARN an alias ARN points to."""
        return self._world.aliases.get(arn)

    def aliases(self) -> dict[str, str]:
        """Every alias ARN with its key ARN."""
        with self._lock:
            return dict(self._world.aliases)

    def role(self, arn: str) -> Role | None:
        """The role of this ARN."""
        return self._world.roles.get(arn)

    def roles(self) -> tuple[Role, ...]:
        """Every role of every account."""
        with self._lock:
            return tuple(self._world.roles.values())

    def user(self, access_key_id: str) -> User | None:
        """The user with this access key."""
        return self._world.users.get(access_key_id)

    def create_key(
        self,
        *,
        account: str,
        region: str,
        spec: str = SYMMETRIC,
        usage: KeyUsage = KeyUsage.ENCRYPT_DECRYPT,
    ) -> Key:
        """A new enabled key with one generation of material."""
        key = Key(
            key_id=str(uuid.uuid4()),
            account=account,
            region=region,
            created_at=time.time(),
            materials=(_new_material(),),
            spec=spec,
            usage=usage,
        )
        return self._put_key(key)

    def change_key(self, arn: str, **changes: Any) -> Key:
        """Replace fields of a key. Raises UnknownThingError."""
        return self._edit_key(arn, lambda key: replace(key, **changes))

    def rotate_key(self, arn: str) -> Key:
        """Add a generation of material. Raises UnknownThingError."""
        return self._edit_key(
            arn, lambda key: replace(key, materials=(*key.materials, _new_material()))
        )

    def point_alias(self, *, account: str, region: str, name: str, key_arn: str) -> str:
        """Create or move the alias `alias/...`; its ARN. Raises UnknownThingError."""
        with self._lock:
            if key_arn not in self._world.keys:
                raise UnknownThingError(f"no key {key_arn}")
            arn = alias_arn(region, account, name)
            self._world.aliases[arn] = key_arn
            self._save()
            return arn

    def users(self) -> tuple[User, ...]:
        """Every user of every account."""
        with self._lock:
            return tuple(self._world.users.values())

    def create_user(
        self, *, account: str, region: str, name: str, actions: tuple[str, ...]
    ) -> User:
        """A new IAM user in the partition of `region`, with one access key."""
        user = User(
            arn=iam_arn(partition_of(region), account, f"user/{name}"),
            user_id=_new_id("AIDA"),
            access_key_id=_new_id("AKIA"),
            secret_access_key=secrets.token_urlsafe(30),
            actions=actions,
        )
        with self._lock:
            self._world.users[user.access_key_id] = user
            self._save()
        return user

    def create_role(
        self,
        *,
        account: str,
        region: str,
        name: str,
        trusted: tuple[str, ...],
        external_id: str | None,
        actions: tuple[str, ...],
        resources: tuple[str, ...],
    ) -> Role:
        """A new IAM role in the partition of `region`; replaces one of the same name."""
        role = Role(
            arn=iam_arn(partition_of(region), account, f"role/{name}"),
            role_id=_new_id("AROA"),
            trusted=trusted,
            external_id=external_id,
            actions=actions,
            resources=resources,
        )
        with self._lock:
            self._world.roles[role.arn] = role
            self._save()
        return role

    def change_role(self, arn: str, **changes: Any) -> Role:
        """Replace fields of a role. Raises UnknownThingError."""
        with self._lock:
            role = self._world.roles.get(arn)
            if role is None:
                raise UnknownThingError(f"no role {arn}")
            changed = self._world.roles[arn] = replace(role, **changes)
            self._save()
            return changed

    def _edit_key(self, arn: str, edit: Callable[[Key], Key]) -> Key:
        with self._lock:
            key = self._world.keys.get(arn)
            if key is None:
                raise UnknownThingError(f"no key {arn}")
            return self._put_key(edit(key))

    def _put_key(self, key: Key) -> Key:
        with self._lock:
            self._world.keys[key.arn] = key
            self._save()
            return key


def visible(key: Key | None) -> Key | None:
    """The key as the outside sees it: None where it is gone."""
    return None if key is None or key.state is KeyState.GONE else key


def _new_material() -> Material:
    return Material(id=secrets.token_hex(_MATERIAL_ID_BYTES), secret=secrets.token_bytes(KEY_BYTES))


def _new_id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
