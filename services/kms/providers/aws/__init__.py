"""AWS KMS keys of customers, through a role that the customer lets the platform assume.

Permissions that the customer grants, and no others:

- trust policy of `role_arn`: `sts:AssumeRole` for the operator's principal
  (COFFER_KMS_AWS_PRINCIPAL_ARN), with
  `"Condition": {"StringEquals": {"sts:ExternalId": "coffer-<tenant id>"}}`;
- `kms:Encrypt` and `kms:Decrypt` on the key for that role: in a policy of the role, and in the key's policy
  (or through the account, where the key policy lets IAM decide). A condition on
  `kms:EncryptionContext:coffer-tenant` = the tenant id narrows the grant to this tenant.

The operator's own identity (boto3's own chain) needs `sts:AssumeRole` and nothing else. Where no role is
named, for the operator's own key, it needs `kms:Encrypt` and `kms:Decrypt` on that key and calls KMS
itself.

Every call carries the EncryptionContext {coffer-tenant, coffer-key}: it is authenticated, shown in
CloudTrail, and must be the same to decrypt. What Encrypt names as the key (an ARN, also where it was asked
by alias) is stored and named to Decrypt, so a moved alias changes nothing and no other key is tried. It must
be the key that was asked, or behind an alias one of the same account and region.

A session with a role is used again for `reuse_seconds`, at most for four fifths of its life, so that none
expires under a call; one that AWS no longer takes, or that is old and denied, is made anew, once.

What AWS refuses to the operator's identity itself, or what has no code of AWS's, is no word about a
customer's key.

Hosts contacted for a tenant: sts.REGION and kms.REGION under the domain of the partition that the region
belongs to (the SDK's own table), or what the operator's settings name instead; nothing else that a tenant
says becomes a host. Certificates are always checked (AWS_CA_BUNDLE names other CAs than the usual ones, for
all endpoints). Redirects are not followed.

Not promised: that AWS forgets a session at once when trust is taken away; see `sessions.REUSE_SECONDS`. Nor
that a role is assumed in a partition that the operator's identity is not in: AWS knows no trust between
partitions.
Sources: AWS KMS API Reference (Encrypt, Decrypt), AWS STS API Reference (AssumeRole), IAM User Guide ("The
confused deputy problem").
"""

from services.kms.providers.aws.provider import AwsProvider

__all__ = ["AwsProvider"]
