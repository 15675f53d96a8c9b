"""The projects of the stand-in: lookups, and changes durable before they are answered."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from devcloud.gcp.model import Key, Policy, Purpose, ServiceAccount, Version, VersionState
from devcloud.gcp.names import is_key, lineage
from devcloud.gcp.snapshot import World
from devcloud.stored_cloud import StoredCloud, UnknownThingError

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_BYTES = 32
_UNIQUE_ID_DIGITS = 21


class Cloud(StoredCloud[World]):
    """All projects of one stand-in; see `StoredCloud`."""

    @staticmethod
    def _empty(control_token: str) -> World:
        return World(token_key=secrets.token_bytes(KEY_BYTES), control_token=control_token)

    @property
    def token_key(self) -> bytes:
        """Seals access tokens."""
        return self._world.token_key

    # Keys

    def key(self, name: str) -> Key | None:
        """The key of this name."""
        return self._world.keys.get(name)

    def all_keys(self) -> tuple[Key, ...]:
        """Every key of every project."""
        with self._lock:
            return tuple(self._world.keys.values())

    def create_key(self, name: str, purpose: Purpose = Purpose.ENCRYPT_DECRYPT) -> Key:
        """A new key with one enabled version, the primary where the purpose has primaries.

        Raises ValueError for a bad or taken name; rings and projects exist by being named.
        """
        first = _new_version(1)
        key = Key(
            name=name,
            key_id=str(uuid.uuid4()),
            created_at=first.created_at,
            versions=(first,),
            primary=1 if purpose is Purpose.ENCRYPT_DECRYPT else None,
            purpose=purpose,
        )
        with self._lock:
            if not is_key(name) or name in self._world.keys:
                raise ValueError(f"not a name for a new key: {name}")
            return self._put_key(key)

    def set_version_state(self, name: str, number: int, state: VersionState) -> Key:
        """Any state at once; DESTROYED wipes the material. Raises UnknownThingError, ValueError."""
        with self._lock:
            key = self._known_key(name)
            version = key.version(number)
            if version is None:
                raise UnknownThingError(f"no version {number} of {name}")
            if version.state is VersionState.DESTROYED and state is not version.state:
                raise ValueError("a destroyed version stays destroyed")
            secret = b"" if state is VersionState.DESTROYED else version.secret
            changed = replace(version, state=state, secret=secret)
            versions = tuple(changed if one is version else one for one in key.versions)
            return self._put_key(replace(key, versions=versions))

    def rotate(self, name: str) -> Key:
        """A new version that becomes the primary. Raises UnknownThingError."""
        with self._lock:
            key = self._known_key(name)
            fresh = _new_version(len(key.versions) + 1)
            return self._put_key(
                replace(key, versions=(*key.versions, fresh), primary=fresh.number)
            )

    def set_primary(self, name: str, number: int | None) -> Key:
        """Which version encrypts; None leaves the key without. Raises UnknownThingError."""
        with self._lock:
            key = self._known_key(name)
            if number is not None and key.version(number) is None:
                raise UnknownThingError(f"no version {number} of {name}")
            return self._put_key(replace(key, primary=number))

    # Principals and policies

    def account(self, email: str) -> ServiceAccount | None:
        """The service account of this e-mail."""
        return self._world.accounts.get(email)

    def accounts(self) -> tuple[ServiceAccount, ...]:
        """Every service account of every project."""
        with self._lock:
            return tuple(self._world.accounts.values())

    def create_account(self, project: str, name: str) -> ServiceAccount:
        """A service account NAME@PROJECT.iam.gserviceaccount.com; the one there is, if any."""
        email = f"{name}@{project}.iam.gserviceaccount.com"
        unique_id = "1" + "".join(
            secrets.choice("0123456789") for _ in range(_UNIQUE_ID_DIGITS - 1)
        )
        with self._lock:
            account = self._world.accounts.get(email)
            if account is None:
                account = ServiceAccount(email=email, project=project, unique_id=unique_id)
                self._world.accounts[email] = account
                self._save()
            return account

    def delete_account(self, email: str) -> None:
        """Forget a service account and with it its tokens. Raises UnknownThingError."""
        with self._lock:
            if self._world.accounts.pop(email, None) is None:
                raise UnknownThingError(f"no service account {email}")
            self._save()

    def expire_tokens(self, email: str | None) -> None:
        """Make every token given out so far worthless, of one account or (None) of all."""
        with self._lock:
            if email is not None and email not in self._world.accounts:
                raise UnknownThingError(f"no service account {email}")
            for account in tuple(self._world.accounts.values()):
                if email in (None, account.email):
                    self._world.accounts[account.email] = replace(account, epoch=account.epoch + 1)
            self._save()

    def policies(self) -> tuple[Policy, ...]:
        """Every policy."""
        with self._lock:
            return tuple(self._world.policies.values())

    def set_policy(
        self,
        resource: str,
        principal: str,
        *,
        allowed: Iterable[str] | None = None,
        denied: Iterable[str] | None = None,
    ) -> Policy:
        """Replace what a principal may or must not do with a resource and all below it."""
        where = (resource, principal)
        with self._lock:
            policy = self._world.policies.get(where) or Policy(resource, principal)
            if allowed is not None:
                policy = replace(policy, allowed=tuple(allowed))
            if denied is not None:
                policy = replace(policy, denied=tuple(denied))
            self._world.policies[where] = policy
            self._save()
            return policy

    def permits(self, principal: str, permission: str, resource: str) -> bool:
        """Whether a principal may: granted somewhere up the lineage, and denied nowhere."""
        with self._lock:
            found = [
                policy
                for name in lineage(resource)
                if (policy := self._world.policies.get((name, principal))) is not None
            ]
        if any(permission in policy.denied for policy in found):
            return False
        return any(permission in policy.allowed for policy in found)

    def _known_key(self, name: str) -> Key:
        key = self._world.keys.get(name)
        if key is None:
            raise UnknownThingError(f"no key {name}")
        return key

    def _put_key(self, key: Key) -> Key:
        self._world.keys[key.name] = key
        self._save()
        return key


def _new_version(number: int) -> Version:
    return Version(number=number, created_at=time.time(), secret=secrets.token_bytes(KEY_BYTES))
