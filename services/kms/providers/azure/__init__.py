"""Azure Key Vault keys of customers, through an application or identity that the customer lets in.

Permissions that the customer grants, and no others: `Microsoft.KeyVault/vaults/keys/wrap/action` and
`.../keys/unwrap/action` on the key, which the role "Key Vault Crypto Service Encryption User" has (in a
managed HSM `.../managedHsm/keys/...` and "Managed HSM Crypto Service Encryption User"; in a vault with
access policies the key permissions wrapKey and unwrapKey). Nothing reads the key's public part: wrapping
is asked of the vault too, so that it proves the permission and leaves a line in the customer's log.

Who calls (`IdentityKind`):

- `config.client_secret_env_var`: the customer's application `client_id` in `azure_tenant_id`, both
  required, with the secret that the operator put into that variable. It is read for each login and kept
  nowhere; one that the operator does not (or no longer) allow that tenant is not read at all.
- else, where AZURE_FEDERATED_TOKEN_FILE is set for kms: the application `client_id`, or the platform's
  own (COFFER_KMS_AZURE_APPLICATION_ID, which the customer's tenant has to consent to), proven by that
  token.
- else the managed identity of the host: the user-assigned one that AZURE_CLIENT_ID names, or the host's own.
  It works only for vaults in the operator's own Entra tenant: for the operator's key above all, whose
  `client_id` may name another one. A customer's `client_id` chooses none: one that is not the platform's is
  refused.

The tenant is pinned: `azure_tenant_id` is the only one that is logged in to, whatever a challenge says.
Where it is missing, a federated login takes the tenant that the vault's own challenge names, if that is a
UUID at the authority of the vault's cloud: the vault is reached by TLS under Microsoft's domain, and the
token still goes to Microsoft's login only. A client secret is never sent to a tenant that nobody
configured.

A vault whose challenge names a tenant that the operator refuses (COFFER_KMS_REFUSED_AZURE_TENANTS) is refused
before any login, whatever the configuration says or leaves out, each time that a login is made; the
operator's own key is not concerned.

Algorithm RSA-OAEP-256 (RFC 8017, 7.1 with SHA-256). It authenticates no context: bytes wrapped for other
facts open all the same, and it is the caller's check value that notices. The identifier with the version
that wrapped is recorded, and unwrapping names exactly that version, so a new version of the key changes
nothing.

Not promised: that two tenants of Coffer that name the same vault are told apart by Azure, as AWS tells
them by their external id; what one wrapped never leaves kms for the other. That Microsoft forgets a token
at once when consent is taken back: it is used again for `reuse_seconds` at most, which kms takes off the
life of a key. A removed role assignment can take Azure itself some minutes to act upon.
Sources: Azure Key Vault REST API (Wrap Key, Unwrap Key, "Authentication, requests and responses"), Azure
built-in roles, Microsoft identity platform (client credentials flow), the source of azure-keyvault-keys
and azure-identity.
"""

from services.kms.providers.azure.provider import AzureProvider

__all__ = ["AzureProvider"]
