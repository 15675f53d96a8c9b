"""Google Cloud KMS keys of customers, through a service account that the platform may impersonate.

Permissions that the customer grants, and no others:

- on `impersonate_service_account`: roles/iam.serviceAccountTokenCreator, for
  `iam.serviceAccounts.getAccessToken`, to the operator's service account (COFFER_KMS_GCP_PRINCIPAL);
- on the key: roles/cloudkms.cryptoKeyEncrypterDecrypter, for `cloudkms.cryptoKeyVersions.useToEncrypt` and
  `cloudkms.cryptoKeyVersions.useToDecrypt`, to `impersonate_service_account`;
- only with `project_id`: roles/serviceusage.serviceUsageConsumer, for `serviceusage.services.use`, on that
  project to `impersonate_service_account`. It is the project whose quota the calls use and that is billed for
  them (header x-goog-user-project); without it Google takes the service account's own project.

The operator's own identity (application default credentials) needs no role in the customer's projects but
that grant. Where no service account is named, for the operator's own key, it calls Cloud KMS itself.

The key has purpose ENCRYPT_DECRYPT: algorithm GOOGLE_SYMMETRIC_ENCRYPTION, AES-256-GCM, or for one in an
external key manager EXTERNAL_SYMMETRIC_ENCRYPTION. Every call carries additional authenticated data made of
tenant and key id (`integrity.context`) and the CRC32C of all bytes sent, and checks that of all bytes that
come back. The version that encrypted is recorded; Decrypt names its key, and Google finds the version in the
ciphertext, so a rotated key opens what older versions wrapped.

Hosts contacted for a tenant: cloudkms.googleapis.com and iamcredentials.googleapis.com, or what the
operator's settings name instead, and no other. Nothing that a tenant says becomes a host; redirects are not
followed.

Not promised: that two tenants of Coffer that name the same key and service account are told apart by
Google's permissions, as AWS tells them by their external id: both may use it. What was wrapped for one does
not open for the other, because the authenticated data differ. That Google holds to a change at once. A
disabled version may be usable for about a minute, a removed grant for some minutes more; a token lives for
`tokens.TOKEN_SECONDS` and is used again for `reuse_seconds`. Nor that a customer's network rules (VPC
Service Controls) can be told from missing roles.

The SDK's asynchronous client is used: a call that hangs holds a stream and no thread, and can be cancelled.
google-auth is synchronous and runs in threads.

Sources: Cloud KMS API reference (Encrypt, Decrypt) and guides ("Data integrity", "Resource consistency",
"Cloud EKM errors"), IAM Service Account Credentials API (generateAccessToken),
google.rpc.PreconditionFailure, google.rpc.ErrorInfo, google.api.ErrorReason.
"""

from services.kms.providers.gcp.provider import GcpProvider

__all__ = ["GcpProvider"]
