"""The commands of the control door that are Azure's own; one per method of `AzureControl`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from devcloud.azure.model import AccessModel, Federation, Key, KeyLife, Vault
from devcloud.azure.seed import create_customer
from devcloud.control_door import ControlDoor
from devcloud.stored_cloud import UnknownThingError

if TYPE_CHECKING:
    from devcloud.azure.cloud import Cloud
    from devcloud.azure.model import App
    from devcloud.azure.tokens import Tokens
    from devcloud.control_door import Command, Members
    from devcloud.faults import Faults
    from devcloud.http import HttpAnswer, HttpRequest
    from devcloud.ledger import Ledger


class ControlApi:
    """Changes what the tenants are and do."""

    def __init__(self, cloud: Cloud, tokens: Tokens, faults: Faults, ledger: Ledger) -> None:
        self._cloud = cloud
        self._tokens = tokens
        commands: dict[str, Command] = {
            "create-tenant": self._create_tenant,
            "create-customer": self._create_customer,
            "vaults": self._vaults,
            "create-vault": self._create_vault,
            "change-vault": self._change_vault,
            "keys": self._keys,
            "create-key": self._create_key,
            "rotate-key": self._rotate_key,
            "set-life": self._set_life,
            "change-versions": self._change_versions,
            "set-key-ops": self._set_key_ops,
            "grant": self._grant,
            "deny": self._deny,
            "create-app": self._create_app,
            "app": self._app,
            "consent": self._consent,
            "revoke-consent": self._revoke_consent,
            "change-app": self._change_app,
            "rotate-secret": self._rotate_secret,
            "federate": self._federate,
            "assertion": self._assertion,
            "create-identity": self._create_identity,
            "set-token-lifetime": self._set_token_lifetime,
            "expire-tokens": self._expire_tokens,
        }
        self._door = ControlDoor(cloud.control_token, faults, ledger, commands)

    def answer(self, request: HttpRequest) -> HttpAnswer:
        """One request, as `ControlDoor.answer`."""
        return self._door.answer(request)

    # Tenants and vaults

    def _create_tenant(self, _: Members) -> Members:
        return {"tenant_id": self._cloud.create_tenant()}

    def _create_customer(self, body: Members) -> Members:
        customer = create_customer(
            self._cloud,
            client_id=body["client_id"] or self._cloud.seed["azure_application_id"],
            access=AccessModel(body["access"]),
            managed_hsm=body["managed_hsm"],
        )
        return asdict(customer)

    def _vaults(self, _: Members) -> Members:
        return {"vaults": [_shown_vault(vault) for vault in self._cloud.vaults()]}

    def _create_vault(self, body: Members) -> Members:
        vault = self._cloud.create_vault(
            body["host"], tenant_id=body["tenant_id"], access=AccessModel(body["access"])
        )
        return _shown_vault(vault)

    def _change_vault(self, body: Members) -> Members:
        changes = {name: value for name, value in body.items() if name != "host"}
        if "access" in changes:
            changes["access"] = AccessModel(changes["access"])
        return _shown_vault(self._cloud.change_vault(body["host"], **changes))

    # Keys

    def _keys(self, _: Members) -> Members:
        return {"keys": [_shown_key(key) for key in self._cloud.all_keys()]}

    def _create_key(self, body: Members) -> Members:
        ops = body["key_ops"]
        key = self._cloud.create_key(
            body["vault"],
            body["name"],
            kty=body["kty"],
            bits=body["bits"],
            key_ops=None if ops is None else tuple(ops),
        )
        return _shown_key(key)

    def _rotate_key(self, body: Members) -> Members:
        return _shown_key(self._cloud.rotate_key(body["key"]))

    def _set_life(self, body: Members) -> Members:
        life = KeyLife(body["life"])
        return _shown_key(self._cloud.edit_key(body["key"], lambda key: replace(key, life=life)))

    def _change_versions(self, body: Members) -> Members:
        """Change attributes of one version, or of all of them."""
        wanted, changes = body["version"], body["changes"]

        def edit(key: Key) -> Key:
            if wanted is not None and wanted not in [version.id for version in key.versions]:
                raise UnknownThingError(f"no version {wanted}")
            versions = tuple(
                replace(version, **changes) if wanted in (None, version.id) else version
                for version in key.versions
            )
            return replace(key, versions=versions)

        return _shown_key(self._cloud.edit_key(body["key"], edit))

    def _set_key_ops(self, body: Members) -> Members:
        ops = tuple(body["key_ops"])
        return _shown_key(self._cloud.edit_key(body["key"], lambda key: replace(key, key_ops=ops)))

    # Permissions

    def _grant(self, body: Members) -> Members:
        """What one client may do: with a vault, or in addition with one key."""
        client, permissions = body["client_id"], tuple(body["permissions"])
        if body["key"] is None:
            vault = self._cloud.vault(body["vault"])
            if vault is None:
                raise UnknownThingError(f"no vault {body['vault']}")
            self._cloud.change_vault(vault.host, grants={**vault.grants, client: permissions})
        else:
            self._cloud.edit_key(
                body["key"],
                lambda key: replace(key, grants={**key.grants, client: permissions}),
            )
        return {}

    def _deny(self, body: Members) -> Members:
        client, permissions = body["client_id"], tuple(body["permissions"])
        self._cloud.edit_key(
            body["key"], lambda key: replace(key, denied={**key.denied, client: permissions})
        )
        return {}

    # Applications and identities

    def _create_app(self, body: Members) -> Members:
        return _shown_app(self._cloud.create_app(body["tenant_id"]))

    def _app(self, body: Members) -> Members:
        app = self._cloud.app(body["client_id"])
        if app is None:
            raise UnknownThingError(f"no application {body['client_id']}")
        return _shown_app(app)

    def _consent(self, body: Members) -> Members:
        return _shown_app(self._cloud.consent(body["client_id"], body["tenant_id"]))

    def _revoke_consent(self, body: Members) -> Members:
        def edit(app: App) -> App:
            kept = {t: oid for t, oid in app.principals.items() if t != body["tenant_id"]}
            return replace(app, principals=kept)

        return _shown_app(self._cloud.edit_app(body["client_id"], edit))

    def _change_app(self, body: Members) -> Members:
        changes: Members = {name: bool(body[name]) for name in body.keys() - {"client_id"}}
        return _shown_app(
            self._cloud.edit_app(body["client_id"], lambda app: replace(app, **changes))
        )

    def _rotate_secret(self, body: Members) -> Members:
        return _shown_app(self._cloud.rotate_secret(body["client_id"], body["secret"]))

    def _federate(self, body: Members) -> Members:
        federations = tuple(Federation(**one) for one in body["federations"])
        return _shown_app(
            self._cloud.edit_app(
                body["client_id"], lambda app: replace(app, federations=federations)
            )
        )

    def _assertion(self, body: Members) -> Members:
        federation = Federation(body["issuer"], body["subject"])
        return {"assertion": self._tokens.assertion(federation, seconds=body["seconds"])}

    def _create_identity(self, body: Members) -> Members:
        return asdict(self._cloud.create_identity(body["tenant_id"]))

    def _set_token_lifetime(self, body: Members) -> Members:
        self._tokens.lifetime_seconds = int(body["seconds"])
        return {}

    def _expire_tokens(self, _: Members) -> Members:
        self._cloud.expire_tokens()
        return {}


def _shown_vault(vault: Vault) -> Members:
    return asdict(vault)


def _shown_key(key: Key) -> Members:
    versions = [
        {
            "kid": key.kid(version),
            "enabled": version.enabled,
            "not_before": version.not_before,
            "expires": version.expires,
        }
        for version in key.versions
    ]
    return {
        "url": key.url,
        "kty": key.kty,
        "life": key.life,
        "key_ops": key.key_ops,
        "versions": versions,
    }


def _shown_app(app: App) -> Members:
    return {
        "client_id": app.client_id,
        "client_secret": app.secrets[0],
        "home_tenant_id": app.home_tenant_id,
        "tenants": sorted(app.principals),
    }
