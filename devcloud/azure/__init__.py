"""A stand-in of Microsoft's login (Entra ID), Key Vault and managed identity, faithful where a BYOK
service looks.

Done as Azure does it (Key Vault REST reference and "Common error codes", "About keys", Entra error
codes, App Service's identity endpoint), over TLS with a CA of its own:

- vaults are told apart by the Host header and belong to a tenant; a request without a token gets the
  401 challenge that names the authority and resource; a token of another tenant, audience or past
  its end is a 401 too;
- wrapKey and unwrapKey with RSA keys in versions; types, key_ops, disabled, nbf and exp (these stop
  wrapKey and not unwrapKey), soft-deleted, purged; role assignments or access policies per client;
- client_credentials with a secret or a federated assertion, in every tenant that has consented to
  the application; managed identity as App Service offers it;
- error codes, inner codes, AADSTS numbers, HTTP status and texts, which name tenants and clients: a
  product that passes such texts on would be caught.

Not done, and nothing may rely on it: RS256 signatures on tokens (a token is opaque to its client),
Azure's management plane, groups and role definitions, private links, listing, backup and rotation
policies, key creation through the vault, the passing of a purge date, propagation delays, instance
discovery (a client has to switch it off for a foreign authority), CAE claims challenges.
"""
