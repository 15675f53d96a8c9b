"""Coffer for services at run time: values by name over gRPC with mutual TLS, and certificates ready for use.

`CofferClient` is for asyncio, `SyncCofferClient` for threads. See docs/client.md.
"""

from coffer_client.asking import Which
from coffer_client.blocking import SyncCofferClient
from coffer_client.client import CofferClient
from coffer_client.errors import (
    CertificateNotUsableError,
    ClientClosedError,
    ClientTlsError,
    CofferClientError,
    ConflictError,
    DeadlineExceededError,
    IdempotencyConflictError,
    InsufficientScopeError,
    KeyRevokedError,
    NotGrantedError,
    PlanLimitError,
    RateLimitedError,
    RequestNotValidError,
    SecretDeletedError,
    SecretExpiredError,
    SecretNotFoundError,
    ServerFaultError,
    TenantSealedError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    VersionMismatchError,
)
from coffer_client.model import (
    CertificateSecret,
    NormalForm,
    Secret,
    SecretWarning,
    StoredValue,
    StringSecret,
    Wanted,
)
from coffer_client.retries import Retries
from coffer_client.tls import ClientTls

__all__ = [
    "CertificateNotUsableError",
    "CertificateSecret",
    "ClientClosedError",
    "ClientTls",
    "ClientTlsError",
    "CofferClient",
    "CofferClientError",
    "ConflictError",
    "DeadlineExceededError",
    "IdempotencyConflictError",
    "InsufficientScopeError",
    "KeyRevokedError",
    "NormalForm",
    "NotGrantedError",
    "PlanLimitError",
    "RateLimitedError",
    "RequestNotValidError",
    "Retries",
    "Secret",
    "SecretDeletedError",
    "SecretExpiredError",
    "SecretNotFoundError",
    "SecretWarning",
    "ServerFaultError",
    "StoredValue",
    "StringSecret",
    "SyncCofferClient",
    "TenantSealedError",
    "TooLargeError",
    "UnauthenticatedError",
    "UnavailableError",
    "VersionMismatchError",
    "Wanted",
    "Which",
]
