"""A stand-in of Cloud KMS, the IAM Credentials API and a machine's metadata server.

Done as Google does it (from the public protos of google.cloud.kms.v1, the REST reference of the
IAM Service Account Credentials API, "About VM metadata", and error texts seen in the field):

- gRPC over TLS for KMS, HTTPS for IAM, plain HTTP for metadata; a bearer token on every call,
  checked for its end, its account and its scopes;
- a service account acts as another one only where it holds `iam.serviceAccounts.getAccessToken`;
- permissions are granted on a project, ring or key, and are asked before existence is told;
- additional data is authenticated; checksums are verified when sent and given back; a ciphertext
  names its key and version, so old versions open it after a rotation;
- versions are enabled, disabled, scheduled for destruction or destroyed; refusals carry Google's
  codes, sentences and `google.rpc` details.

Where no public text was found, and nothing may rely on the wording: a key of the wrong purpose, a
key without a primary version, and a version that is scheduled for destruction or destroyed (the
code FAILED_PRECONDITION is Google's, the violation's type is a guess).

Not done, and nothing may rely on it: roles and conditions (only exact permissions), groups,
delegation chains (refused, not ignored), asymmetric and MAC operations, protection levels other
than SOFTWARE, location routing, the passing of a destruction date, eventual consistency of
policies, quotas (throttling is a fault one asks for). A dropped connection is told as the grpc
status a client would see, not by cutting the connection.
"""
