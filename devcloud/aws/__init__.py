"""A stand-in of AWS STS and KMS on one HTTP port, faithful where a BYOK service looks.

Done as AWS does it (from the API references of STS and KMS, and Signature Version 4):

- every request's signature, date, scope and session token are verified;
- roles are assumed through a trust policy (principal and external id); a session expires;
- every KMS call is authorised by the caller's policy and the key's, in the caller's account;
- keys and aliases live in a region and account of a partition; EncryptionContext is AAD; a
  ciphertext names its key and its key material, so old material opens it after a rotation;
- error codes, HTTP status and wire form (JSON 1.1 for KMS, query and XML for STS).

Not done, and nothing may rely on it: full IAM policy documents and conditions, resource policies
that let another account in, grants, session policies and tags (refused, not ignored), multi-region
and imported keys, real asymmetric or HMAC operations, quotas, eventual consistency, the passing of
a deletion date (a key pending deletion stays so), one endpoint per region (the region is that of
the request's signature).
"""
