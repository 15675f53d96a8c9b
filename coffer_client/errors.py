"""What a call to Coffer can end with instead of an answer: one class for each thing that a caller can act on.

`code` is the wire contract's ("Errors at a glance"). No text here holds a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CofferClientError(Exception):
    """Any failure of this package.

    `fields` maps a request's field to its faults, `retry_after` is in seconds. `request_id` finds the call in
    Coffer's logs and audit events. `may_pass` says whether the same call may succeed later by itself.
    """

    code = "internal_error"
    may_pass = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        reason: str | None = None,
        hint: str | None = None,
        fields: Mapping[str, Sequence[str]] | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.reason = reason
        self.hint = hint
        self.fields = {path: tuple(faults) for path, faults in (fields or {}).items()}
        self.retry_after = retry_after
        self.request_id = request_id


class ClientTlsError(CofferClientError):
    """The client's own certificate, key or CA cannot be read or do not belong together."""

    code = "client_tls"


class ClientClosedError(CofferClientError):
    """The client was closed."""

    code = "client_closed"

    def __init__(self, message: str = "This client is closed.") -> None:
        super().__init__(message)


class CertificateNotUsableError(CofferClientError):
    """The certificate is stored without a private key, or before Coffer kept a form that TLS loads."""

    code = "certificate_not_usable"


class RequestNotValidError(CofferClientError):
    """The request is not what the contract says; see `fields`."""

    code = "validation_error"


class UnauthenticatedError(CofferClientError):
    """No credential, or one that is not valid."""

    code = "unauthenticated"


class NotGrantedError(CofferClientError):
    """This consumer has no grant in the tenant, or there is no such tenant."""

    code = "forbidden"


class InsufficientScopeError(CofferClientError):
    """The API key lacks a scope."""

    code = "insufficient_scope"


class PlanLimitError(CofferClientError):
    """The tenant's plan allows no more secrets."""

    code = "plan_limit"


class SecretNotFoundError(CofferClientError):
    """No such secret, environment or version, or no grant reaches it."""

    code = "not_found"


class SecretDeletedError(SecretNotFoundError):
    """The secret was deleted. It can be restored for 7 days."""


class ConflictError(CofferClientError):
    """The name is taken."""

    code = "conflict"


class IdempotencyConflictError(CofferClientError):
    """The idempotency key was used for another request."""

    code = "idempotency_conflict"


class SecretExpiredError(CofferClientError):
    """The secret has expired, and its expiry is enforced."""

    code = "invalid_state"


class KeyRevokedError(CofferClientError):
    """The master key that protected the value was erased: the value is gone for ever."""

    code = "key_revoked"


class VersionMismatchError(CofferClientError):
    """The value has another version than the one that was to be replaced."""

    code = "version_mismatch"


class TooLargeError(CofferClientError):
    """The request or the answer is larger than the limit."""

    code = "payload_too_large"


class RateLimitedError(CofferClientError):
    """Too many calls with this API key; see `retry_after`. Not repeated by this package."""

    code = "rate_limited"


class TenantSealedError(CofferClientError):
    """The tenant's own KMS key cannot be used at present; see `retry_after` and `hint`."""

    code = "tenant_sealed"
    may_pass = True


class UnavailableError(CofferClientError):
    """The service cannot be reached or is busy; nothing is known about what was in flight."""

    code = "unavailable"
    may_pass = True


class DeadlineExceededError(CofferClientError):
    """No answer within the time that the caller gave; a write may have happened or not."""

    code = "timeout"


class ServerFaultError(CofferClientError):
    """Something went wrong on Coffer's side. Quote the `request_id`."""

    code = "internal_error"


_BY_CODE: Final[dict[str, type[CofferClientError]]] = {
    found.code: found
    for found in (
        RequestNotValidError,
        UnauthenticatedError,
        NotGrantedError,
        InsufficientScopeError,
        PlanLimitError,
        SecretNotFoundError,
        ConflictError,
        IdempotencyConflictError,
        KeyRevokedError,
        VersionMismatchError,
        TooLargeError,
        RateLimitedError,
        TenantSealedError,
        UnavailableError,
        DeadlineExceededError,
        ServerFaultError,
    )
}
_BY_REASON: Final[dict[tuple[str, str], type[CofferClientError]]] = {
    ("not_found", "deleted"): SecretDeletedError,
    ("invalid_state", "expired"): SecretExpiredError,
}


def class_of(code: str, reason: str | None) -> type[CofferClientError]:
    """The class of a contract code; the base class for one that a later Coffer may have."""
    return _BY_REASON.get((code, reason or "")) or _BY_CODE.get(code, CofferClientError)
