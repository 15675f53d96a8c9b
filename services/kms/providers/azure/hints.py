"""What a tenant's administrator, or the platform's operator, can do about a fault. Pure; our own words."""

from __future__ import annotations

from typing import Final

from services.kms.model import Reason, WrapError
from services.kms.providers.azure import errors
from services.kms.providers.azure.errors import Action, AzureFault, IdentityKind, Parties, reason_of

_RETRY: Final = "Nothing was changed; a retry is safe."
_VERBS: Final = {Action.WRAP: "wrap", Action.UNWRAP: "unwrap"}


def permission(action: Action, parties: Parties) -> str:
    """What an operation needs: a data action of Azure's role-based access control, or a token."""
    if action is Action.LOGIN:
        return f"a token for {parties.key.resource}"
    kind = "managedHsm" if parties.key.in_hsm else "vaults"
    return f"Microsoft.KeyVault/{kind}/keys/{_VERBS[action]}/action"


def role(parties: Parties) -> str:
    """The built-in role with these permissions and no others that matter."""
    hsm = "Managed HSM Crypto Service Encryption User"
    return hsm if parties.key.in_hsm else "Key Vault Crypto Service Encryption User"


def principal(parties: Parties) -> str:
    """Who the vault sees calling."""
    if parties.kind is IdentityKind.MANAGED:
        return f"managed identity {parties.client_id or 'of the platform'}"
    return f"application {parties.client_id or 'of the platform'}"


def wrap_error(fault: AzureFault, parties: Parties) -> WrapError:
    """The error that can be acted upon. What was asked, of which key and by whom, stands at its end."""
    reason = reason_of(fault, parties)
    if fault.code in _OWN_WORDS:
        text = _OWN_WORDS[fault.code]
    elif fault.action is Action.LOGIN:
        text = _login(fault, reason, parties)
    else:
        text = _vault(fault, reason)
    return WrapError(reason, _filled(text, fault.action, parties))


def mismatch(parties: Parties) -> WrapError:
    """For an answer of another key or version, or with something else than 32 bytes."""
    text = _VAULT_REASONS[Reason.ROUNDTRIP_MISMATCH]
    return WrapError(Reason.ROUNDTRIP_MISMATCH, _filled(text, Action.UNWRAP, parties))


def _filled(text: str, action: Action, parties: Parties) -> str:
    return f"{text} Asked for: {{permission}}, on {{key}}, as {{principal}}.".format(
        operation=action,
        permission=permission(action, parties),
        role=role(parties),
        principal=principal(parties),
        key=parties.key.url,
        vault=parties.key.vault,
        host=parties.key.host,
        tenant=parties.azure_tenant_id or "of the vault",
        client=parties.client_id or "(none)",
        variable=parties.env_var or "(none)",
    )


_OWN_WORDS: Final = {
    errors.NO_SUCH_HOST: "The name {host} does not resolve: there is no vault {vault}, it was deleted,"
    " or the platform's own name service does not know it (a private DNS zone, for instance). Check"
    " kms_key_ref and config.vault_url. " + _RETRY,
    errors.NO_SECRET: "The platform's operator has to set the variable {variable} for the kms service:"
    " it should hold the client secret of the application {client}. Nobody was asked about the key. "
    + _RETRY,
    errors.NOT_ALLOWED: "The platform's operator does not allow this tenant the variable {variable} (any"
    " more), so it is not read: config.client_secret_env_var must name one that the operator lists for"
    " the tenant in COFFER_KMS_CLIENT_SECRET_ENV_VARS. Nobody was asked about the key. " + _RETRY,
    errors.HOSTS_IDENTITY: "config.client_id names {client}, but the platform calls Azure as the managed"
    " identity of its host here, and no customer chooses which: leave config.client_id out, or use an"
    " application with config.client_secret_env_var. Nobody was asked about the key.",
    errors.NO_IDENTITY: "The platform has no identity of its own that it could call as at present"
    " ({principal}); its operator has to look, and config.client_id, where it is given, must name an"
    " identity or application that the platform has. " + _RETRY,
    errors.NO_CLIENT: "config.client_secret_env_var needs config.client_id and config.azure_tenant_id:"
    " the application that the secret belongs to, and its tenant.",
    errors.FOREIGN_CHALLENGE: "What answered for {host} asked for a login outside the vault's own"
    " cloud, or for a token for something else. Nothing was sent there; it may not be the vault that"
    " answers. " + _RETRY,
    errors.OTHER_TENANT: "The vault {vault} says that it is in another tenant than"
    " config.azure_tenant_id, {tenant}. Set config.azure_tenant_id to the tenant of the vault's"
    " subscription.",
    errors.REFUSED_TENANT: "The vault {vault} says that it is in a tenant of the platform's operator,"
    " whose keys are refused to tenants (COFFER_KMS_REFUSED_AZURE_TENANTS). Use a key in a vault of your"
    " own tenant.",
}


def _login(fault: AzureFault, reason: Reason, parties: Parties) -> str:
    if errors.is_operators(fault, parties):
        return (
            "Microsoft Entra ID does not accept how the platform's own identity logs in at present; its"
            " operator has to look. " + _RETRY
        )
    for codes, text in _LOGIN_CODES.items():
        if fault.detail in codes:
            return text
    return _LOGIN_REASONS.get(reason, _LOGIN_REASONS[Reason.UNREACHABLE])


_LOGIN_CODES: Final = {
    errors.NOT_CONSENTED: "The tenant {tenant} does not know the {principal}: its administrator has to"
    " let it in (az ad sp create --id {client}, or admin consent), and config.azure_tenant_id must be"
    " the tenant of the vault.",
    errors.DISABLED_APP: "The {principal} is disabled in the tenant {tenant}. Enable its service"
    " principal (enterprise application) there.",
    errors.WRONG_TENANT: "There is no tenant {tenant} in the vault's cloud that has vaults. Check"
    " config.azure_tenant_id.",
    errors.WRONG_SECRET: "Microsoft Entra ID does not accept the client secret of the {principal} in"
    " the tenant {tenant}: it is wrong, expired or removed. Make a new one, and have the operator put"
    " it into {variable}.",
    errors.NOT_FEDERATED: "The {principal} in the tenant {tenant} does not accept the platform's"
    " federated token. Add a federated credential with the platform's issuer and subject to it.",
}
_LOGIN_REASONS: Final = {
    Reason.ACCESS_DENIED: "Microsoft Entra ID refuses the login of the {principal} in the tenant"
    " {tenant}. Look at its sign-in log there: consent, the state of the service principal, conditional"
    " access.",
    Reason.INVALID_REQUEST: "Microsoft Entra ID refused the request for a login. Check config.client_id"
    " and config.azure_tenant_id.",
    Reason.THROTTLED: "Microsoft Entra ID limits the rate of logins. " + _RETRY,
    Reason.UNREACHABLE: "Microsoft Entra ID did not answer the login of the {principal}. " + _RETRY,
}


def _vault(fault: AzureFault, reason: Reason) -> str:
    for codes, text in _VAULT_CODES.items():
        if fault.detail in codes or fault.code in codes:
            return text
    if fault.http_status == _UNAUTHORIZED and reason is Reason.ACCESS_DENIED:
        return (
            "The vault {vault} does not accept the login of the {principal} in the tenant {tenant}."
            " config.azure_tenant_id must be the tenant of the vault's subscription, and the principal be"
            " known there."
        )
    return _VAULT_REASONS[reason]


_UNAUTHORIZED: Final = 401
_VAULT_CODES: Final = {
    errors.FIREWALL: "The firewall of the vault {vault} refuses the platform. Allow the platform's"
    " addresses in the vault's networking settings, or make a private endpoint for it.",
    errors.DELETED: "The key {key} is deleted, and can still be recovered (az keyvault key recover).",
    errors.OUT_OF_TIME: "The key {key} is expired or not yet valid. Change its dates, or make a new"
    " version.",
    errors.DISABLED: "The key {key} is disabled. Enable it, in the version that wrapped.",
}
"""The state seen, as far as the code tells it."""
_VAULT_REASONS: Final = {
    Reason.ACCESS_DENIED: "The vault {vault} refuses it. Assign the role {role} to the {principal}, on"
    " the key or the vault (in a vault with access policies: the key permission {operation}). A new"
    " role assignment can take some minutes.",
    Reason.KEY_NOT_FOUND: "There is no such key in the vault {vault}, or not the version that wrapped."
    " If it was deleted, recover it (az keyvault key recover).",
    Reason.KEY_DISABLED: "The key {key} is not enabled.",
    Reason.KEY_UNSUITABLE: "The key {key} cannot do {operation}. Needed: an RSA key (RSA or RSA-HSM,"
    " 2048 to 4096 bits) with wrapKey and unwrapKey among its permitted operations, for RSA-OAEP-256.",
    Reason.INVALID_REQUEST: "The vault {vault} refused the request {operation}. Check kms_key_ref and"
    " config.vault_url.",
    Reason.THROTTLED: "The vault {vault} limits the rate of {operation}. " + _RETRY,
    Reason.UNREACHABLE: "The vault {vault} did not answer {operation}. " + _RETRY,
    Reason.ROUNDTRIP_MISMATCH: "The key {key} did not give back what was wrapped by it: it must not be"
    " used.",
}
