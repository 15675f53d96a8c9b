"""Who may do what with a key, told in the words of the vault's access model.

Source: Key Vault REST error codes and the texts of the live service; the data actions are those of
"Azure RBAC for Key Vault".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from devcloud.azure.errors import FORBIDDEN, VaultError
from devcloud.azure.model import EVERYONE, GET, UNWRAP, WRAP, AccessModel

if TYPE_CHECKING:
    from devcloud.azure.model import Caller, Key, Vault

_DATA_ACTIONS = {
    GET: "Microsoft.KeyVault/vaults/keys/read",
    WRAP: "Microsoft.KeyVault/vaults/keys/wrap/action",
    UNWRAP: "Microsoft.KeyVault/vaults/keys/unwrap/action",
}
_POLICY_WORDS = {GET: "get", WRAP: "wrapKey", UNWRAP: "unwrapKey"}


def require_address(vault: Vault, caller: Caller) -> None:
    """Refuse everyone where the vault's firewall is up. Raises VaultError ForbiddenByFirewall."""
    if vault.firewalled:
        raise VaultError(
            FORBIDDEN,
            "Forbidden",
            "Client address is not authorized and caller is not a trusted service.\r\n"
            f"Client address: 203.0.113.7\r\nCaller: {caller}\r\n"
            f"Vault: {vault.name};location=westeurope",
            "ForbiddenByFirewall",
        )


def require_permission(
    vault: Vault, key: Key | None, name: str, caller: Caller, permission: str
) -> None:
    """Refuse what nobody granted, also on a key that is not there. Raises VaultError Forbidden."""
    if permission in _permissions(vault, key, caller.client_id):
        return
    if vault.access is AccessModel.POLICY:
        raise VaultError(
            FORBIDDEN,
            "Forbidden",
            f"The user, group or application '{caller}' does not have keys "
            f"{_POLICY_WORDS[permission]} permission on key vault "
            f"'{vault.name};location=westeurope'. For help resolving this issue, please see "
            "https://go.microsoft.com/fwlink/?linkid=2125287",
            "ForbiddenByPolicy",
        )
    raise VaultError(
        FORBIDDEN,
        "Forbidden",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny "
        "assignments or role definitions were changed recently, please observe propagation time."
        f"\r\nCaller: {caller}\r\nAction: '{_DATA_ACTIONS[permission]}'\r\n"
        f"Resource: '/subscriptions/{vault.tenant_id}/resourcegroups/customer/providers/"
        f"microsoft.keyvault/vaults/{vault.name}/keys/{name}'\r\nAssignment: (not found)\r\n"
        f"DenyAssignmentId: null\r\nDecisionReason: null \r\n"
        f"Vault: {vault.name};location=westeurope\r\n",
        "ForbiddenByRbac",
    )


def _permissions(vault: Vault, key: Key | None, client_id: str) -> set[str]:
    granted = set(vault.grants.get(client_id, ()))
    if key is None:
        return granted
    denied = {*key.denied.get(EVERYONE, ()), *key.denied.get(client_id, ())}
    return (granted | set(key.grants.get(client_id, ()))) - denied
