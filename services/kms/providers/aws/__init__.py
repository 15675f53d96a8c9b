"""AWS KMS keys of customers, through a role that the customer lets the platform assume.

Permissions that the customer grants, and no others:

- trust policy of `role_arn`: `sts:AssumeRole` for the operator's principal
  (COFFER_KMS_AWS_PRINCIPAL_ARN), with
  `"Condition": {"StringEquals": {"sts:ExternalId": "coffer-<tenant id>"}}`;
- `kms:Encrypt` and `kms:Decrypt` on the key for that role: in a policy of the role, and in the key's policy
  (or through the account, where the key policy lets IAM decide). A condition on
  `kms:EncryptionContext:coffer-tenant` = the tenant id narrows the grant to this tenant.

The operator's own identity needs `sts:AssumeRole` and nothing else.

Every call carries the EncryptionContext {coffer-tenant, coffer-key}: it is authenticated, shown in
CloudTrail, and must be the same to decrypt. What Encrypt names as the key (an ARN, also where it was asked
by alias) is stored and named to Decrypt, so a moved alias changes nothing and no other key is tried.

Not promised: that AWS forgets a session at once when trust is taken away; see `sessions.REUSE_SECONDS`.
Sources: AWS KMS API Reference (Encrypt, Decrypt), AWS STS API Reference (AssumeRole), IAM User Guide
("The confused deputy problem").
"""

from services.kms.providers.aws.provider import AwsProvider

__all__ = ["AwsProvider"]
