"""The tenants of the stand-in: lookups, and changes that are durable before they are answered."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from devcloud.azure.model import (
    SUFFIXES,
    App,
    Federation,
    Key,
    KeyVersion,
    ManagedIdentity,
    PrivateKey,
    Vault,
)
from devcloud.azure.snapshot import World
from devcloud.stored_cloud import StoredCloud, UnknownThingError

if TYPE_CHECKING:
    from collections.abc import Callable

RSA_OPS = ("encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey")
EC_OPS = ("sign", "verify")
_RSA_BITS = (2048, 3072, 4096)
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}", re.ASCII)


class Cloud(StoredCloud[World]):
    """All tenants of one stand-in; see `StoredCloud`."""

    @staticmethod
    def _empty(control_token: str) -> World:
        return World(
            token_key=secrets.token_bytes(32),
            control_token=control_token,
            identity_header=secrets.token_urlsafe(24),
        )

    @property
    def token_key(self) -> bytes:
        """Signs tokens and federated assertions."""
        return self._world.token_key

    @property
    def identity_header(self) -> str:
        """What IDENTITY_HEADER has to be."""
        return self._world.identity_header

    @property
    def tokens_since(self) -> float:
        """Tokens issued before this moment (Unix seconds) are no good any more."""
        return self._world.tokens_since

    def has_tenant(self, tenant_id: str) -> bool:
        """Whether there is such a tenant."""
        return tenant_id in self._world.tenants

    def vault(self, host: str) -> Vault | None:
        """The vault of this host name."""
        return self._world.vaults.get(host)

    def vaults(self) -> tuple[Vault, ...]:
        """Every vault."""
        with self._lock:
            return tuple(self._world.vaults.values())

    def key(self, url: str) -> Key | None:
        """The key of this URL without version, in whatever state."""
        return self._world.keys.get(url)

    def all_keys(self) -> tuple[Key, ...]:
        """Every key of every vault."""
        with self._lock:
            return tuple(self._world.keys.values())

    def app(self, client_id: str) -> App | None:
        """The application of this client id."""
        return self._world.apps.get(client_id)

    def identity(self, client_id: str) -> ManagedIdentity | None:
        """The managed identity of this client id."""
        return self._world.identities.get(client_id)

    def identities(self) -> tuple[ManagedIdentity, ...]:
        """Every managed identity of this host."""
        with self._lock:
            return tuple(self._world.identities.values())

    def create_tenant(self) -> str:
        """A new directory; its id."""
        tenant_id = str(uuid.uuid4())
        with self._lock:
            self._world.tenants = (*self._world.tenants, tenant_id)
            self._save()
        return tenant_id

    def create_vault(self, host: str, **members: Any) -> Vault:
        """A new vault. Raises ValueError for a host of no known cloud, or one that is taken."""
        name, _, suffix = host.partition(".")
        if suffix not in SUFFIXES or not _NAME.fullmatch(name):
            raise ValueError(f"no vault can have the host {host}")
        with self._lock:
            if host in self._world.vaults:
                raise ValueError(f"{host} exists")
            vault = self._world.vaults[host] = Vault(host=host, **members)
            self._save()
            return vault

    def change_vault(self, host: str, **changes: Any) -> Vault:
        """Replace fields of a vault. Raises UnknownThingError."""
        with self._lock:
            vault = self._world.vaults.get(host)
            if vault is None:
                raise UnknownThingError(f"no vault {host}")
            changed = self._world.vaults[host] = replace(vault, **changes)
            self._save()
            return changed

    def create_key(
        self, vault: str, name: str, *, kty: str, bits: int, key_ops: tuple[str, ...] | None
    ) -> Key:
        """A new key with one version. Raises UnknownThingError, ValueError."""
        if self.vault(vault) is None:
            raise UnknownThingError(f"no vault {vault}")
        if not _NAME.fullmatch(name) or f"https://{vault}/keys/{name}" in self._world.keys:
            raise ValueError(f"the key name {name} is taken or not allowed")
        usual = EC_OPS if kty.startswith("EC") else RSA_OPS
        key = Key(
            vault=vault,
            name=name,
            kty=kty,
            versions=(_new_version(_new_private(kty, bits)),),
            key_ops=usual if key_ops is None else key_ops,
        )
        return self._put_key(key)

    def rotate_key(self, url: str) -> Key:
        """Add a version of the same type and size. Raises UnknownThingError."""
        key = self._existing(url)
        version = _new_version(_new_private(key.kty, key.versions[-1].private.key_size))
        return self.edit_key(url, lambda old: replace(old, versions=(*old.versions, version)))

    def edit_key(self, url: str, edit: Callable[[Key], Key]) -> Key:
        """Replace a key by what `edit` makes of it. Raises UnknownThingError."""
        with self._lock:
            return self._put_key(edit(self._existing(url)))

    def create_app(self, home_tenant_id: str, federations: tuple[Federation, ...] = ()) -> App:
        """A new multi-tenant application with one secret, known in its home tenant only."""
        self._require_tenant(home_tenant_id)
        app = App(
            client_id=str(uuid.uuid4()),
            home_tenant_id=home_tenant_id,
            secrets=(_new_secret(),),
            principals={home_tenant_id: str(uuid.uuid4())},
            federations=federations,
        )
        return self._put_app(app)

    def edit_app(self, client_id: str, edit: Callable[[App], App]) -> App:
        """Replace an application by what `edit` makes of it. Raises UnknownThingError."""
        with self._lock:
            app = self.app(client_id)
            if app is None:
                raise UnknownThingError(f"no application {client_id}")
            return self._put_app(edit(app))

    def consent(self, client_id: str, tenant_id: str) -> App:
        """Let the application into a tenant, as its administrator does."""
        self._require_tenant(tenant_id)
        principal = {tenant_id: str(uuid.uuid4())}
        return self.edit_app(
            client_id, lambda app: replace(app, principals={**principal, **app.principals})
        )

    def rotate_secret(self, client_id: str, secret: str | None = None) -> App:
        """A new secret instead of every old one; one may be chosen here, unlike with Azure."""
        made = secret or _new_secret()
        return self.edit_app(
            client_id, lambda app: replace(app, secrets=(made,), secrets_expired=False)
        )

    def create_identity(self, tenant_id: str) -> ManagedIdentity:
        """A new managed identity on this host."""
        self._require_tenant(tenant_id)
        one = ManagedIdentity(str(uuid.uuid4()), str(uuid.uuid4()), tenant_id)
        with self._lock:
            self._world.identities[one.client_id] = one
            self._save()
        return one

    def expire_tokens(self) -> None:
        """From now on no token that exists is good any more."""
        with self._lock:
            self._world.tokens_since = time.time()
            self._save()

    def _existing(self, url: str) -> Key:
        key = self._world.keys.get(url)
        if key is None:
            raise UnknownThingError(f"no key {url}")
        return key

    def _require_tenant(self, tenant_id: str) -> None:
        if not self.has_tenant(tenant_id):
            raise UnknownThingError(f"no tenant {tenant_id}")

    def _put_key(self, key: Key) -> Key:
        with self._lock:
            self._world.keys[key.url] = key
            self._save()
            return key

    def _put_app(self, app: App) -> App:
        with self._lock:
            self._world.apps[app.client_id] = app
            self._save()
            return app


def _new_private(kty: str, bits: int) -> PrivateKey:
    if kty in ("EC", "EC-HSM"):
        return ec.generate_private_key(ec.SECP256R1())
    if kty not in ("RSA", "RSA-HSM") or bits not in _RSA_BITS:
        raise ValueError(f"devcloud makes no {kty} key of {bits} bits")
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _new_version(private: PrivateKey) -> KeyVersion:
    return KeyVersion(id=uuid.uuid4().hex, private=private, created_at=time.time())


def _new_secret() -> str:
    # The form of a real one, which secret scanners know by its third and fourth part.
    return f"{secrets.token_hex(2)[:3]}8Q~{secrets.token_urlsafe(24)}"
