"""The client of a running Azure stand-in's control API, for the demo and the tests.

Not for the product: a real cloud has no such door. All methods are synchronous; they raise
`ControlError` when the stand-in refuses and `httpx.TransportError` when it cannot be reached.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from devcloud.azure.control_model import AppInfo, KeyInfo, app_info, key_info
from devcloud.azure.model import (
    ALL_PERMISSIONS,
    EVERYONE,
    AccessModel,
    Federation,
    KeyLife,
    ManagedIdentity,
)
from devcloud.azure.seed import FEDERATION, KEY_BITS, Customer
from devcloud.control_client import ControlClient, ControlError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class AzureControl(ControlClient):
    """Sees and changes everything in one stand-in. Use as a context manager, or call `close`.

    Faults and counters are those of `ControlClient`. Keys are named by their URL without a version
    (`https://NAME.vault.azure.net/keys/NAME`), vaults by their host. Calls and faults have as
    resource the key's URL for `GetKey`, `WrapKey`, `UnwrapKey` and `Challenge` (a request without a
    token), the tenant id for `Token` and `OpenIdConfiguration`, the client id for
    `ManagedIdentityToken`.
    """

    @classmethod
    def from_ready_file(cls, path: Path) -> AzureControl:
        """Of the process that wrote this ready file."""
        ready = json.loads(path.read_text(encoding="utf-8"))
        return cls(ready["azure_control_url"], ready["azure_control_token"])

    # Tenants and vaults

    def create_tenant(self) -> str:
        """An empty directory; its id."""
        return str(self._do("create-tenant")["tenant_id"])

    def create_customer(
        self,
        *,
        client_id: str | None = None,
        access: AccessModel = AccessModel.RBAC,
        managed_hsm: bool = False,
    ) -> Customer:
        """A further customer: tenant, vault and key, open to the seeded application by default."""
        return Customer(
            **self._do(
                "create-customer", client_id=client_id, access=access, managed_hsm=managed_hsm
            )
        )

    def create_vault(
        self, host: str, tenant_id: str, access: AccessModel = AccessModel.RBAC
    ) -> None:
        """An empty vault that nobody may use yet, `NAME.vault.azure.net` or of another cloud."""
        self._do("create-vault", host=host, tenant_id=tenant_id, access=access)

    def set_access_model(self, vault: str, access: AccessModel) -> None:
        """Role assignments or access policies; the same grants, other words of refusal."""
        self._do("change-vault", host=vault, access=access)

    def set_firewall(self, vault: str, *, up: bool) -> None:
        """Whether the vault refuses every address."""
        self._do("change-vault", host=vault, firewalled=up)

    def set_gone(self, vault: str, *, gone: bool) -> None:
        """Delete the whole vault (no connection to its name gets an answer), or bring it back."""
        self._do("change-vault", host=vault, gone=gone)

    def mislead(
        self, vault: str, *, authority: str | None = None, resource: str | None = None
    ) -> None:
        """Make the vault's challenge name a foreign authority or resource; None: the true one."""
        self._do(
            "change-vault", host=vault, challenge_authority=authority, challenge_resource=resource
        )

    # Keys

    def keys(self) -> tuple[KeyInfo, ...]:
        """Every key, deleted and purged ones too."""
        return tuple(key_info(one) for one in self._do("keys")["keys"])

    def key(self, url: str) -> KeyInfo:
        """One key. Raises ControlError when there is none."""
        for key in self.keys():
            if key.url == url:
                return key
        raise ControlError(f"no key {url}")

    def create_key(
        self,
        vault: str,
        name: str,
        *,
        kty: str = "RSA",
        bits: int = KEY_BITS,
        key_ops: Iterable[str] | None = None,
    ) -> KeyInfo:
        """A further key. `kty` is RSA, RSA-HSM, EC or EC-HSM; `bits` 2048, 3072 or 4096 (RSA)."""
        ops = None if key_ops is None else list(key_ops)
        return key_info(
            self._do("create-key", vault=vault, name=name, kty=kty, bits=bits, key_ops=ops)
        )

    def rotate(self, key: str) -> KeyInfo:
        """A new version; the old ones still unwrap."""
        return key_info(self._do("rotate-key", key=key))

    def set_life(self, key: str, life: KeyLife) -> KeyInfo:
        """Any state at once, also ones Azure has no way to (back from purged). Durable."""
        return key_info(self._do("set-life", key=key, life=life))

    def delete(self, key: str) -> KeyInfo:
        """Soft-delete."""
        return self.set_life(key, KeyLife.DELETED)

    def recover(self, key: str) -> KeyInfo:
        """Take a deletion back."""
        return self.set_life(key, KeyLife.LIVE)

    def purge(self, key: str) -> KeyInfo:
        """Delete for good."""
        return self.set_life(key, KeyLife.PURGED)

    def enable(self, key: str, version: str | None = None) -> KeyInfo:
        """Make one version usable, or all of them."""
        return self._change_versions(key, version, enabled=True)

    def disable(self, key: str, version: str | None = None) -> KeyInfo:
        """The customer's kill switch, on one version or all of them."""
        return self._change_versions(key, version, enabled=False)

    def expire(self, key: str, version: str | None = None) -> KeyInfo:
        """Let `exp` lie in the past: no wrapping any more, unwrapping still."""
        return self._change_versions(key, version, expires=time.time() - 60)

    def postpone(self, key: str, version: str | None = None) -> KeyInfo:
        """Let `nbf` lie in the future: no wrapping yet."""
        return self._change_versions(key, version, not_before=time.time() + 3600)

    def set_window(self, key: str, *, not_before: float | None, expires: float | None) -> KeyInfo:
        """nbf and exp of every version, Unix seconds; None: without."""
        return self._change_versions(key, None, not_before=not_before, expires=expires)

    def set_key_ops(self, key: str, key_ops: Iterable[str]) -> KeyInfo:
        """What the key is for (`wrapKey`, `unwrapKey`, ...)."""
        return key_info(self._do("set-key-ops", key=key, key_ops=list(key_ops)))

    # Permissions

    def grant(
        self,
        client_id: str,
        *,
        vault: str | None = None,
        key: str | None = None,
        permissions: Iterable[str] = ALL_PERMISSIONS,
    ) -> None:
        """Exactly these permissions on a vault, or (in addition to the vault's) on one key."""
        self._do("grant", client_id=client_id, vault=vault, key=key, permissions=list(permissions))

    def deny(
        self,
        key: str,
        permissions: Iterable[str] = ALL_PERMISSIONS,
        client_id: str = EVERYONE,
    ) -> None:
        """Refuse exactly these permissions (`keys/wrapKey/action`) on a key. Durable."""
        self._do("deny", key=key, client_id=client_id, permissions=list(permissions))

    def allow(self, key: str, client_id: str = EVERYONE) -> None:
        """Take a denial back."""
        self.deny(key, (), client_id)

    # Applications and identities

    def create_app(self, tenant_id: str) -> AppInfo:
        """A multi-tenant application at home in this tenant."""
        return app_info(self._do("create-app", tenant_id=tenant_id))

    def app(self, client_id: str) -> AppInfo:
        """One application. Raises ControlError when there is none."""
        return app_info(self._do("app", client_id=client_id))

    def consent(self, client_id: str, tenant_id: str) -> AppInfo:
        """Let an application into a tenant."""
        return app_info(self._do("consent", client_id=client_id, tenant_id=tenant_id))

    def revoke_consent(self, client_id: str, tenant_id: str) -> AppInfo:
        """Refuse it new tokens; those it has stay good, as with Azure."""
        return app_info(self._do("revoke-consent", client_id=client_id, tenant_id=tenant_id))

    def rotate_secret(self, client_id: str, secret: str | None = None) -> AppInfo:
        """A new client secret, which may be chosen; every old one is refused from now on."""
        return app_info(self._do("rotate-secret", client_id=client_id, secret=secret))

    def federate(self, client_id: str, federations: Iterable[Federation]) -> AppInfo:
        """Whose assertions the application accepts."""
        listed = [asdict(one) for one in federations]
        return app_info(self._do("federate", client_id=client_id, federations=listed))

    def assertion(self, federation: Federation = FEDERATION, seconds: float = 3600.0) -> str:
        """A workload's token; with negative `seconds` one past its end."""
        return str(self._do("assertion", **asdict(federation), seconds=seconds)["assertion"])

    def create_identity(self, tenant_id: str) -> ManagedIdentity:
        """A further managed identity of the host."""
        return ManagedIdentity(**self._do("create-identity", tenant_id=tenant_id))

    def set_token_lifetime(self, seconds: int) -> None:
        """How long tokens issued from now on are good."""
        self._do("set-token-lifetime", seconds=seconds)

    def set_app_enabled(self, client_id: str, *, enabled: bool) -> AppInfo:
        """Whether the application may log in anywhere."""
        return app_info(self._do("change-app", client_id=client_id, enabled=enabled))

    def expire_secrets(self, client_id: str) -> AppInfo:
        """Let every client secret be past its end, until the next `rotate_secret`."""
        return app_info(self._do("change-app", client_id=client_id, secrets_expired=True))

    def expire_tokens(self) -> None:
        """End every token there is."""
        self._do("expire-tokens")

    def _change_versions(self, key: str, version: str | None, **changes: Any) -> KeyInfo:
        return key_info(self._do("change-versions", key=key, version=version, changes=changes))
